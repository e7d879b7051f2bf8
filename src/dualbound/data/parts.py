"""The two parts of a data set: to train on, and to test on."""

from __future__ import annotations

from dataclasses import replace

from dualbound.data.dataset import Dataset
from dualbound.errors import DataError

SPLITS = ("train", "test")
_TEST_SHARE = 1 / 6  # as in MNIST, Fashion-MNIST and CIFAR-10, nearly or exactly
_SEED = 0


def check_split(name: str, split: str) -> None:
    """Refuse what is neither part.

    Raises:
        DataError: ``split`` is neither ``train`` nor ``test``.
    """
    if split not in SPLITS:
        raise DataError(f"{name} has no split {split!r}; expected {' or '.join(SPLITS)}.")


def cut(whole: Dataset, split: str) -> Dataset:
    """One part of a data set that comes without a test part.

    A sixth of every class, at least one input, is the test part. It is chosen at random with a
    fixed seed, so that the same data always have the same parts.

    >>> from dualbound.data.sample import sample
    >>> len(cut(sample(), "train")), len(cut(sample(), "test"))
    (249, 51)
    """
    parts = dict(zip(SPLITS, whole.held_out(_TEST_SHARE, _SEED), strict=True))
    return replace(parts[split], split=split)
