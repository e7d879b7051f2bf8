"""Programs of a pattern's rows: a distance, or how far inside a criterion, and what is whole."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

from dualbound.errors import SolverFailed
from dualbound.limits import Clock
from dualbound.milp import Program, ProgramBuilder
from dualbound.patterns.problem import NearestProblem
from dualbound.patterns.rows import Rows
from dualbound.region import L0, LinearForm
from dualbound.solvers import Solution, Solver


def form_of(problem: NearestProblem) -> LinearForm:
    """The box with the distance as a cost; of L0 the convex hull, a whole change being one."""
    if not isinstance(problem.norm, L0):
        return problem.norm.distance_form(problem.center, problem.box)
    center, n = problem.center, problem.center.size
    up, down = problem.box.upper - center, center - problem.box.lower
    plus, minus = np.flatnonzero(up > 0), np.flatnonzero(down > 0)
    count, weights = len(plus) + len(minus), problem.norm.weights
    cost = np.ones(n) if weights is None else weights
    inputs = np.concatenate([plus, minus])
    changes = np.concatenate([up[plus], -down[minus]])

    def coordinates(x: np.ndarray) -> np.ndarray:
        return np.clip((x - center)[inputs] / changes, 0.0, 1.0)

    return LinearForm(
        offset=center,
        transform=sp.csr_array((changes, (inputs, np.arange(count))), shape=(n, count)),
        lower=np.zeros(count),
        upper=np.ones(count),
        rows=sp.csr_array((0, count)),
        row_upper=np.zeros(0),
        names=(*(f"p{i}" for i in plus), *(f"n{i}" for i in minus)),
        cost=cost[inputs],
        coordinates=coordinates,
    )


def program_of(
    form: LinearForm,
    rows: Rows,
    problem: NearestProblem | None = None,
    fixed: tuple[Bool[np.ndarray, " c"], Float[np.ndarray, " c"]] | None = None,
    *,
    margin: bool = False,
) -> Program:
    """The program of a form and a pattern's rows.

    Args:
        form: of the inputs.
        rows: of the pattern.
        problem: whose integers are wanted; None leaves them out.
        fixed: which of the form's columns stay, and where; without integers for them.
        margin: whether the smallest row of the criterion is maximised instead of the distance
            minimised; it has the column after those of the form.
    """
    builder = ProgramBuilder()
    lower, upper = form.lower, form.upper
    if fixed is not None:
        lower, upper = np.where(fixed[0], fixed[1], lower), np.where(fixed[0], fixed[1], upper)
    counted = problem is not None and isinstance(problem.norm, L0)
    cost = np.zeros(len(lower)) if margin else form.cost.copy()
    free = np.ones(len(lower), dtype=bool) if fixed is None else ~fixed[0]
    if counted:
        cost[free] = 0.0
    columns = builder.columns(list(form.names), lower=lower, upper=upper, cost=cost)
    matrix, lower_side = rows.matrix @ form.transform, -(rows.offset + rows.matrix @ form.offset)
    if margin:
        most = float(np.abs(rows.matrix).sum() + np.abs(rows.offset).sum()) + 1.0
        builder.columns(["margin"], lower=-most, upper=most, cost=-1.0)
        extra = -(np.arange(len(matrix)) < rows.goals).astype(float)
        matrix = np.hstack([matrix, extra[:, None]])
    builder.matrix_rows("r", sp.csr_array(matrix), lower=lower_side)
    region = form.rows
    if counted:
        region = _add_counts(builder, form, columns, free, charged=not margin)
    builder.matrix_rows("f", region, upper=form.row_upper)
    if problem is not None and problem.grid is not None:
        _add_grid(builder, problem, form, free)
    return builder.build()


def _add_counts(
    builder: ProgramBuilder, form: LinearForm, columns: np.ndarray, free: np.ndarray, charged: bool
) -> sp.csr_array:
    """A binary for each free column, without which it stays 0; the form's rows then count those."""
    chosen = columns[free]
    binaries = builder.columns(
        [f"z{j}" for j in chosen],
        lower=0.0,
        upper=1.0,
        integer=True,
        cost=form.cost[free] if charged else 0.0,
    )
    pairs = list(np.stack([chosen, binaries], 1))
    builder.rows(
        [f"moved{j}" for j in chosen], pairs, [np.array([1.0, -1.0])] * len(pairs), upper=0
    )
    stays = sp.diags_array(1.0 - free.astype(float))
    moved = form.rows @ sp.csc_array(
        (np.ones(len(pairs)), (np.flatnonzero(free), np.arange(len(pairs)))),
        shape=(len(columns), len(pairs)),
    )
    region = sp.csc_array((form.rows.shape[0], builder.column_count - len(columns) - len(pairs)))
    return sp.csr_array(sp.hstack([form.rows @ stays, region, moved]))


def _add_grid(
    builder: ProgramBuilder, problem: NearestProblem, form: LinearForm, free: np.ndarray
) -> None:
    """An integer for each input that a free column moves, so that it stays on the grid."""
    transform = sp.csr_array(form.transform)
    low, step, first, last = levels_of(problem)
    for i in range(transform.shape[0]):
        part = slice(transform.indptr[i], transform.indptr[i + 1])
        columns, values = transform.indices[part], transform.data[part]
        if not len(columns) or not free[columns].any():
            continue
        level = builder.columns([f"k{i}"], lower=first[i], upper=last[i], integer=True)
        side = low[i] - form.offset[i]
        builder.rows(
            [f"grid{i}"],
            [np.append(columns, level)],
            [np.append(values, -step[i])],
            lower=side,
            upper=side,
        )


def levels_of(
    problem: NearestProblem,
) -> tuple[
    Float[np.ndarray, " n"],
    Float[np.ndarray, " n"],
    Float[np.ndarray, " n"],
    Float[np.ndarray, " n"],
]:
    """Of each input's grid: where it begins, its step, and which steps lie in the box.

    The step of a range of one value, from which none can be taken, is 1.
    """
    grid, n = problem.grid, len(problem.center)
    if grid is None:
        raise ValueError("a problem without a grid has no levels")
    narrow = grid.narrowed(problem.box)
    return (
        np.broadcast_to(grid.ends.lower, n),
        np.broadcast_to(np.where(grid.step > 0, grid.step, 1.0), n),
        grid.steps(narrow.lower),
        grid.steps(narrow.upper),
    )


def solved(
    program: Program,
    solver: Solver,
    clock: Clock,
    *,
    target: float | None = None,
    gap: float = 0.0,
) -> Solution | None:
    """What a solver makes of a program; None if the numbers are beyond it."""
    try:
        return solver.solve(program, clock, target=target, gap=gap)
    except SolverFailed:
        return None
