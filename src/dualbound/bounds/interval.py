"""Interval arithmetic: each node from the bounds of the node that it reads."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dualbound.bounds.layer_bounds import Bounds, magnitude, rounding
from dualbound.errors import InvalidInput
from dualbound.network.graph import Affine, Input, Network, Node, Relu
from dualbound.region import Region


def interval(network: Network, region: Region, known: Bounds | None = None) -> Bounds:
    r"""Bounds node by node; an affine map of the input ends in the region's support function.

    .. math:: W^+ l + W^- u + b \le W v + b \le W^+ u + W^- l + b

    Args:
        network: any.
        region: of ``n`` inputs.
        known: bounds over the same region, to start from.

    Returns:
        Bounds of every node.

    **Trusts** float64 arithmetic within the slack of `layer_bounds.rounding`.

    >>> from dualbound.region import Box
    >>> net = Network.dense([[[1.0, -1.0]], [[2.0]]], [[0.5], [1.0]])
    >>> interval(net, Box([0, 0], [1, 1])).upper["affine2"].round(6)
    array([4.])
    """
    bounds = known or Bounds({}, {})
    for node in network.nodes:
        bounds = bounds.intersect(one_node(network, region, bounds, node))
    return bounds


def one_node(network: Network, region: Region, bounds: Bounds, node: Node) -> Bounds:
    """Interval bounds of one node, from those of the node that it reads."""
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = _ends(network, region, bounds, node)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise InvalidInput(
            f"Node {node.name!r}: over this region its values, or the sums that they are, are too "
            "large for float64. Choose a smaller range of inputs, or look at the weights."
        )
    return Bounds({node.name: low}, {node.name: high})


def _ends(
    network: Network, region: Region, bounds: Bounds, node: Node
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    match node.op:
        case Input():
            return region.lower, region.upper
        case Affine(weight, bias):
            slack = rounding(weight.shape[1]) * magnitude(network, region, bounds, node.name)
            if node.reads[0] == network.input:
                both = region.support(np.vstack([weight, -weight]))
                return bias - both[len(bias) :] - slack, bias + both[: len(bias)] + slack
            under, over = bounds.lower[node.reads[0]], bounds.upper[node.reads[0]]
            plus, minus = np.maximum(weight, 0.0), np.minimum(weight, 0.0)
            return (
                plus @ under + minus @ over + bias - slack,
                plus @ over + minus @ under + bias + slack,
            )
        case Relu():
            before = node.reads[0]
            return np.maximum(bounds.lower[before], 0.0), np.maximum(bounds.upper[before], 0.0)
