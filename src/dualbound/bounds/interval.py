"""Interval arithmetic: each node from the bounds of the node that it reads."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dualbound.bounds.layer_bounds import Bounds, magnitude, rounding
from dualbound.errors import InvalidInput
from dualbound.network.elementwise import Elementwise
from dualbound.network.graph import Network
from dualbound.network.linear import LinearMap
from dualbound.network.nodes import Affine, Input, Node
from dualbound.region import Region

_AT_ONCE = 2**23
"""How many coefficients are held densely at a time."""


def interval(network: Network, region: Region, known: Bounds | None = None) -> Bounds:
    r"""Bounds node by node; an affine map of the input ends in the region's support function.

    .. math:: W m - |W| r + b \le W v + b \le W m + |W| r + b, \quad
        m = \tfrac{l + u}{2},\ r = \tfrac{u - l}{2}

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
        case Affine(maps, bias):
            slack = rounding(node.op.terms) * magnitude(network, region, bounds, node.name)
            low, high = bias - slack, bias + slack
            for part, sizes, name in zip(maps, node.op.magnitudes, node.reads, strict=True):
                if name == network.input:
                    under, over = _over_region(region, part)
                else:
                    middle = (bounds.lower[name] + bounds.upper[name]) / 2
                    radius = (bounds.upper[name] - bounds.lower[name]) / 2
                    center, spread = part.apply(middle[None])[0], sizes.apply(radius[None])[0]
                    under, over = center - spread, center + spread
                low, high = low + under, high + over
            return low, high
        case Elementwise():
            before, op = node.reads[0], node.op
            return op(bounds.lower[before]) - op.err, op(bounds.upper[before]) + op.err


def _over_region(
    region: Region, part: LinearMap
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """The extremes of a map of the inputs, some rows at a time."""
    rows, columns = part.shape
    step = max(_AT_ONCE // max(columns, 1), 1)
    low, high = np.empty(rows), np.empty(rows)
    matrix = part.toarray() if rows <= step else part.tocsr()
    for first in range(0, rows, step):
        chosen = matrix[first : first + step]
        some = chosen if isinstance(chosen, np.ndarray) else chosen.toarray()
        both = region.support(np.vstack([some, -some]))
        low[first : first + step] = -both[len(some) :]
        high[first : first + step] = both[: len(some)]
    return low, high
