"""Small plain chains by the search of the engine ``columns``: nodes cost more and prove more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from dualbound.limits import Clock, core_count
from dualbound.network.graph import Network
from dualbound.phases import Chain, chain_of, reference_of, room_of
from dualbound.region import Box, L1Ball, L2Ball, Region
from dualbound.search.bab.question import Question

if TYPE_CHECKING:
    from dualbound.bounds.batched import Spans

MOST_NEURONS = 128
"""Of networks whose polyhedra are also looked at in this way."""

SHARE = 1 / 32
"""Nodes of this tree, for each of the other one's."""

SMALL = 8_000
"""Fewer where the first layer has more weights than this: by them the cost of nodes grows here, and
hardly does it there."""


def is_for(network: Network) -> bool:
    """Whether a network is so small, as far as its numbers tell."""
    return (
        network.is_piecewise_linear
        and 0 < sum(relu.size for relu in network.relus) <= MOST_NEURONS
        and all(len(node.reads) <= 1 for node in network.nodes)
    )


class ByColumns:
    """Trees of `phases.PhaseTree`, one for each open polyhedron; each goes on where it was.

    Attributes:
        share: nodes of these trees, for each of the other one's.

    Args:
        question: what is asked.
        spans: bounds of every node over the region.
        offer: takes points of the region that may be witnesses, ``(b, n)``.
        clock: when to stop.
    """

    def __init__(
        self,
        question: Question,
        spans: Spans,
        offer: Callable[[Float[np.ndarray, "b n"]], object],
        clock: Clock,
    ) -> None:
        from dualbound.phases.tree import PhaseTree  # brings numba along

        self._trees: dict[int, PhaseTree] = {}
        self.share = SHARE
        region = question.region
        if not _has_moves(region):
            return
        reference = reference_of(region)
        room = room_of(region, reference)

        def on_point(move: Float[np.ndarray, " n"]) -> None:
            offer(region.project((reference + move)[None]))

        for p in question.polyhedra:
            own = question.owner == p
            chain = chain_of(
                question.network, region, reference, -question.rows[own], question.sides[own]
            )
            if chain is None:
                return
            self.share = SHARE * min(1.0, SMALL / chain.first.size)
            low, high = _flat(question.network, chain, spans)
            self._trees[int(p)] = PhaseTree(
                chain,
                room,
                clock,
                on_point=on_point,
                low=low,
                high=high,
                dives=False,  # its nodes take turns with those of another tree
                threads=core_count(),
            )

    def run(self, polyhedron: int, nodes: int) -> float:
        """Let the tree of a polyhedron grow by so many nodes.

        Returns:
            What is proved of its smallest goal: nowhere more than this; minus infinity where it is
            closed, infinity where there is no tree.
        """
        tree = self._trees.get(polyhedron)
        if tree is None:
            return np.inf
        return -np.inf if tree.run(nodes) else max(tree.most, tree.least)


def _has_moves(region: Region) -> bool:
    """Whether a region is a room of moves: a box, or a ball whose centre is in its box."""
    if isinstance(region, L1Ball | L2Ball):
        return bool(region.box.violation(region.center[None])[0] == 0.0)
    return isinstance(region, Box)


def _flat(
    network: Network, chain: Chain, spans: Spans
) -> tuple[Float[np.ndarray, " h"] | None, Float[np.ndarray, " h"] | None]:
    """Bounds of all neurons of a chain in a row; None where they are not those of the network."""
    ends = [spans[relu.reads[0]] for relu in network.relus]
    low, high = (np.concatenate([e[k][0].cpu().numpy() for e in ends]) for k in (0, 1))
    return (low, high) if len(low) == chain.hidden else (None, None)
