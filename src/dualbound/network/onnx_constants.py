"""What does not depend on the input is evaluated by onnx's own reference implementation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from dualbound.network.tensors import check_entries

_RANDOM = {
    *("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike"),
    *("Bernoulli", "Multinomial"),
}
_SHAPED_BY_LAST = {"ConstantOfShape", "Expand"}


def is_deterministic(node: onnx.NodeProto) -> bool:
    """Whether the node is a plain function: not random, without loops or branches inside."""
    graphs = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
    return node.op_type not in _RANDOM and all(a.type not in graphs for a in node.attribute)


def evaluate_constant(
    node: onnx.NodeProto, operands: Sequence[np.ndarray | None], opsets: Mapping[str, int]
) -> np.ndarray:
    """The first output of an operator on constants (None where an operand is left out).

    Raises:
        ValueError: the result is too large, or not an array.

    >>> node = onnx.helper.make_node("Neg", ["x"], ["y"])
    >>> evaluate_constant(node, [np.array([1.0, -2.0])], {"": 17})
    array([-1.,  2.])
    """
    last = operands[-1] if operands else None
    if node.op_type in _SHAPED_BY_LAST and last is not None:
        check_entries(math.prod(int(n) for n in last))
    names = {name for name in node.input if name}
    graph = onnx.helper.make_graph(
        [node],
        "constants",
        [onnx.ValueInfoProto(name=name) for name in sorted(names)],
        [onnx.ValueInfoProto(name=node.output[0])],
    )
    feeds = {name: x for name, x in zip(node.input, operands, strict=True) if name}
    [result] = ReferenceEvaluator(graph, opsets=dict(opsets)).run(None, feeds)
    if not isinstance(result, np.ndarray | np.generic):
        raise ValueError(f"its result is a {type(result).__name__}, not a tensor")
    return np.asarray(result)
