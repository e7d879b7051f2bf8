"""Architectures by a short text, by a TOML file, or by a paper's name."""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dualbound.errors import DataError, InvalidInput
from dualbound.learn.layers import (
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Layer,
    Pool,
    Rectified,
    Shape,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

NAMED = {
    "dnn1": "784-8-8-8-10",
    "dnn2": "784-8-8-8-8-8-8-10",
    "dnn3": "784-20-10-8-8-10",
    "dnn4": "784-20-10-8-8-8-10",
    "dnn5": "784-20-20-10-10-10-10",
    "mlp-64": "784-64-10-relu",
    "mlp-64-64": "784-64-64-10",
    "mlp-50-20": "784-50-20-10",
    "cnn-paper": "32c3-64c3-m2-d0.25-128-d0.5-10",
    "cnn-cifar": (
        "64c3p1-64c3-m2-d0.5-128c3p1-128c3-m2-d0.5-256c3p1-256c3-m2-d0.5-1024-512-d0.25-10"
    ),
    "cnn-cleverhans": "64c8s2p3-128c6s2-128c5-10",
    "cnn-small": "16c4s2p1-32c4s2p1-100-10",
}
"""The papers' networks (koot: dnn1 to dnn5; schoenfeld: mlp-64, mlp-64-64; the base network of
pruning: mlp-50-20; cnn: cnn-paper, cnn-cifar, and for its attacks cnn-cleverhans), and a small
convolutional one that is often used to compare robust training: Wong and Kolter, *Provable
defenses*, 2018."""

MOST_NUMBERS = 2**28
"""Of weights and biases together: 1 GiB of float32, and training holds several times that."""

GRAMMAR = (
    "64 (dense), 32c3 (32 filters of 3 x 3; with s2 stride 2, with p1 padding 1), m2 or a2 (max or "
    "average pool of 2 x 2), d0.5 (dropout), bn (batch norm), relu (after the last layer), joined "
    "by '-'"
)

_SIZE = "[0-9]{1,9}"

_TOKENS: dict[str, Callable[..., Layer]] = {
    rf"({_SIZE})c({_SIZE})(?:s({_SIZE}))?(?:p({_SIZE}))?": lambda f, k, s, p: Conv(
        int(f), int(k), int(s or 1), int(p or 0)
    ),
    rf"({_SIZE})": lambda n: Dense(int(n)),
    rf"([ma])({_SIZE})": lambda kind, n: Pool(int(n), average=kind == "a"),
    r"d([0-9]*\.?[0-9]+)": lambda share: Dropout(float(share)),
    r"bn": BatchNorm,
    r"relu": Rectified,
}

_ENTRIES: dict[str, tuple[str, ...]] = {
    "dense": (),
    "conv": ("kernel", "stride", "padding"),
    "pool": ("average",),
    "dropout": (),
    "batch_norm": (),
    "relu": (),
}


@dataclass(frozen=True)
class Architecture:
    """Layers without weights.

    Attributes:
        layers: from input to output. A rectifier follows every layer with weights but the last,
            after the batch norm if there is one; dense layers flatten what comes before.
        inputs: how many numbers an input has, where the text says it.
        name: of a paper, if it was given so.

    >>> Architecture.of("784-64-10")
    Architecture('784-64-10')
    >>> [type(module).__name__ for module in Architecture.of("8c3-m2-10").build((1, 28, 28))]
    ['Conv2d', 'ReLU', 'MaxPool2d', 'Flatten', 'Linear']
    """

    layers: tuple[Layer, ...]
    inputs: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not self.layers or not any(layer.weighted for layer in self.layers):
            raise InvalidInput(f"An architecture needs a layer with weights: {GRAMMAR}.")

    @classmethod
    def of(cls, text: str) -> Architecture:
        """An architecture by its name, its text, or the path of a TOML file.

        Args:
            text: one of `NAMED`; tokens as in `GRAMMAR`, of which a first number is the size of
                the input; or a file that ends in ``.toml`` with a list ``layers`` of tables such
                as ``{ conv = 32, kernel = 3 }``, ``{ pool = 2 }``, ``{ dropout = 0.5 }``,
                ``{ dense = 10 }``.

        Raises:
            InvalidInput: none of these.
            DataError: the file cannot be read.
        """
        if text.endswith(".toml"):
            return cls(tuple(_from_toml(Path(text))))
        layers = [_token(token, text) for token in NAMED.get(text, text).split("-")]
        name = text if text in NAMED else ""
        if len(layers) > 1 and isinstance(layers[0], Dense):
            return cls(tuple(layers[1:]), layers[0].size, name)
        return cls(tuple(layers), None, name)

    def __str__(self) -> str:
        sizes = [] if self.inputs is None else [str(self.inputs)]
        return "-".join([*sizes, *map(str, self.layers)])

    def __repr__(self) -> str:
        return f"Architecture({str(self)!r})"

    def taking(self, shape: Shape) -> Architecture:
        """The same one, whose text says the size of its inputs if it begins with a dense layer.

        A TOML file does not say it, and without it a text's first number would be taken for it.

        >>> Architecture((Dense(64), Dense(10))).taking((1, 28, 28))
        Architecture('784-64-10')
        """
        if self.inputs is None and isinstance(self.layers[0], Dense):
            return replace(self, inputs=math.prod(shape))
        return self

    def build(self, shape: Shape, *, classes: int | None = None) -> nn.Sequential:
        """A torch module with fresh weights: He's for every layer, biases 0.

        He et al., *Delving deep into rectifiers*, 2015. The weights of outputs that are rectified
        begin positive and a tenth as large: an output that is 0 for every input learns nothing.
        Weights are drawn from torch's global random numbers.

        Args:
            shape: of one input, without the batch axis.
            classes: how many outputs there must be.

        Raises:
            InvalidInput: the layers do not fit the shape or the classes.
        """
        import torch
        from torch import nn

        self._check(shape, classes)
        with torch.device("meta"):  # sizes alone
            numbers = sum(p.numel() for one in self._modules(shape) for p in one.parameters())
        if numbers > MOST_NUMBERS:
            raise InvalidInput(
                f"The layers {self} need {numbers:,} numbers for inputs of the shape {shape}; at "
                f"most {MOST_NUMBERS:,} are supported. Make them smaller, or pool before them."
            )
        modules = self._modules(shape)
        for module in modules:
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(cast("Tensor", module.bias))
                last = module
        if isinstance(self.layers[-1], Rectified):
            last.weight.data = last.weight.data.abs() / 10
        return nn.Sequential(*modules)

    def _modules(self, shape: Shape) -> list[nn.Module]:
        from torch import nn

        modules: list[nn.Module] = []
        for k, layer in enumerate(self.layers):
            made, shape = layer.modules(shape)
            modules += made
            if self._is_rectified(k):
                modules.append(nn.ReLU())
        return modules

    def _is_rectified(self, k: int) -> bool:
        """Whether a rectifier follows layer k: it or its batch norm, with weights to come."""
        later = self.layers[k + 1 :]
        if later and isinstance(later[0], BatchNorm):
            return False
        whose = (
            self.layers[k - 1] if k and isinstance(self.layers[k], BatchNorm) else self.layers[k]
        )
        return whose.weighted and any(layer.weighted for layer in later)

    def _check(self, shape: Shape, classes: int | None) -> None:
        size = math.prod(shape)
        if self.inputs is not None and self.inputs != size:
            raise InvalidInput(
                f"The architecture {self} is for inputs of {self.inputs} numbers, but those of the "
                f"data have {size} {shape}: begin it with {size}."
            )
        last = next(layer for layer in reversed(self.layers) if layer.weighted)
        outputs = last.size if isinstance(last, Dense) else None
        if outputs is None:
            raise InvalidInput(
                f"The architecture {self} must end in a dense layer with an output for each class."
            )
        if classes is not None and outputs != classes:
            raise InvalidInput(
                f"The architecture {self} ends in {outputs} outputs, but the data have {classes} "
                f"classes: end it with {classes}."
            )


def _token(token: str, text: str) -> Layer:
    for pattern, make in _TOKENS.items():
        if found := re.fullmatch(pattern, token.strip()):
            return make(*found.groups())
    raise InvalidInput(
        f"The architecture {text!r} has a layer {token!r} that is not known. Expected one of "
        f"{', '.join(NAMED)}; a .toml file; or layers such as {GRAMMAR}."
    )


def _from_toml(path: Path) -> list[Layer]:
    if not os.path.exists(path):
        raise DataError(f"There is no architecture file {str(path)!r}.")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as TOML: {error}.") from error
    entries = content.get("layers")
    if not isinstance(entries, list) or not entries or len(content) > 1:
        raise InvalidInput(
            f"{path} must hold a list 'layers', and nothing else, of tables such as "
            "{ conv = 32, kernel = 3 }, { pool = 2 }, { dropout = 0.5 }, { dense = 10 }."
        )
    return [_entry(entry, f"{path}, layer {k}") for k, entry in enumerate(entries, 1)]


def _entry(entry: Any, where: str) -> Layer:
    kinds = [key for key in _ENTRIES if key in entry] if isinstance(entry, dict) else []
    if len(kinds) != 1:
        raise InvalidInput(
            f"{where} is {entry!r}; expected a table with one of {', '.join(_ENTRIES)}."
        )
    kind = kinds[0]
    unknown = sorted(set(entry) - {kind, *_ENTRIES[kind]})
    if unknown:
        raise InvalidInput(
            f"{where} has {', '.join(unknown)}, which a {kind} layer does not; expected "
            f"{', '.join(_ENTRIES[kind]) or 'nothing besides'}."
        )
    value = entry[kind]
    if kind == "dropout":
        return Dropout(_number(value, where, float))
    if kind in ("batch_norm", "relu"):
        if value is not True:
            raise InvalidInput(f"{where} has {value!r} where true is expected.")
        return BatchNorm() if kind == "batch_norm" else Rectified()
    size = _number(value, where, int)
    if kind == "dense":
        return Dense(size)
    if kind == "pool":
        average = entry.get("average", False)
        if not isinstance(average, bool):
            raise InvalidInput(f"{where} has {average!r} where true or false is expected.")
        return Pool(size, average)
    if "kernel" not in entry:
        raise InvalidInput(f"{where} needs a kernel: {{ conv = {size}, kernel = 3 }}.")
    more = {key: _number(entry[key], where, int) for key in _ENTRIES["conv"] if key in entry}
    return Conv(size, **more)


def _number(value: Any, where: str, kind: type) -> Any:
    fits = isinstance(value, int | float) if kind is float else isinstance(value, int)
    if not fits or isinstance(value, bool):
        raise InvalidInput(f"{where} has {value!r} where a number is expected.")
    return kind(value)


def names() -> Sequence[str]:
    """Architectures by name.

    >>> len(names())
    12
    """
    return tuple(NAMED)
