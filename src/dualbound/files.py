"""Files are written whole or not at all: what was there stays until all the rest is on the disk."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from dualbound.errors import OutputError


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place, then put it there; what is no plain file is written into.

    Raises:
        OutputError: it cannot be written; a file that was there is untouched.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "a.txt", b"whole")
    ...     (Path(folder) / "a.txt").read_bytes(), len(os.listdir(folder))
    (b'whole', 1)
    """
    place = path.resolve()  # a link stays a link
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        if place.exists() and not place.is_file():  # a device or a pipe must stay one
            place.write_bytes(data)
            return
        part.write_bytes(data)
        os.replace(part, place)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise OutputError(refused(path, error)) from error


def refused(path: Path, error: OSError) -> str:
    """What to say of a file that cannot be written."""
    return (
        f"{path} cannot be written: {error.strerror or error}. Name a file in a folder that "
        "exists, that has room, and that you may write to."
    )
