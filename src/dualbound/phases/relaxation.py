r"""The linear relaxation of a node, kept in HiGHS and changed in place, inputs as priced columns.

.. math::
    \max t \quad t \le g_k(y),\quad y_i - w_i = W_i y + b_i,\quad
    \frac{|l_i| y_i + u_i w_i}{u_i + |l_i|} \le \frac{u_i |l_i|}{u_i + |l_i|},\quad y, w \ge 0

where :math:`y_i` is a rectifier's output and :math:`w_i` what it cuts off. A node changes bounds of
columns and, for every neuron whose sign is open, two coefficients and one side; the basis stays.

In a ball few inputs move in an optimum, so few have columns. The others stay where they are until
their price says that moving them would pay. What is proved is `propagation.lagrangian` of the
multipliers: the solver is trusted with nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from dualbound.errors import SolverFailed
from dualbound.phases import propagation
from dualbound.phases.chain import Chain, Room

CUTOFF = 1e-7
"""A solve ends once the dual objective is below what is of interest by this."""

PRICED_AT_ONCE = 24
"""How many inputs get columns in one round of pricing."""

PRECISION = 0.01
"""Pricing ends when it can change the bound by no more than this part of what is of interest."""

PIVOTS = 100_000
"""A linear program that takes more is given up; its node is split or stays open."""

DUAL, PRIMAL = 1, 4
"""HiGHS's numbers of its two simplex methods."""


@dataclass(frozen=True, eq=False)
class Relaxed:
    """What the relaxation of one node says.

    Attributes:
        most: proved: at no point of the node is the smallest goal larger. Infinity if the solver
            gave nothing to prove anything with.
        move: the input's move from the reference in the relaxation's optimum, or None.
        goals, multipliers: what proves ``most``, ``(k,)`` and ``(h,)``.
        leaning: what the relaxation of each open neuron contributes to ``most``, ``(h,)``.
    """

    most: float
    move: Float[np.ndarray, " n"] | None
    goals: Float[np.ndarray, " k"]
    multipliers: Float[np.ndarray, " h"]
    leaning: Float[np.ndarray, " h"]


@dataclass(frozen=True, eq=False)
class Multipliers:
    """What proves bounds of single neurons, to be evaluated anew below.

    Attributes:
        goals, neurons: for each neuron's upper and lower bound, ``(h, 2, k)`` and ``(h, 2, h)``.
        known: where there are any, ``(h, 2)``.
    """

    goals: Float[np.ndarray, "h 2 k"]
    neurons: Float[np.ndarray, "h 2 h"]
    known: Bool[np.ndarray, "h 2"]

    @classmethod
    def none(cls, chain: Chain) -> Multipliers:
        """Of nothing yet."""
        h, k = chain.hidden, int(chain.sizes[-1])
        return cls(np.zeros((h, 2, k)), np.zeros((h, 2, h)), np.zeros((h, 2), dtype=bool))

    def copy(self) -> Multipliers:
        """For a node that will find its own."""
        return Multipliers(self.goals.copy(), self.neurons.copy(), self.known.copy())


