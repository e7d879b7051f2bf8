r"""CROWN: linear bounds carried backwards from a node to the input.

Zhang et al., *Efficient neural network robustness certification with general activation
functions*, NeurIPS 2018. An activation lies between two lines (`envelopes`); a positive coefficient
takes the upper one, a negative one the lower; what arrives at the input is a linear function, whose
maximum is the region's support function.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dualbound.bounds.envelopes import envelope
from dualbound.bounds.interval import one_node
from dualbound.bounds.layer_bounds import Bounds, magnitude, reach, rounding
from dualbound.network.elementwise import Elementwise
from dualbound.network.gradients import add_to
from dualbound.network.graph import Network
from dualbound.network.nodes import Affine, Input
from dualbound.region import Region

_AT_ONCE = 2**23
"""How many coefficients of one node are carried at a time."""


def crown(network: Network, region: Region, known: Bounds | None = None) -> Bounds:
    """CROWN bounds of every affine node, each from those before it.

    Args:
        network: any.
        region: of ``n`` inputs.
        known: bounds over the same region, to start from.

    Returns:
        Bounds of every node, at least as tight as `interval` and as ``known``.

    **Trusts** float64 arithmetic within the slack of `layer_bounds.rounding`.

    >>> from dualbound.region import Box
    >>> net = Network.dense([[[1.0], [-1.0]], [[1.0, -1.0]]], [[0.0, 0.0], [0.0]])
    >>> bounds = crown(net, Box([-1], [1]))  # relu(x) - relu(-x) = x
    >>> bounds.upper["affine2"].round(6)
    array([1.])
    """
    bounds = known or Bounds({}, {})
    for node in network.nodes:
        bounds = bounds.intersect(one_node(network, region, bounds, node))
        if isinstance(node.op, Affine) and node.reads != (network.input,):
            everything = np.arange(node.size)
            bounds = bounds.intersect(backward(network, region, bounds, node.name, everything))
    return bounds


def backward(
    network: Network, region: Region, bounds: Bounds, name: str, chosen: np.ndarray
) -> Bounds:
    """CROWN bounds of some neurons of one affine node; the others keep the bounds they have.

    Args:
        network: any.
        region: of ``n`` inputs.
        bounds: of this node and all pre-activations before it.
        name: the node.
        chosen: indices of its neurons.
    """
    size = network[name].size
    step = max(_AT_ONCE // max(node.size for node in network.nodes), 1)
    lower, upper = bounds.lower[name].copy(), bounds.upper[name].copy()
    for first in range(0, len(chosen), step):
        some = chosen[first : first + step]
        rows = np.zeros((len(some), size))
        rows[np.arange(len(some)), some] = 1.0
        both = maximum(network, region, bounds, name, np.vstack([rows, -rows]))
        lower[some], upper[some] = -both[len(some) :], both[: len(some)]
    return Bounds({name: lower}, {name: upper})


def maximum(
    network: Network,
    region: Region,
    bounds: Bounds,
    name: str,
    directions: Float[np.ndarray, "k m"],
) -> Float[np.ndarray, " k"]:
    """An upper bound on ``directions · value of a node`` over the region.

    Args:
        network: any.
        region: of ``n`` inputs.
        bounds: of all pre-activations before the node, over the region.
        name: the node, of size ``m``.
        directions: one row for each linear function to bound.

    Returns:
        ``(k,)``, rounding included; infinite where float64 overflows.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        found = _backward(network, region, bounds, name, directions)
    return np.where(np.isfinite(found), found, np.inf)


def _backward(
    network: Network, region: Region, bounds: Bounds, name: str, directions: np.ndarray
) -> Float[np.ndarray, " k"]:
    carried: dict[str, np.ndarray] = {name: directions}
    total, size, terms = np.zeros(len(directions)), np.zeros(len(directions)), network.input_size
    nodes = len(network.nodes)  # each adds to the total once or twice
    for node in reversed(network.nodes):
        coefficients = carried.pop(node.name, None)
        if coefficients is None:
            continue
        match node.op:
            case Input():
                return total + region.support(coefficients) + rounding(terms + 2 * nodes) * size
            case Affine(maps, bias):
                terms = max(terms, node.op.terms)
                size += np.abs(coefficients) @ magnitude(network, region, bounds, node.name)
                total += coefficients @ bias
                passed = [part.pull_back(coefficients) for part in maps]
            case Elementwise():
                size += np.abs(coefficients) @ reach(network, region, bounds, node.name)
                pre = node.reads[0]
                lines = envelope(node.op, bounds.lower[pre], bounds.upper[pre])
                positive, negative = np.maximum(coefficients, 0.0), np.minimum(coefficients, 0.0)
                total += positive @ lines.high + negative @ lines.low
                passed = [positive * lines.high_slope + negative * lines.low_slope]
        add_to(carried, node.reads, passed)
    return total
