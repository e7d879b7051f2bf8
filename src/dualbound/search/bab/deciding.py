"""What the engine ``bab`` does about one question, step by step, until it is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from dualbound.attacks import ascend
from dualbound.bounds import Bounds
from dualbound.region import Box
from dualbound.search.bab.by_columns import ByColumns, is_for
from dualbound.search.bab.decision import Decision
from dualbound.search.bab.leaf import at_leaf
from dualbound.search.bab.question import Question

if TYPE_CHECKING:
    from torch import Tensor

    from dualbound.bounds.batched import Propagator, Rooms, Spans
    from dualbound.search.bab.bab import Bab
    from dualbound.search.bab.node_bounds import NodeBounds, Nodes

FEW_INPUTS = 10
"""Regions of at most so many inputs are halved, rather than neurons decided."""

FEW_NEURONS = 20
"""With at most so many open rectifiers, and no curve, they are decided whatever the inputs."""

LEAVES = (1, 16, 64, 256)
"""Of the trees that bound single neurons, round after round; 1: none."""

FIRST_NODES = 1500
"""Of the first tree over phases, at least; see `Deciding._most`."""

CLOSED = float(np.nextafter(0.0, 1.0))
"""A closed tree proves that the slack is below 0, and not by how much."""


class Deciding:
    """One search: the question as far as it is open, and the propagators that bound it."""

    def __init__(self, engine: Bab, question: Question, decision: Decision) -> None:
        import torch

        from dualbound.attacks.classifier import device_named
        from dualbound.bounds.batched import Propagator, rooms_of

        self.engine, self.question, self.decision = engine, question, decision
        device_named(engine.device)  # refuses one that is not there
        self.exact: Propagator = Propagator(question.network, device=engine.device)
        self.fast: Propagator = Propagator(
            question.network, dtype=torch.float32, device=engine.device
        )
        self.rooms: Rooms = rooms_of(question.region, device=engine.device)
        self.rng = np.random.default_rng(0)
        self.refuted: dict[int, float] = {}
        self.columns: ByColumns | None = None

    def run(self) -> None:
        """All steps, until one settles the question."""
        decision = self.decision
        decision.enter("bounds")
        spans = self.exact.crown(self.rooms, output=False)
        self.fast.rounding.settle_as(self.exact.rounding)
        self._bound_at_root(spans)
        if decision.settled():
            return
        decision.enter("attack")
        self._attack(restarts=4, steps=20)
        if decision.settled():
            return
        unstable = self._unstable(spans)
        if self._halves(unstable):
            self._inputs()
        else:
            self._phases(spans)

    def _unstable(self, spans: Spans) -> int:
        names = self.question.network.pre_activations
        ends = [spans[name] for name in names]
        return sum(int(((low < 0) & (high > 0)).sum()) for low, high in ends)

    def _halves(self, unstable: int) -> bool:
        """Whether the tree is over inputs."""
        if not isinstance(self.question.region, Box):
            return False
        if self.engine.branching != "auto":
            return self.engine.branching == "inputs"
        network = self.question.network
        few = network.input_size <= FEW_INPUTS
        return few and (unstable > FEW_NEURONS or not network.is_piecewise_linear)

    def _settle(self, worst: Float[np.ndarray, " p"]) -> None:
        """Take what is proved of every polyhedron, and drop those that are refuted."""
        worst = np.where(np.isfinite(worst), worst, -np.inf)
        for p, value in zip(self.question.polyhedra, worst, strict=True):
            self.refuted[int(p)] = max(float(value), self.refuted.get(int(p), -np.inf))
        open_ = np.array([p for p in self.question.polyhedra if not self.refuted[int(p)] > 0])
        self.decision.prove(-min(self.refuted.values()))
        if len(open_) < len(self.question.polyhedra) and len(open_):
            self.question = self.question.only(open_)

    def _bound_at_root(self, spans: Spans) -> None:
        from dualbound.bounds.batched import lines_of

        network = self.question.network
        lines = lines_of(network, spans)
        rows = self.exact.tensor(self.question.rows)[None]
        found = self.exact.backward(network.output, rows, self.rooms, lines)
        bounds = found.bound[0].cpu().numpy() + self.question.sides
        self._settle(self.question.refuted(bounds))
        if not self.decision.settled():
            self._offer(found.x[0])

    def _offer(self, points: Tensor) -> bool:
        """Replay the points that look like witnesses, the clearest first; true if one is."""
        if self.decision.found or not len(points):
            return self.decision.found
        outputs = self.exact.outputs(points.to(self.exact.dtype)).cpu().numpy()
        slack = self.question.slack(outputs)
        for k in np.argsort(-slack)[:3]:
            if slack[k] >= 0 and self.decision.accept(points[k].cpu().numpy().astype(float)):
                self.decision.found = True
                break
        return self.decision.found

    def _attack(self, *, restarts: int, steps: int) -> None:
        """Projected gradient ascent into each open polyhedron, from random points of the region."""
        import torch

        from dualbound.criterion import Polyhedron

        question, region = self.question, self.question.region
        for p in question.polyhedra:
            if self.decision.settled():
                return
            own = question.owner == p
            starts = region.project(region.sample(self.rng, restarts))
            points = ascend(
                question.network,
                region,
                Polyhedron(-question.rows[own], question.sides[own]),
                starts,
                steps=steps,
                step=0.25,
                device=self.engine.device,
                dtype=torch.float32,
                clock=self.decision.clock,
            )
            self._offer(self.exact.tensor(points))

    def _inputs(self) -> None:
        from dualbound.search.bab.input_tree import InputTree

        decision = self.decision
        decision.branching = "inputs"
        decision.enter("search")
        tree = InputTree(self.question, self.exact, self._offer, batch=self.engine.batch or 256)

        def tell() -> None:
            decision.nodes, decision.open = tree.count, tree.open
            decision.report()

        tree.run(decision.clock, tell)
        tell()
        if not decision.found:
            self._end(tree.bound)

    def _phases(self, spans: Spans) -> None:
        """Trees over phases, each with tighter bounds than the one before."""
        from dualbound.bounds.batched import alpha_crown
        from dualbound.search.bab.refining import refined

        decision, clock = self.decision, self.decision.clock
        decision.enter("slopes")
        spans = alpha_crown(
            self.exact, self.rooms, known=spans, steps=10, fast=self.fast, clock=clock
        )
        if is_for(self.question.network):
            self.columns = ByColumns(
                self.question, spans, lambda x: self._offer(self.exact.tensor(x)), clock
            )
        for leaves, next_ in zip(LEAVES, (*LEAVES[1:], None), strict=True):
            if leaves > 1:
                decision.enter("refine")
                spans = refined(
                    self.question.region,
                    self.rooms,
                    spans,
                    exact=self.exact,
                    fast=self.fast,
                    leaves=leaves,
                    clock=clock,
                    look_ahead=self.engine.look_ahead,
                )
            self._tree(spans, self._most(spans, next_), first=leaves == 1)
            if decision.settled():
                return

    def _most(self, spans: Spans, leaves: int | None) -> float:
        """Nodes of a tree before neurons are bounded anew: about half of what that will cost."""
        if leaves is None:
            return np.inf
        return max(FIRST_NODES, leaves * self._unstable(spans))

    def _tree(self, spans: Spans, most: float, *, first: bool) -> None:
        """One tree over phases, of at most so many nodes."""
        from dualbound.search.bab.batched_tree import BatchedTree
        from dualbound.search.bab.node_bounds import NodeBounds

        decision, asked = self.decision, self.question
        decision.enter("slopes")
        relaxation = NodeBounds(asked, self.rooms, spans, exact=self.exact, fast=self.fast)
        decision.unstable = relaxation.unstable
        nodes = relaxation.root()
        relaxation.ascend(nodes, 30, offer=self._offer, clock=decision.clock)
        self._settle(nodes.bound.cpu().numpy())
        if decision.settled():
            return
        if first:
            decision.enter("attack")
            self._attack(restarts=30, steps=50)
            if decision.settled():
                return
        decision.branching = "phases"
        decision.enter("search")
        scores = relaxation.ascend(nodes, 0)
        limits = Bounds(
            {name: low[0].cpu().numpy() for name, (low, _) in spans.items()},
            {name: high[0].cpu().numpy() for name, (_, high) in spans.items()},
        )
        tree = BatchedTree(
            relaxation,
            self._offer,
            lambda node: self._leaf(asked, relaxation, limits, node),
            batch=self.engine.batch or 64,
            steps=self.engine.steps,
            look_ahead=self.engine.look_ahead,
        )
        before = decision.nodes

        def tell() -> None:
            decision.nodes, decision.open = before + tree.count, tree.open
            decision.report()

        tree.push(nodes, scores)
        step = FIRST_NODES if self.columns is None else FIRST_NODES / 32
        while not decision.found:
            if self.columns is not None and tree.open:
                grown = int(step * self.columns.share)
                refuted = {
                    q: grown > 0 and self._by_columns(int(p), grown)
                    for q, p in enumerate(asked.polyhedra)
                }
                tree.forget({q for q, closed in refuted.items() if closed})
            ended = tree.count >= most or decision.clock.expired or tree.is_stuck
            if decision.found or not tree.open or ended:
                break
            tree.run(decision.clock, tell, most=min(most, tree.count + step))
            step = min(2 * step, FIRST_NODES)
            tell()
        if decision.found:
            return
        open_ = asked.polyhedra[sorted(tree.goals)]
        if len(open_):
            self.question = asked.only(open_)
            self.decision.prove(-tree.bound)
        else:
            self._end(np.inf)

    def _by_columns(self, polyhedron: int, nodes: int) -> bool:
        """Let the tree of another engine grow by some nodes; whether the polyhedron is refuted."""
        assert self.columns is not None  # noqa: S101  # the caller has looked
        if self.decision.clock.expired:
            return False
        most = self.columns.run(polyhedron, nodes)
        self.refuted[polyhedron] = max(self.refuted[polyhedron], CLOSED if most < 0 else -most)
        return most < 0

    def _leaf(self, asked: Question, relaxation: NodeBounds, limits: Bounds, node: Nodes) -> float:
        """What is proved of a node whose phases are all decided."""
        if not asked.network.is_piecewise_linear:
            return -np.inf
        polyhedron = int(asked.polyhedra[int(node.goals[0])])
        bound, x = at_leaf(asked, polyhedron, limits, relaxation.phases(node))
        if x is not None and not bound > 0:
            self._offer(self.exact.tensor(x)[None])
        return bound

    def _end(self, bound: float) -> None:
        """Take the worst bound of a tree that has ended; of one that is closed only its sign."""
        self.decision.prove(-bound if bound < np.inf else -CLOSED)
