"""Bounds of neurons where the goals are reached, each proved by a small tree of its own.

What is searched for is where every goal is at least a given number; a good point known, that is a
small part of the room, if any. In it neurons range over far less than in the room, and a relaxation
over those ranges is far stronger. A linear program knows little of them (`Relaxation.tighten`); a
tree of a few nodes whose goals are the neuron's value and the goals together knows more, and every
neuron that is narrowed helps the others. Rounds over all layers collapse, where a tree on phases
alone would double: of the fifth layer of `dnn4` over [0, 1]^784, the mean range of a neuron falls
from 246 to 133 in three rounds of trees of one node, and to 83 in two of three nodes; a tree of 13
nodes was left (docs/decisions/0003-columns.md).

In the field's words: optimality-based bound tightening (Gleixner, Berthold, Müller, Weltge, *Three
enhancements for optimization-based bound tightening*, 2017), over a tree instead of its root.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from dualbound.limits import Clock
from dualbound.phases.chain import Chain
from dualbound.phases.moves import Room
from dualbound.phases.tree import PhaseTree

PART = 0.25
"""A neuron's tree ends when it has cut off all but this part of what is beyond the best point."""

WORTH = 0.1
"""A tree that cuts off less than this part of it was too small: the neuron's next one is larger."""

GROWTH = 3
"""How many times as large."""

PAYS = 0.15
"""By what part the last layer's neurons must become narrower for the others to be narrowed too."""

STRESS = 100.0
"""What missing the goals by all that is open costs, in ranges of the neuron."""


@dataclass(eq=False)
class Narrowing:
    """Bounds of all neurons that hold where every goal is reached; only ever narrower.

    Attributes:
        chain: of the network, with goals.
        room: of its inputs.
        low, high: of all neurons, ``(h,)``.
        clock: when to stop.
        on_point: see `PhaseTree`; called by one thread at a time, whatever tree it is of.
        threads: how many trees grow side by side; with one, the bounds are the same each time.
        nodes: of all trees so far.
    """

    chain: Chain
    room: Room
    low: Float[np.ndarray, " h"]
    high: Float[np.ndarray, " h"]
    clock: Clock
    on_point: Callable[[Float[np.ndarray, " n"]], None] | None = None
    threads: int = 1
    nodes: int = 0
    _allowed: Int[np.ndarray, "h 2"] = field(init=False)

    def __post_init__(self) -> None:
        self.low, self.high = self.low.copy(), self.high.copy()
        self._allowed = np.ones((self.chain.hidden, 2), dtype=np.int64)
        self._telling = threading.Lock()

    def narrow(self, least: float, most: float, move: Float[np.ndarray, " n"], nodes: int) -> bool:
        """Narrow all neurons whose sign is open once, from the last layer to the second.

        The first layer's ranges hardly depend on the goals, and are left alone.

        Args:
            least: what every goal must reach; it may only grow from one call to the next.
            most: proved: no point has a larger smallest goal.
            move: the best point known. Where it is, nothing can be cut off.
            nodes: no tree has more.

        Returns:
            Whether it was worth the effort. If not, it has ended after the last layer: what can be
            cut off there says how far the others get, and where it is little, one tree for all
            that is asked proves it sooner.
        """
        reached = self.chain.values(move)

        def cut(end: tuple[int, int]) -> int:
            return self._cut(*end, reached, least, most, nodes)

        last = len(self.chain.sizes) - 2
        with ThreadPoolExecutor(self.threads) as pool:
            for k in range(last, 0, -1):
                here = self.chain.layer(k)
                before = float((self.high - self.low)[here].sum())
                layer = np.arange(self.chain.hidden)[here]
                sides = [(int(at), side) for at in layer for side in (1, -1)]
                self.nodes += sum(pool.map(cut, sides))
                if k == last and float((self.high - self.low)[here].sum()) > (1 - PAYS) * before:
                    return False
        return last > 0

    def _cut(
        self,
        at: int,
        side: int,
        reached: Float[np.ndarray, " h"],
        least: float,
        most: float,
        nodes: int,
    ) -> int:
        """Lower a neuron's upper bound, or with side -1 raise the lower one; nodes spent."""
        if not self.low[at] < 0 < self.high[at] or self.clock.expired:
            return 0
        known = self.high[at] if side > 0 else -self.low[at]
        beyond = known - side * reached[at]
        if beyond <= 1e-3 * (self.high[at] - self.low[at]):
            return 0
        goal = float(max(side * reached[at] + PART * beyond, 0.0))  # its sign is settled at 0
        chain, low, high = carrying(self.chain, self.low, self.high, at, side, least, most)
        tree = PhaseTree(
            chain, self.room, self.clock, least=goal, low=low, high=high, on_point=self._tell
        )
        tree.run(min(nodes, int(self._allowed[at, side])))
        end = min(known, max(tree.most, goal))
        if side > 0:
            self.high[at] = min(self.high[at], end)
        else:
            self.low[at] = max(self.low[at], -end)
        if known - end < WORTH * beyond and self._allowed[at, side] < nodes:
            self._allowed[at, side] *= GROWTH
        return tree.nodes

    def _tell(self, move: Float[np.ndarray, " n"]) -> None:
        if self.on_point is not None:
            with self._telling:
                self.on_point(move)


