"""Arrays of inputs and labels: a ``.npz`` file."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from dualbound.data.dataset import Dataset
from dualbound.data.parts import check_split, cut
from dualbound.errors import DataError

Array = Shaped[np.ndarray, "..."]

_FORM = "Expected arrays x and y, or x_train and y_train, x_test and y_test, or one of these pairs"


def read_archive(path: Path, name: str, split: str) -> Dataset:
    """Read one split of a ``.npz`` file with inputs and labels.

    Args:
        path: a file with the arrays ``x`` and ``y``, or ``x_train``, ``y_train``, ``x_test`` and
            ``y_test``, or one of these pairs; the inputs bytes (of which k stands for k/255) or
            real numbers, the labels whole numbers that count the classes from 0. An array
            ``classes`` may give their names.
        name: of the data set.
        split: ``train`` or ``test``. With ``x`` and ``y``, a sixth of every class is the test
            part, always the same.

    Returns:
        The inputs in the order of the file, reals in float32. Pictures get their channels first:
        n x height x width becomes n x 1 x height x width, n x height x width x 3 becomes
        n x 3 x height x width.

    Raises:
        DataError: the file is damaged, lacks the split or has other arrays; labels that are no
            whole numbers from 0 on; training and test inputs of different shapes.
        InvalidInput: a value that is not finite, not as many labels as inputs, or a label that
            is none of the classes.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "digits.npz"
    ...     np.savez(path, x=np.zeros((12, 8, 8), dtype=np.uint8), y=np.arange(12) % 2)
    ...     data = read_archive(path, "digits", "test")
    >>> len(data), data.shape, data.classes
    (2, (1, 8, 8), ('0', '1'))
    """
    check_split(name, split)
    arrays = _arrays(path)
    if {"x", "y"} <= arrays.keys():
        return cut(_dataset(path, arrays, name, split, ""), split)
    parts = [part for part in ("train", "test") if {f"x_{part}", f"y_{part}"} <= arrays.keys()]
    if not parts:
        raise DataError(f"{path} has the arrays {', '.join(sorted(arrays)) or 'none'}. {_FORM}.")
    if split not in parts:
        raise DataError(
            f"{path} has no split {split!r}, only {parts[0]}: it lacks x_{split} or y_{split}."
        )
    shapes = [arrays[f"x_{part}"].shape[1:] for part in parts]
    if shapes[0] != shapes[-1]:
        raise DataError(
            f"{path} has training inputs of shape {shapes[0]} but test inputs of shape "
            f"{shapes[-1]}; expected the same."
        )
    kinds = [arrays[f"x_{part}"].dtype for part in parts]
    if (kinds[0] == np.uint8) != (kinds[-1] == np.uint8):
        raise DataError(
            f"{path} has training inputs of type {kinds[0]} but test inputs of type {kinds[-1]}: "
            "those of uint8 would be divided by 255, and the others not. Store both alike."
        )
    return _dataset(path, arrays, name, split, f"_{split}")


def _dataset(path: Path, arrays: dict[str, Array], name: str, split: str, end: str) -> Dataset:
    x, y = _inputs(path, f"x{end}", arrays[f"x{end}"]), _labels(path, f"y{end}", arrays[f"y{end}"])
    return Dataset(name, split, x, y, _classes(path, arrays))


def _arrays(path: Path) -> dict[str, Array]:
    try:
        with path.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it is a single array")
            with archive:
                return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise DataError(
            f"{path} is not a complete .npz file of numbers: {why}. Write it with numpy.savez."
        ) from error


def _inputs(path: Path, key: str, x: Array) -> Array:
    if x.dtype.kind not in "buif":
        raise DataError(f"{path}: {key} holds values of type {x.dtype}, expected real numbers.")
    if x.dtype != np.uint8:
        with np.errstate(over="ignore"):  # the data set refuses what is too large
            x = x.astype(np.float32)
    if x.ndim == 3:
        return x[:, np.newaxis]
    if x.ndim == 4 and x.shape[3] in (1, 3) and x.shape[1] not in (1, 3):
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    return x


def _labels(path: Path, key: str, y: Array) -> Array:
    if y.dtype.kind not in "iu":
        raise DataError(
            f"{path}: {key} holds labels of type {y.dtype}, expected whole numbers that count the "
            "classes from 0."
        )
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def _classes(path: Path, arrays: dict[str, Array]) -> tuple[str, ...]:
    """The names of the classes; without any, their numbers up to the largest label."""
    if "classes" in arrays:
        return tuple(str(one) for one in arrays["classes"].reshape(-1).tolist())
    labels = [arrays[key] for key in ("y", "y_train", "y_test") if key in arrays]
    known, largest = sum(y.size for y in labels), max(int(y.max(initial=0)) for y in labels)
    if not known:
        raise DataError(f"{path} has no inputs. Expected an input and a label for each of some.")
    if largest >= known:
        raise DataError(
            f"{path} has a label {largest} but only {known} inputs. Count the classes from 0, or "
            "name all of them in an array classes."
        )
    return tuple(str(k) for k in range(largest + 1))
