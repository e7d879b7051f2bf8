"""The questions of a benchmark of the verification competition: its ``instances.csv``."""

from __future__ import annotations

import csv
import fnmatch
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dualbound.errors import DataError, InvalidInput

FILE = "instances.csv"
COLUMNS = ("onnx", "vnnlib", "timeout", "expected")
"""Those that are used, in the order that they have where no head names them."""


@dataclass(frozen=True)
class Instance:
    """A network and a property.

    Attributes:
        name: both files, as ``instances.csv`` names them.
        onnx: the network's file.
        vnnlib: the property's file.
        seconds: in which it shall be answered.
        expected: ``sat`` or ``unsat`` where that is agreed on, else empty.
    """

    name: str
    onnx: Path
    vnnlib: Path
    seconds: float
    expected: str = ""


def read_instances(folder: Path) -> list[Instance]:
    """Every line of a benchmark's ``instances.csv``, its files looked for.

    Args:
        folder: of the benchmark. The first line may name the columns; without it they are
            `COLUMNS`, of which the last may be missing.

    Raises:
        DataError: no such file, or one that cannot be read or is not understood; or a line names a
            file that is not there, neither as it is named nor with ``.gz`` behind.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as name:
    ...     folder = Path(name)
    ...     for file in (FILE, "a.onnx", "p.vnnlib.gz"):
    ...         _ = (folder / file).write_text("a.onnx,p.vnnlib,60")
    ...     [one] = read_instances(folder)
    >>> one.name, one.vnnlib.name, one.seconds, one.expected
    ('a.onnx p.vnnlib', 'p.vnnlib.gz', 60.0, '')
    """
    path = folder / FILE
    found: list[Instance] = []
    places: dict[str, int] = {}
    for number, line in _lines(path):
        where = f"{path}, line {number}"
        onnx, vnnlib = (existing(folder / line[name], where) for name in ("onnx", "vnnlib"))
        name = f"{line['onnx']} {line['vnnlib']}"
        places[name] = places.get(name, 0) + 1
        name += f" #{places[name]}" if places[name] > 1 else ""
        expected = line["expected"].strip().lower()
        expected = expected if expected in ("sat", "unsat") else ""
        found.append(Instance(name, onnx, vnnlib, _seconds(line["timeout"], where), expected))
    if not found:
        raise DataError(f"{path} has no instances: a line is ONNX,VNNLIB,TIMEOUT.")
    return found


def existing(path: Path, where: str = "") -> Path:
    """The file of this name, or the one that gzip has made of it.

    Raises:
        DataError: there is neither.
    """
    for one in (path, path.with_name(path.name + ".gz")):
        if one.is_file():
            return one
    raise DataError(f"{where + ': there' if where else 'There'} is no file {path}, nor {path}.gz.")


def matching(instances: Iterable[Instance], pattern: str | None) -> list[Instance]:
    """Those whose name has a pattern in it, of letters, ``*``, ``?`` and ``[34]``.

    Raises:
        InvalidInput: none has.
    """
    every = list(instances)
    found = [one for one in every if fnmatch.fnmatchcase(one.name, f"*{pattern or ''}*")]
    if not found:
        raise InvalidInput(
            f"None of {len(every)} instances matches {pattern!r}; the first is {every[0].name!r}."
        )
    return found


def _lines(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The columns of every line, with its number."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(
            f"There is no file {path}: name the folder of a benchmark, with an {FILE}."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    rows = [(k, row) for k, row in enumerate(csv.reader(text.splitlines()), 1) if any(row)]
    head: Sequence[str] = COLUMNS
    if rows and {"onnx", "vnnlib", "timeout"} <= {cell.strip() for cell in rows[0][1]}:
        head = [cell.strip() for cell in rows.pop(0)[1]]
    lines = []
    for number, row in rows:
        line = dict.fromkeys(COLUMNS, "") | dict(zip(head, (c.strip() for c in row), strict=False))
        if not (line["onnx"] and line["vnnlib"] and line["timeout"]):
            raise DataError(
                f"{path}, line {number}: expected ONNX,VNNLIB,TIMEOUT, found {','.join(row)!r}."
            )
        lines.append((number, line))
    return lines


def _seconds(text: str, where: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise DataError(f"{where}: a timeout is a number of seconds above 0, found {text!r}.")
    return seconds
