"""Files that an answer is written to: refused before the search if they cannot be written."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from dualbound.errors import OutputError


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
        raise OutputError(_refused(path, error)) from error


def save_array(path: Path, x: np.ndarray) -> None:
    """Write an array as ``.npy``.

    Raises:
        OutputError: it cannot be written.
    """
    held = io.BytesIO()
    np.save(held, x)
    try:
        path.write_bytes(held.getvalue())
    except OSError as error:
        raise OutputError(_refused(path, error)) from error


def _refused(path: Path, error: OSError) -> str:
    return (
        f"{path} cannot be written: {error.strerror or error}. Name a file in a folder that "
        "exists and that you may write to."
    )
