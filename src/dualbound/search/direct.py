"""What comes before any search for a largest value: bounds, a first point and a first proof."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from dualbound.bounds import Bounds, crown
from dualbound.bounds.crown import maximum as crown_maximum
from dualbound.bounds.layer_bounds import rounding
from dualbound.network.graph import Network
from dualbound.region import Box, Region
from dualbound.search.objective import Objective
from dualbound.search.optimum import Optimum
from dualbound.tighten.ascent import ascend_and_climb, climb

STARTS, STARTS_A_NEURON = 1000, 40
"""Points of the region that a first point is looked for from, at most and for each neuron."""

FEWEST_STARTS = 30
"""The same where hardly a neuron can change its phase; in between by the square of the share."""

STARTS_FOR_A_SIDE = 100
"""The same where it is enough to know the side of a number that the largest value is on: decisions
are quick, and find more where there is more."""


def directly(
    optimum: Optimum,
    method: Callable[[Network, Region], Bounds],
    hints: Objective | None = None,
) -> Bounds:
    """What comes first, whatever follows: bounds, a first point, and a first proof."""
    objective, region = optimum.objective, optimum.region
    optimum.enter("bounds")
    bounds = method(objective.network, region)
    optimum.prove(_without_search(objective, region, bounds))
    optimum.enter("ascent")
    _look_around(optimum, objective, bounds)
    if hints is not None and not optimum.closed:
        _look_around(optimum, hints, method(hints.network, region))
    return bounds


def _without_search(objective: Objective, region: Region, bounds: Bounds) -> float:
    """A bound by CROWN alone."""
    if not objective.weights:
        most = 0.0
    elif (chained := objective.along_chain(bounds)) is None:
        return np.inf
    else:
        network, direction = chained
        known = bounds if network is objective.network else crown(network, region)
        over = crown_maximum(network, region, known, network.output, direction[None])
        most = min(
            float(over[0]) + objective.rounding(region, bounds), _by_intervals(objective, bounds)
        )
    phases = sum(float(np.maximum(worth, 0.0).sum()) for worth in objective.phases.values())
    return most + phases


def _by_intervals(objective: Objective, bounds: Bounds) -> float:
    """The sum of what each value can add; 0 exactly where that is the most that any adds."""
    terms = [
        np.maximum(weights * bounds.lower[name], weights * bounds.upper[name])
        for name, weights in objective.weights.items()
    ]
    every = np.concatenate(terms)
    return float(every.sum() + rounding(len(every)) * np.abs(every).sum())


def _look_around(optimum: Optimum, objective: Objective, bounds: Bounds) -> None:
    """Offer the best that climbing and ascending from many points come to, until that is proved."""
    region = optimum.region
    most = STARTS if isinstance(region, Box) else STARTS // 5  # a step takes longer there
    neurons = sum(relu.size for relu in objective.network.relus)
    count = min(most, STARTS_A_NEURON * (1 + neurons))
    if neurons and set(objective.network.pre_activations) <= bounds.lower.keys():
        open_ = bounds.unstable_count(objective.network) / neurons
        count = max(min(count, FEWEST_STARTS), round(count * open_**2))
    if optimum.side is not None:
        count = min(count, STARTS_FOR_A_SIDE)
    middle = region.project((region.lower + region.upper)[None] / 2)
    points = np.vstack([middle, region.sample(np.random.default_rng(0), count - 1)])
    optimum.offer(points)
    for name, (costs, center) in objective.squares.items():
        part = objective.network.up_to(name)
        nil = region.project(np.zeros((1, points.shape[1])))
        faint = nil + np.linspace(0, 1, len(points))[:, None] ** 2 * (points - nil)
        optimum.offer(ascend_and_climb(part, region, costs, faint, optimum.clock, around=center)[1])
    chained = objective.along_chain(bounds) if objective.weights else None
    if chained is None:
        return
    network, direction = chained
    for part, along in (*_eager(objective, bounds), chained):
        _, points = climb(part, region, along, points)
        optimum.offer(points)
    if network.relus and (optimum.side is not None or not optimum.closed):
        fresh = region.sample(np.random.default_rng(1), count)
        fresh[: count // 4] = points[np.argsort(-objective(points), kind="stable")[: count // 4]]
        optimum.offer(ascend_and_climb(network, region, direction, fresh, optimum.clock)[1])


def _eager(
    objective: Objective, bounds: Bounds
) -> tuple[tuple[Network, Float[np.ndarray, " m"]], ...]:
    """The objective with pre-activations in place of rectified values: none has a gradient of 0."""
    network = objective.network
    rectified = {relu.name: relu.reads[0] for relu in network.relus}
    weights: dict[str, np.ndarray] = {}
    for name, given in objective.weights.items():
        before = rectified.get(name, name)
        weights[before] = weights.get(before, 0.0) + given
    if weights.keys() == objective.weights.keys():
        return ()
    found = Objective(network, weights).along_chain(bounds)
    return () if found is None else (found,)
