"""Gradients of the outputs with respect to the input, on the pattern of each input."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

from dualbound.network.elementwise import Elementwise
from dualbound.network.graph import Network
from dualbound.network.nodes import Affine


def slopes(
    network: Network, x: Float[np.ndarray, "batch n"], direction: Float[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, " batch"], Float[np.ndarray, "batch n"]]:
    """``direction·output`` at every row of ``x``, and its gradient on the row's own pattern.

    >>> net = Network.dense([[[1.0, -1.0]], [[2.0], [-2.0]]], [[0.5], [0.0, 1.0]])
    >>> slopes(net, np.array([[3.0, 1.0], [1.0, 1.0]]), np.array([0.0, 1.0]))
    (array([-4.,  0.]), array([[-2.,  2.],
           [-2.,  2.]]))
    """
    values = network.values(x)
    along = np.broadcast_to(direction, (len(x), direction.size))
    return values[network.output] @ direction, pulled_back(network, values, along)


def pulled_back(
    network: Network, values: dict[str, Float[np.ndarray, "batch _"]], slope: np.ndarray
) -> Float[np.ndarray, "batch n"]:
    """The gradient with respect to the input, of what has this gradient in the outputs.

    Args:
        network: any.
        values: of every node at a batch of inputs, as `Network.values` gives them.
        slope: ``(batch, m)``.
    """
    carried = {network.output: slope}
    for node in reversed(network.nodes[1:]):
        here = carried.pop(node.name, None)
        if here is None:
            continue
        match node.op:
            case Affine(maps, _):
                passed = [one.pull_back(here) for one in maps]
            case Elementwise():
                passed = [here * node.op.slope(values[node.reads[0]])]
        add_to(carried, node.reads, passed)
    none = np.zeros(values[network.input].shape)  # of an output that no input reaches
    return carried.get(network.input, none)


def add_to(
    carried: dict[str, Float[np.ndarray, "k _"]],
    names: Iterable[str],
    passed: Iterable[Float[np.ndarray, "k _"]],
) -> None:
    """Add what is passed back to each of these nodes to what is carried there already."""
    for name, here in zip(names, passed, strict=True):
        carried[name] = carried[name] + here if name in carried else here
