"""Random tiny chains with goals, and the slow twins that say what is true of them."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from brute_force import random_tiny
from dualbound import Box, L0Ball, L1Ball, L2Ball, Network
from dualbound.phases import Chain, Room, chain_of, propagation, reference_of, room_of
from dualbound.region import Region


class Case:
    """A random tiny chain with goals, over a ball or a box."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        tiny = random_tiny(rng)
        self.network = Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu)
        n, m = self.network.input_size, self.network.output_size
        lower = rng.uniform(-1, 0, n)
        box = Box(lower, lower + rng.uniform(0.2, 2, n))
        self.region: Region = box
        center, radius = rng.uniform(box.lower, box.upper), rng.uniform(0.1, 1.5)
        weights = rng.uniform(0.5, 2, n) if seed % 8 > 3 else None
        if seed % 4 == 1:
            self.region = L1Ball(center, radius, box, weights)
        elif seed % 4 == 2:
            self.region = L2Ball(center, radius, box, weights)
        elif seed % 4 == 3:
            self.region = L0Ball(center, float(rng.integers(n + 1)), box, weights)
        self.rows, self.sides = rng.normal(size=(2, m)), rng.normal(size=2)
        self.reference = reference_of(self.region)
        chain = chain_of(self.network, self.region, self.reference, self.rows, self.sides)
        assert chain is not None
        self.chain: Chain = chain
        self.room: Room = room_of(self.region, self.reference)
        self.work = propagation.workspace(chain)
        h = chain.hidden
        self.low, self.high = np.full(h, -np.inf), np.full(h, np.inf)
        assert propagation.propagate(chain, self.room, self.low, self.high, -1, self.work)

    def points(self, count: int = 2000) -> tuple[np.ndarray, np.ndarray]:
        """Values of all neurons, and of the smallest goal, at points of the region."""
        x = self.region.sample(self.rng, count)
        values = self.network.values(x)
        names = [relu.reads[0] for relu in self.network.relus]
        goals = values[self.network.output] @ self.rows.T - self.sides
        return np.hstack([values[name] for name in names]), goals.min(axis=1)

    def lagrangian(
        self, goals: np.ndarray, pi: np.ndarray, least: float, at: int, s: float
    ) -> float:
        h, n = self.chain.hidden, self.chain.first.shape[1]
        return propagation.lagrangian(
            self.chain, self.room, self.low, self.high, goals, pi, least, at, s,
            np.zeros(n), np.zeros(h), self.work,
        )  # fmt: skip


def true_maximum(case: Case) -> float:
    """The largest smallest goal, by the tree's slow twin: one program a pattern."""
    best = -np.inf
    h = case.chain.hidden
    stable = [(True,) if l >= 0 else (False,) if u <= 0 else (True, False)
              for l, u in zip(case.low, case.high, strict=True)]  # noqa: E741  # fmt: skip
    for pattern in np.array(np.meshgrid(*stable)).T.reshape(-1, h):
        low, high = case.low.copy(), case.high.copy()
        low[pattern] = np.maximum(low[pattern], 0.0)
        high[~pattern] = np.minimum(high[~pattern], 0.0)
        best = max(best, triangle_optimum(case, low, high))
    return best


def triangle_optimum(
    case: Case, low: np.ndarray | None = None, high: np.ndarray | None = None
) -> float:
    """The relaxation of a node, written down again for scipy."""
    low, high = (case.low, case.high) if low is None or high is None else (low, high)
    chain, h, n = case.chain, case.chain.hidden, len(case.reference)
    width = 1 + 2 * h + 2 * n  # t, output, pre-activation, moves up, moves down
    above, at_most, equal, is_ = [], [], [], []
    last = len(chain.sizes) - 1
    for k in range(last + 1):
        for i, row in enumerate(chain.weight(k)):
            line = np.zeros(width)
            if k == 0:
                line[1 + 2 * h :] = np.concatenate([-row, row])
            else:
                before = chain.layer(k - 1)
                line[1 + before.start : 1 + before.stop] = -row
            bias = chain.bias[chain.starts[k] + i]
            line[0 if k == last else 1 + h + int(chain.starts[k]) + i] = 1.0
            (above if k == last else equal).append(line)
            (at_most if k == last else is_).append(bias)
    for i, (l, u) in enumerate(zip(low, high, strict=True)):  # noqa: E741
        y, z = 1 + i, 1 + h + i
        for a, b, c in ((-1.0, 0.0, 0.0), (-1.0, 1.0, 0.0)):
            line = np.zeros(width)
            line[y], line[z] = a, b
            above.append(line)
            at_most.append(c)
        slope = 1.0 if l >= 0 else 0.0 if u <= 0 else u / (u - l)
        line = np.zeros(width)
        line[y], line[z] = 1.0, -slope
        above.append(line)
        at_most.append(-slope * l if l < 0 < u else 0.0)
    room = case.room
    if np.isfinite(room.budget) and not room.round:
        line = np.zeros(width)
        line[1 + 2 * h :] = np.concatenate([1 / room.rise, 1 / room.fall])
        above.append(line)
        at_most.append(room.budget)
    limits = [(None, None), *[(None, None)] * h, *zip(low, high, strict=True)]
    limits += [(0, v) for v in room.up * room.rise] + [(0, v) for v in room.down * room.fall]
    cost = np.zeros(width)
    cost[0] = -1.0
    for _ in range(300):
        found = linprog(cost, above, at_most, equal, is_, limits, method="highs")
        if found.status != 0:
            return -np.inf
        moves = found.x[1 + 2 * h :]
        steps = moves / np.concatenate([room.rise, room.fall])
        length = float(np.sqrt((steps**2).sum()))
        if not room.round or length <= room.budget * (1 + 1e-8):
            break
        line = np.zeros(width)  # the tangent plane where the ball is left
        line[1 + 2 * h :] = steps / length / np.concatenate([room.rise, room.fall])
        above.append(line)
        at_most.append(room.budget)
    return float(-found.fun)
