"""Tensors while a file is read: constants, and affine functions of some nodes' flat values.

Every linear operator on a variable tensor is a map on its row-major flat vector. The maps stay
sparse until a node is made of them, so reshapes, transposes, normalisations and batched products
compose at little cost, and consecutive affine maps fold by themselves. A convolution of a node's
own value stays one; a number for each channel is multiplied into it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, final

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from dualbound.network.linear import (
    Convolution,
    LinearMap,
    Sparse,
    check_entries,
    check_values,
    product,
)


class NotAffine(Exception):
    """The operation is not an affine function of what it reads; the message says why."""


@final
@dataclass(frozen=True, eq=False)
class Variable:
    """A tensor that depends on the network's input: a sum of maps of nodes' values, and a bias.

    Attributes:
        shape: of the tensor, batch axis included.
        maps: by name of a node, the map of its flat value to the row-major flat tensor.
        bias: one number per entry of the tensor.
    """

    shape: tuple[int, ...]
    maps: Mapping[str, LinearMap]
    bias: Float[np.ndarray, " size"]

    @property
    def size(self) -> int:
        """How many numbers the tensor holds."""
        return len(self.bias)

    @property
    def node(self) -> str | None:
        """The node whose value the tensor is, perhaps in another shape; None if it is no such."""
        if len(self.maps) != 1 or self.bias.any():
            return None
        [(name, one)] = self.maps.items()
        rows, columns = one.shape
        if not isinstance(one, Sparse) or not rows == columns == one.entries:
            return None
        matrix = one.matrix
        same = (
            np.all(matrix.indptr == np.arange(rows + 1))
            and np.all(matrix.indices == np.arange(rows))
            and np.all(matrix.data == 1.0)
        )
        return name if same else None

    @property
    def is_convolved(self) -> bool:
        """Whether it is a convolution, or a sum with one in it."""
        return any(isinstance(one, Convolution) for one in self.maps.values())

    def under(self, matrix: sparse.csr_array, shape: tuple[int, ...]) -> Variable:
        """``matrix @ flat tensor``, in this shape.

        Raises:
            ValueError: a product is too large to be held.
        """
        maps = {name: Sparse(product(matrix, m.tocsr())) for name, m in self.maps.items()}
        return Variable(shape, maps, matrix @ self.bias)


Operand = Variable | np.ndarray
"""What an operator reads: a variable tensor, or a constant."""

T = TypeVar("T", Variable, np.ndarray, Operand)


def variable(reads: str, shape: tuple[int, ...]) -> Variable:
    """The value of a node, as a tensor of this shape."""
    size = math.prod(shape)
    check_values(size)
    return Variable(shape, {reads: Sparse(sparse.eye_array(size, format="csr"))}, np.zeros(size))


def reshape(x: T, shape: tuple[int, ...]) -> T:
    """The same numbers in another shape (no -1 here).

    Raises:
        ValueError: the shape does not hold as many numbers.
    """
    if isinstance(x, np.ndarray):
        return x.reshape(shape)
    if math.prod(shape) != x.size or min(shape, default=1) < 0:
        raise ValueError(f"shape {x.shape} ({x.size} numbers) cannot become {shape}")
    return replace(x, shape=shape)


def transpose(x: T, axes: tuple[int, ...]) -> T:
    """The tensor with its axes in this order."""
    if isinstance(x, np.ndarray):
        return x.transpose(axes)
    return take(x, positions(x).transpose(axes))


def swap_last(x: T) -> T:
    """The tensor with its last two axes exchanged, each matrix of a stack transposed."""
    *stack, rows, columns = range(len(x.shape))
    return transpose(x, (*stack, columns, rows))


def broadcast(x: Variable, shape: tuple[int, ...]) -> Variable:
    """The tensor repeated to a larger shape by the usual rules."""
    if x.shape == shape:
        return x
    check_values(math.prod(shape))
    return take(x, np.broadcast_to(positions(x), shape))


def scale(x: Operand, factor: np.ndarray) -> Operand:
    """The product with a constant, entry by entry."""
    if isinstance(x, np.ndarray):
        return np.asarray(x * factor)
    x = broadcast(x, np.broadcast_shapes(x.shape, factor.shape))
    factors = np.broadcast_to(factor.astype(float), x.shape).reshape(-1)
    maps = {name: _scaled(one, factors) for name, one in x.maps.items()}
    return replace(x, maps=maps, bias=factors * x.bias)


def _scaled(one: LinearMap, factors: Float[np.ndarray, " size"]) -> LinearMap:
    """The map with each of its values multiplied by a number."""
    if isinstance(one, Convolution):
        each = factors.reshape(one.filters, -1)
        if np.all(each == each[:, :1]):
            return one.scaled(each[:, 0])
    return Sparse(sparse.csr_array(sparse.diags_array(factors) @ one.tocsr()))


def add(a: Operand, b: Operand) -> Operand:
    """The sum, entry by entry."""
    if isinstance(a, np.ndarray):
        return np.asarray(a + b) if isinstance(b, np.ndarray) else _shift(b, a)
    if isinstance(b, np.ndarray):
        return _shift(a, b)
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = broadcast(a, shape), broadcast(b, shape)
    maps = dict(a.maps)
    for name, one in b.maps.items():
        maps[name] = (
            Sparse(sparse.csr_array(maps[name].tocsr() + one.tocsr())) if name in maps else one
        )
    return Variable(shape, maps, a.bias + b.bias)


def subtract(a: Operand, b: Operand) -> Operand:
    """The difference, entry by entry."""
    return add(a, scale(b, np.array(-1.0)))


def _shift(x: Variable, constant: np.ndarray) -> Variable:
    x = broadcast(x, np.broadcast_shapes(x.shape, constant.shape))
    shift = np.broadcast_to(constant.astype(float), x.shape).reshape(-1)
    return replace(x, bias=x.bias + shift)


def concatenate(parts: Sequence[Operand], axis: int) -> Operand:
    """The tensors one after another along an axis."""
    indices = np.split(
        np.arange(sum(math.prod(x.shape) for x in parts)),
        np.cumsum([math.prod(x.shape) for x in parts])[:-1],
    )
    shaped = [index.reshape(x.shape) for index, x in zip(indices, parts, strict=True)]
    order = np.concatenate(shaped, axis=axis)
    check_values(order.size)
    where = np.empty(order.size, dtype=np.int64)
    where[order.reshape(-1)] = np.arange(order.size)
    total: Operand = np.zeros(order.size)
    for index, x in zip(indices, parts, strict=True):
        total = add(total, _placed(x, where[index], order.size))
    return reshape(total, order.shape)


def _placed(x: Operand, where: Int[np.ndarray, " k"], size: int) -> Operand:
    """A flat tensor of zeros but for the entries of another one at these positions."""
    if isinstance(x, np.ndarray):
        placed = np.zeros(size)
        placed[where] = x.reshape(-1)
        return placed
    entries = (np.ones(x.size), (where, np.arange(x.size)))
    return x.under(sparse.csr_array(entries, shape=(size, x.size)), (size,))


def matmul(a: Operand, b: Operand) -> Operand:
    """The matrix product by the rules of ``numpy.matmul``, one factor constant.

    Raises:
        NotAffine: both factors depend on the input.
        ValueError: the shapes do not fit.
    """
    if not a.shape or not b.shape:
        raise ValueError(f"shapes {a.shape} and {b.shape} cannot be multiplied")
    left: Operand = reshape(a, (1, *a.shape)) if len(a.shape) == 1 else a
    right: Operand = reshape(b, (*b.shape, 1)) if len(b.shape) == 1 else b
    if left.shape[-1] != right.shape[-2]:
        raise ValueError(f"shapes {a.shape} and {b.shape} cannot be multiplied")
    made = _multiply(left, right)
    rows, columns = made.shape[-2:]
    kept = (*[rows] * (len(a.shape) > 1), *[columns] * (len(b.shape) > 1))
    return reshape(made, (*made.shape[:-2], *kept))


def _multiply(left: Operand, right: Operand) -> Operand:
    """The product of stacks of matrices; a constant on the right is moved to the left."""
    if isinstance(left, np.ndarray):
        if isinstance(right, np.ndarray):
            return np.asarray(np.matmul(left, right))
        return _constant_times(left.astype(float), right)
    if isinstance(right, np.ndarray):
        return swap_last(_constant_times(swap_last(right.astype(float)), swap_last(left)))
    raise NotAffine("it multiplies two tensors that both depend on the input")


def _constant_times(constant: Float[np.ndarray, "*c m k"], x: Variable) -> Variable:
    """``C @ X`` for stacks of matrices; on the flat vector, a block diagonal of ``kron(C, I)``."""
    m, k = constant.shape[-2:]
    n = x.shape[-1]
    stack = np.broadcast_shapes(constant.shape[:-2], x.shape[:-2])
    count = math.prod(stack)
    check_entries(count * m * k * n)
    x = broadcast(x, (*stack, k, n))
    if constant.size == m * k:
        block = sparse.kron(sparse.csr_array(constant.reshape(m, k)), sparse.eye_array(n))
        whole = block if count == 1 else sparse.kron(sparse.eye_array(count), block)
    else:
        each = np.broadcast_to(constant, (*stack, m, k)).reshape(count, m, k)
        whole = sparse.block_diag([sparse.kron(c, sparse.eye_array(n)) for c in each])
    return x.under(sparse.csr_array(whole), (*stack, m, n))


def positions(x: Variable) -> np.ndarray:
    """Where each entry is in the flat tensor, in the tensor's shape."""
    return np.arange(x.size).reshape(x.shape)


def take(x: Variable, chosen: np.ndarray, missing: float = 0.0) -> Variable:
    """The tensor whose entries are these flat positions of ``x``; -1 stands for a constant."""
    index = chosen.reshape(-1)
    check_values(index.size)
    present = np.flatnonzero(index >= 0)
    entries = (np.ones(len(present)), (present, index[present]))
    moved = x.under(sparse.csr_array(entries, shape=(index.size, x.size)), chosen.shape)
    return replace(moved, bias=np.where(index >= 0, moved.bias, missing))
