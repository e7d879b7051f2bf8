"""The IDX file format in which MNIST and its relatives are published.

A file is a header (two zero bytes, a type code, the number of dimensions, each dimension as a
big-endian 32-bit integer) and then the values, row by row. The image data sets use the type
code 8, unsigned bytes, and no other is read here.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from dualbound.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 8


def read_idx(path: Path | str, *, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """Read an IDX file of unsigned bytes, gzip-compressed or not.

    Args:
        path: the file; one that ends in ``.gz`` must be compressed.
        dimensions: how many dimensions it must have: 3 for images, 1 for labels.

    Returns:
        The array, in the shape that the header gives.

    Raises:
        DataError: the file is missing, truncated, too long, or not such a file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "labels-idx1-ubyte"
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(path, dimensions=1)
    array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    content = _content(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE:
        raise DataError(
            f"{path} is not an IDX file of unsigned bytes: it starts with "
            f"{content[:4].hex(' ')!r}, expected '00 00 08 {dimensions:02x}'. Fetch the file again."
        )
    if content[3] != dimensions:
        raise DataError(
            f"{path} has {content[3]} dimensions, expected {dimensions}: images have 3, labels 1. "
            "Perhaps the image and the label file are exchanged."
        )
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"{path} is truncated: it ends within its header. Fetch the file again.")
    shape = tuple(int.from_bytes(content[k : k + 4], "big") for k in range(4, start, 4))
    expected, found = math.prod(shape), len(content) - start
    if found != expected:
        raise DataError(
            f"{path} is {'truncated' if found < expected else 'too long'}: its header promises "
            f"{expected} values {shape}, found {found}. Fetch the file again."
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _content(path: Path) -> bytes:
    """The bytes of a file, decompressed when they are gzip."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    if not content.startswith(_GZIP_MAGIC):
        if path.suffix == ".gz":
            raise DataError(
                f"{path} is not a gzip file: it starts with {content[:4].hex(' ')!r}, expected "
                "'1f 8b'. A download may have saved an error page; fetch the file again."
            )
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(
            f"{path} is truncated or damaged: {error}. Fetch the file again."
        ) from error
