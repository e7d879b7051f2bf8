"""What is written once an answer is known: all that can be, whatever becomes of the rest."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from dualbound.cli.outputs import BYTE, INLINE, PNG
from dualbound.cli.records import numbers
from dualbound.data.images import load_image
from dualbound.errors import DataError, InvalidInput, OutputError
from dualbound.files import write_whole
from dualbound.report import as_image


@dataclass(frozen=True)
class Saved:
    """Which files were written, and why others were not.

    Attributes:
        places: that were written, as they were named.
        refused: a sentence for each that was not.
    """

    places: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def rows(self) -> list[tuple[str, str]]:
        """For a listing: a line, or none where nothing was written."""
        return [("saved", ", ".join(self.places))] if self.places else []

    def place(self, name: str | Path | None) -> str | None:
        """A file as it was named, if it was written."""
        return str(name) if str(name) in self.places else None

    def witness(self, name: str | None, x: np.ndarray | None) -> str | list[float] | None:
        """For a record: where an input is, or its numbers where they shall be in the record."""
        if name == INLINE:
            return None if x is None else numbers(x)
        return self.place(name)

    def check(self) -> None:
        """Say what is missing, once everything else is said.

        Raises:
            OutputError: a file could not be written.
        """
        if self.refused:
            raise OutputError(" ".join(self.refused))


def save_all(*jobs: tuple[str | Path | None, Callable[[Path], None]]) -> Saved:
    """Write every file that was asked for: an answer is never lost to a full disk.

    Args:
        *jobs: of each file its name, and what writes it; None and `INLINE` are no files.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     saved = save_all(
    ...         (f"{folder}/none/x.npy", lambda path: save_array(path, np.zeros(2))),
    ...         (f"{folder}/x.npy", lambda path: save_array(path, np.zeros(2))),
    ...     )
    >>> [Path(place).name for place in saved.places], len(saved.refused)
    (['x.npy'], 1)
    """
    places, refused = [], []
    for name, write in jobs:
        if name is None or str(name) == INLINE:
            continue
        try:
            write(Path(name))
            places.append(str(name))
        except (OutputError, InvalidInput) as error:
            refused.append(str(error))
    return Saved(tuple(places), tuple(refused))


def save_witness(path: Path, x: np.ndarray) -> None:
    """Write an input as a picture or an array, as the name of the file says.

    Raises:
        OutputError: see `save_png` and `save_array`.
    """
    if path.suffix.lower() == PNG:
        save_png(path, x)
    else:
        save_array(path, x)


def save_array(path: Path, x: np.ndarray) -> None:
    """Write an array as ``.npy``.

    Raises:
        OutputError: it cannot be written.
    """
    held = io.BytesIO()
    np.save(held, x)
    write_whole(path, held.getvalue())


def save_png(path: Path, x: np.ndarray) -> None:
    """Write an image with inputs ``k / 255`` as 8-bit grey or RGB, and read it back.

    Raises:
        OutputError: it cannot be written, or what is read back is not exactly ``x``.
    """
    pixels = as_image(x)
    if pixels is None:
        raise OutputError(f"{path} cannot hold inputs of the shape {x.shape}: they are no image.")
    held = io.BytesIO()
    Pillow.fromarray(np.rint(pixels * BYTE).astype(np.uint8)).save(held, format="PNG")
    write_whole(path, held.getvalue())
    try:
        same = np.array_equal(load_image(str(path), x.shape).pixels, x)
    except (DataError, InvalidInput) as error:
        raise OutputError(f"{path} was written, but cannot be read back: {error}") from error
    if not same:
        raise OutputError(f"{path} was written, but holds other values than the witness.")
