r"""The grid points of an L2 ball, as a set of linear rows with binaries.

From the grid point that is nearest to the centre every other one is reached in steps,

.. math:: x_i = b_i + h_i \Bigl(\sum_j u_{ij} - \sum_j d_{ij}\Bigr), \quad u, d \in \{0, 1\},

and since squares are convex, each step in a direction adds more to the squared distance than the
one before it. A linear row says exactly that a grid point is in the ball,

.. math:: \sum_{ij} (\alpha_{ij} u_{ij} + \beta_{ij} d_{ij}) \le r^2 - \|b - x^0\|^2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from dualbound.bounds.layer_bounds import rounding
from dualbound.errors import InvalidInput
from dualbound.milp import Program, ProgramBuilder
from dualbound.patterns.problem import NearestProblem
from dualbound.region import Box, Grid

SLACK = 1e-12
"""Relative slack of a radius, against rounding of squares."""

MOST_STEPS = 20_000
"""Of balls with more steps than this from level to level no program is made."""


@dataclass(frozen=True, eq=False)
class Steps:
    """The steps from the grid point nearest to the centre, within a ball.

    Attributes:
        base: that point, ``(n,)``.
        inputs: which one each step changes, ``(c,)``.
        changes: by how much.
        costs: what it adds to the squared distance, as a part of what is left to add.
    """

    base: Float[np.ndarray, " n"]
    inputs: Int[np.ndarray, " c"]
    changes: Float[np.ndarray, " c"]
    costs: Float[np.ndarray, " c"]

    def point(self, taken: Float[np.ndarray, " c"]) -> Float[np.ndarray, " n"]:
        """Where some steps lead, up to rounding."""
        x = self.base.copy()
        np.add.at(x, self.inputs, self.changes * np.round(taken))
        return x

    def program(
        self,
        matrix: Float[np.ndarray, "m n"],
        offset: Float[np.ndarray, " m"],
        goals: int,
        *,
        left_out: Bool[np.ndarray, " c"] | None = None,
        integer: bool = True,
    ) -> Program:
        """The steps within the ball for which ``matrix·x + offset`` is at least 0.

        Args:
            matrix: of the rows.
            offset: likewise.
            goals: of how many of the first rows the least is to be as large as it can be, negative
                if need be; with 0 of them, the squared distance is to be small.
            left_out: steps that are not taken.
            integer: whether steps are whole.

        Returns:
            A program with a column for each step, and with goals one more.
        """
        builder, count = ProgramBuilder(), len(self.inputs)
        out = np.zeros(count, dtype=bool) if left_out is None else left_out
        builder.columns(
            [f"s{j}" for j in range(count)],
            lower=0.0,
            upper=np.where(out, 0.0, 1.0),
            cost=0.0 if goals else self.costs,
            integer=integer & ~out,
        )
        rows = matrix[:, self.inputs] * self.changes
        if goals:
            most = float(np.abs(matrix).sum() + np.abs(offset).sum()) + 1.0
            builder.columns(["margin"], lower=-most, upper=most, cost=-1.0)
            of_margin = -(np.arange(len(rows)) < goals).astype(float)
            rows = np.hstack([rows, of_margin[:, None]])
        builder.rows(
            [f"r{i}" for i in range(len(rows))],
            [np.arange(rows.shape[1])] * len(rows),
            list(rows),
            lower=-(offset + matrix @ self.base),
        )
        builder.rows(["ball"], [np.arange(count)], [self.costs], upper=1.0)
        return builder.build()


def confined(
    problem: NearestProblem,
    radius: float,
    matrix: Float[np.ndarray, "m n"],
    offset: Float[np.ndarray, " m"],
    multipliers: Float[np.ndarray, " m"],
) -> NearestProblem | None:
    r"""The problem in a smaller box, with all grid points of a ball that satisfy some rows.

    With multipliers :math:`y \ge 0` of the rows :math:`Ax + b \ge 0`, the squared distance of such
    a point is at least :math:`\sum_i f_i(x_i) - 2 y \cdot b` with
    :math:`f_i(x) = w_i (x - x^0_i)^2 - 2 (A^\top y)_i x`: each input has a level at which its part
    is least, and cannot be so far from that one that the sum exceeds :math:`r^2`.

    Args:
        problem: in L2, on a grid.
        radius: of the ball.
        matrix: of the rows.
        offset: likewise.
        multipliers: any that are not negative; those of the nearest point between the levels are
            good ones.

    Returns:
        The problem; None if there is no such point.
    """
    center, grid, n = problem.center, problem.grid, len(problem.center)
    if grid is None:
        raise ValueError("a problem without a grid has no levels")
    price = np.ones(n) if problem.norm.weights is None else problem.norm.weights
    slope, box = matrix.T @ multipliers, grid.narrowed(problem.box)
    wanted = center + slope / price
    best = np.clip(grid.values(grid.steps(wanted)), box.lower, box.upper)
    away = (price * (best - center) ** 2, -2 * slope * best, -2 * multipliers * offset)
    size = sum(float(np.abs(part).sum()) for part in away) + radius**2
    left = radius**2 - sum(float(part.sum()) for part in away) + rounding(n + len(offset)) * size
    if left < 0:
        return None
    room = np.sqrt(left / price + (best - wanted) ** 2) * (1 + SLACK)
    low, high = np.maximum(box.lower, wanted - room), np.minimum(box.upper, wanted + room)
    return replace(problem, box=Box(np.minimum(low, best), np.maximum(high, best)))


def steps_within(problem: NearestProblem, radius: float) -> Steps | None:
    """The steps from the grid point nearest to the centre that a ball has room for.

    Args:
        problem: in L2, on a grid.
        radius: of the ball.

    Returns:
        The steps; None if the ball holds no grid point of the problem's box.

    >>> from dualbound import Box, Network, Targeted
    >>> from dualbound.region import L2, Grid
    >>> net = Network.dense([np.eye(2)], [[0.0, 0.0]])
    >>> box = Box(0, 1).sized(2)
    >>> asked = NearestProblem(net, np.array([0.0, 0.75]), Targeted(1), L2(), box, Grid(4))
    >>> found = steps_within(asked, 0.5)
    >>> found.inputs, found.changes * 4
    (array([0, 0, 1, 1, 1]), array([ 1.,  1.,  1., -1., -1.]))
    >>> found.costs.round(6)  # of a quarter
    array([0.25, 0.75, 0.25, 0.25, 0.75])
    """
    center, grid, n = problem.center, problem.grid, len(problem.center)
    if grid is None:
        raise ValueError("a problem without a grid has no steps")
    price = np.ones(n) if problem.norm.weights is None else problem.norm.weights
    each = radius * (1 + SLACK) / np.sqrt(price)
    low = np.maximum(problem.box.lower, center - each)
    high = np.minimum(problem.box.upper, center + each)
    try:
        room = grid.narrowed(Box(low, high))
    except InvalidInput:  # some input has no value there
        return None
    ends = grid.ends.sized(n)
    first, last = grid.steps(room.lower), grid.steps(room.upper)
    start = np.clip(grid.steps(center), first, last)
    base = grid.values(start)
    nearest = price * (base - center) ** 2
    left = (radius * (1 + SLACK)) ** 2 - float(nearest.sum())
    if left < 0:
        return None
    up, down = (count.astype(int) for count in (last - start, start - first))
    owner = np.concatenate([np.repeat(np.arange(n), up), np.repeat(np.arange(n), down)])
    sign = np.repeat([1.0, -1.0], [up.sum(), down.sum()])
    level = start[owner] + sign * np.concatenate([_counted(up), _counted(down)])
    own = Grid(grid.levels, Box(ends.lower[owner], ends.upper[owner]))
    to, before = own.values(level), own.values(level - sign)
    far = price[owner] * (to - center[owner]) ** 2
    cost = np.maximum(far - price[owner] * (before - center[owner]) ** 2, 0.0)
    kept = far - nearest[owner] <= left
    return Steps(base, owner[kept], (to - before)[kept], cost[kept] / left if left else cost[kept])


def _counted(counts: Int[np.ndarray, " n"]) -> Int[np.ndarray, " c"]:
    """From 1 to each of some counts, one after another."""
    return np.arange(1, counts.sum() + 1) - np.repeat(np.cumsum(counts) - counts, counts)
