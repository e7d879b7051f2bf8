"""The embedded sample: images of MNIST that every installation has, without a download."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from jaxtyping import UInt8, UInt16


@dataclass(frozen=True, eq=False)
class Sample:
    """Some images of the MNIST test set, in the form of an `ImageSet`, and where they come from.

    Attributes:
        name: ``sample``.
        split: the split of MNIST that they were taken from, ``test``.
        images: one byte a pixel, read-only.
        labels: the class of each image, read-only.
        index: the position of each image in the official MNIST test set.
    """

    name: str
    split: str
    images: UInt8[np.ndarray, "n height width"]
    labels: UInt8[np.ndarray, " n"]
    index: UInt16[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.labels)


@cache
def sample() -> Sample:
    """The first 300 images of the MNIST test set (LeCun, Cortes; CC BY-SA 3.0).

    >>> images = sample()
    >>> len(images), images.labels[:5]
    (300, array([7, 2, 1, 0, 4], dtype=uint8))
    >>> images.images.shape
    (300, 28, 28)
    """
    file = resources.files("dualbound.data") / "sample" / "mnist.npz"
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        images, labels, index = (archive[name] for name in ("images", "labels", "index"))
    for array in (images, labels, index):
        array.flags.writeable = False  # shared by every caller
    return Sample("sample", "test", images, labels, index)
