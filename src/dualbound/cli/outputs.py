"""Files that an answer is written to: refused before the search if they cannot be written."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from dualbound.errors import OutputError
from dualbound.files import refused, write_whole


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


def save_array(path: Path, x: np.ndarray) -> None:
    """Write an array as ``.npy``.

    Raises:
        OutputError: it cannot be written.
    """
    held = io.BytesIO()
    np.save(held, x)
    write_whole(path, held.getvalue())
