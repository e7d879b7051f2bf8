"""The exact extremes of one neuron, by branch and bound on phases."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dualbound.bounds import Bounds
from dualbound.errors import InvalidInput
from dualbound.limits import Clock
from dualbound.network.graph import Network, pattern_at, slopes
from dualbound.phases import Chain, chain_of, reference_of, room_of
from dualbound.region import Region

EXACT = 1e-6
"""A bound is exact when it exceeds a value that was reached by no more than this, relatively."""


def maximum(
    network: Network,
    region: Region,
    bounds: Bounds,
    direction: Float[np.ndarray, " m"],
    clock: Clock,
    starts: Float[np.ndarray, "k n"],
) -> tuple[float, bool]:
    """A proved upper bound on ``direction·output`` over a region, and whether it is exact.

    It is unless the clock stops the search, or rounding leaves it no more to prove.

    Args:
        network: a plain chain that ends in the node of interest.
        region: an L1 ball or a box.
        bounds: of all pre-activations before the output.
        direction: the linear function.
        clock: when to stop.
        starts: points of the region to climb from.

    Raises:
        InvalidInput: the network is no plain chain of affine maps and rectifiers.

    **Trusts** float64 sums within the slack of `phases.propagation`; solvers with nothing.
    """
    from dualbound.phases.tree import PhaseTree

    reference = reference_of(region)
    chain = chain_of(network, region, reference, direction[None], np.zeros(1))
    if chain is None:
        raise InvalidInput(
            "Exact bounds without a solver are for plain chains of affine maps and rectifiers, and "
            "this network is none; use the method milp."
        )
    reached = _climb(network, region, direction, starts)
    low, high = _flat(network, chain, bounds)

    def beyond(value: float) -> float:
        return value + EXACT * (1 + abs(value))

    patterns: set[bytes] = set()

    def look(move: Float[np.ndarray, " n"]) -> None:
        x = region.project((reference + move)[None])[0]
        key = b"".join(np.packbits(on).tobytes() for on in pattern_at(network, x).values())
        # A pattern is climbed once; its point counts each time, for it may be the pattern's best.
        value = float(direction @ network(x))
        if key not in patterns:
            patterns.add(key)
            value = max(value, _climb(network, region, direction, x[None]))
        if beyond(value) > tree.least:
            tree.raise_least(beyond(value))

    tree = PhaseTree(
        chain,
        room_of(region, reference),
        clock,
        least=beyond(reached),
        on_point=look,
        low=low,
        high=high,
    )
    exact = tree.run()
    return max(tree.most, tree.least), exact


def _flat(network: Network, chain: Chain, bounds: Bounds) -> tuple[np.ndarray, np.ndarray]:
    names = [relu.reads[0] for relu in network.relus]
    low = np.concatenate([bounds.lower[name] for name in names])
    return low, np.concatenate([bounds.upper[name] for name in names])


def _climb(
    network: Network,
    region: Region,
    direction: Float[np.ndarray, " m"],
    x: Float[np.ndarray, "k n"],
) -> float:
    """The best value at some points, or further along their patterns: on each it is linear."""
    x, best = x.copy(), np.full(len(x), -np.inf)
    rising = np.arange(len(x))
    for _ in range(20):
        value, slope = slopes(network, x[rising], direction)
        better = value > best[rising] + 1e-9 * (1 + np.abs(value))
        best[rising] = np.maximum(best[rising], value)
        rising = rising[better]
        if not len(rising):
            break
        x[rising] = region.maximiser(slope[better])
    return float(best.max())
