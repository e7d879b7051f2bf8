"""Tensors while a file is read: constants, and affine functions of one node's flat value.

Every linear operator on one variable tensor is a matrix and a bias on its row-major flat vector.
The matrices stay sparse until a node is made of them, so reshapes, transposes, normalisations and
batched products compose at little cost, and consecutive affine maps fold by themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeVar, final

import numpy as np
from jaxtyping import Float
from scipy import sparse

MOST_ENTRIES = 2**27
"""No tensor and no matrix may hold more numbers than this (1 GiB of float64)."""


class NotAffine(Exception):
    """The operation is not an affine function of one node's value; the message says why."""


@final
@dataclass(frozen=True, eq=False)
class Variable:
    """A tensor that depends on the network's input: ``matrix @ value + bias``, row-major.

    Attributes:
        shape: of the tensor, batch axis included.
        reads: the node whose flat value it is a function of.
        matrix: one row per entry of the tensor, one column per entry of that value.
        bias: one number per entry of the tensor.
    """

    shape: tuple[int, ...]
    reads: str
    matrix: sparse.csr_array
    bias: Float[np.ndarray, " size"]

    @property
    def size(self) -> int:
        """How many numbers the tensor holds."""
        return len(self.bias)

    def is_identity(self) -> bool:
        """Whether the tensor is the node's value itself, perhaps in another shape."""
        rows, columns = self.matrix.shape
        return (
            rows == columns == self.matrix.nnz
            and not self.bias.any()
            and bool(np.all(self.matrix.indptr == np.arange(rows + 1)))
            and bool(np.all(self.matrix.indices == np.arange(rows)))
            and bool(np.all(self.matrix.data == 1.0))
        )


Operand = Variable | np.ndarray
"""What an operator reads: a variable tensor, or a constant."""

T = TypeVar("T", Variable, np.ndarray, Operand)


def check_entries(count: int) -> None:
    """Refuse a tensor or matrix that no memory would hold.

    Raises:
        ValueError: more than `MOST_ENTRIES`.
    """
    if count > MOST_ENTRIES:
        raise ValueError(f"it needs {count} numbers; at most {MOST_ENTRIES} are supported")


def variable(reads: str, shape: tuple[int, ...]) -> Variable:
    """The value of a node, as a tensor of this shape."""
    size = math.prod(shape)
    check_entries(size)
    return Variable(shape, reads, sparse.eye_array(size, format="csr"), np.zeros(size))


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
    return _take(x, _positions(x).transpose(axes))


def swap_last(x: T) -> T:
    """The tensor with its last two axes exchanged, each matrix of a stack transposed."""
    *stack, rows, columns = range(len(x.shape))
    return transpose(x, (*stack, columns, rows))


def broadcast(x: Variable, shape: tuple[int, ...]) -> Variable:
    """The tensor repeated to a larger shape by the usual rules."""
    if x.shape == shape:
        return x
    check_entries(math.prod(shape))
    return _take(x, np.broadcast_to(_positions(x), shape))


def scale(x: Operand, factor: np.ndarray) -> Operand:
    """The product with a constant, entry by entry."""
    if isinstance(x, np.ndarray):
        return np.asarray(x * factor)
    x = broadcast(x, np.broadcast_shapes(x.shape, factor.shape))
    factors = np.broadcast_to(factor.astype(float), x.shape).reshape(-1)
    matrix = sparse.csr_array(sparse.diags_array(factors) @ x.matrix)
    return replace(x, matrix=matrix, bias=factors * x.bias)


def add(a: Operand, b: Operand) -> Operand:
    """The sum, entry by entry.

    Raises:
        NotAffine: both depend on the input, on different sides of a nonlinearity.
    """
    if isinstance(a, np.ndarray):
        return np.asarray(a + b) if isinstance(b, np.ndarray) else _shift(b, a)
    if isinstance(b, np.ndarray):
        return _shift(a, b)
    if a.reads != b.reads:
        raise NotAffine(
            "it joins two branches of the network; residual connections are not supported yet"
        )
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = broadcast(a, shape), broadcast(b, shape)
    return replace(a, matrix=sparse.csr_array(a.matrix + b.matrix), bias=a.bias + b.bias)


def _shift(x: Variable, constant: np.ndarray) -> Variable:
    x = broadcast(x, np.broadcast_shapes(x.shape, constant.shape))
    shift = np.broadcast_to(constant.astype(float), x.shape).reshape(-1)
    return replace(x, bias=x.bias + shift)


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
    product = _multiply(left, right)
    rows, columns = product.shape[-2:]
    kept = (*[rows] * (len(a.shape) > 1), *[columns] * (len(b.shape) > 1))
    return reshape(product, (*product.shape[:-2], *kept))


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
    whole = sparse.csr_array(whole)
    return Variable((*stack, m, n), x.reads, whole @ x.matrix, whole @ x.bias)


def _positions(x: Variable) -> np.ndarray:
    return np.arange(x.size).reshape(x.shape)


def _take(x: Variable, positions: np.ndarray) -> Variable:
    """The tensor whose entries are these flat positions of ``x``."""
    index = positions.reshape(-1)
    return replace(x, shape=positions.shape, matrix=x.matrix[index], bias=x.bias[index])
