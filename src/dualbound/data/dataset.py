"""Labelled inputs of a network: what it is trained on, and what it is measured on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Int64, Shaped

from dualbound.errors import InvalidInput

Which = slice | Shaped[np.ndarray, "..."] | Sequence[int] | None
"""Which inputs of a set: a slice, an array of positions or of true and false, or None for all."""


_SEEDS = 2**32


def check_seed(seed: int) -> None:
    """Refuse what no generator of numpy begins with.

    Raises:
        InvalidInput: a number below 0, or of more than 32 bits.
    """
    if not 0 <= seed < _SEEDS:
        raise InvalidInput(f"A seed is a number from 0 to {_SEEDS - 1}, found {seed}.")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled inputs, all of one shape.

    Attributes:
        name: ``mnist``, or the path as it was asked for.
        split: ``train`` or ``test``.
        inputs: one input a row, read-only: either ``uint8``, of which k stands for k/255, or
            ``float32``, which is taken as it is.
        labels: the class of each input, as its position in ``classes``; read-only.
        classes: the names of the classes.

    Raises:
        InvalidInput: no input, or not as many labels; values of another type, or that are not
            finite; fewer than two classes, or a label that is none of them.

    >>> grey = np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2)
    >>> data = Dataset("two", "train", grey, np.array([1, 0]), ("dark", "bright"))
    >>> len(data), data.shape, data.classes[data.labels[1]]
    (2, (1, 2, 2), 'dark')
    """

    name: str
    split: str
    inputs: Shaped[np.ndarray, "..."] = field(repr=False)
    labels: Shaped[np.ndarray, "..."] = field(repr=False)
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_inputs(self.name, self.inputs)
        _check_labels(self.name, self.labels, len(self.inputs), self.classes)
        object.__setattr__(self, "inputs", _read_only(self.inputs))
        object.__setattr__(self, "labels", _read_only(self.labels.astype(np.int64, copy=False)))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input: ``(1, 28, 28)`` for a grey picture, ``(features,)`` for a table's row."""
        return self.inputs.shape[1:]

    @cached_property
    def sha256(self) -> str:
        """Hash of inputs, labels and shape, for the record of what was trained on."""
        head = f"{self.inputs.dtype} {self.inputs.shape}"
        found = hashlib.sha256(head.encode())
        found.update(np.ascontiguousarray(self.inputs).tobytes())
        found.update(np.ascontiguousarray(self.labels).tobytes())
        return found.hexdigest()

    def values(self, which: Which = None) -> Float32[np.ndarray, "k *shape"]:
        """The inputs in the network's units, in an array of the caller's own.

        Args:
            which: of the inputs; all of them by default.

        Returns:
            Bytes divided by 255, other values as they are.

        Raises:
            InvalidInput: ``which`` names an input that is not there.

        >>> grey = np.array([[0, 51], [102, 255]], dtype=np.uint8)
        >>> Dataset("two", "train", grey, np.array([0, 1]), ("a", "b")).values(slice(1, None))
        array([[0.4, 1. ]], dtype=float32)
        """
        values = np.array(self.inputs[self._rows(which)], dtype=np.float32)
        if self.inputs.dtype == np.uint8:
            values /= np.float32(255)
        return values

    def subset(self, which: Which) -> Dataset:
        """Some of the inputs, with the same name, split and classes.

        Raises:
            InvalidInput: ``which`` names an input that is not there, or none at all.
        """
        rows = self._rows(which)
        return replace(self, inputs=self.inputs[rows], labels=self.labels[rows])

    def balanced(self, each: int, seed: int) -> Dataset:
        """As many inputs of every class, chosen at random and left in their order; see `draw`.

        >>> from dualbound.data.sample import sample
        >>> np.bincount(sample().balanced(5, seed=0).labels).tolist()
        [5, 5, 5, 5, 5, 5, 5, 5, 5, 5]
        """
        return self.subset(self.draw(each, seed))

    def draw(self, each: int, seed: int) -> Int64[np.ndarray, " k"]:
        """Positions, in their order, of as many inputs of every class, chosen at random.

        Args:
            each: how many of every class.
            seed: of the choice.

        Raises:
            InvalidInput: fewer than one is asked for, or a class has fewer.
        """
        if each < 1:
            raise InvalidInput(f"At least 1 input of every class must be asked for, found {each}.")
        counts = np.bincount(self.labels, minlength=len(self.classes))
        fewest = int(counts.argmin())
        if counts[fewest] < each:
            raise InvalidInput(
                f"{self.name} ({self.split}) has {counts[fewest]} inputs of the class "
                f"{self.classes[fewest]!r}, expected at least {each}. Ask for at most "
                f"{counts[fewest]} of every class."
            )
        return self._drawn(np.full(len(counts), each), seed)

    def joined(self, other: Dataset, split: str = "train") -> Dataset:
        """The inputs of two sets of one kind, one after the other.

        Args:
            other: with the same shape, classes and kind of numbers.
            split: what the whole is called.

        Raises:
            InvalidInput: they are not of one kind.
        """
        mine = self.shape, self.classes, self.inputs.dtype
        theirs = other.shape, other.classes, other.inputs.dtype
        if mine != theirs:
            raise InvalidInput(
                f"{self.name} and {other.name} cannot be joined: their inputs are {mine[0]} and "
                f"{theirs[0]}, of {mine[2]} and {theirs[2]}, with {len(mine[1])} and "
                f"{len(theirs[1])} classes."
            )
        inputs = np.concatenate([self.inputs, other.inputs])
        labels = np.concatenate([self.labels, other.labels])
        return replace(self, inputs=inputs, labels=labels, split=split)

    def held_out(self, share: float, seed: int) -> tuple[Dataset, Dataset]:
        """The set in two parts, each with the classes in the proportions of the whole.

        Args:
            share: how much of every class is held out, between 0 and 1. It is rounded to whole
                inputs, at least one and not all; a class with one input holds out none.
            seed: of the choice.

        Returns:
            The rest, and what is held out, both in the order of the whole.

        Raises:
            InvalidInput: the share is not between 0 and 1, or every class has only one input.

        >>> from dualbound.data.sample import sample
        >>> rest, held_out = sample().held_out(0.2, seed=0)
        >>> len(rest), len(held_out)
        (240, 60)
        """
        if not 0 < share < 1:
            raise InvalidInput(f"The share held out must be between 0 and 1, found {share}.")
        counts = np.bincount(self.labels, minlength=len(self.classes))
        if counts.max() < 2:
            raise InvalidInput(
                f"{self.name} ({self.split}) has a single input of every class, expected two or "
                "more of some class to hold one out. Add inputs."
            )
        sizes = np.minimum(np.maximum(np.rint(share * counts), 1), np.maximum(counts - 1, 0))
        held = self._drawn(sizes.astype(np.int64), seed)
        return self.subset(np.delete(np.arange(len(self)), held)), self.subset(held)

    def _drawn(self, sizes: Int64[np.ndarray, " classes"], seed: int) -> Int64[np.ndarray, " k"]:
        """Positions, in their order, of so many inputs of each class at random."""
        check_seed(seed)
        random = np.random.RandomState(seed)  # of numpy's generators the one that never changes
        chosen = [
            random.permutation(np.flatnonzero(self.labels == label))[:size]
            for label, size in enumerate(sizes)
        ]
        return np.sort(np.concatenate(chosen))

    def _rows(self, which: Which) -> slice | Shaped[np.ndarray, " k"]:
        if which is None or isinstance(which, slice):
            return slice(None) if which is None else which
        rows = np.asarray(which)
        masks = rows.dtype == bool and rows.shape == (len(self),)
        if not masks:
            if rows.ndim != 1 or rows.dtype.kind not in "iu":
                raise InvalidInput(
                    f"{self.name}: inputs are named by a list of positions, found {rows.dtype} of "
                    f"shape {rows.shape}."
                )
            if len(rows) and not -len(self) <= rows.min() <= rows.max() < len(self):
                raise InvalidInput(
                    f"{self.name} ({self.split}) has {len(self)} inputs, found positions from "
                    f"{rows.min()} to {rows.max()}. They go from 0 to {len(self) - 1}."
                )
        return rows


