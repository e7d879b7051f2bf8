"""What does not depend on the input is evaluated by onnx's own reference implementation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from dualbound.network.linear import check_entries

_MOST_AXES = 64
_RANDOM = {
    *("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike"),
    *("Bernoulli", "Multinomial"),
}


def is_deterministic(node: onnx.NodeProto) -> bool:
    """Whether the node is a plain function: not random, without loops or branches inside."""
    graphs = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
    return node.op_type not in _RANDOM and all(a.type not in graphs for a in node.attribute)


def evaluate_constant(
    node: onnx.NodeProto, operands: Sequence[np.ndarray | None], opsets: Mapping[str, int]
) -> tuple[np.ndarray, ...]:
    """The outputs of an operator on constants (None where an operand is left out).

    Raises:
        ValueError: the result is too large, or not an array.

    >>> node = onnx.helper.make_node("Neg", ["x"], ["y"])
    >>> evaluate_constant(node, [np.array([1.0, -2.0])], {"": 17})
    (array([-1.,  2.]),)
    """
    present = [operand for operand in operands if operand is not None]
    if len(present) == len(operands):
        check_entries(_entries(node.op_type, *present))
    names = {name for name in node.input if name}
    graph = onnx.helper.make_graph(
        [node],
        "constants",
        [onnx.ValueInfoProto(name=name) for name in sorted(names)],
        [onnx.ValueInfoProto(name=name) for name in node.output if name],
    )
    feeds = {name: x for name, x in zip(node.input, operands, strict=True) if name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, of means of nothing and the like
        results = ReferenceEvaluator(graph, opsets=dict(opsets)).run(None, feeds)
    for result in results:
        if not isinstance(result, np.ndarray | np.generic):
            raise ValueError(f"its result is a {type(result).__name__}, not a tensor")
    named = iter(results)
    return tuple(np.asarray(next(named)) if name else np.zeros(0) for name in node.output)


def _entries(operator: str, *operands: np.ndarray) -> int:
    """How many numbers an operator makes, where its operands' values say it; 0 if they do not.

    >>> _entries("Tile", np.zeros((2, 3)), np.array([1, 5]))
    30
    """
    sizes = [int(n) for n in operands[-1].reshape(-1)[:_MOST_AXES]] if operands else []
    match operator:
        case "ConstantOfShape":
            return math.prod(sizes)
        case "Expand":
            return math.prod(np.broadcast_shapes(operands[0].shape, tuple(sizes)))
        case "Tile":
            if len(sizes) != operands[0].ndim:
                raise ValueError(f"it repeats {operands[0].ndim} axes {len(sizes)} times")
            return operands[0].size * math.prod(sizes)
        case "Range":
            start, limit, step = (float(x.reshape(-1)[0]) for x in operands)
            return math.ceil((limit - start) / step)
    return 0
