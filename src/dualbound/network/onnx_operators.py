"""The registry of ONNX operators, and those of linear algebra and of shapes.

Each is a small function that reads its operands, at least one of them variable, and gives the
variable tensor (or tensors) that it makes. Semantics: https://onnx.ai/onnx/operators/, all versions
from operator set 7 on.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from scipy import sparse

from dualbound.network.elementwise import Elementwise, Relu
from dualbound.network.onnx_file import FLOATS
from dualbound.network.tensors import (
    NotAffine,
    Operand,
    Variable,
    add,
    matmul,
    reshape,
    scale,
    subtract,
    transpose,
)


class Graph(ABC):
    """The network under construction, as far as an operator adds to it."""

    @abstractmethod
    def as_node(self, x: Variable) -> Variable:
        """The tensor as the value of a node, made if it is none yet."""

    @abstractmethod
    def applied(self, op: Elementwise, x: Variable) -> Variable:
        """A nonlinearity applied to every entry."""


@dataclass(frozen=True, eq=False)
class Call:
    """An operator applied.

    Attributes:
        operands: what it reads, None where left out.
        attributes: by name.
        node: the ONNX node.
        opsets: versions of the operator sets.
        graph: takes the nodes that it needs.
    """

    operands: tuple[Operand | None, ...]
    attributes: Mapping[str, Any]
    node: onnx.NodeProto
    opsets: Mapping[str, int]
    graph: Graph

    @property
    def opset(self) -> int:
        """The version of the operator's own set."""
        return self.opsets.get(self.node.domain, 1)

    def __getitem__(self, position: int) -> Operand:
        operand = self.get(position)
        if operand is None:
            raise ValueError(f"its input {position} is missing")
        return operand

    def get(self, position: int) -> Operand | None:
        """The operand there, None where it is left out."""
        return self.operands[position] if position < len(self.operands) else None

    def variable(self, position: int) -> Variable:
        """The operand there, which must depend on the network's input."""
        operand = self[position]
        if isinstance(operand, Variable):
            return operand
        raise NotAffine(f"its input {position} is a constant, another one is not")

    def constant_or_none(self, position: int) -> np.ndarray | None:
        """The constant operand there, None where it is left out."""
        return None if self.get(position) is None else self.constant(position)

    def rectified(self, x: Operand) -> Operand:
        """``max(x, 0)``."""
        return self.applied(Relu(), x)

    def applied(self, op: Elementwise, x: Operand) -> Operand:
        """A nonlinearity applied to every entry."""
        if isinstance(x, np.ndarray):
            return op(x.astype(float))
        return self.graph.applied(op, x)

    def reduced(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The axes that a reduction runs over, and the shape that is left."""
        new = 13 if self.node.op_type == "ReduceSum" else 18
        if self.opset >= new:
            given = () if self.get(1) is None else self.integers(1)
            if not given and self.attributes.get("noop_with_empty_axes"):
                return (), shape
        else:
            given = tuple(self.attributes.get("axes", ()))
        axes = distinct(given, len(shape)) if given else tuple(range(len(shape)))
        if self.attributes.get("keepdims", 1):
            return axes, tuple(1 if k in axes else size for k, size in enumerate(shape))
        return axes, tuple(size for k, size in enumerate(shape) if k not in axes)

    def constant(self, position: int) -> np.ndarray:
        """The operand there, which must not depend on the network's input."""
        operand = self[position]
        if isinstance(operand, np.ndarray):
            return operand
        raise NotAffine(f"its input {position} depends on the network's input")

    def integers(self, position: int) -> tuple[int, ...]:
        """A list of sizes or axes given as a constant operand."""
        return tuple(int(n) for n in self.constant(position).reshape(-1))

    def numbers(self, name: str, default: float) -> np.ndarray:
        """A list of real numbers, all finite, in an attribute."""
        values = np.array(self.attributes.get(name, [default]), dtype=float)
        if not np.all(np.isfinite(values)):
            raise ValueError(f"its attribute {name} holds {values[~np.isfinite(values)][0]}")
        return values

    def number(self, name: str, default: float) -> float:
        """A real attribute, which must be finite."""
        value = float(self.attributes.get(name, default))
        if not math.isfinite(value):
            raise ValueError(f"its attribute {name} is {value}")
        return value


Function = Callable[[Call], Operand | tuple[Operand, ...]]

OPERATORS: dict[tuple[str, str], Function] = {}
"""By domain and operator type; the default domain is the empty one."""


def operator(name: str, domain: str = "") -> Callable[[Function], Function]:
    """Enter a function into the registry."""

    def enter(function: Function) -> Function:
        OPERATORS[domain, name] = function
        return function

    return enter


@operator("Sum")
def _sum(call: Call) -> Operand:
    total = call[0]
    for k in range(1, len(call.operands)):
        total = add(total, call[k])
    return total


@operator("Add")
def _add(call: Call) -> Operand:
    return add(call[0], call[1])


@operator("Sub")
def _sub(call: Call) -> Operand:
    return subtract(call[0], call[1])


@operator("Neg")
def _neg(call: Call) -> Operand:
    return scale(call[0], np.array(-1.0))


@operator("Mul")
def _mul(call: Call) -> Operand:
    a, b = call[0], call[1]
    if isinstance(b, np.ndarray):
        return scale(a, b)
    if isinstance(a, np.ndarray):
        return scale(b, a)
    raise NotAffine("it multiplies two tensors that both depend on the input")


@operator("Div")
def _div(call: Call) -> Operand:
    if not isinstance(call[1], np.ndarray):
        raise NotAffine("it divides by a tensor that depends on the input")
    divisor = call.constant(1).astype(float)
    if not divisor.all():
        raise ValueError("it divides by zero")
    return scale(call[0], np.asarray(1.0 / divisor))


@operator("MatMul")
def _matmul(call: Call) -> Operand:
    return matmul(call[0], call[1])


@operator("Gemm")
def _gemm(call: Call) -> Operand:
    """``alpha * A' @ B' + beta * C``, with ``'`` a transpose where asked for."""
    a, b, c = call[0], call[1], call.get(2)
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise ValueError(f"shapes {a.shape} and {b.shape} are not those of two matrices")
    a = transpose(a, (1, 0)) if call.attributes.get("transA") else a
    b = transpose(b, (1, 0)) if call.attributes.get("transB") else b
    product = scale(matmul(a, b), np.array(call.number("alpha", 1.0)))
    if c is None:
        return product
    total = add(product, scale(c, np.array(call.number("beta", 1.0))))
    if total.shape != product.shape:
        raise ValueError(f"its shape {c.shape} does not fit the product's {product.shape}")
    return total


@operator("ReduceSum")
def _reduce_sum(call: Call) -> Operand:
    return summed(call.variable(0), *call.reduced(call[0].shape))


@operator("ReduceMean")
def _reduce_mean(call: Call) -> Operand:
    x = call.variable(0)
    axes, shape = call.reduced(x.shape)
    count = math.prod(x.shape[axis] for axis in axes)
    return scale(summed(x, axes, shape), np.array(1.0 / count))


def summed(x: Variable, axes: tuple[int, ...], shape: tuple[int, ...]) -> Variable:
    """The sum along some axes, in the shape that is left."""
    kept = tuple(1 if k in axes else size for k, size in enumerate(x.shape))
    made = np.arange(math.prod(kept)).reshape(kept)
    rows = np.broadcast_to(made, x.shape).reshape(-1)
    entries = (np.ones(x.size), (rows, np.arange(x.size)))
    return x.under(sparse.csr_array(entries, shape=(made.size, x.size)), shape)


@operator("Identity")
def _identity(call: Call) -> Operand:
    return call[0]


@operator("Dropout")
def _dropout(call: Call) -> Operand:
    if call.get(2) is not None and bool(np.any(call.constant(2))):
        raise NotAffine("it is in training mode; export the model in evaluation mode")
    return call[0]


@operator("Cast")
def _cast(call: Call) -> Operand:
    if call.attributes["to"] not in FLOATS:
        raise NotAffine("it casts to a type that is not floating-point")
    return call[0]


@operator("CastLike")
def _cast_like(call: Call) -> Operand:
    like = call[1]
    if isinstance(like, np.ndarray) and like.dtype.kind in "biuSUO":
        raise NotAffine("it casts to a type that is not floating-point")
    return call[0]


@operator("Flatten")
def _flatten(call: Call) -> Operand:
    shape, axis = call[0].shape, int(call.attributes.get("axis", 1))
    if not -len(shape) <= axis <= len(shape):
        raise ValueError(f"axis {axis} does not exist in shape {shape}")
    axis = axis + len(shape) if axis < 0 else axis
    return reshape(call[0], (math.prod(shape[:axis]), math.prod(shape[axis:])))


@operator("Reshape")
def _reshape(call: Call) -> Operand:
    """The shape asked for; 0 keeps an axis (unless ``allowzero``), -1 takes what is left."""
    x, wanted = call[0], list(call.integers(1))
    if not call.attributes.get("allowzero"):
        wanted = [x.shape[k] if size == 0 else size for k, size in enumerate(wanted)]
    if wanted.count(-1) == 1:
        rest = math.prod(size for size in wanted if size != -1)
        wanted[wanted.index(-1)] = math.prod(x.shape) // rest if rest else 0
    return reshape(x, tuple(wanted))


@operator("Transpose")
def _transpose(call: Call) -> Operand:
    rank = len(call[0].shape)
    return transpose(call[0], tuple(call.attributes.get("perm", reversed(range(rank)))))


@operator("Squeeze")
def _squeeze(call: Call) -> Operand:
    shape = call[0].shape
    axes = _axes(call, len(shape))
    gone = {k for k, size in enumerate(shape) if size == 1} if axes is None else set(axes)
    if any(shape[k] != 1 for k in gone):
        raise ValueError(f"axes {sorted(gone)} of shape {shape} do not all have size 1")
    return reshape(call[0], tuple(size for k, size in enumerate(shape) if k not in gone))


@operator("Unsqueeze")
def _unsqueeze(call: Call) -> Operand:
    shape = call[0].shape
    given = call.attributes["axes"] if call.opset < 13 else call.integers(1)
    axes = _axes(call, len(shape) + len(given)) or ()
    sizes = iter(shape)
    wider = [1 if k in axes else next(sizes) for k in range(len(shape) + len(given))]
    return reshape(call[0], tuple(wider))


def _axes(call: Call, rank: int) -> tuple[int, ...] | None:
    """Axes from the attribute (before operator set 13) or the second input, counted from 0."""
    if call.opset < 13:
        given = call.attributes.get("axes")
    else:
        given = None if call.get(1) is None else call.integers(1)
    if given is None:
        return None
    return distinct(given, rank)


def distinct(given: Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes counted from 0, each once."""
    if any(not -rank <= axis < rank for axis in given):
        raise ValueError(f"axes {tuple(given)} do not exist in {rank} axes")
    axes = tuple(int(axis) % rank for axis in given)
    if len(set(axes)) < len(axes):
        raise ValueError(f"axes {tuple(given)} are named twice")
    return axes


@operator("Scaler", "ai.onnx.ml")
def _scaler(call: Call) -> Operand:
    """``(x - offset) * scale`` with one number, or one for each feature."""
    offset, factor = call.numbers("offset", 0.0), call.numbers("scale", 1.0)
    features = call[0].shape[-1]
    if len(offset) not in (1, features) or len(factor) not in (1, features):
        raise ValueError(f"{len(offset)} offsets and {len(factor)} scales for {features} features")
    return scale(add(call[0], -offset), factor)


def is_over_all_classes(shape: tuple[int, ...], call: Call) -> bool:
    """Whether a softmax is one softmax over all numbers of a tensor, not several over parts.

    Before operator set 13 it runs over all axes from ``axis`` on, since then over that axis only.
    """
    axis = int(call.attributes.get("axis", 1 if call.opset < 13 else -1))
    if not -len(shape) <= axis < len(shape):
        return False
    axis %= len(shape)
    count = math.prod(shape[axis:]) if call.opset < 13 else shape[axis]
    return count == math.prod(shape) > 1
