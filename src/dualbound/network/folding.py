"""Affine maps in a row as one, where that is no larger."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from dualbound.network.linear import LinearMap, composed, linear_map
from dualbound.network.nodes import Affine, Input, Node, check_sizes


def folded(nodes: tuple[Node, ...], output: str) -> tuple[Node, ...]:
    """Affine nodes folded into those that read them, without what nobody reads.

    Folding multiplies weights in float64. It never changes the function, only its rounding.
    """
    folded: dict[str, Node] = {}
    for node in nodes:
        folded[node.name] = _fold(node, folded) if isinstance(node.op, Affine) else node
    return _ancestors(tuple(folded.values()), output)


def _fold(node: Node, before: dict[str, Node]) -> Node:
    """An affine node that reads through the affine nodes before it."""
    assert isinstance(node.op, Affine)  # noqa: S101  # the caller has matched it
    parts: list[tuple[str, LinearMap]] = []
    bias = node.op.bias
    with np.errstate(over="ignore", invalid="ignore"):
        for name, outer in zip(node.reads, node.op.maps, strict=True):
            inner = before[name].op
            products: list[LinearMap | None] = [None]
            if isinstance(inner, Affine):
                products = [composed(outer, one) for one in inner.maps]
            if isinstance(inner, Affine) and all(product is not None for product in products):
                parts += zip(before[name].reads, products, strict=True)  # type: ignore[arg-type]
                bias = outer.apply(inner.bias[None])[0] + bias
            else:
                parts.append((name, outer))
        if [name for name, _ in parts] == list(node.reads):
            return node
        merged: dict[str, LinearMap] = {}
        for name, one in parts:
            merged[name] = (
                linear_map(sp.csr_array(merged[name].tocsr() + one.tocsr()))
                if name in merged
                else one
            )
    node = replace(node, op=Affine(tuple(merged.values()), bias), reads=tuple(merged))
    check_sizes(node, [before[name].size for name in node.reads])
    return node


def _ancestors(nodes: tuple[Node, ...], name: str) -> tuple[Node, ...]:
    """The node ``name``, all that it depends on, and the input, in their old order."""
    wanted = {name}
    for node in reversed(nodes):
        if node.name in wanted:
            wanted.update(node.reads)
    return tuple(node for node in nodes if node.name in wanted or isinstance(node.op, Input))
