"""The embedded sample: images of MNIST that every installation has, without a download."""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np

from dualbound.data.dataset import Dataset
from dualbound.data.mnist import DIGITS


@cache
def sample() -> Dataset:
    """The first 300 images of the MNIST test set (LeCun, Cortes; CC BY-SA 3.0).

    >>> images = sample()
    >>> len(images), images.labels[:5]
    (300, array([7, 2, 1, 0, 4]))
    >>> images.inputs.shape, images.inputs.dtype
    ((300, 1, 28, 28), dtype('uint8'))
    """
    file = resources.files("dualbound.data") / "sample" / "mnist.npz"
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        images, labels = archive["images"], archive["labels"]
    return Dataset("sample", "test", images[:, np.newaxis], labels, DIGITS)
