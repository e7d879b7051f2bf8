"""Bounds of many nodes of a tree over phases at once: slopes and multipliers, ascended together.

A node is a polyhedron to be refuted, the decided phases of some neurons, and the slopes,
multipliers and weights of the polyhedron's rows that its parent ended with. What is ascended may be
computed in any precision; what is believed is one last pass in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dualbound.bounds.batched import (
    Ascent,
    Lines,
    Passed,
    Propagator,
    Rooms,
    Spans,
    believed,
    lines_of,
)
from dualbound.limits import Clock
from dualbound.search.bab.curved import Curved
from dualbound.search.bab.question import Question

ALPHA_STRIDE = 0.2
"""How far the first step of an ascent moves a slope, about."""

BETA_STRIDE = 0.5
"""The same of a multiplier, relative to the coefficients that it is added to."""

DECAY = 0.9
"""Each step is this part of the one before it."""

LIKELY = 1 / 64
"""The part of the worst rounding that there may well be (on networks that are searched a thousandth
was found): values above it are proved in float64."""


@dataclass(eq=False)
class Nodes:
    """Nodes of a tree, one a row.

    Attributes:
        goals: which polyhedron of the question each asks about, by position.
        weight: of the polyhedron's rows, not negative, their sum 1, ``(b, k)``.
        signs: phases decided: 1 active, -1 inactive, 0 open, ``(b, u)``, ``u`` unstable neurons.
        alpha: slopes of lower lines, ``(b, u)``.
        beta: multipliers of decided phases, ``(b, u)``.
        bound: proved lower bound of the weighted rows, ``(b,)``; above 0, the node is refuted.
        split: the neuron to decide next; those from ``u`` on are no rectifiers.
        low, high: intervals that neurons which are no rectifiers are confined to, ``(b, s)``.
        gamma: their multipliers, ``(b, s)``.
    """

    goals: Tensor
    weight: Tensor
    signs: Tensor
    alpha: Tensor
    beta: Tensor
    bound: Tensor
    split: Tensor
    low: Tensor
    high: Tensor
    gamma: Tensor

    def __len__(self) -> int:
        return len(self.goals)

    def __getitem__(self, chosen: Tensor | slice) -> Nodes:
        return Nodes(*(part[chosen] for part in self.parts()))

    def parts(self) -> tuple[Tensor, ...]:
        """All columns."""
        return (
            *(self.goals, self.weight, self.signs, self.alpha, self.beta, self.bound, self.split),
            *(self.low, self.high, self.gamma),
        )

    @staticmethod
    def joined(several: list[Nodes]) -> Nodes:
        """All nodes of several groups."""
        columns = zip(*(one.parts() for one in several), strict=True)
        return Nodes(*(torch.cat(parts) for parts in columns))

    def children(self) -> Nodes:
        """Both children of every node, those with the active phase, or the upper half, first."""
        each = torch.arange(len(self), device=self.split.device)
        made = self[torch.cat([each, each])]
        unstable = self.signs.shape[1]
        rows = (self.split < unstable).nonzero()[:, 0]
        made.signs[rows, self.split[rows]] = 1
        made.signs[rows + len(self), self.split[rows]] = -1
        rows = (self.split >= unstable).nonzero()[:, 0]
        column = self.split[rows] - unstable
        low, high = self.low[rows, column], self.high[rows, column]
        middle = torch.where((low < -high / 16) & (high > -low / 16), 0.0, (low + high) / 2)
        made.low[rows, column] = middle
        made.high[rows + len(self), column] = middle
        return made


class NodeBounds:
    """The relaxation that all nodes of one tree share.

    Args:
        question: what is asked.
        rooms: its region.
        spans: bounds of every node of the network over it, in float64.
        exact: what it says is believed.
        fast: computes while slopes and multipliers are looked for.
    """

    def __init__(
        self,
        question: Question,
        rooms: Rooms,
        spans: Spans,
        *,
        exact: Propagator,
        fast: Propagator,
    ) -> None:
        self.network = question.network
        self.exact, self.fast = exact, fast
        self._rooms = {p: rooms.to(p.dtype) for p in {exact, fast}}
        rows, sides, self._given = question.padded()
        self._rows = {p: p.tensor(rows) for p in {exact, fast}}
        self._sides = {p: p.tensor(sides) for p in {exact, fast}}
        self.curved = Curved(self.network, spans)
        self._spans = spans
        lines = {relu.name: Lines.of(spans[relu.reads[0]]) for relu in self.network.relus}
        self._base = {
            p: {name: line.to(p.dtype) for name, line in lines.items()} for p in {exact, fast}
        }
        self._index = {name: line.unstable[0].nonzero()[:, 0] for name, line in lines.items()}
        self._part: dict[str, slice] = {}
        self.unstable = 0
        for name, index in self._index.items():
            self._part[name] = slice(self.unstable, self.unstable + len(index))
            self.unstable += len(index)

    def root(self) -> Nodes:
        """One node a polyhedron, nothing decided, CROWN's slopes, all rows alike."""
        device = self.exact.device
        count = len(self._rows[self.exact])
        flat = [self._base[self.fast][name].alpha[0, index] for name, index in self._index.items()]
        alpha = torch.cat([*flat, torch.zeros(0, dtype=self.fast.dtype, device=device)])
        given = self.fast.tensor(self._given)
        return Nodes(
            torch.arange(count, device=device),
            given / given.sum(1, keepdim=True),
            torch.zeros(count, self.unstable, dtype=torch.int8, device=device),
            alpha.expand(count, -1).clone(),
            torch.zeros(count, self.unstable, dtype=self.fast.dtype, device=device),
            torch.full((count,), -torch.inf, dtype=torch.float64, device=device),
            torch.zeros(count, dtype=torch.int64, device=device),
            self.curved.low.repeat(count, 1),
            self.curved.high.repeat(count, 1),
            torch.zeros(count, self.curved.size, dtype=self.fast.dtype, device=device),
        )

    def ascend(
        self,
        nodes: Nodes,
        steps: int,
        *,
        offer: Callable[[Tensor], object] | None = None,
        clock: Clock | None = None,
    ) -> Tensor:
        """Improve slopes, multipliers and weights in place, and prove each node's bound.

        Args:
            nodes: changed: all of these and their bounds.
            steps: of ascent; 0 only evaluates.
            offer: takes the points where the linear bounds are smallest, after the last step.
            clock: when to end the ascent early.

        Returns:
            For every node and unstable neuron, what its relaxation may cost; below 0 where it
            is decided, ``(b, u + s)``.
        """
        p = self.fast
        best = torch.full_like(nodes.bound, -torch.inf)
        clear = torch.zeros_like(best, dtype=torch.bool)
        best_alpha, best_beta, best_weight = nodes.alpha, nodes.beta, nodes.weight
        best_gamma = nodes.gamma
        lines = self._lines(p, nodes)
        decided = nodes.signs != 0
        signs = nodes.signs.to(p.dtype)
        ascent_alpha, ascent_beta = Ascent(nodes.alpha), Ascent(nodes.beta)
        ascent_gamma = Ascent(nodes.gamma)
        scale = None
        for step in range(steps + 1):
            found, slopes = self._passed(p, nodes, lines, keep=step < steps)
            value = found.value[:, 0].to(best.dtype)
            better = value > best
            best = torch.where(better, value, best)
            worst = value - found.bound[:, 0].to(best.dtype)
            clear = clear | (value > LIKELY * worst)
            best_alpha = torch.where(better[:, None], nodes.alpha, best_alpha)
            best_beta = torch.where(better[:, None], nodes.beta, best_beta)
            best_weight = torch.where(better[:, None], nodes.weight, best_weight)
            best_gamma = torch.where(better[:, None], nodes.gamma, best_gamma)
            late = clock is not None and clock.expired
            if step == steps or late or bool(clear.all()):
                break
            reached, output = p.gradient(found, lines, slopes)
            values = self._gathered(reached, nodes)
            through = self._gathered(found.through, nodes)
            if scale is None:
                scale = through.abs() + through.abs().mean(1, keepdim=True)
            rise_alpha = torch.where(decided, 0.0, through.clamp(min=0) * values)
            rise_beta = torch.where(decided, -signs * values, 0.0)
            rate = DECAY**step
            moved = nodes.alpha + ALPHA_STRIDE * rate * ascent_alpha.direction(rise_alpha)
            nodes.alpha = moved.clamp(0, 1)
            charged = nodes.beta + BETA_STRIDE * rate * scale * ascent_beta.direction(rise_beta)
            nodes.beta = charged.clamp(min=0)
            if self.curved.size:
                self._move_gamma(nodes, found, reached, ascent_gamma, BETA_STRIDE * rate)
            nodes.weight = self._weighed(nodes, output[:, 0], rate)
        nodes.alpha, nodes.beta, nodes.weight = best_alpha, best_beta, best_weight
        nodes.gamma = best_gamma
        return self._proved(nodes, offer)

    def chosen(self, nodes: Nodes, scores: Tensor, look_ahead: int) -> Tensor:
        """The neuron to decide in each node: of the best by score, the best by looking ahead.

        Args:
            nodes: each with an open neuron.
            scores: as `ascend` gives them.
            look_ahead: how many neurons are tried.
        """
        width = min(look_ahead, scores.shape[1])
        top, candidates = scores.topk(width, dim=1)
        if width == 1:
            return candidates[:, 0]
        gains = []
        for k in range(width):
            trial = nodes[:]
            trial.split = candidates[:, k]
            both = self._quick(trial.children()).reshape(2, -1).clamp(max=0)
            gain = both - nodes.bound.clamp(max=0)
            worth = gain.amin(0) + 0.1 * gain.amax(0)
            gains.append(torch.where(top[:, k] < 0, -torch.inf, worth))
        best = torch.stack(gains, 1).argmax(1)
        return candidates.gather(1, best[:, None])[:, 0]

    def _quick(self, nodes: Nodes) -> Float[Tensor, " b"]:
        """The nodes' bounds as they are, in the fast type: to look ahead, not to believe."""
        found, _ = self._passed(self.fast, nodes, self._lines(self.fast, nodes), keep=False)
        return found.bound[:, 0].to(nodes.bound.dtype)

    def phases(self, node: Nodes) -> dict[str, np.ndarray]:
        """The decided phases of one node, for each neuron of each rectifier."""
        found = {}
        for relu in self.network.relus:
            found[relu.name] = np.zeros(relu.size, dtype=np.int8)
            index = self._index[relu.name].cpu().numpy()
            found[relu.name][index] = node.signs[0, self._part[relu.name]].cpu().numpy()
        return found

    def _proved(self, nodes: Nodes, offer: Callable[[Tensor], object] | None) -> Tensor:
        """Evaluate the nodes once in float64, and believe it; see `ascend` for the result."""
        lines = self._lines(self.exact, nodes)
        found, slopes = self._passed(self.exact, nodes, lines, keep=True)
        nodes.bound = torch.maximum(nodes.bound, found.bound[:, 0])
        if offer is not None:
            offer(found.x[:, 0])
        through = self._gathered(found.through, nodes)
        reached = self.exact.gradient(found, lines, slopes)[0]
        value = self._gathered(reached, nodes)
        slope = self._gathered({name: line.slope[:, None] for name, line in lines.items()}, nodes)
        above = self._gathered(
            {name: line.intercept[:, None] for name, line in lines.items()}, nodes
        )
        rectified = value.clamp(min=0)
        upper = (slope * value + above - rectified).clamp(min=0)
        lower = (rectified - nodes.alpha * value).clamp(min=0)
        cost = torch.where(through < 0, -through * upper, through * lower)
        # What costs nothing at this point may at others: ties are broken by the width of the lines.
        cost = cost + 1e-3 * above * through.abs()
        cost = torch.where(nodes.signs == 0, cost, -1.0)
        if not self.curved.size:
            return cost
        through, value = (
            self.curved.gathered(part, nodes.low) for part in (found.through, reached)
        )
        others = self.curved.cost(through, value, lines, nodes.low, nodes.high)
        return torch.cat([cost, others], 1)

    def _passed(
        self, p: Propagator, nodes: Nodes, lines: Mapping[str, Lines], *, keep: bool
    ) -> tuple[Passed, dict[str, Tensor]]:
        """One backward pass with the nodes' slopes and multipliers, and those slopes, spread."""
        slopes = self._slopes(p, nodes, lines)
        weight = nodes.weight.to(p.dtype)
        weight = weight / weight.sum(1, keepdim=True)
        found = p.backward(
            self.network.output,
            (weight[:, None] @ self._rows[p][nodes.goals]),
            self._rooms[p],
            lines,
            slopes=slopes,
            charges=self._charges(p, nodes),
            keep=keep,
        )
        rows, sides = self._rows[p][nodes.goals], self._sides[p][nodes.goals]
        added = (weight * sides).sum(1, keepdim=True)
        if self.curved.size:
            added = added - self.curved.constant(p, nodes.gamma, nodes.low, nodes.high)[:, None]
        found.value = believed(found.value + added)
        errs = p.rounding.weighing(weight, rows, sides)[:, None]
        found.bound = believed(found.bound + added - errs)
        return found, slopes

    def _weighed(self, nodes: Nodes, output: Tensor, rate: float) -> Tensor:
        """Weights moved towards the rows that are furthest from being met, multiplicatively."""
        if nodes.weight.shape[1] == 1:
            return nodes.weight
        p = self.fast
        rows, sides = self._rows[p][nodes.goals], self._sides[p][nodes.goals]
        rise = (rows @ output[:, :, None])[:, :, 0] + sides
        rise = rise - (nodes.weight * rise).sum(1, keepdim=True)
        spread = rise.abs().amax(1, keepdim=True).clamp(min=1e-30)
        moved = nodes.weight.clamp(min=1e-6) * torch.exp(2 * rate * rise / spread)
        moved = moved * p.tensor(self._given)[nodes.goals]
        return moved / moved.sum(1, keepdim=True)

    def _move_gamma(
        self,
        nodes: Nodes,
        found: Passed,
        reached: Mapping[str, Tensor],
        ascent: Ascent,
        rate: float,
    ) -> None:
        """One step of the multipliers of intervals that were cut."""
        curved = self.curved
        through, value = (curved.gathered(part, nodes.gamma) for part in (found.through, reached))
        low, high = nodes.low.to(value.dtype), nodes.high.to(value.dtype)
        cut = (nodes.low > curved.low) | (nodes.high < curved.high)
        rise = torch.where(cut, curved.rise(nodes.gamma, value, low, high), 0.0)
        scale = through.abs() + through.abs().mean(1, keepdim=True)
        moved = nodes.gamma + rate * scale * ascent.direction(rise)
        # What changes sides stops at 0, where another end is paid.
        nodes.gamma = torch.where(moved * nodes.gamma < 0, torch.zeros_like(moved), moved)

    def _lines(self, p: Propagator, nodes: Nodes) -> dict[str, Lines]:
        """The lines of every node: those of the root, exact where a phase is decided."""
        if self.curved.size:
            return self._narrowed(p, nodes)
        found, signs = {}, nodes.signs
        for name, index in self._index.items():
            base, here = self._base[p][name], signs[:, self._part[name]]
            if not len(index) or not bool(here.any()):
                found[name] = base
                continue
            low, high = (end.expand(len(signs), -1).clone() for end in (base.lower, base.upper))
            low[:, index] = torch.where(here > 0, 0.0, low[:, index])
            high[:, index] = torch.where(here < 0, 0.0, high[:, index])
            found[name] = Lines.of((low, high))
        return found

    def _narrowed(self, p: Propagator, nodes: Nodes) -> dict[str, Lines]:
        """The lines of every node over the part that it is confined to, which becomes narrower."""
        phases = {}
        for name, index in self._index.items():
            signs = nodes.signs.new_zeros(len(nodes), self.network[name].size)
            signs[:, index] = nodes.signs[:, self._part[name]]
            phases[name] = signs > 0, signs < 0
        spans, empty = self.curved.narrowed(self.exact, self._spans, phases, nodes.low, nodes.high)
        nodes.bound = torch.where(empty, torch.inf, nodes.bound)
        nodes.low, nodes.high = self.curved.ends(spans)
        return {name: line.to(p.dtype) for name, line in lines_of(self.network, spans).items()}

    def _slopes(self, p: Propagator, nodes: Nodes, lines: Mapping[str, Lines]) -> dict[str, Tensor]:
        """Slopes of all neurons from those of the unstable ones."""
        found = {}
        for name, index in self._index.items():
            if len(index):
                whole = lines[name].alpha.expand(len(nodes), -1).clone()
                open_ = lines[name].unstable[:, index]
                own = nodes.alpha[:, self._part[name]].to(p.dtype)
                whole[:, index] = torch.where(open_, own, whole[:, index])
                found[name] = whole[:, None]
        return found

    def _charges(self, p: Propagator, nodes: Nodes) -> dict[str, Tensor]:
        found = self.curved.charges(p, nodes.gamma)
        charge = -nodes.signs.to(p.dtype) * nodes.beta.to(p.dtype)
        for name, index in self._index.items():
            here = charge[:, self._part[name]]
            if len(index) and bool(here.any()):
                whole = here.new_zeros(len(nodes), self.network[name].size)
                whole[:, index] = here
                found[name] = whole[:, None]
        return found

    def _gathered(self, values: Mapping[str, Tensor], nodes: Nodes) -> Tensor:
        """Of a value for each neuron, those of the unstable ones, ``(b, u)``."""
        parts = [
            values[name][:, 0, index].expand(len(nodes), -1)
            if name in values
            else nodes.alpha.new_zeros(len(nodes), len(index))
            for name, index in self._index.items()
        ]
        return torch.cat([*parts, nodes.alpha.new_zeros(len(nodes), 0)], dim=1)
