"""Activation patterns: which neurons are active at an input, and what the network is there."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from dualbound.errors import InvalidModel
from dualbound.network.elementwise import Elementwise, Relu
from dualbound.network.graph import Network
from dualbound.network.nodes import Affine, Input

Pattern = dict[str, Bool[np.ndarray, " k"]]
"""For every rectifier node, which of its neurons are active."""


def require_piecewise_linear(network: Network) -> None:
    """Refuse a network with activations other than rectifiers, for what needs their phases.

    Raises:
        InvalidModel: there is one.
    """
    for name, op in network.activations.items():
        if not isinstance(op, Relu):
            raise _not_linear(name, op)


def _not_linear(name: str, op: Elementwise) -> InvalidModel:
    return InvalidModel(
        f"Node {name!r} is a {op.operator}; this question, or this engine, is for networks of "
        "affine maps and rectifiers only. `verify`, `bounds`, `activate`, and `nearest` in l1, l2 "
        "and linf know others too."
    )


def pattern_at(network: Network, x: Float[np.ndarray, " n"]) -> Pattern:
    """The activation pattern at one input; a pre-activation of exactly 0 counts as inactive.

    Raises:
        InvalidModel: an activation is no rectifier.
    """
    require_piecewise_linear(network)
    values = network.values(x[None])
    return {relu.name: values[relu.reads[0]][0] > 0 for relu in network.relus}


def maps_on_pattern(
    network: Network, pattern: Pattern
) -> dict[str, tuple[Float[np.ndarray, "_ n"], Float[np.ndarray, " _"]]]:
    """Every node as an affine map of the input, on the region where ``pattern`` holds.

    Raises:
        InvalidModel: an activation is no rectifier.

    >>> net = Network.dense([[[1.0, -1.0]], [[2.0], [-2.0]]], [[0.5], [0.0, 1.0]])
    >>> weight, bias = maps_on_pattern(net, {"relu1": np.array([True])})["affine2"]
    >>> weight @ [3.0, 1.0] + bias
    array([ 5., -4.])
    """
    maps: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for node in network.nodes:
        match node.op:
            case Input():
                maps[node.name] = (np.eye(node.size), np.zeros(node.size))
            case Affine(parts, bias):
                weights, total = [], bias
                for one, name in zip(parts, node.reads, strict=True):
                    before, constant = maps[name]
                    first = name == network.input
                    weights.append(one.toarray() if first else one.apply(before.T).T)
                    total = one.apply(constant[None])[0] + total
                maps[node.name] = (sum(weights[1:], start=weights[0]), total)
            case Relu():
                before, constant = maps[node.reads[0]]
                active = pattern[node.name]
                maps[node.name] = (before * active[:, None], constant * active)
            case Elementwise():
                raise _not_linear(node.name, node.op)
    return maps
