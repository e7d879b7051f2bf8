"""The inputs near others at which a classifier is worst: found quickly, or proved."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from dualbound.bounds import crown
from dualbound.bounds.crown import maximum
from dualbound.limits import Clock, Limits
from dualbound.network import Network
from dualbound.queries import Neuron, activate
from dualbound.region import Box
from dualbound.tighten.ascent import climb


def box_around(x: Float[np.ndarray, " n"], eps: float) -> Box:
    """The inputs of [0, 1] within a radius of one, L∞; the input alone for a radius of 0."""
    if eps == 0:
        return Box(x, x)
    return Box(np.maximum(x - eps, 0.0), np.minimum(x + eps, 1.0))


def bad_input(
    network: Network, x: Float[np.ndarray, " n"], label: int, eps: float
) -> Float[np.ndarray, " n"]:
    """An input near another whose hinge is large: no proofs.

    Args:
        network: any.
        x: the input, in [0, 1].
        label: the right one.
        eps: how near, L∞.
    """
    region = box_around(x, eps)
    best, at = -math.inf, x
    for j in range(network.output_size):
        if j != label:
            row = np.eye(network.output_size)[j] - np.eye(network.output_size)[label]
            values, points = climb(network, region, row, x[None])
            if values[0] > best:
                best, at = float(values[0]), points[0]
    return at


def worst_input(
    network: Network, x: Float[np.ndarray, " n"], label: int, eps: float, clock: Clock
) -> tuple[Float[np.ndarray, " n"], float]:
    """The input near another whose hinge is largest, and a proved bound of it.

    Args:
        network: any.
        x: the input, in [0, 1].
        label: the right one.
        eps: how near, L∞.
        clock: when to stop.
    """
    region = box_around(x, eps)
    others = [j for j in range(network.output_size) if j != label]
    rows = np.eye(network.output_size)[others] - np.eye(network.output_size)[label]
    ends = maximum(network, region, crown(network, region), network.output, rows)
    worst, value, bound = x, -math.inf, -math.inf
    for j, end in sorted(zip(others, ends, strict=True), key=lambda pair: -pair[1]):
        if end <= value:
            bound = max(bound, float(end))
            break
        left = clock.remaining
        if left <= 0:
            bound = max(bound, float(end))
            break
        found = activate(
            network, {Neuron("logits", j): 1.0, Neuron("logits", label): -1.0}, region,
            gap=1e-6, limits=Limits(None if left == math.inf else left),
        )  # fmt: skip
        bound = max(bound, min(found.bound, float(end)))
        if found.value is not None and found.x is not None and found.value > value:
            worst, value = found.x.reshape(-1), found.value
    return worst, max(0.0, 1 + bound)