class Relaxation:
    """One program for all nodes that a thread looks at.

    Args:
        chain: of the network, with goals.
        room: of its inputs.
        least: goals below are of no interest.

    Attributes:
        solves: linear programs so far.
    """

    def __init__(self, chain: Chain, room: Room, least: float) -> None:
        import highspy

        self._chain, self._h, self._goals = chain, chain.hidden, int(chain.sizes[-1])
        self._status = highspy.HighsModelStatus
        self._work = propagation.workspace(chain)
        n = chain.first.shape[1]
        self._direction, self._leaning = np.zeros(n), np.zeros(self._h)
        self._columns = np.zeros(0, dtype=np.int64)  # input of each column behind t, y and w
        self._signs = np.zeros(0)
        self._priced = np.zeros((2, n), dtype=bool)
        self._share = np.full(self._h, 0.5)
        self._side = np.full(self._h, np.inf)
        self.solves = 0
        self._highs: Any = highspy._core._Highs()
        self._load()
        self._is_ball = bool(np.isfinite(room.budget))
        self.narrow(room, least)
        if not self._is_ball:
            self._add(np.arange(n), np.ones(n))

    def narrow(self, room: Room, least: float) -> None:
        """Look at a smaller room, or only at larger goals, from now on."""
        self._room, self._least = room, least
        if self._is_ball:
            self._highs.changeRowBounds(self._ball_row, -np.inf, room.budget)
        if len(self._columns):
            where = np.arange(self._first_move, self._first_move + len(self._columns))
            low, high = self._range(self._columns, self._signs)
            self._highs.changeColsBounds(len(where), where.astype(np.int32), low, high)
        self._highs.setOptionValue("objective_bound", CUTOFF - least)

    def bound(
        self,
        low: Float[np.ndarray, " h"],
        high: Float[np.ndarray, " h"],
        goals: Float[np.ndarray, " k"],
        multipliers: Float[np.ndarray, " h"],
        room: Room | None = None,
    ) -> float:
        """What multipliers prove of the smallest goal, given these bounds; in any room."""
        return propagation.lagrangian(
            self._chain, room or self._room, low, high, goals, multipliers, 0.0, -1, 0.0,
            self._direction, self._leaning, self._work,
        )  # fmt: skip

    def solve(self, low: Float[np.ndarray, " h"], high: Float[np.ndarray, " h"]) -> Relaxed:
        """Solve the relaxation of one node as far as it takes to close it or to branch.

        Args:
            low: lower bounds of the node, with its phases in them.
            high: upper bounds likewise.
        """
        h, goals, status = self._h, self._goals, self._status
        best = Relaxed(np.inf, None, np.zeros(goals), np.zeros(h), np.zeros(h))
        self._enter(low, high)
        while True:
            ended = self._run()
            if ended == status.kInfeasible:
                ray, price = self._ray(low, high)
                if ray is not None:
                    return Relaxed(-np.inf, None, np.zeros(goals), ray, np.zeros(h))
                if not price or not self._price(0.0):
                    return best
                continue
            solution = self._highs.getSolution()
            if ended not in (status.kOptimal, status.kObjectiveBound) or not solution.dual_valid:
                self._highs.clearSolver()
                return best
            dual = np.array(solution.row_dual)
            rho = np.maximum(-dual[:goals], 0.0)
            total = rho.sum()
            if not total > 0:
                return best
            rho, pi = rho / total, -dual[goals : goals + h] / total
            most = self.bound(low, high, rho, pi)
            values = np.array(solution.col_value)
            if ended == status.kOptimal or most < best.most:
                move = self._move(values) if ended == status.kOptimal else None
                best = Relaxed(most, move, rho, pi, self._leaning.copy())
            if most < self._least:
                return best
            open_ = most - values[0] <= PRECISION * (most - self._least)
            if ended == status.kOptimal and values[0] >= self._least and open_:
                return best
            if not self._price(-dual[self._ball_row] / total if self._is_ball else 0.0):
                return best

    def tighten(
        self, low: Float[np.ndarray, " h"], high: Float[np.ndarray, " h"], found: Multipliers
    ) -> bool:
        """Maximise and minimise every open neuron over the relaxation, layer by layer.

        All goals must be at least what is of interest: what is proved holds there only.

        Args:
            low: lower bounds of the node, narrowed in place.
            high: upper bounds likewise.
            found: receives what proves them.

        Returns:
            Whether anything is left of the node.
        """
        highs, h = self._highs, self._h
        highs.setOptionValue("objective_bound", np.inf)
        highs.setOptionValue("simplex_strategy", PRIMAL)
        highs.changeColCost(0, 0.0)
        highs.changeColBounds(0, self._least, np.inf)
        try:
            seen = np.full(h, np.inf), np.full(h, -np.inf)
            for k in range(1, len(self._chain.sizes) - 1):
                layer = self._chain.layer(k)
                at = layer.start + np.flatnonzero((low[layer] < 0) & (high[layer] > 0))
                if not len(at):
                    continue
                self._enter(low, high)
                for i in at.tolist():
                    for side, sign in enumerate((1.0, -1.0)):
                        if low[i] < 0 < high[i]:
                            self._extreme(low, high, i, side, sign, found, seen)
                    if low[i] > high[i]:
                        return False
                if not propagation.propagate(self._chain, self._room, low, high, k, self._work):
                    return False
            return True
        finally:
            highs.changeColCost(0, -1.0)
            highs.changeColBounds(0, -np.inf, np.inf)
            highs.setOptionValue("simplex_strategy", DUAL)
            highs.setOptionValue("objective_bound", CUTOFF - self._least)

    def _extreme(
        self,
        low: np.ndarray,
        high: np.ndarray,
        i: int,
        side: int,
        sign: float,
        found: Multipliers,
        seen: tuple[np.ndarray, np.ndarray],
        worthwhile: float = 0.05,
    ) -> None:
        """One maximum or minimum; left out where a point already seen says that little is won."""
        h, goals, highs = self._h, self._goals, self._highs
        width = high[i] - low[i]
        most_left = high[i] - seen[1][i] if side == 0 else seen[0][i] - low[i]
        if most_left < worthwhile * width:
            return
        columns = np.array([1 + i, 1 + h + i], dtype=np.int32)
        highs.changeColsCost(2, columns, np.array([-sign, sign]))
        for _ in range(4):
            ended = self._run()
            if ended != self._status.kOptimal:
                if ended == self._status.kInfeasible and self._ray(low, high)[0] is not None:
                    low[i], high[i] = np.inf, -np.inf
                else:
                    highs.clearSolver()
                break
            solution = highs.getSolution()
            values, dual = np.array(solution.col_value), np.array(solution.row_dual)
            z = values[1 : 1 + h] - values[1 + h : 1 + 2 * h]
            np.minimum(seen[0], z, out=seen[0])
            np.maximum(seen[1], z, out=seen[1])
            rho, pi = np.maximum(-dual[:goals], 0.0), -dual[goals : goals + h]
            bound = propagation.lagrangian(
                self._chain, self._room, low, high, rho, pi, self._least, i, sign,
                self._direction, self._leaning, self._work,
            )  # fmt: skip
            if side == 0 and bound < high[i]:
                high[i] = bound
            elif side == 1 and -bound > low[i]:
                low[i] = -bound
            found.goals[i, side], found.neurons[i, side], found.known[i, side] = rho, pi, True
            if bound <= 0 or bound - sign * z[i] <= 0.02 * width or not self._is_ball:
                break
            if not self._price(-dual[self._ball_row]):
                break
        highs.changeColsCost(2, columns, np.zeros(2))

    @property
    def _first_move(self) -> int:
        return 1 + 2 * self._h

    @property
    def _ball_row(self) -> int:
        return self._goals + 2 * self._h

    def _load(self) -> None:
        """Columns t, y, w; rows of the goals, the neurons, the triangles and the ball."""
        chain, h, goals, highs = self._chain, self._h, self._goals, self._highs
        for option, value in (
            ("output_flag", False),
            ("presolve", "off"),
            ("solver", "simplex"),
            ("simplex_strategy", DUAL),
            ("threads", 1),
            ("parallel", "off"),
            ("small_matrix_value", 1e-12),
            ("primal_simplex_bound_perturbation_multiplier", 0.0),  # a tenth of the time
            ("simplex_iteration_limit", PIVOTS),
        ):
            highs.setOptionValue(option, value)
        dense = np.zeros((goals + 2 * h + 1, 1 + 2 * h))
        dense[:goals, 0] = 1.0
        last = len(chain.sizes) - 1
        for k in range(1, last + 1):
            layer, before = chain.layer(k), chain.layer(k - 1)
            top = 0 if k == last else goals + layer.start
            rows = slice(top, top + layer.stop - layer.start)
            dense[rows, 1 + before.start : 1 + before.stop] = -chain.weight(k)
        each = np.arange(h)
        dense[goals + each, 1 + each], dense[goals + each, 1 + h + each] = 1.0, -1.0
        dense[goals + h + each, 1 + each] = dense[goals + h + each, 1 + h + each] = 0.5
        row, column = np.nonzero(dense)
        starts = np.searchsorted(row, np.arange(len(dense))).astype(np.int32)
        inf = np.inf
        lower = np.concatenate([np.full(goals, -inf), chain.bias[:h], np.full(h + 1, -inf)])
        upper = np.concatenate([chain.bias[h:], chain.bias[:h], np.full(h + 1, inf)])
        width = dense.shape[1]
        nothing = np.zeros(0, dtype=np.int32), np.zeros(0)
        highs.addCols(
            width,
            np.append(-1.0, np.zeros(2 * h)),
            np.append(-inf, np.zeros(2 * h)),
            np.append(inf, np.zeros(2 * h)),
            0,
            np.zeros(width, dtype=np.int32),
            *nothing,
        )
        highs.addRows(
            len(dense), lower, upper, len(row), starts, column.astype(np.int32), dense[row, column]
        )
        if highs.getNumRow() != len(dense) or highs.getNumCol() != width:
            raise SolverFailed("HiGHS refused the linear relaxation of this network.")

    def _enter(self, low: np.ndarray, high: np.ndarray) -> None:
        """Write the bounds of a node into the program."""
        h, highs = self._h, self._highs
        highs.changeColsBounds(
            2 * h,
            np.arange(1, 1 + 2 * h, dtype=np.int32),
            np.maximum(np.concatenate([low, -high]), 0.0),
            np.maximum(np.concatenate([high, -low]), 0.0),
        )
        unstable = (low < 0) & (high > 0)
        share = np.where(unstable, high / np.where(unstable, high - low, 1.0), 0.5)
        side = np.where(unstable, -share * low, np.inf)
        triangles = self._goals + h
        changed = np.flatnonzero(side != self._side)
        highs.changeRowsBounds(
            len(changed),
            (triangles + changed).astype(np.int32),
            np.full(len(changed), -np.inf),
            side[changed],
        )
        self._side = side
        turned = np.flatnonzero(unstable & (share != self._share))
        for i, s in zip(turned.tolist(), share[turned].tolist(), strict=True):
            highs.changeCoeff(triangles + i, 1 + i, 1.0 - s)
            highs.changeCoeff(triangles + i, 1 + h + i, s)
        self._share[turned] = share[turned]

    def _run(self) -> object:
        self._highs.run()
        self.solves += 1
        return self._highs.getModelStatus()

    def _ray(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray | None, bool]:
        """Multipliers that prove a node empty; else whether pricing by the ray may help.

        Empty, that is, of points at which all goals are at least what is of interest.
        """
        _, found, ray = self._highs.getDualRay()
        dual = np.array(ray) if found else np.zeros(self._goals + self._h)
        rho = np.maximum(-dual[: self._goals], 0.0)
        pi = -dual[self._goals : self._goals + self._h]
        scale = float(max(rho.max(), np.abs(pi).max()))
        if not 0 < scale < np.inf:
            self._highs.clearSolver()
            return None, False
        pi = pi / scale
        value = propagation.lagrangian(
            self._chain, self._room, low, high, rho / scale, pi, self._least, -1, 0.0,
            self._direction, self._leaning, self._work,
        )  # fmt: skip
        return (pi, False) if value < 0 else (None, True)

    def _price(self, threshold: float) -> bool:
        """Give columns to the inputs whose move pays most, by the last direction; if any do."""
        if not self._is_ball:
            return False
        direction, room = self._direction, self._room
        gain = np.stack([direction - threshold, -direction - threshold])
        gain *= np.stack([room.up, room.down])
        gain[self._priced] = 0.0
        flat = gain.reshape(-1)
        count = min(PRICED_AT_ONCE, len(flat))
        chosen = np.argpartition(-flat, count - 1)[:count]
        chosen = chosen[flat[chosen] > 1e-12]
        self._priced.reshape(-1)[chosen] = True
        n = len(direction)
        self._add(chosen % n, np.where(chosen < n, 1.0, -1.0))
        return len(chosen) > 0

    def _range(self, inputs: np.ndarray, signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        room = self._room
        if self._is_ball:
            return np.zeros(len(inputs)), np.where(signs > 0, room.up[inputs], room.down[inputs])
        return -room.down[inputs], room.up[inputs]

    def _add(self, inputs: np.ndarray, signs: np.ndarray) -> None:
        """Columns for moves of inputs."""
        if not len(inputs):
            return
        rows = self._goals + np.arange(int(self._chain.sizes[0]))
        values = (-self._chain.first[:, inputs] * signs).T
        if self._is_ball:
            rows = np.append(rows, self._ball_row)
            values = np.hstack([values, np.ones((len(inputs), 1))])
        low, high = self._range(inputs, signs)
        self._highs.addCols(
            len(inputs),
            np.zeros(len(inputs)),
            low,
            high,
            values.size,
            np.arange(0, values.size, len(rows), dtype=np.int32),
            np.tile(rows, len(inputs)).astype(np.int32),
            np.ascontiguousarray(values.reshape(-1)),
        )
        self._columns = np.concatenate([self._columns, inputs])
        self._signs = np.concatenate([self._signs, signs])

    def _move(self, values: np.ndarray) -> Float[np.ndarray, " n"]:
        move = np.zeros(self._chain.first.shape[1])
        np.add.at(move, self._columns, self._signs * values[self._first_move :])
        return move
