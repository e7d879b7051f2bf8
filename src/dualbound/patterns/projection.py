r"""The point of a polyhedron in a box that is nearest to a centre, in a weighted L2 norm.

.. math:: \min_x \tfrac12 \sum_i w_i (x_i - c_i)^2 \quad\text{s.t.}\quad Ax + b \ge 0,\;
          l \le x \le u

The dual has one multiplier a row and no other constraint than :math:`\lambda \ge 0`; it is concave
and once differentiable, with :math:`x(\lambda) = \mathrm{clip}(c + W^{-1} A^\top \lambda)`. It is
climbed by projected Newton steps (Bertsekas, *Projected Newton methods for optimization problems
with simple constraints*, 1982): some dozens of rows make that a matter of milliseconds. Where these
creep, it is solved as a least distance problem by non-negative least squares, bounds being rows
(Lawson and Hanson, *Solving Least Squares Problems*, 1974, chapter 23): slower, and sure to end.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from scipy.optimize import nnls

from dualbound.patterns.problem import NearestProblem
from dualbound.patterns.rows import Rows

PRECISION = 1e-11
"""Violations of a row, and slacks at a multiplier, that count as none."""

STEPS = 60
"""Newton steps at most; a dozen are usual."""

TRIALS = 400
"""Points at which the dual is looked at, at most."""


def project_to_rows(
    center: Float[np.ndarray, " n"],
    rows: Float[np.ndarray, "m n"],
    offset: Float[np.ndarray, " m"],
    lower: Float[np.ndarray, " n"],
    upper: Float[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"] | None = None,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " m"]] | None:
    """Solve the projection above.

    Args:
        center: what the point shall be near to.
        rows: ``A``.
        offset: ``b``.
        lower: of the box.
        upper: likewise.
        weights: ``w``, positive; 1 when not given.

    Returns:
        The point, in the box, and the multipliers; None if no point of the box satisfies the rows.
        Whoever uses the point checks it.

    >>> x, _ = project_to_rows(
    ...     np.zeros(2), np.array([[1.0, 1.0]]), np.array([-1.0]), np.zeros(2), np.array([0.2, 1.0])
    ... )
    >>> x.round(9)
    array([0.2, 0.8])
    """
    w = np.ones(len(center)) if weights is None else weights / weights.max()
    most = 0.5 * float(w @ np.maximum(center - lower, upper - center) ** 2)
    # In units in which all rows are as steep, weights of very different size do no harm.
    unit = 1.0 if weights is None else float(weights.max())
    steep = np.sqrt((rows**2 / w).sum(axis=1))
    scale = np.where(steep > 0, steep, 1.0)
    rows, offset = rows / scale[:, None], offset / scale
    multipliers = np.zeros(len(rows))

    def at(y: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        x = np.clip(center + (rows.T @ y) / w, lower, upper)
        slack = rows @ x + offset
        return float(0.5 * w @ (x - center) ** 2 - y @ slack), x, slack

    value, x, slack = at(multipliers)
    trials = 0
    for _ in range(STEPS):
        true = slack * scale
        wrong = np.where(multipliers > 0, np.abs(true) * np.minimum(multipliers / scale, 1), -true)
        violated = float(np.maximum(-true, 0).max(initial=0.0))
        if violated <= PRECISION and float(wrong.max(initial=0.0)) <= PRECISION:
            return x, multipliers / scale * unit
        if value > most * (1 + 1e-6) + 1e-9:
            return None
        free = (x > lower) & (x < upper)
        moved = False
        for step in _steps(rows, slack, multipliers, free, w):
            for length in 0.5 ** np.arange(30):
                trial = np.maximum(multipliers + length * step, 0.0)
                found, trials = at(trial), trials + 1
                if found[0] > value + 1e-4 * float(-slack @ (trial - multipliers)):
                    moved = True
                    break
            if moved:
                break
        if not moved or trials > TRIALS:
            break
        multipliers, (value, x, slack) = trial, found
    solved = _least_distance(center, rows, offset, lower, upper, w)
    if solved is None:
        return None
    x, multipliers = solved
    near = float(np.maximum(-(rows @ x + offset) * scale, 0).max(initial=0.0)) <= 1e-8
    return (x, multipliers / scale * unit) if near else None


def _least_distance(
    center: Float[np.ndarray, " n"],
    rows: Float[np.ndarray, "m n"],
    offset: Float[np.ndarray, " m"],
    lower: Float[np.ndarray, " n"],
    upper: Float[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " m"]] | None:
    """The same by non-negative least squares, of inputs that can move in units of the distance."""
    root = np.sqrt(weights)
    free = lower < upper
    home = np.clip(center, lower, upper)
    unit = np.diag(root[free]) / root[free]  # of bounds, scaled as rows are: coefficients of 1
    left = np.vstack([rows[:, free] / root[free], unit, -unit])
    right = np.concatenate(
        [
            -(offset + rows[:, ~free] @ home[~free] + rows[:, free] @ center[free]),
            root[free] * (lower - center)[free],
            root[free] * (center - upper)[free],
        ]
    )
    system = np.vstack([left.T, right])
    aim = np.append(np.zeros(int(free.sum())), 1.0)
    try:
        taken, _ = nnls(system, aim, maxiter=3 * len(right))
    except RuntimeError:  # too many steps
        return None
    rest = system @ taken - aim
    if not rest[-1] < -1e-14:  # no point satisfies the rows
        return None
    x = home.copy()
    x[free] = np.clip(center[free] - rest[:-1] / rest[-1] / root[free], lower[free], upper[free])
    return x, taken[: len(rows)] / -rest[-1]


def nearest_in_l2(
    problem: NearestProblem, rows: Rows
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " m"]] | None:
    """The point of a pattern's rows that is nearest in L2, grid or not; see `project_to_rows`."""
    box = problem.box
    return project_to_rows(
        problem.center, rows.matrix, rows.offset, box.lower, box.upper, problem.norm.weights
    )


def _steps(
    rows: Float[np.ndarray, "m n"],
    slack: Float[np.ndarray, " m"],
    multipliers: Float[np.ndarray, " m"],
    free: np.ndarray,
    weights: Float[np.ndarray, " n"],
) -> Iterator[Float[np.ndarray, " m"]]:
    """Newton's step, twice: also without what it would make negative; and the gradient's."""
    near = 1e-3 * float(multipliers.max(initial=0.0))
    for held in ((multipliers <= 0) & (slack >= 0), (multipliers <= near) & (slack >= 0)):
        moving = np.flatnonzero(~held)
        step = np.where(held, -multipliers, 0.0)
        if len(moving):
            part = rows[np.ix_(moving, np.flatnonzero(free))]
            curvature = (part / weights[free]) @ part.T
            size = float(np.trace(curvature)) / len(moving)
            curvature[np.diag_indices_from(curvature)] += 1e-10 * size + 1e-12
            step[moving] = np.linalg.solve(curvature, -slack[moving])
            yield step
            # Where most inputs are at their bounds there is next to no curvature, and the step is
            # far too long: halved, it would not come down to the multipliers.
            yield np.maximum(step, -multipliers)
    yield -slack * max(float(weights.min()), 1.0) / float((rows**2).sum(axis=1).max() + 1e-12)
