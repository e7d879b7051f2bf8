"""Linear maps between flat values: dense and sparse matrices, and convolutions.

A convolution is kept as one, for whoever computes with it as such (torch does, tens of times faster
than with its matrix); everybody else asks for the matrix.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

MOST_ENTRIES = 2**27
"""No matrix and no constant may hold more numbers than this (1 GiB of float64)."""

MOST_VALUES = 2**22
"""No value of a network may hold more numbers than this (the largest of VGG holds 3.2 million)."""

_SMALL = 2**14
_THIN = 0.2


def check_entries(count: int, most: int = MOST_ENTRIES) -> None:
    """Refuse a tensor or matrix that no memory would hold.

    Raises:
        ValueError: more than so many.
    """
    if count > most:
        raise ValueError(f"it needs {count} numbers; at most {most} are supported")


def check_values(count: int) -> None:
    """Refuse a value of the network that is too large.

    Raises:
        ValueError: more than `MOST_VALUES`.
    """
    check_entries(count, MOST_VALUES)


class LinearMap(ABC):
    """A matrix ``M`` of shape ``(m, n)``, however it is kept."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """``(m, n)``: how many numbers it makes, and of how many."""

    @property
    @abstractmethod
    def entries(self) -> int:
        """How many of its entries are kept."""

    @property
    def parameters(self) -> int:
        """How many numbers it is made of: of a convolution, those of its kernel."""
        return self.entries

    @abstractmethod
    def apply(self, v: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k m"]:
        """``M v`` for each row."""

    @abstractmethod
    def pull_back(self, c: Float[np.ndarray, "k m"]) -> Float[np.ndarray, "k n"]:
        """``M^T c`` for each row: what coefficients of its values are in terms of what it reads."""

    @abstractmethod
    def magnitude(self) -> LinearMap:
        """The map whose entries are the magnitudes of these."""

    @abstractmethod
    def tocsr(self) -> sp.csr_array:
        """The matrix, sparse."""

    @abstractmethod
    def rescaled(
        self, rows: Float[np.ndarray, " m"], columns: Float[np.ndarray, " n"]
    ) -> LinearMap:
        """The map with every row and every column multiplied by a number of its own."""

    @abstractmethod
    def is_finite(self) -> bool:
        """Whether no entry is NaN or infinite."""

    def toarray(self) -> Float[np.ndarray, "m n"]:
        """The matrix, dense.

        Raises:
            ValueError: it is too large for that.
        """
        check_entries(math.prod(self.shape))
        return np.asarray(self.tocsr().toarray())


@final
@dataclass(frozen=True, eq=False)
class Dense(LinearMap):
    """A matrix with all its entries."""

    matrix: Float[np.ndarray, "m n"]

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix."""
        rows, columns = self.matrix.shape
        return rows, columns

    @property
    def entries(self) -> int:
        """All."""
        return self.matrix.size

    def apply(self, v: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k m"]:
        """By BLAS."""
        return v @ self.matrix.T

    def pull_back(self, c: Float[np.ndarray, "k m"]) -> Float[np.ndarray, "k n"]:
        """By BLAS."""
        return c @ self.matrix

    def magnitude(self) -> Dense:
        """Entry by entry."""
        return Dense(np.abs(self.matrix))

    def tocsr(self) -> sp.csr_array:
        """Without its zeros."""
        return sp.csr_array(self.matrix)

    def toarray(self) -> Float[np.ndarray, "m n"]:
        """As it is."""
        return self.matrix

    def rescaled(self, rows: Float[np.ndarray, " m"], columns: Float[np.ndarray, " n"]) -> Dense:
        """See `LinearMap.rescaled`."""
        return Dense(self.matrix * columns * rows[:, None])

    def is_finite(self) -> bool:
        """See `LinearMap.is_finite`."""
        return bool(np.all(np.isfinite(self.matrix)))


@final
@dataclass(frozen=True, eq=False)
class Sparse(LinearMap):
    """A matrix with few entries."""

    matrix: sp.csr_array

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix."""
        rows, columns = self.matrix.shape
        return rows, columns

    @property
    def entries(self) -> int:
        """Those that are stored."""
        return int(self.matrix.nnz)

    @cached_property
    def _transposed(self) -> sp.csr_array:
        return sp.csr_array(self.matrix.T)

    def apply(self, v: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k m"]:
        """Row by row of the matrix."""
        return np.ascontiguousarray((self.matrix @ v.T).T)

    def pull_back(self, c: Float[np.ndarray, "k m"]) -> Float[np.ndarray, "k n"]:
        """Column by column of the matrix."""
        return np.ascontiguousarray((self._transposed @ c.T).T)

    def magnitude(self) -> Sparse:
        """Entry by entry."""
        return Sparse(abs(self.matrix))

    def tocsr(self) -> sp.csr_array:
        """As it is."""
        return self.matrix

    def rescaled(self, rows: Float[np.ndarray, " m"], columns: Float[np.ndarray, " n"]) -> Sparse:
        """See `LinearMap.rescaled`."""
        return Sparse(sp.csr_array(sp.diags_array(rows) @ self.matrix @ sp.diags_array(columns)))

    def is_finite(self) -> bool:
        """See `LinearMap.is_finite`."""
        return bool(np.all(np.isfinite(self.matrix.data)))


@final
@dataclass(frozen=True, eq=False)
class Convolution(LinearMap):
    """A convolution (a cross-correlation, as everywhere in deep learning) of a flat tensor.

    It reads ``(channels, *space)`` and makes ``(filters, *out_space)``, row-major; the space has
    one axis or two.

    Attributes:
        kernel: ``(filters, channels / groups, *window)``.
        space: of what it reads, without the channels.
        strides, dilations: one an axis.
        pads: zeros before and after, a pair an axis.
        groups: filters and channels fall into so many groups that do not mix.

    Raises:
        ValueError: sizes that do not fit, or a window larger than the padded space.

    >>> edge = Convolution(np.array([[[-1.0, 1.0]]]), (4,), (1,), (1,), ((0, 1),))
    >>> edge.out_space, edge.apply(np.array([[1.0, 2.0, 4.0, 8.0]]))
    ((4,), array([[ 1.,  2.,  4., -8.]]))
    """

    kernel: Float[np.ndarray, "f c *window"]
    space: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    groups: int = 1

    def __post_init__(self) -> None:
        rank = len(self.space)
        given = (len(self.strides), len(self.dilations), len(self.pads), self.kernel.ndim - 2)
        if rank not in (1, 2) or set(given) != {rank}:
            raise ValueError(
                f"a convolution has one or two axes of space; found space {self.space}, strides "
                f"{self.strides}, dilations {self.dilations}, pads {self.pads} and a kernel of "
                f"shape {self.kernel.shape}"
            )
        if min(*self.strides, *self.dilations, self.groups, *self.kernel.shape) < 1:
            raise ValueError("a stride, a dilation, the groups or an axis of the kernel is below 1")
        if min(itertools.chain(*self.pads)) < 0:
            raise ValueError(f"negative pads {self.pads} are not supported")
        if self.kernel.shape[0] % self.groups:
            raise ValueError(f"{self.kernel.shape[0]} filters do not make {self.groups} groups")
        if min(self.out_space) < 1:
            raise ValueError(
                f"the window {self.kernel.shape[2:]} does not fit into space {self.space}"
            )
        padded = (size + sum(pad) for size, pad in zip(self.space, self.pads, strict=True))
        check_values(self.channels * math.prod(padded))
        check_entries(self.entries)

    @property
    def channels(self) -> int:
        """Of what it reads."""
        return self.kernel.shape[1] * self.groups

    @property
    def filters(self) -> int:
        """Channels of what it makes."""
        return self.kernel.shape[0]

    @property
    def out_space(self) -> tuple[int, ...]:
        """Of what it makes, without the channels."""
        return tuple(
            (size + sum(pad) - dilation * (window - 1) - 1) // stride + 1
            for size, pad, dilation, window, stride in zip(
                self.space,
                self.pads,
                self.dilations,
                self.kernel.shape[2:],
                self.strides,
                strict=True,
            )
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Of its matrix."""
        return (
            self.filters * math.prod(self.out_space),
            self.channels * math.prod(self.space),
        )

    @property
    def entries(self) -> int:
        """Of its matrix, what falls on the padding included."""
        return self.kernel.size * math.prod(self.out_space)

    @property
    def parameters(self) -> int:
        """Of its kernel."""
        return self.kernel.size

    @cached_property
    def _matrix(self) -> Sparse:
        return Sparse(self._as_csr())

    def apply(self, v: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k m"]:
        """By its matrix."""
        return self._matrix.apply(v)

    def pull_back(self, c: Float[np.ndarray, "k m"]) -> Float[np.ndarray, "k n"]:
        """By its matrix."""
        return self._matrix.pull_back(c)

    def magnitude(self) -> Convolution:
        """The convolution with the magnitudes of its kernel."""
        return replace(self, kernel=np.abs(self.kernel))

    def scaled(self, factor: Float[np.ndarray, " f"]) -> Convolution:
        """The convolution whose every filter is multiplied by a number of its own."""
        return replace(self, kernel=self.kernel * factor.reshape(-1, *[1] * (self.kernel.ndim - 1)))

    def tocsr(self) -> sp.csr_array:
        """Its matrix."""
        return self._matrix.matrix

    def rescaled(
        self, rows: Float[np.ndarray, " m"], columns: Float[np.ndarray, " n"]
    ) -> LinearMap:
        """Itself where nothing changes, else its matrix, rescaled."""
        if np.all(rows == 1) and np.all(columns == 1):
            return self
        return self._matrix.rescaled(rows, columns)

    def is_finite(self) -> bool:
        """See `LinearMap.is_finite`."""
        return bool(np.all(np.isfinite(self.kernel)))

    def _as_csr(self) -> sp.csr_array:
        """Entry by entry: for each place of the window, which inputs meet which outputs there."""
        groups, filters, channels = self.groups, self.filters, self.channels
        out = self.out_space
        within = np.arange(channels * math.prod(self.space)).reshape(channels, *self.space)
        padded = np.pad(within, ((0, 0), *self.pads), constant_values=-1)
        made = np.arange(filters * math.prod(out)).reshape(groups, filters // groups, 1, *out)
        shape = (groups, filters // groups, channels // groups, *out)
        rows, columns, values = [], [], []
        for place in np.ndindex(*self.kernel.shape[2:]):
            window = tuple(
                slice(at * dilation, at * dilation + (size - 1) * stride + 1, stride)
                for at, dilation, size, stride in zip(
                    place, self.dilations, out, self.strides, strict=True
                )
            )
            met = padded[(slice(None), *window)].reshape(groups, 1, channels // groups, *out)
            weight = self.kernel[(slice(None), slice(None), *place)]
            weight = weight.reshape(groups, filters // groups, -1, *[1] * len(out))
            inside = np.broadcast_to(met >= 0, shape)
            rows.append(np.broadcast_to(made, shape)[inside])
            columns.append(np.broadcast_to(met, shape)[inside])
            values.append(np.broadcast_to(weight, shape)[inside])
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return sp.csr_array(sp.coo_array(entries, shape=self.shape))


def linear_map(matrix: sp.csr_array | Float[np.ndarray, "m n"]) -> LinearMap:
    """The matrix, kept dense unless most of it is empty and it is large.

    >>> type(linear_map(np.eye(3))).__name__, type(linear_map(np.eye(300))).__name__
    ('Dense', 'Sparse')
    """
    size = math.prod(matrix.shape)
    if isinstance(matrix, np.ndarray):
        thin = size > _SMALL and np.count_nonzero(matrix) < _THIN * size
        return Sparse(sp.csr_array(matrix)) if thin else Dense(matrix)
    if size > _SMALL and matrix.nnz < _THIN * size:
        return Sparse(matrix)
    check_entries(size)
    return Dense(matrix.toarray())


def composed(after: LinearMap, before: LinearMap) -> LinearMap | None:
    """The product of two maps, None where keeping both is cheaper, or keeps a convolution.

    >>> composed(Dense(np.array([[2.0]])), Dense(np.array([[3.0, 1.0]]))).toarray()
    array([[6., 2.]])
    """
    if isinstance(after, Convolution) or isinstance(before, Convolution):
        return None
    if isinstance(after, Dense) and isinstance(before, Dense):
        fits = after.shape[0] * before.shape[1] <= MOST_ENTRIES
        return Dense(after.matrix @ before.matrix) if fits else None
    try:
        both = product(after.tocsr(), before.tocsr())
        return linear_map(both) if both.nnz <= after.entries + before.entries else None
    except ValueError:  # too large
        return None


def product(after: sp.csr_array, before: sp.csr_array) -> sp.csr_array:
    """The matrix product, without zeros.

    Raises:
        ValueError: it may hold more than `MOST_ENTRIES`.
    """
    met = np.bincount(after.indices, minlength=after.shape[1]) @ np.diff(before.indptr)
    check_entries(min(int(met), after.shape[0] * before.shape[1]))
    both = sp.csr_array(after @ before)
    both.eliminate_zeros()
    return both
