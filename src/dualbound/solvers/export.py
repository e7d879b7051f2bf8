"""Programs as files, for other solvers and for people: ``.mps`` and ``.lp``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dualbound.errors import InvalidInput, OutputError
from dualbound.milp.program import Program
from dualbound.solvers.highs import load

SUFFIXES = (".mps", ".lp")

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.\[\]]{0,199}")
_NUMBER_LIKE = re.compile(r"[eE][0-9]*(\.[0-9]*)?")
_KEYWORDS = re.compile(
    r"min|max|(minimi|maximi)[sz]e|minimum|maximum|st|s\.t\.|subject|such|to|that|bounds?|free|inf|"
    r"infinity|bin|binary|binaries|gens?|generals?|ints?|integers?|semis?|end|sos|obj|rhs|ranges|"
    r"rows|columns|name",
    re.IGNORECASE,
)


def write_program(program: Program, path: str | Path) -> None:
    """Write a program as ``.mps`` or ``.lp``, with its names.

    A name that a format cannot hold is changed: other signs become underscores, and a number is
    added where two names would become one.

    Args:
        program: what to write; it needs at least one column.
        path: the file, which is replaced if it exists.

    Raises:
        InvalidInput: another suffix, or a program without columns, with a quadratic objective or
            with indicators.
        OutputError: the file cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> from dualbound.milp.program import ProgramBuilder
    >>> builder = ProgramBuilder()
    >>> x = builder.columns(["x 1", "y"], upper=3, cost=-1)
    >>> builder.rows(["sum"], [x], [[1, 2]], upper=4)
    >>> with TemporaryDirectory() as folder:
    ...     write_program(builder.build(), Path(folder) / "tiny.lp")
    ...     "x_1" in (Path(folder) / "tiny.lp").read_text()
    True
    """
    import highspy

    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InvalidInput(
            f"A program is written as {' or '.join(SUFFIXES)}, found the file name {path.name!r}."
        )
    if program.shape[1] == 0:
        raise InvalidInput("A program without columns cannot be written.")
    if program.is_quadratic or program.has_indicators:
        raise InvalidInput(
            "A program with a quadratic objective or with indicators is not written to a file: "
            "use another norm, or the formulation bigm."
        )
    highs = load(program)
    for index, name in enumerate(legal_names(program.column_names)):
        highs.passColName(index, name)
    for index, name in enumerate(legal_names(program.row_names)):
        highs.passRowName(index, name)
    try:
        path.open("wb").close()
    except OSError as error:
        raise OutputError(f"Cannot write the program to {path}: {error.strerror}.") from error
    if highs.writeModel(str(path)) == highspy.HighsStatus.kError:
        raise OutputError(f"HiGHS could not write the program to {path}.")


def legal_names(names: Sequence[str]) -> list[str]:
    """Names that MPS and LP files can hold, all different, changed as little as possible.

    >>> legal_names(["x", "x", "pixel 3", "2nd", "e5", "free", ""])
    ['x', 'x_1', 'pixel_3', '_2nd', '_e5', '_free', '_']
    """
    taken: set[str] = set(map(_legal, names))
    used: set[str] = set()
    legal = []
    for index, name in enumerate(map(_legal, names)):
        choice = name
        while choice in used or (choice != name and choice in taken):
            choice = f"{name}_{index}" if choice == name else f"{choice}_"
        used.add(choice)
        legal.append(choice)
    return legal


def _legal(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_.\[\]]", "_", name)[:160]
    reserved = _NUMBER_LIKE.fullmatch(plain) or _KEYWORDS.fullmatch(plain)
    return plain if _PLAIN.fullmatch(plain) and not reserved else f"_{plain}"
