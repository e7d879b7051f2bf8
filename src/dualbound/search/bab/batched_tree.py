"""Branch and bound on the phases of unstable neurons, many nodes at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dualbound.limits import Clock
from dualbound.search.bab.node_bounds import NodeBounds, Nodes
from dualbound.search.bab.pending import Pending

AT_LEAF = 30
"""Steps of ascent once every phase is decided and only multipliers and weights are left."""


class BatchedTree:
    """Open nodes of a tree over phases: each goal must be proved positive in all of them.

    Args:
        relaxation: bounds nodes.
        offer: takes points of the region that may be witnesses, ``(b, n)``; true once one is.
        leaf: closes a node whose phases are all decided: its proved bound, or minus infinity.
        batch: nodes that are bounded at once.
        steps: of ascent at every node.
        look_ahead: how many of the most promising neurons are tried before one is decided.
    """

    def __init__(
        self,
        relaxation: NodeBounds,
        offer: Callable[[Tensor], bool],
        leaf: Callable[[Nodes], float],
        *,
        batch: int = 64,
        steps: int = 10,
        look_ahead: int = 3,
    ) -> None:
        self.relaxation = relaxation
        self.count = 0
        self._offer, self._leaf = offer, leaf
        self._batch, self._steps, self._look_ahead = batch, steps, look_ahead
        self._pending: Pending[Nodes] = Pending(Nodes.joined)

    @property
    def open(self) -> int:
        """How many nodes are not closed."""
        return self._pending.count

    @property
    def bound(self) -> float:
        """The worst bound of an open node; infinite when none is open."""
        return self._pending.bound

    def push(self, nodes: Nodes, scores: Tensor, clock: Clock | None = None) -> None:
        """Keep what is not proved, and choose what it is split on.

        Args:
            nodes: bounded.
            scores: of their unstable neurons, see `NodeBounds.ascend`.
            clock: when to stop.
        """
        kept = ~(nodes.bound > 0)
        nodes, scores = nodes[kept], scores[kept]
        if not len(nodes):
            return
        if scores.shape[1] == 0:
            self._close(nodes, clock)
            return
        full = (scores < 0).all(1)
        self._close(nodes[full], clock)
        nodes, scores = nodes[~full], scores[~full]
        if len(nodes):
            nodes.split = self.relaxation.chosen(nodes, scores, self._look_ahead)
            self._pending.stack.append(nodes[torch.argsort(nodes.bound)])

    @property
    def goals(self) -> set[int]:
        """The goals that have an open node."""
        return {int(g) for part in self._pending.groups for g in part.goals}

    def run(
        self, clock: Clock, tell: Callable[[], None] = lambda: None, *, most: float = math.inf
    ) -> bool:
        """Search until no node is open, or a witness is found, or a limit is reached.

        The nodes nearest to a proof are taken first, so that few are open at any time.

        Args:
            clock: when to stop.
            tell: called after every batch.
            most: how many nodes to bound, at most, in all.

        Returns:
            Whether a witness was found.
        """
        while self._pending.stack and self.count < most and not clock.expired:
            children = self._pending.take(self._batch).children()
            self.count += len(children)
            points: list[Tensor] = []
            scores = self.relaxation.ascend(children, self._steps, offer=points.append, clock=clock)
            if self._offer(points[0][~(children.bound > 0)]):
                return True
            self.push(children, scores, clock)
            tell()
        return False

    def forget(self, goals: set[int]) -> None:
        """Close all nodes of some goals, which were proved otherwise."""
        for parts in (self._pending.stack, self._pending.stuck):
            kept = [
                part[torch.tensor([int(goal) not in goals for goal in part.goals])]
                for part in parts
            ]
            parts[:] = [part for part in kept if len(part)]

    @property
    def is_stuck(self) -> bool:
        """Whether all that is open is open for good."""
        return not self._pending.stack

    def _close(self, nodes: Nodes, clock: Clock | None) -> None:
        """Close nodes in which every phase is decided, as many as there is time for."""
        if not len(nodes):
            return
        self.relaxation.ascend(nodes, AT_LEAF, clock=clock)
        for k in range(len(nodes)):
            one, expired = nodes[k : k + 1], clock is not None and clock.expired
            if not one.bound[0] > 0 and (expired or not self._leaf(one) > 0):
                self._pending.stuck.append(one)
