"""MNIST and Fashion-MNIST from their official files."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from dualbound.data.dataset import Dataset
from dualbound.data.idx import read_idx
from dualbound.data.published import Published, held, locate
from dualbound.errors import DataError

_PARTS = ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz")
_STEMS: dict[str, str] = {"train": "train", "test": "t10k"}

_MNIST = Published(
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

_FASHION_MNIST = Published(
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

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def mnist(split: str = "test") -> Dataset:
    """Handwritten digits: 60,000 training and 10,000 test images of 28 x 28 pixels.

    Source: LeCun, Cortes, Burges, *The MNIST database of handwritten digits*.

    Args:
        split: ``train`` or ``test``.

    Raises:
        DataError: the files are nowhere to be found or damaged.
    """
    return _dataset(_MNIST, split, DIGITS)


def fashion_mnist(split: str = "test") -> Dataset:
    """Articles of clothing, in the form and numbers of `mnist`.

    Source: Xiao, Rasul, Vollgraf, *Fashion-MNIST*, arXiv 1708.07747.

    Args:
        split: ``train`` or ``test``.

    Raises:
        DataError: the files are nowhere to be found or damaged.
    """
    return _dataset(_FASHION_MNIST, split, CLOTHES)


def mnist_is_here(split: str) -> bool:
    """Whether a split of `mnist` can be read without a download."""
    return _is_here(_MNIST, split)


def fashion_mnist_is_here(split: str) -> bool:
    """Whether a split of `fashion_mnist` can be read without a download."""
    return _is_here(_FASHION_MNIST, split)


def _is_here(source: Published, split: str) -> bool:
    files = [f"{_STEMS[split]}-{part}" for part in _PARTS] if split in _STEMS else []
    return bool(files) and all(held(source.name, file) for file in files)


def _dataset(source: Published, split: str, classes: tuple[str, ...]) -> Dataset:
    if split not in _STEMS:
        raise DataError(f"{source.name} has no split {split!r}; expected train or test.")
    images, labels = (locate(source, f"{_STEMS[split]}-{part}") for part in _PARTS)
    return _read(source.name, split, images, labels, classes)


@lru_cache(maxsize=4)
def _read(
    name: str, split: str, images_file: Path, labels_file: Path, classes: tuple[str, ...]
) -> Dataset:
    images = read_idx(images_file, dimensions=3)
    labels = read_idx(labels_file, dimensions=1)
    if len(images) != len(labels):
        raise DataError(
            f"{images_file} has {len(images)} images but {labels_file} has {len(labels)} labels: "
            "they are not of the same data set."
        )
    return Dataset(name, split, images[:, np.newaxis], labels, classes)