def _check_inputs(name: str, inputs: Shaped[np.ndarray, "..."]) -> None:
    if inputs.dtype not in (np.uint8, np.float32):
        raise InvalidInput(f"{name} has inputs of type {inputs.dtype}, expected uint8 or float32.")
    if inputs.ndim < 2 or inputs.size == 0:
        raise InvalidInput(
            f"{name} has inputs of shape {inputs.shape}, expected one or more inputs a row, each "
            "of one or more values."
        )
    if inputs.dtype == np.float32 and not np.isfinite(inputs).all():
        wrong = np.argwhere(~np.isfinite(inputs))
        value, where = inputs[tuple(wrong[0])], tuple(int(k) for k in wrong[0])
        raise InvalidInput(
            f"{name} has {len(wrong)} of {inputs.size} values that are not finite numbers in "
            f"float32; the first is {value} at {where} (from 0; the input comes first). Replace "
            "them."
        )


def _check_labels(
    name: str, labels: Shaped[np.ndarray, "..."], inputs: int, classes: tuple[str, ...]
) -> None:
    if labels.dtype.kind not in "iu":
        raise InvalidInput(
            f"{name} has labels of type {labels.dtype}, expected whole numbers that count the "
            "classes from 0."
        )
    if labels.shape != (inputs,):
        raise InvalidInput(
            f"{name} has {inputs} inputs but labels of shape {labels.shape}, expected one label "
            "for each input."
        )
    if len(set(classes)) < max(len(classes), 2):
        raise InvalidInput(
            f"{name} has the classes {', '.join(map(repr, classes)) or 'none'}, expected two or "
            "more, each with a name of its own."
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= len(classes)))
    if wrong.size:
        raise InvalidInput(
            f"{name} has {wrong.size} labels out of range; the first is {labels[wrong[0]]}, of "
            f"input {wrong[0]} (from 0), expected 0 to {len(classes) - 1}."
        )


def _read_only(array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """A view that cannot be written to; the array itself is left as it is."""
    view = array.view()
    view.flags.writeable = False
    return view
