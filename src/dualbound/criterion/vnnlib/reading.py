"""From a file to a property, command by command."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from pathlib import Path
from typing import Any

from dualbound.criterion.property import Property
from dualbound.criterion.vnnlib.cases import property_of
from dualbound.criterion.vnnlib.declarations import Declarations
from dualbound.criterion.vnnlib.expressions import commands, line_of, shown
from dualbound.criterion.vnnlib.formulas import Formula, evaluated
from dualbound.criterion.vnnlib.linear import Linear
from dualbound.errors import InvalidProperty

MOST_BYTES = 2**28
"""No file may be larger than this, decompressed."""

_VERSION = re.compile(r"<[12]\.[0-9]+>")
_SILENT = ("set-logic", "set-info", "set-option", "check-sat", "get-model", "exit")
"""Commands of SMT-LIB that some files have, and that say nothing of the property."""


def read_vnnlib(source: str | os.PathLike[str], *, inputs: int, outputs: int) -> Property:
    """Read a property from a file.

    Args:
        source: the path of a ``.vnnlib`` file, or of one that gzip has compressed, ``.vnnlib.gz``.
        inputs: how many the network has.
        outputs: likewise.

    Returns:
        The property, one case for each box that is not empty, in the order of the file.

    Raises:
        InvalidProperty: no such file, a malformed one, or a property that does not fit the network
            or is not made of boxes of inputs and linear inequalities of outputs.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "small.vnnlib"
    ...     _ = path.write_text('''
    ...         (declare-const X_0 Real) (declare-const Y_0 Real) (declare-const Y_1 Real)
    ...         (assert (>= X_0 0.25)) (assert (<= X_0 0.5))  ; violated where Y_1 is ahead
    ...         (assert (<= Y_0 Y_1))''')
    ...     [case] = read_vnnlib(path, inputs=1, outputs=2).cases
    >>> case.region.lower, case.region.upper, case.criterion.rows(2)
    (array([0.25]), array([0.5]), (array([[-1.,  1.]]), array([0.])))
    """
    path = Path(source)
    try:
        return parse_vnnlib(_contents(path), inputs=inputs, outputs=outputs)
    except InvalidProperty as error:
        raise InvalidProperty(f"{path}: {error}") from None


def _contents(path: Path) -> str:
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InvalidProperty(
            f"not a gzip file, or only part of one ({error}). Fetch it again."
        ) from error
    except OSError as error:
        raise InvalidProperty(
            f"cannot be read: {error.strerror or error}. Name a .vnnlib or .vnnlib.gz file."
        ) from error
    if len(data) > MOST_BYTES:
        raise InvalidProperty(f"larger than {MOST_BYTES} bytes; no property needs that.")
    return data.decode("utf-8-sig", errors="replace")


def parse_vnnlib(text: str, *, inputs: int, outputs: int) -> Property:
    """Read a property from the text of a file; see `read_vnnlib`.

    Raises:
        InvalidProperty: as there.

    >>> parse_vnnlib('''(vnnlib-version <2.0>)
    ...     (declare-network net (declare-input X Real [1,2]) (declare-output Y Real []))
    ...     (assert (and (>= X[0,0] -1.0) (<= X[0,0] 1.0) (= X[0,1] 0.5)))
    ...     (assert (or (< Y -2.0) (> Y 2.0)))''', inputs=2, outputs=1).cases[0].criterion.goal
    'outputs in one of 2 polyhedra'
    """
    declarations = Declarations(inputs, outputs)
    formulas: list[Formula] = []
    for where, command in commands(text):
        try:
            formula = _asserted(command, declarations)
        except InvalidProperty as error:
            quoted = shown(" ".join(text[where][:1000].split()), 64)
            raise InvalidProperty(f"{line_of(text, where.start)}, {quoted}: {error}") from None
        if formula is not None:
            formulas.append(formula)
    declarations.check_complete()
    return property_of(formulas, declarations)


def _asserted(command: list[Any], declarations: Declarations) -> Formula | None:
    """The formula that a command asserts; none of another command, whose declarations are noted."""
    match command:
        case ["assert", expression]:
            formula = evaluated(expression, declarations.names)
            if isinstance(formula, Linear):
                raise InvalidProperty("asserts a number; expected a comparison.")
            return formula
        case ["declare-const", str(name), str(kind)]:
            declarations.declare(name, kind)
        case ["declare-fun", str(name), [], str(kind)]:
            declarations.declare(name, kind)
        case ["declare-network", str(name), *parts]:
            declarations.declare_network(name, parts)
        case ["vnnlib-version", str(version)]:
            if not _VERSION.fullmatch(version):
                raise InvalidProperty(f"version {shown(version)}; expected <1.0> or <2.0>.")
        case [str(word), *_] if word in _SILENT:
            pass
        case [str(word), *_]:
            raise InvalidProperty(
                f"{shown(word)} cannot be used so; expected (assert (<= X_0 0.5)), "
                "(declare-const X_0 Real), or (declare-network ...) as in version 2.0."
            )
        case _:
            raise InvalidProperty("expected the name of a command after the bracket.")
    return None
