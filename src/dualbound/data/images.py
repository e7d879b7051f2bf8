"""One input by its name: ``sample:17``, ``mnist:test:17``, ``pets.zip:test:17``, or a file."""

from __future__ import annotations

import hashlib
import math
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from dualbound.data.dataset import Dataset
from dualbound.data.image_files import READERS
from dualbound.data.loading import NAMES, did_you_mean, is_here, load_dataset
from dualbound.data.parts import SPLITS
from dualbound.errors import DataError, InvalidInput

_FORMS = (
    "sample:INDEX, SET:SPLIT:INDEX (SET is mnist, fashion-mnist, cifar10 or a data set of your "
    "own: a folder or .zip of class folders, a .csv or a .npz; SPLIT is train or test), "
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
        spec: ``sample:17``; ``mnist:test:17`` or ``cifar10:train:3`` (data set, split, index
            from 0); the same of data of one's own, ``pets.zip:test:17``, as `load_dataset` reads
            them; or the path of a ``.npy``, ``.csv``, ``.png`` or ``.jpg`` file.
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
    label: int | None = None
    if _is_member(spec):
        pixels, label = _member(spec)
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
    split = rest.partition(":")[0]
    return head in NAMES and head != "sample" and not is_here(head, split)


def file_of(spec: str) -> str:
    """The file or folder in which an image is looked for, if it is no published one.

    >>> file_of("digits.csv:test:7"), file_of("digit.png")
    ('digits.csv', 'digit.png')
    """
    path, *rest = spec.rsplit(":", 2)
    return path if len(rest) == 2 and rest[0] in SPLITS else spec


def _is_member(spec: str) -> bool:
    """Whether an input is asked for by its data set: a known name, or files that are there."""
    if spec.partition(":")[0] in NAMES:
        return True
    return file_of(spec) != spec and os.path.exists(file_of(spec))


def _member(spec: str) -> tuple[Float64[np.ndarray, "..."], int]:
    """Values and label of a member of a set, named by the last part of ``spec``."""
    data, form, index = _set_of(spec)
    last = len(data) - 1
    if index is None or not re.fullmatch(r"[+-]?[0-9]+", index):
        raise DataError(f"{spec!r}: expected {form} with an index from 0 to {last}.")
    row = int(index) if len(index) < 20 else -1
    if not 0 <= row <= last:
        raise DataError(f"{spec!r}: there is no image {index}; the indices go from 0 to {last}.")
    values = data.inputs[row].astype(np.float64)
    return values / 255 if data.inputs.dtype == np.uint8 else values, int(data.labels[row])


def _set_of(spec: str) -> tuple[Dataset, str, str | None]:
    """The data set that ``spec`` names, the form of its members' names, and the index asked for."""
    head, *rest = spec.split(":")
    if head == "sample":
        return load_dataset("sample", "test"), "sample:INDEX", rest[0] if len(rest) == 1 else None
    if head in NAMES:
        split, rest = (rest[0], rest[1:]) if rest else ("", [])
        if split not in SPLITS:
            raise DataError(
                f"{head} has no split {split!r}; expected {head}:train:INDEX or "
                f"{head}:test:INDEX for one image of it."
            )
        index = rest[0] if len(rest) == 1 else None
        return load_dataset(head, split), f"{head}:{split}:INDEX", index
    path, split, index = spec.rsplit(":", 2)
    return _own(path, split, _stamp(path)), f"{path}:{split}:INDEX", index


@lru_cache(maxsize=2)  # the images of a study are often of one data set
def _own(path: str, split: str, stamp: tuple[tuple[str, int, int], ...]) -> Dataset:
    return load_dataset(path, split)


def _stamp(path: str) -> tuple[tuple[str, int, int], ...]:
    """What changes when a file, or a file in a folder, does."""
    inside = sorted(file for file in Path(path).rglob("*") if file.is_file())
    files = inside if os.path.isdir(path) else [Path(path)]
    return tuple((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files)


def _from_file(spec: str, shape: tuple[int, ...] | None) -> Float64[np.ndarray, "..."]:
    path = Path(spec)
    reader = READERS.get(path.suffix.lower())
    if not os.path.exists(path):  # unlike Path.exists, False also for an impossible name
        if ":" in spec and reader is None:
            meant = did_you_mean(spec.partition(":")[0])
            raise DataError(f"{spec!r}: no image set has this name{meant}. Expected {_FORMS}.")
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
