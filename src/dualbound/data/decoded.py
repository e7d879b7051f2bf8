"""Pictures that took long to decode are kept as arrays in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dualbound.data.dataset import Dataset
from dualbound.data.published import cache_folder
from dualbound.errors import InvalidInput, OutputError
from dualbound.files import write_whole


def decoded_once(path: Path, split: str, decode: Callable[[], Dataset]) -> Dataset:
    """The data set that ``decode`` gives, or what it gave for the same file before.

    What is kept has the file's hash in its name, so another content is never taken for it. A
    cache that cannot be written or read is passed over.

    Args:
        path: the file that is decoded.
        split: which part of it.
        decode: reads the file.
    """
    try:
        with path.open("rb") as stream:
            key = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    except OSError:
        return decode()  # which says what is wrong with the file
    place = cache_folder("decoded") / f"{path.stem}-{key}-{split}.npz"
    kept = _kept(place)
    if kept is not None:
        return kept
    data = decode()
    with contextlib.suppress(OSError, OutputError):
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, _packed(data))
    return data


def _packed(data: Dataset) -> bytes:
    stream = io.BytesIO()
    np.savez(
        stream,
        about=np.array([data.name, data.split]),
        inputs=data.inputs,
        labels=data.labels,
        classes=np.array(data.classes),
    )
    return stream.getvalue()


def _kept(place: Path) -> Dataset | None:
    try:
        with place.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            name, split = archive["about"].tolist()
            classes = tuple(archive["classes"].tolist())
            return Dataset(name, split, archive["inputs"], archive["labels"], classes)
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        InvalidInput,
    ):
        return None
