"""One image by its name: ``sample:17``, ``mnist:test:17``, or a file."""

from __future__ import annotations

import hashlib
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from dualbound.data.datasets import ImageSet, fashion_mnist, is_here, mnist
from dualbound.data.image_files import READERS
from dualbound.data.sample import Sample, sample
from dualbound.errors import DataError, InvalidInput

_DATA_SETS = {"mnist": mnist, "fashion-mnist": fashion_mnist}
_FORMS = (
    "sample:INDEX, mnist:SPLIT:INDEX or fashion-mnist:SPLIT:INDEX (SPLIT is train or test), "
    f"or a file ({', '.join(READERS)})"
)


@dataclass(frozen=True, eq=False)
class Image:
    """An input of a network.

    Attributes:
        name: how it was asked for.
        pixels: its values in the network's units, read-only; of a data set or picture in [0, 1].
        label: its class where that is known.
    """

    name: str
    pixels: Float64[np.ndarray, "..."]
    label: int | None

    @property
    def sha256(self) -> str:
        """Hash of shape and values, for the record of what was asked about."""
        return hashlib.sha256(f"{self.pixels.shape}".encode() + self.pixels.tobytes()).hexdigest()


def load_image(spec: str, shape: tuple[int, ...] | None = None) -> Image:
    """Load an image of the sample, of a data set, or from a file.

    Whether the values lie in the network's range is not checked here: the region of the query
    knows that.

    Args:
        spec: ``sample:17``; ``mnist:test:17`` and ``fashion-mnist:train:3`` (data set, split,
            index from 0); or the path of a ``.npy``, ``.csv``, ``.png`` or ``.jpg`` file.
        shape: the shape to give it, as the network expects it; sizes must agree. Colours move
            between first and last axis if that is what it takes. Without a shape the image
            keeps its own: 1 x 28 x 28 for MNIST, channels x height x width for a picture.

    Returns:
        The image, with pixels in float64. Bytes are divided by 255; other values of ``.npy``
        and ``.csv`` files are taken as they are.

    Raises:
        DataError: no such image, set or file, or the file cannot be read.
        InvalidInput: the image has another size, or a value that is not a finite number.

    >>> image = load_image("sample:0", (1, 1, 28, 28))
    >>> image.label, image.pixels.shape, round(float(image.pixels.sum()), 2)
    (7, (1, 1, 28, 28), 72.37)
    """
    head = spec.partition(":")[0]
    label: int | None = None
    if head == "sample":
        pixels, label = _member(spec, sample(), "sample:INDEX", position=1)
    elif head in _DATA_SETS:
        split = spec.split(":")[1] if ":" in spec else ""
        images = _DATA_SETS[head](split)
        pixels, label = _member(spec, images, f"{head}:{split}:INDEX", position=2)
    else:
        pixels = _from_file(spec, shape)
    pixels = _fit(spec, _finite(spec, pixels), shape)
    pixels.flags.writeable = False
    return Image(spec, pixels, label)


def needs_download(spec: str) -> bool:
    """Whether `load_image` would have to fetch a data set first.

    >>> needs_download("sample:0"), needs_download("digit.png")
    (False, False)
    """
    head, _, rest = spec.partition(":")
    return head in _DATA_SETS and not is_here(head, rest.partition(":")[0])


def _member(
    spec: str, images: ImageSet | Sample, form: str, *, position: int
) -> tuple[Float64[np.ndarray, "1 height width"], int]:
    """Pixels and label of a member of a set, named by the last part of ``spec``."""
    parts = spec.split(":")
    last = len(images) - 1
    if len(parts) != position + 1 or not re.fullmatch(r"[+-]?[0-9]+", parts[position]):
        raise DataError(f"{spec!r}: expected {form} with an index from 0 to {last}.")
    index = int(parts[position]) if len(parts[position]) < 20 else -1
    if not 0 <= index <= last:
        raise DataError(
            f"{spec!r}: there is no image {parts[position]}; the indices go from 0 to {last}."
        )
    return images.images[index][np.newaxis] / 255, int(images.labels[index])


def _from_file(spec: str, shape: tuple[int, ...] | None) -> Float64[np.ndarray, "..."]:
    path = Path(spec)
    reader = READERS.get(path.suffix.lower())
    if not os.path.exists(path):  # unlike Path.exists, False also for an impossible name
        if ":" in spec and reader is None:
            raise DataError(f"{spec!r}: no image set has this name. Expected {_FORMS}.")
        raise DataError(f"There is no image file {spec!r}. Expected {_FORMS}.")
    if reader is None:
        raise DataError(f"{spec!r} is not an image file of a known kind. Expected {_FORMS}.")
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{spec} is an empty file.")
        return reader(path, shape)
    except OSError as error:
        raise DataError(f"{spec} cannot be read: {error.strerror or error}.") from error


def _finite(spec: str, values: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    if values.size == 0:
        raise DataError(f"{spec} is empty: it holds no value.")
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        value = values.reshape(-1)[wrong[0]]
        raise InvalidInput(
            f"{spec} has {wrong.size} of {values.size} values that are not finite numbers; the "
            f"first is {value} at position {wrong[0]} (from 0). Replace them."
        )
    return values


def _fit(
    spec: str, values: Float64[np.ndarray, "..."], shape: tuple[int, ...] | None
) -> Float64[np.ndarray, "..."]:
    """The values in the wanted shape, colours moved to the axis where they are wanted."""
    if shape is None:
        return np.ascontiguousarray(values)
    if values.size != math.prod(shape):
        raise InvalidInput(
            f"{spec} has {values.size} values {values.shape}, expected {math.prod(shape)} to fill "
            f"the shape {shape}. Use an image of that size."
        )
    own, wanted = _without_batch(values.shape), _without_batch(shape)
    if len(own) == len(wanted) == 3 and own != wanted:
        values = values.reshape(own)
        height_width_colour, colour_height_width = (own[1], own[2], own[0]), (own[2], *own[:2])
        if own[0] == 3 and wanted == height_width_colour:
            values = values.transpose(1, 2, 0)
        elif own[2] == 3 and wanted == colour_height_width:
            values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values).reshape(shape)


def _without_batch(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[1:] if len(shape) == 4 and shape[0] == 1 else shape
