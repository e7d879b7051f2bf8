"""MNIST and Fashion-MNIST from their official files.

They are looked for in ``$DUALBOUND_DATA`` (in the folders ``mnist/`` and ``fashion-mnist/``),
then in the user's cache folder, and are otherwise downloaded into that folder from public
mirrors, checked against the published checksums.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import platformdirs
from jaxtyping import UInt8

from dualbound.data.idx import read_idx
from dualbound.errors import DataError

_STEMS: dict[str, str] = {"train": "train", "test": "t10k"}


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled grey images as published: bytes from 0 (black) to 255.

    Attributes:
        name: of the data set, as in an image's name: ``mnist``.
        split: ``train`` or ``test``.
        images: one byte a pixel, read-only.
        labels: the class of each image, read-only.
    """

    name: str
    split: str
    images: UInt8[np.ndarray, "n height width"]
    labels: UInt8[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class _Source:
    """Where a data set is published, and the MD5 that its publishers give for each file."""

    name: str
    mirrors: tuple[str, ...]
    md5: dict[str, str]


_MNIST = _Source(
    name="mnist",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    md5={
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
)

_FASHION_MNIST = _Source(
    name="fashion-mnist",
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    md5={
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
)


def mnist(split: str = "test") -> ImageSet:
    """Handwritten digits: 60,000 training and 10,000 test images of 28 x 28 pixels.

    Source: LeCun, Cortes, Burges, *The MNIST database of handwritten digits*.

    Args:
        split: ``train`` or ``test``.

    Raises:
        DataError: the files are nowhere to be found or damaged.
    """
    return _image_set(_MNIST, split)


def fashion_mnist(split: str = "test") -> ImageSet:
    """Articles of clothing, in the form and numbers of `mnist`.

    Source: Xiao, Rasul, Vollgraf, *Fashion-MNIST*, arXiv 1708.07747.

    Args:
        split: ``train`` or ``test``.

    Raises:
        DataError: the files are nowhere to be found or damaged.
    """
    return _image_set(_FASHION_MNIST, split)


def is_here(name: str, split: str) -> bool:
    """Whether a data set can be read without a download.

    Args:
        name: ``mnist`` or ``fashion-mnist``; of any other there is nothing here.
        split: ``train`` or ``test``.
    """
    source = {one.name: one for one in (_MNIST, _FASHION_MNIST)}.get(name)
    if source is None or split not in _STEMS:
        return False
    parts = ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz")
    return all(_held(source, f"{_STEMS[split]}-{part}") for part in parts)


def _image_set(source: _Source, split: str) -> ImageSet:
    if split not in _STEMS:
        raise DataError(
            f"{source.name} has no split {split!r}; expected {source.name}:train:INDEX or "
            f"{source.name}:test:INDEX for one image of it."
        )
    stem = _STEMS[split]
    images, labels = _read(
        _locate(source, f"{stem}-images-idx3-ubyte.gz"),
        _locate(source, f"{stem}-labels-idx1-ubyte.gz"),
    )
    return ImageSet(source.name, split, images, labels)


@lru_cache(maxsize=4)
def _read(
    images_file: Path, labels_file: Path
) -> tuple[UInt8[np.ndarray, "n height width"], UInt8[np.ndarray, " n"]]:
    images = read_idx(images_file, dimensions=3)
    labels = read_idx(labels_file, dimensions=1)
    if len(images) != len(labels):
        raise DataError(
            f"{images_file} has {len(images)} images but {labels_file} has {len(labels)} labels: "
            "they are not of the same data set."
        )
    return images, labels


def _locate(source: _Source, file: str) -> Path:
    """The file in ``$DUALBOUND_DATA``, in the cache, or downloaded into the cache."""
    return _held(source, file) or _download(source, file, _cache(source))


def _held(source: _Source, file: str) -> Path | None:
    """The file where it is on this machine."""
    root = os.environ.get("DUALBOUND_DATA")
    folders = [Path(root).expanduser() / source.name] if root else []
    found = [folder / file for folder in [*folders, _cache(source)] if (folder / file).is_file()]
    return found[0] if found else None


def _cache(source: _Source) -> Path:
    return platformdirs.user_cache_path("dualbound") / source.name


def _download(source: _Source, file: str, folder: Path) -> Path:
    import pooch  # here: it loads an HTTP client that an offline run never needs

    failures = []
    for mirror in source.mirrors:
        try:
            return Path(
                pooch.retrieve(
                    mirror + file,
                    known_hash=f"md5:{source.md5[file]}",
                    fname=file,
                    path=folder,
                    downloader=pooch.HTTPDownloader(timeout=30),
                )
            )
        except (OSError, ValueError) as error:  # no network, or another file than the published
            failures.append(f"{mirror}: {type(error).__name__}")
    raise DataError(
        f"{file} of {source.name} is not on this machine and could not be downloaded "
        f"({'; '.join(failures)}). Put {', '.join(source.md5)} into {folder}, or into a folder "
        f"{source.name}/ and set DUALBOUND_DATA to the folder that contains it."
    )
