"""The exact extremes of one neuron, by branch and bound on phases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualbound.bounds import Bounds
from dualbound.bounds.crown import maximum as crown_maximum
from dualbound.errors import InvalidInput
from dualbound.limits import Clock
from dualbound.network.gradients import slopes
from dualbound.network.graph import Network
from dualbound.network.patterns import pattern_at
from dualbound.phases import Chain, chain_of, reference_of, room_of
from dualbound.region import Region
from dualbound.tighten.ascent import climb

EXACT = 1e-6
"""A bound is exact when it exceeds a value that was reached by no more than this, relatively."""

PATIENCE = 30
"""Nodes after which a tree that has not ended is planted anew, from a better point."""

ENOUGH = 200
"""Nodes after which one that has not ended either is given narrower neurons."""

NEARLY = 0.2
"""But not where the gap has become less than this part of what it was when it was planted anew."""

PART = 0.25
"""A tree that narrows a neuron has at most this part of the nodes of the one for all."""

CORNERS = 10
"""From how many points a better one is looked for, besides the best."""

Reached = tuple[float, Float[np.ndarray, " n"]]
"""A value, and the point where it is reached."""


@dataclass(frozen=True, eq=False)
class Extreme:
    """The largest value of a linear function over a region, from both sides.

    Attributes:
        value: reached, in float64, at ``x``.
        x: ``(n,)``, in the region up to rounding.
        bound: proved: no point of the region has a larger value.
        closed: whether the search ended by itself; then ``bound`` is ``value`` and the tolerance.
        nodes: of all trees, those included that narrow single neurons, but not those that only look
            for points.
        unstable: neurons whose sign was open at its root.
    """

    value: float
    x: Float[np.ndarray, " n"]
    bound: float
    closed: bool
    nodes: int
    unstable: int


def maximum(
    network: Network,
    region: Region,
    bounds: Bounds,
    direction: Float[np.ndarray, " m"],
    clock: Clock,
    starts: Float[np.ndarray, "k n"],
) -> tuple[float, bool]:
    """The bound of `extreme`, and whether it is exact."""
    found = extreme(network, region, bounds, direction, clock, starts)
    return found.bound, found.closed


def extreme(
    network: Network,
    region: Region,
    bounds: Bounds,
    direction: Float[np.ndarray, " m"],
    clock: Clock,
    starts: Float[np.ndarray, "k n"],
    *,
    gap: float = EXACT,
    threads: int = 1,
    tell: Callable[[float, float, int], None] | None = None,
) -> Extreme:
    """Maximise ``direction·output`` over a region.

    The bound ends up within the gap of the value unless the clock stops the search, or rounding
    leaves it no more to prove. Where a tree has not ended after some nodes, a better point is
    looked for in neighbourhoods of some (`phases.neighbourhood`), and later neurons are narrowed
    to where the goal is reached (`phases.narrowing`), as long as that pays; after either, the tree
    is planted anew.

    Args:
        network: a plain chain that ends in the node of interest.
        region: a box, or a ball of any norm cut with one.
        bounds: of all pre-activations before the output.
        direction: the linear function.
        clock: when to stop.
        starts: points of the region to climb from.
        gap: how far the bound may be above the value, relatively; absolutely for values below 1.
        threads: how many look at nodes.
        tell: is told value, bound and nodes now and then.

    Raises:
        InvalidInput: the network is no plain chain of affine maps and rectifiers, or the region is
            neither a ball nor a box.

    **Trusts** float64 sums within the slack of `phases.propagation`; solvers with nothing.
    """
    from dualbound.phases.narrowing import Narrowing
    from dualbound.phases.neighbourhood import climb_by_trees
    from dualbound.phases.tree import PhaseTree

    if not network.activations:
        return _linear(network, region, bounds, direction)
    reference = reference_of(region)
    chain = chain_of(network, region, reference, direction[None], np.zeros(1))
    if chain is None:
        raise InvalidInput(
            "Exact bounds without a solver are for plain chains of affine maps and rectifiers, and "
            "this network is none; use the method milp."
        )
    values, points = climb(network, region, direction, starts)
    best, x = float(values.max()), points[int(values.argmax())]
    low, high = _flat(network, chain, bounds)

    def beyond(value: float) -> float:
        return value + gap * max(1.0, abs(value))

    patterns: set[bytes] = set()
    bound, spent = np.inf, 0

    def better(point: Float[np.ndarray, " n"]) -> Reached:
        point = region.project(point[None])[0]
        value = float(direction @ network(point))
        key = b"".join(np.packbits(on).tobytes() for on in pattern_at(network, point).values())
        # A pattern is climbed once; its point counts each time, for it may be the pattern's best.
        if key not in patterns:
            patterns.add(key)
            climbed, further = climb(network, region, direction, point[None])
            if climbed[0] > value:
                value, point = float(climbed[0]), further[0]
        return value, point

    def look(move: Float[np.ndarray, " n"]) -> None:
        take(*better(reference + move))

    def take(value: float, point: Float[np.ndarray, " n"]) -> None:
        nonlocal best, x
        if value > best:
            best, x = value, point
            tree.raise_least(beyond(value))
            report()

    def nodes() -> int:
        return spent + narrowing.nodes + tree.nodes

    def report() -> None:
        if tell is not None:
            tell(best, min(bound, max(tree.most, tree.least)), nodes())

    def look_around() -> None:
        """Look for better points near the best, and near corners of what layer 1 makes of all."""
        seeds = rng.spawn(1 + CORNERS)
        corners = region.maximiser(rng.standard_normal((CORNERS, len(chain.first))) @ chain.first)

        def looked(start: Float[np.ndarray, " n"], seed: np.random.Generator) -> Reached:
            return climb_by_trees(chain, room, low, high, reference, start, better, clock, seed)

        with ThreadPoolExecutor(threads) as pool:
            for value, point in pool.map(looked, [x, *corners], seeds):
                take(value, point)

    def planted() -> PhaseTree:
        return PhaseTree(
            chain,
            room,
            clock,
            least=beyond(best),
            on_point=look,
            on_node=report if tell is not None else None,
            low=narrowing.low,
            high=narrowing.high,
            threads=threads,
        )

    room, rng = room_of(region, reference), np.random.default_rng(0)
    narrowing = Narrowing(chain, room, low, high, clock, look, threads)
    tree = planted()
    unstable, allowed = tree.unstable, PATIENCE if len(chain.sizes) > 2 else np.inf
    first_gap: float | None = None
    while True:
        before = tree.nodes
        closed = tree.run(allowed)
        bound = min(bound, max(tree.most, tree.least))
        if closed or clock.expired or tree.nodes - before < allowed:
            return Extreme(best, x, bound, closed, nodes(), unstable)
        if first_gap is None:
            look_around()
            allowed = ENOUGH
            first_gap = bound - best
        elif bound - best > NEARLY * first_gap and narrowing.narrow(
            beyond(best), bound, x - reference, max(1, int(PART * allowed))
        ):
            allowed *= 2
        else:
            allowed = np.inf
            continue
        spent += tree.nodes
        tree = planted()


def _linear(
    network: Network, region: Region, bounds: Bounds, direction: Float[np.ndarray, " m"]
) -> Extreme:
    """Without a rectifier the region's support function says it all, up to rounding."""
    _, slope = slopes(network, region.lower[None], direction)
    x = region.maximiser(slope)[0]
    value = float(direction @ network(x))
    bound = float(crown_maximum(network, region, bounds, network.output, direction[None])[0])
    return Extreme(value, x, max(bound, value), True, 0, 0)


def _flat(network: Network, chain: Chain, bounds: Bounds) -> tuple[np.ndarray, np.ndarray]:
    names = [relu.reads[0] for relu in network.relus]
    low = np.concatenate([bounds.lower[name] for name in names])
    return low, np.concatenate([bounds.upper[name] for name in names])
