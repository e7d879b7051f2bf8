"""The dual bound of a linear program, recomputed from its multipliers in our own numbers."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dualbound.milp.program import Program


def lagrangian_bound(
    program: Program,
    multipliers: Float[np.ndarray, " m"],
    cost: Float[np.ndarray, " n"] | None = None,
) -> float:
    r"""A lower bound on the program's optimum, valid for *any* multipliers.

    .. math::
        \min_{l \le v \le u} c^\top v
        \ge \sum_i \left(y_i^+ r^-_i - y_i^- r^+_i\right)
        + \sum_j \min_{l_j \le v_j \le u_j} (c - A^\top y)_j v_j

    Multipliers of wrong sign on a one-sided row, or not finite, are set to 0. The solver is trusted
    with nothing: bad multipliers make the bound weak, never wrong. (Neumaier, Shcherbina, *Safe
    bounds in linear and mixed-integer linear programming*, Math. Program. 99, 2004.) Columns need
    finite bounds wherever their reduced cost is not exactly 0, else the bound is minus infinity.

    Args:
        program: linear, or its relaxation: integrality is ignored, which keeps the bound valid.
        multipliers: one a row.
        cost: instead of the program's own.

    **Trusts** float64 sums: the error is below 1e-12 of the terms' magnitudes.

    >>> from dualbound.milp.program import ProgramBuilder
    >>> builder = ProgramBuilder()
    >>> x = builder.columns(["x", "y"], lower=0, upper=3, cost=[-1, -2])
    >>> builder.rows(["sum"], [x], [[1, 1]], upper=4)
    >>> lagrangian_bound(builder.build(), np.array([-1.0]))
    -7.0
    """
    y = np.where(np.isfinite(multipliers), multipliers, 0.0)
    y = np.where((y > 0) & np.isinf(program.row_lower), 0.0, y)
    y = np.where((y < 0) & np.isinf(program.row_upper), 0.0, y)
    side = np.where(y > 0, program.row_lower, program.row_upper)
    rows = float(np.sum(y * np.where(y == 0, 0.0, side)))
    reduced = (program.cost if cost is None else cost) - program.matrix.T @ y
    bound = np.where(reduced > 0, program.lower, program.upper)
    columns = float(np.sum(reduced * np.where(reduced == 0, 0.0, bound)))
    return rows + columns + program.offset
