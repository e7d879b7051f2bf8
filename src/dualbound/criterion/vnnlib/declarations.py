"""What a file declares: which of its names are which of the network's inputs and outputs."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any, final

from dualbound.criterion.vnnlib.expressions import shown
from dualbound.criterion.vnnlib.linear import Variable
from dualbound.errors import InvalidProperty

_NAME = re.compile(r"([XY])_(0|[1-9][0-9]{0,8})")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_TENSOR = re.compile(r"([A-Za-z0-9]+)\[([0-9]{1,9}(?:,[0-9]{1,9}){0,15})?\]")
_REAL = re.compile(r"real|b?float[0-9]+|double", re.IGNORECASE)


@final
class Declarations:
    """The variables that a file has declared so far.

    Args:
        inputs: how many the network has.
        outputs: likewise.

    Attributes:
        names: the variables, by their names in the file.
        sizes: how many inputs (``True``) and outputs (``False``) the network has.
        declared: of each of them the name; none where it has none yet.

    >>> declarations = Declarations(inputs=2, outputs=1)
    >>> declarations.declare("X_1", "Real")
    >>> declarations.declared[True], declarations.names["X_1"].at
    ([None, 'X_1'], 1)
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        self.names: dict[str, Variable] = {}
        self.sizes = {True: inputs, False: outputs}
        self.declared: dict[bool, list[str | None]] = {
            is_input: [None] * size for is_input, size in self.sizes.items()
        }
        self._network = ""
        self._tensors: set[str] = set()

    def declare(self, name: str, kind: str) -> None:
        """A variable, as in version 1.0."""
        found = _NAME.fullmatch(name)
        if found is None or self._network:
            raise InvalidProperty(
                f"declares {shown(name)}; expected inputs X_0, X_1, ... and outputs Y_0, Y_1, "
                "..., or one network."
            )
        if kind != "Real":
            raise InvalidProperty(f"declares {name} as {shown(kind)}; expected Real.")
        is_input, at = found[1] == "X", int(found[2])
        if at >= self.sizes[is_input]:
            raise InvalidProperty(
                f"declares {name}; the network has {self.sizes[is_input]} "
                f"{'inputs' if is_input else 'outputs'}, counted from 0."
            )
        self._add(name, is_input, at)

    def declare_network(self, name: str, parts: list[Any]) -> None:
        """The network, as in version 2.0."""
        if self.names:
            raise InvalidProperty(
                f"declares {shown(name)}; only one network can be verified, and none beside "
                "variables of version 1.0."
            )
        self._network = name
        for part in parts:
            match part:
                case [
                    "declare-input" | "declare-output" as what,
                    str(tensor),
                    str(kind),
                    *onnx,
                ] if _WORD.fullmatch(tensor) and len(onnx) < 2:
                    self._declare_tensor(tensor, kind, is_input=what == "declare-input")
                case [str(word), *_]:
                    raise InvalidProperty(
                        f"{shown(word)} within a network cannot be used so; expected one "
                        "(declare-input X Real [1,5]) and one (declare-output Y Real [1,5])."
                    )
                case _:
                    raise InvalidProperty(f"found {shown(part)} in the declaration of a network.")
        for is_input in (True, False):
            if None in self.declared[is_input]:
                raise InvalidProperty(
                    f"declares no {'input' if is_input else 'output'} of the network."
                )

    def _declare_tensor(self, name: str, kind: str, *, is_input: bool) -> None:
        """The input or the output of a network, row by row."""
        what, size = "input" if is_input else "output", self.sizes[is_input]
        if name in self._tensors:
            raise InvalidProperty(f"declares {name} a second time.")
        self._tensors.add(name)
        if self.declared[is_input][:1] != [None]:
            raise InvalidProperty(f"declares a second {what}, {name}; only one can be verified.")
        found = _TENSOR.fullmatch(kind)
        if found is None or not _REAL.fullmatch(found[1]):
            raise InvalidProperty(
                f"declares {name} as {shown(kind)}; expected real numbers and a shape, as in "
                "Real [1,5]."
            )
        shape = [int(n) for n in found[2].split(",")] if found[2] else []
        if math.prod(shape) != size:
            raise InvalidProperty(
                f"declares the {what} {name} of shape {shape}, which is {math.prod(shape)} "
                f"numbers; the network has {size} {what}s."
            )
        for at, index in enumerate(itertools.product(*map(range, shape))):
            self._add(f"{name}[{','.join(map(str, index))}]" if shape else name, is_input, at)

    def _add(self, name: str, is_input: bool, at: int) -> None:
        if name in self.names:
            raise InvalidProperty(f"declares {name} a second time.")
        self.names[name] = Variable(is_input, at, name)
        self.declared[is_input][at] = name

    def check_complete(self) -> None:
        """Every input and every output of the network must be declared.

        Raises:
            InvalidProperty: one is not.
        """
        for is_input, letter, what in ((True, "X", "inputs"), (False, "Y", "outputs")):
            if None in self.declared[is_input]:
                raise InvalidProperty(
                    f"{letter}_{self.declared[is_input].index(None)} is not declared; the network "
                    f"has {self.sizes[is_input]} {what}. Is the property of another network?"
                )
