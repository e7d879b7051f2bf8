"""Image files: arrays (``.npy``), tables of numbers (``.csv``) and pictures (``.png``, ``.jpg``).

Arrays and tables hold values in the network's own units and are taken as they are, except that
bytes (``uint8``) are pixels and are divided by 255. Pictures are always divided by 255.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image as Pillow

from dualbound.errors import DataError, InvalidInput

Shape = tuple[int, ...]
Values = Float64[np.ndarray, "..."]
Pixels = UInt8[np.ndarray, "channels height width"]


def read_npy(path: Path, shape: Shape | None = None) -> Values:
    """Read an array; ``uint8`` is divided by 255, every other real type is taken as it is.

    Raises:
        DataError: the file is damaged, or an array of Python objects, text or complex numbers.
    """
    try:
        # A memory map checks the header against the file's size before it allocates anything.
        array = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError, SyntaxError, OverflowError) as error:
        why = _first_line(error)
        raise DataError(
            f"{path} is not a complete .npy file of numbers: {why}. "
            "Write it with numpy.save from a numeric array."
        ) from error
    if array.dtype.kind not in "buif":
        raise DataError(
            f"{path} holds values of type {array.dtype}, expected real numbers. "
            "Save a floating-point or uint8 array."
        )
    values = np.array(array, dtype=np.float64)
    return values / 255 if array.dtype == np.uint8 else values


def read_csv(path: Path, shape: Shape | None = None) -> Values:
    """Read numbers separated by commas or white space, row after row, as one flat array.

    Raises:
        DataError: a cell is empty or not a number, or the file is not text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a text file of numbers; expected UTF-8.") from error
    values = []
    for row, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        for column, cell in enumerate(re.split(r"\s*,\s*|\s+", line.strip()), start=1):
            try:
                values.append(float(cell.replace("_", "?")))  # float() would read 1_0 as 10
            except ValueError as error:
                raise DataError(
                    f"{path}, line {row}, column {column}: found {cell!r}, expected a number. "
                    "The file may hold only numbers, with commas or spaces between them."
                ) from error
    return np.array(values, dtype=np.float64)


def read_picture(path: Path, shape: Shape | None = None) -> Values:
    """Read a PNG or JPEG of 8 bits a channel as channels x height x width, from 0 to 1.

    Args:
        path: the file.
        shape: the wanted shape, which decides between grey and colour; the picture decides if
            there is none.

    Raises:
        DataError: the picture is damaged, transparent, or has more than 8 bits a channel.
        InvalidInput: its height and width are not those of ``shape``.
    """
    picture = _decoded(path, str(path))
    _check_values(picture, str(path))
    channels = _channels(path, picture.height, picture.width, shape, grey=_is_grey(picture))
    return _bytes(picture, channels) / 255


def picture_bytes(content: bytes, name: str) -> Pixels:
    """The pixels of a PNG or JPEG of 8 bits a channel, grey (1 channel) or in colour (3).

    Args:
        content: of the file.
        name: of the file, for what is said of it.

    Raises:
        DataError: the picture is damaged, transparent, or has more than 8 bits a channel.
    """
    picture = _decoded(io.BytesIO(content), name)
    _check_values(picture, name)
    return _bytes(picture, 1 if _is_grey(picture) else 3)


def _check_values(picture: Pillow.Image, name: str) -> None:
    """Refuse what eight bits a channel cannot hold."""
    if picture.mode.startswith(("I", "F")):
        raise DataError(
            f"{name} has more than 8 bits a channel (mode {picture.mode}). "
            "Save it with 8 bits, or as .npy in the network's own units."
        )
    if picture.has_transparency_data:
        alpha = np.asarray(picture.convert("RGBA"))[..., 3]
        if alpha.min() < 255:
            raise DataError(
                f"{name} has transparent pixels, which have no value. Put it on a background first."
            )


def _is_grey(picture: Pillow.Image) -> bool:
    return picture.mode in ("1", "L", "LA")


def _bytes(picture: Pillow.Image, channels: int) -> Pixels:
    pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels).transpose(2, 0, 1)


def _decoded(source: Path | io.BytesIO, name: str) -> Pillow.Image:
    try:
        with Pillow.open(source, formats=("PNG", "JPEG")) as picture:
            picture.verify()  # a PNG's checksums, which loading alone does not look at
        with Pillow.open(source, formats=("PNG", "JPEG")) as picture:
            return picture.copy()
    except (
        OSError,
        SyntaxError,  # Pillow's name for a broken PNG
        ValueError,
        struct.error,
        zlib.error,
        Pillow.DecompressionBombError,
    ) as error:
        raise DataError(
            f"{name} is not a complete PNG or JPEG picture: "
            f"{'no picture is in it' if '<_io' in str(error) else _first_line(error)}."
        ) from error


READERS: dict[str, Callable[[Path, Shape | None], Values]] = {
    ".npy": read_npy,
    ".csv": read_csv,
    ".png": read_picture,
    ".jpg": read_picture,
    ".jpeg": read_picture,
}


def _channels(path: Path, height: int, width: int, shape: Shape | None, *, grey: bool) -> int:
    """1 or 3: what the wanted shape can take. A picture is never folded into another format."""
    if shape is None:
        return 1 if grey else 3
    wanted = shape
    while len(wanted) > 1 and wanted[0] == 1:  # the batch, and the one channel of a grey image
        wanted = wanted[1:]
    pixels = height * width
    if wanted in [(height, width), (height, width, 1), (pixels,)]:
        return 1
    if wanted in [(3, height, width), (height, width, 3), (3 * pixels,)]:
        return 3
    raise InvalidInput(
        f"{path} is a picture of height {height} and width {width}, which does not fit the "
        f"expected shape {shape}. Crop or resize it."
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
