"""A data set by its name, or from the user's own files."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dualbound.data.archives import read_archive
from dualbound.data.cifar import cifar10, cifar10_is_here
from dualbound.data.class_folders import read_class_folders
from dualbound.data.dataset import Dataset
from dualbound.data.mnist import fashion_mnist, fashion_mnist_is_here, mnist, mnist_is_here
from dualbound.data.parts import check_split
from dualbound.data.sample import sample
from dualbound.data.tables import read_labelled_table
from dualbound.errors import DataError, InvalidInput


@dataclass(frozen=True)
class _Public:
    """How a public data set is read, and whether that needs no download."""

    load: Callable[[str], Dataset]
    is_here: Callable[[str], bool]


def _sample(split: str) -> Dataset:
    check_split("sample", split)
    if split != "test":
        raise DataError(
            "sample has no split 'train', only test: it is cut from the MNIST test set."
        )
    return sample()


_PUBLIC = {
    "mnist": _Public(mnist, mnist_is_here),
    "fashion-mnist": _Public(fashion_mnist, fashion_mnist_is_here),
    "cifar10": _Public(cifar10, cifar10_is_here),
    "sample": _Public(_sample, lambda split: split == "test"),
}
NAMES = tuple(_PUBLIC)
"""The data sets that are known by a name."""

FORMS = f"{', '.join(NAMES)}, a folder or .zip of class folders, a .csv or a .npz file"
"""What `load_dataset` reads, in words."""


def load_dataset(
    spec: str | os.PathLike[str], split: str = "train", *, label: str | None = None
) -> Dataset:
    """Load one split of a data set, by its name or from files.

    Public data sets are looked for in the folder ``$DUALBOUND_DATA``, then in the user's cache
    folder, and are otherwise downloaded into that and checked against the published checksum.
    The user's own data come as pictures in a folder for each class, a table, or arrays. Where
    they have no test part, a sixth of every class is the test part, always the same.

    Args:
        spec: ``mnist``, ``fashion-mnist``, ``cifar10`` or ``sample`` (300 images of MNIST that
            need no download); or a path: of a folder or ``.zip`` file of class folders, with
            folders ``train/`` and ``test/`` above them or without; of a ``.csv`` file; of a
            ``.npz`` file with arrays x and y or x_train, y_train, x_test and y_test. A name comes
            first: write ``./mnist`` for a folder of that name.
        split: ``train`` or ``test``.
        label: the column of a ``.csv`` file that holds the labels; by default the one that is
            called ``label``, or else the last one.

    Raises:
        DataError: there is no such data set, split or file, or it cannot be read.
        InvalidInput: its values are not finite, or its labels not of two or more classes.

    >>> data = load_dataset("sample", "test")
    >>> len(data), data.shape, len(data.classes), data.labels[:5].tolist()
    (300, (1, 28, 28), 10, [7, 2, 1, 0, 4])
    >>> data.values(slice(0, 1)).max()
    np.float32(1.0)
    """
    name = os.fspath(spec)
    check_split(name, split)
    kind = Path(name).suffix.lower()
    if label is not None and (name in _PUBLIC or kind != ".csv"):
        raise InvalidInput(
            f"{name!r} has no columns: the label's can only be named of a .csv file."
        )
    if name in _PUBLIC:
        return _PUBLIC[name].load(split)
    if not os.path.exists(name):  # unlike Path.exists, False also for an impossible name
        raise DataError(f"There is no data set {name!r}{did_you_mean(name)}. Expected {FORMS}.")
    if os.path.isdir(name) or kind == ".zip":
        return read_class_folders(Path(name), name, split)
    if kind == ".csv":
        return read_labelled_table(Path(name), name, split, label=label)
    if kind == ".npz":
        return read_archive(Path(name), name, split)
    raise DataError(f"{name!r} is not a data set of a known kind. Expected {FORMS}.")


def is_here(name: str, split: str) -> bool:
    """Whether a split of a public data set can be read without a download.

    >>> is_here("sample", "test"), is_here("sample", "train"), is_here("imagenet", "test")
    (True, False, False)
    """
    return name in _PUBLIC and _PUBLIC[name].is_here(split)


def did_you_mean(name: str) -> str:
    """The public data set with a name like this one, as a question in brackets.

    >>> did_you_mean("minst"), did_you_mean("CIFAR-10"), did_you_mean("pets.zip")
    (' (did you mean mnist?)', ' (did you mean cifar10?)', '')
    """
    close = difflib.get_close_matches(name.lower(), NAMES, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
