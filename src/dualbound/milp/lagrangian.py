"""The dual bound of a linear program, recomputed from its multipliers in our own numbers."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dualbound.bounds.layer_bounds import rounding
from dualbound.milp.program import Program


def lagrangian_bound(
    program: Program,
    multipliers: Float[np.ndarray, " m"],
    cost: Float[np.ndarray, " n"] | None = None,
) -> float:
    r"""A lower bound on the program's optimum, valid for *any* multipliers.

    .. math::
        \min_{l \le v \le u} c^\top v + \sum_j q_j v_j^2
        \ge \sum_i \left(y_i^+ r^-_i - y_i^- r^+_i\right)
        + \sum_j \min_{l_j \le v_j \le u_j} (c - A^\top y)_j v_j + q_j v_j^2

    Multipliers of wrong sign on a one-sided row, or not finite, are set to 0. The solver is trusted
    with nothing: bad multipliers make the bound weak, never wrong. (Neumaier, Shcherbina, *Safe
    bounds in linear and mixed-integer linear programming*, Math. Program. 99, 2004.) Columns
    without a quadratic cost need finite bounds wherever their reduced cost is not exactly 0, else
    the bound is minus infinity.

    Args:
        program: any: integrality and conditional rows are ignored, which keeps the bound valid.
        multipliers: one a row.
        cost: instead of the program's own linear one.

    **Trusts** float64 sums up to `rounding` times the magnitudes of their terms, by which the bound
    is relaxed; a column without bounds is left out of those.

    >>> from dualbound.milp.program import ProgramBuilder
    >>> builder = ProgramBuilder()
    >>> x = builder.columns(["x", "y"], lower=0, upper=3, cost=[-1, -2])
    >>> builder.rows(["sum"], [x], [[1, 1]], upper=4)
    >>> round(lagrangian_bound(builder.build(), np.array([-1.0])), 9)
    -7.0
    """
    y = np.where(np.isfinite(multipliers) & ~program.conditional, multipliers, 0.0)
    y = np.where((y > 0) & np.isinf(program.row_lower), 0.0, y)
    y = np.where((y < 0) & np.isinf(program.row_upper), 0.0, y)
    side = np.where(y > 0, program.row_lower, program.row_upper)
    rows = float(np.sum(y * np.where(y == 0, 0.0, side)))
    objective = program.cost if cost is None else cost
    reduced = objective - program.matrix.T @ y
    best = np.where(reduced > 0, program.lower, program.upper)
    best = np.where(reduced == 0, 0.0, best)
    reach = np.maximum(np.abs(program.lower), np.abs(program.upper))
    reach = np.where(np.isfinite(reach), reach, 0.0)
    squares = 0.0
    if program.quadratic is not None:
        curved = program.quadratic > 0
        q = program.quadratic[curved]
        with np.errstate(over="ignore"):
            vertex = -reduced[curved] / (2 * q)
        best[curved] = np.clip(vertex, program.lower[curved], program.upper[curved])
        if not np.all(np.isfinite(best[curved])):
            return -np.inf
        reach[curved] = np.maximum(reach[curved], np.abs(best[curved]))
        squares = float(q @ best[curved] ** 2)
    columns = float(np.sum(reduced * best)) + squares
    size = np.abs(y) @ np.where(y == 0, 0.0, np.abs(side)) + np.abs(objective) @ reach
    size += (abs(program.matrix).T @ np.abs(y)) @ reach
    if program.quadratic is not None:
        size += program.quadratic @ reach**2
    return rows + columns + program.offset - rounding(max(program.shape)) * float(size)
