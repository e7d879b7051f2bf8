"""CIFAR-10 from its official binary files, or from a zip file of its pictures as JPEG.

In ``$DUALBOUND_DATA`` (or its folder ``cifar10/``) and then in the user's cache folder, these are
looked for: the folder ``cifar-10-batches-bin/``, the file ``cifar-10-binary.tar.gz`` that is
published, and ``cifar10-jpeg.zip``. If there is none, the published file is downloaded.

The JPEG pictures are those of a lossy compression and stand class after class, so neither their
pixels nor their order are the official ones: ``Dataset.sha256`` tells the two apart.
"""

from __future__ import annotations

import tarfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from dualbound.data.class_folders import read_class_folders
from dualbound.data.dataset import Dataset
from dualbound.data.decoded import decoded_once
from dualbound.data.parts import check_split
from dualbound.data.published import Published, folders, locate
from dualbound.errors import DataError

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

_ARCHIVE = "cifar-10-binary.tar.gz"
_FOLDER = "cifar-10-batches-bin"
_PICTURES = "cifar10-jpeg.zip"
_BATCHES = {
    "train": tuple(f"data_batch_{k}.bin" for k in range(1, 6)),
    "test": ("test_batch.bin",),
}
_SHAPE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32  # the label, then red, green and blue, each row by row
_RECORDS = 10_000  # in a batch

_CIFAR10 = Published(
    name="cifar10",
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    md5={_ARCHIVE: "c32a1d4ab5d03f1284b67883e8d87530"},
)


def cifar10(split: str = "test") -> Dataset:
    """Small colour photographs: 50,000 to train, 10,000 to test, of 32 x 32 pixels, ten classes.

    Source: Krizhevsky, *Learning multiple layers of features from tiny images*, 2009.

    Args:
        split: ``train`` or ``test``.

    Raises:
        DataError: the files are nowhere to be found or damaged.
    """
    check_split("cifar10", split)
    return _read(_found() or locate(_CIFAR10, _ARCHIVE), split)


def cifar10_is_here(split: str) -> bool:
    """Whether a split of `cifar10` can be read without a download."""
    return split in _BATCHES and _found() is not None


def _found() -> Path | None:
    """The folder or file to read, where there is one on this machine."""
    places = [
        folder / file
        for folder in folders("cifar10", loose=True)
        for file in (_FOLDER, _ARCHIVE, _PICTURES)
    ]
    return next((place for place in places if place.exists()), None)


@lru_cache(maxsize=2)
def _read(path: Path, split: str) -> Dataset:
    if path.name == _PICTURES:
        data = decoded_once(path, split, lambda: read_class_folders(path, "cifar10", split))
        if data.classes != CLASSES:
            raise DataError(
                f"{path} has the classes {', '.join(data.classes)}; expected {', '.join(CLASSES)}."
            )
        return data
    batches = _from_archive(path, split) if path.name == _ARCHIVE else _from_folder(path, split)
    records = np.concatenate([_records(name, content) for name, content in batches.items()])
    pixels = np.ascontiguousarray(records[:, 1:]).reshape(-1, *_SHAPE)
    return Dataset("cifar10", split, pixels, records[:, 0], CLASSES)


def _from_folder(path: Path, split: str) -> dict[str, bytes]:
    """The contents of the batches, each with the name of its file."""
    try:
        return {str(path / name): (path / name).read_bytes() for name in _BATCHES[split]}
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}.") from error


def _from_archive(path: Path, split: str) -> dict[str, bytes]:
    """The same from the published file, which need not be unpacked."""
    batches = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = Path(member.name).name
                if name in _BATCHES[split] and (stream := archive.extractfile(member)):
                    batches[name] = stream.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(
            f"{path} is truncated or damaged: {error}. Fetch the file again."
        ) from error
    missing = [name for name in _BATCHES[split] if name not in batches]
    if missing:
        raise DataError(f"{path} has no file {missing[0]} in it. Fetch the file again.")
    return {f"{path}/{name}": batches[name] for name in _BATCHES[split]}


def _records(name: str, content: bytes) -> np.ndarray:
    if len(content) != _RECORDS * _RECORD:
        raise DataError(
            f"{name} has {len(content)} bytes, expected {_RECORDS * _RECORD}: {_RECORDS} pictures "
            f"of {_RECORD} bytes. Fetch the file again."
        )
    return np.frombuffer(content, dtype=np.uint8).reshape(_RECORDS, _RECORD)