def carrying(
    chain: Chain,
    low: Float[np.ndarray, " h"],
    high: Float[np.ndarray, " h"],
    at: int,
    side: int,
    least: float,
    most: float,
) -> tuple[Chain, Float[np.ndarray, " g"], Float[np.ndarray, " g"]]:
    """A chain with a neuron's value as one more goal, and bounds of its neurons.

    The value, shifted so that it is positive, is carried by one more neuron in every later layer.
    The other goals are shifted and stretched: where one was at least ``least``, it is now at least
    as large as the neuron's value can be. So the smallest goal is the neuron's value there, and no
    more than that elsewhere.

    Args:
        chain: of the network.
        low: lower bounds of all neurons where every goal is at least ``least``.
        high: upper bounds likewise.
        at: the neuron.
        side: 1, or -1 for minus its value.
        least: see above.
        most: no goal is larger, about.
    """
    last = len(chain.sizes) - 1
    k = int(np.searchsorted(chain.starts, at, side="right")) - 1
    top, bottom = (high[at], low[at]) if side > 0 else (-low[at], -high[at])
    shift = 1.0 - min(bottom, 0.0)
    stress = STRESS * (top - bottom) / max(most - least, 1e-6 * max(abs(least), 1.0))
    weights, biases, magnitudes, lows, highs = [], [], [], [], []
    for j in range(last + 1):
        here = chain.layer(j)
        weight, bias, size = chain.weight(j), chain.bias[here], chain.magnitudes[here]
        if j == k:
            i = at - int(chain.starts[k])
            carried, constant, reach = side * weight[i], side * bias[i] + shift, size[i] + shift
        if j > k:
            weight = np.hstack([weight, np.zeros((len(weight), 1))])
            carried, constant = np.append(np.zeros(weight.shape[1] - 1), 1.0), 0.0
        if j == last:
            weight, bias = stress * weight, stress * (bias - least) + top
            size = stress * (size + abs(least)) + abs(top)
            constant, reach = -shift, reach + shift
        if j >= k:
            weight, bias = np.vstack([weight, carried]), np.append(bias, constant)
            size = np.append(size, reach)
        if j < last:
            lows.append(low[here])
            highs.append(high[here])
        if k <= j < last:
            lows.append(np.array([bottom + shift]))
            highs.append(np.array([top + shift]))
        weights.append(weight)
        biases.append(bias)
        magnitudes.append(size)
    return (
        Chain.of(weights, biases, magnitudes, chain.unit),
        np.concatenate(lows),
        np.concatenate(highs),
    )
