"""Better points near a good one, by small trees: no proofs.

A tree in which all neurons keep the signs that they have at a good point, but for a few that are
near 0 there, is small, and its best point is better than any that gradients find: they stop where
the pattern changes. In the fifth layer of `dnn4` over [0, 1]^784, ascents ended 0.3 to 8 % below
all of eleven maxima; neighbourhoods held all eleven, most of them the first that was looked at
(docs/decisions/0003-columns.md). What a search does with it is its own: `climb_by_trees` looks
for a large goal, a nearest query for a witness nearby.

In the field's words: large neighbourhood search (Danna, Rothberg, Le Pape, *Exploring relaxation
induced neighborhoods to improve MIP solutions*, 2005).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from dualbound.limits import Clock
from dualbound.phases.chain import Chain
from dualbound.phases.moves import Room
from dualbound.phases.tree import PhaseTree

FREE = 16
"""Neurons whose sign is open in a neighbourhood."""

NODES = 20
"""Of its tree, at most."""

FRUITLESS = 3
"""Neighbourhoods of a point, one after another, that hold no better one, before it is kept."""

NOTABLE = 1e-6
"""By what part a point must be better to count."""

Point = Float[np.ndarray, " n"]


def around(
    values: Float[np.ndarray, " h"],
    low: Float[np.ndarray, " h"],
    high: Float[np.ndarray, " h"],
    free: int,
    rng: np.random.Generator | None,
) -> tuple[Float[np.ndarray, " h"], Float[np.ndarray, " h"]]:
    """Bounds of all neurons in a neighbourhood of a point.

    Args:
        values: of all neurons at the point.
        low: lower bounds of them, wherever it may be.
        high: upper bounds likewise.
        free: how many of those whose sign is open may change it, those that are nearest to 0 in
            parts of their range.
        rng: draws others of those near 0; None takes the nearest.

    >>> around(np.array([0.1, -3.0, 0.2]), np.full(3, -4.0), np.full(3, 4.0), 1, None)
    (array([-4., -4.,  0.]), array([4., 0., 4.]))
    """
    distance = np.abs(values) / np.maximum(high - low, 1e-300)
    if rng is not None:
        distance *= rng.exponential(size=len(distance))
    kept = (low < 0) & (high > 0)
    kept[np.argsort(np.where(kept, distance, np.inf), kind="stable")[:free]] = False
    return np.where(kept & (values >= 0), 0.0, low), np.where(kept & (values < 0), 0.0, high)


def climb_by_trees(
    chain: Chain,
    room: Room,
    low: Float[np.ndarray, " h"],
    high: Float[np.ndarray, " h"],
    reference: Point,
    start: Point,
    better: Callable[[Point], tuple[float, Point]],
    clock: Clock,
    rng: np.random.Generator,
) -> tuple[float, Point]:
    """Go from a point to the best of its neighbourhood, and on, while there are better ones.

    Args:
        chain: of the network, with goals.
        room: of its inputs.
        low: lower bounds of all neurons.
        high: upper bounds likewise.
        reference: the point that moves start from.
        start: where to begin.
        better: is handed a point that is in the region up to rounding, and gives one in it that is
            about as good or better, and the smallest goal there.
        clock: when to stop.
        rng: which neurons of those near 0 are free.

    Returns:
        The smallest goal at the last point, and that point.
    """
    best, point = better(start)
    fruitless = 0

    def look(move: Float[np.ndarray, " n"]) -> None:
        nonlocal best, point
        value, further = better(reference + move)
        if value > best:
            best, point = value, further
            tree.raise_least(_beyond(best))

    while fruitless < FRUITLESS and not clock.expired:
        before = best
        values = chain.values(point - reference)
        near = around(values, low, high, FREE, rng if fruitless else None)
        tree = PhaseTree(
            chain, room, clock, least=_beyond(best), low=near[0], high=near[1], on_point=look
        )
        tree.run(NODES)
        fruitless = 0 if best > _beyond(before) else fruitless + 1
    return best, point


def _beyond(value: float) -> float:
    return value + NOTABLE * max(1.0, abs(value))
