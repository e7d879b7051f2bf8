"""Files that an answer will be written to: refused before the search if they cannot be written."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import numpy as np

from dualbound.errors import InvalidInput, OutputError
from dualbound.files import refused
from dualbound.report import SUFFIXES, as_image

BYTE = 255
"""The largest value of a pixel in 8 bits."""

INLINE = "inline"
"""Where a witness goes that shall be part of the JSON object."""

PNG = ".png"


def writable(path: Path, what: str, suffixes: tuple[str, ...]) -> None:
    """Make sure that a file can be written, before hours go into what it shall hold.

    The only test that does not lie is to open it. A file that was not there is not left behind.

    Raises:
        OutputError: another suffix than these, or the file cannot be opened for writing.
    """
    if path.suffix.lower() not in suffixes:
        raise OutputError(
            f"{what} is written as {' or '.join(suffixes)}, found the file name {str(path)!r}."
        )
    there = path.exists()
    try:
        path.open("ab").close()
        if not there:
            path.unlink()
    except OSError as error:
        raise OutputError(refused(path, error)) from error


def keep_apart(written: Mapping[str, str | Path | None], read: Mapping[str, str | None]) -> None:
    """Make sure that no file that is written is another one, or one that is read.

    Args:
        written: by option, what it names; None, or what is no file, where nothing is written.
        read: by option or argument, likewise; names of embedded models and images are no files.

    Raises:
        OutputError: two of them are the same file, by whatever path.

    >>> keep_apart({"--witness": "a.npy", "--save-image": "a.png"}, {"IMAGE": "sample:0"})
    >>> keep_apart({"--witness": "a.png", "--save-image": "./a.png"}, {})
    Traceback (most recent call last):
    dualbound.errors.OutputError: --witness and --save-image both name a.png: the second would ...
    """
    places = {
        option: Path(name)
        for option, name in written.items()
        if name is not None and str(name) != INLINE
    }
    for (option, path), (other, place) in combinations(places.items(), 2):
        if _same(path, place):
            raise OutputError(
                f"{option} and {other} both name {path}: the second would overwrite the first. "
                "Name two files."
            )
    for option, path in places.items():
        for source, name in read.items():
            if name is not None and _same(path, Path(name)):
                raise OutputError(
                    f"{option} would overwrite {path}, which is read as {source}: name another "
                    "file."
                )


def usable(
    folder: Path, report: str, others: tuple[str, ...], read: Mapping[str, str | None]
) -> None:
    """Make the folder of a report, before hours go into what it shall hold.

    Args:
        folder: of all files.
        report: the name of one, a text.
        others: the names of those that could be files that are read.
        read: by option or argument, what is read.

    Raises:
        OutputError: a file cannot be written there, or would overwrite one that is read.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(refused(folder, error)) from error
    for name in others:
        keep_apart({"--out": folder / name}, read)
    writable(folder / report, "A report", (Path(report).suffix,))


def _same(path: Path, other: Path) -> bool:
    """Whether two paths are of one file, which need not be there."""
    try:
        return path.resolve() == other.resolve() or path.samefile(other)
    except (OSError, ValueError, RuntimeError):  # one is not there, or could not be
        return False


def check_outputs(
    witness: str | None,
    picture: Path | None,
    *,
    json: bool,
    what: str = "A witness",
    suffixes: tuple[str, ...] = (".npy",),
) -> None:
    """Refuse before the search what could not be written after it.

    Args:
        witness: the file of an input that is found, or `INLINE`.
        picture: the file of its picture.
        json: whether an object is asked for that can hold it.
        what: the input is, for people.
        suffixes: of its file.

    Raises:
        InvalidInput: a witness for the JSON object, and no object.
        OutputError: a file that cannot be written.
    """
    if witness == INLINE and not json:
        raise InvalidInput(
            "--witness inline puts the input into the JSON object: add --json, or name a .npy file."
        )
    if witness is not None and witness != INLINE:
        writable(Path(witness), what, suffixes)
    if picture is not None:
        writable(picture, "A picture", SUFFIXES)


def check_png(
    path: Path, levels: int | None, limits: tuple[float, float], shape: tuple[int, ...]
) -> None:
    """Make sure that every witness of a question is exactly an 8-bit picture.

    Raises:
        OutputError: inputs may take other values than those of 8-bit pixels, or are no image.
    """
    if levels is None or BYTE % levels:
        found = "without --levels" if levels is None else f"with --levels {levels}"
        raise OutputError(
            f"{path} is asked for {found}, but a .png holds 8-bit pixels only: add --levels 255 "
            "(or a number that divides it), or name a .npy file."
        )
    if limits != (0.0, 1.0):
        raise OutputError(
            f"{path} is asked for with --range {limits[0]:g} {limits[1]:g}, but the pixels of a "
            ".png are read as numbers from 0 to 1: name a .npy file."
        )
    if as_image(np.zeros(shape)) is None:
        raise OutputError(
            f"{path} cannot hold inputs of the shape {shape}, which are no image: name a .npy file."
        )
