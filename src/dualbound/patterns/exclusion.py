"""Proofs of one activation pattern: that no point of it, near enough, reaches the criterion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

from dualbound.errors import InvalidInput
from dualbound.limits import Clock
from dualbound.milp import Program
from dualbound.network.patterns import Pattern
from dualbound.patterns.problem import NearestProblem
from dualbound.patterns.programs import form_of, program_of, solved
from dualbound.patterns.projection import nearest_in_l2
from dualbound.patterns.rows import Rows, rows_on
from dualbound.patterns.steps import MOST_STEPS, confined, steps_within
from dualbound.region import L0, L1, L2, Box, LinearForm, LInf
from dualbound.solvers import Solver, Stop

TOLERANCE = 1e-6
"""Rows, scaled to a largest coefficient of 1, are relaxed by this where something is proved."""


def excluded_on_pattern(
    problem: NearestProblem, pattern: Pattern, radius: float, solver: Solver, clock: Clock
) -> tuple[bool, Float[np.ndarray, " n"] | None]:
    """Whether no point of a pattern within a radius reaches the criterion, integers and all.

    Args:
        problem: what is asked, in L0 or on a grid.
        pattern: on which the network is affine.
        radius: of the ball.
        solver: of programs with integers.
        clock: when to stop.

    Returns:
        Whether it is proved; and if not, a point that may be a witness, or None.

    **Trusts** the solver's verdict that a program with integers has no solution, within its
    tolerances; the criterion's rows are relaxed by ten times as much.
    """
    rows = rows_on(problem, pattern)
    if rows is None:
        return False, None
    if isinstance(problem.norm, L2):
        return _excluded_in_round(problem, rows, radius, solver, clock)
    ball = problem.norm.ball(problem.center, radius, problem.box)
    box = Box(np.maximum(ball.lower, problem.box.lower), np.minimum(ball.upper, problem.box.upper))
    boxed = isinstance(problem.norm, LInf)
    if boxed and problem.grid is not None:
        try:
            box = problem.grid.narrowed(box)
        except InvalidInput:  # some input has no value there
            return True, None
    form = box.linear_form() if boxed else form_of(replace(problem, box=box))
    if not boxed:
        form = replace(
            form,
            rows=sp.vstack([form.rows, sp.csr_array(form.cost[None])], format="csr"),
            row_upper=np.append(form.row_upper, radius * (1 + 1e-9)),
        )
    relaxed_rows = rows.inside(-TOLERANCE)

    def whole(reduced: Float[np.ndarray, " c"], bound: float) -> Program:
        fixed = _fixed(problem, form, reduced, -bound)
        return program_of(form, relaxed_rows, problem, fixed, margin=True)

    excluded, taken = _excluded(program_of(form, relaxed_rows, margin=True), whole, solver, clock)
    if taken is None:
        return excluded, None
    return False, problem.tidied(form.offset + form.transform @ taken)


def _excluded_in_round(
    problem: NearestProblem, rows: Rows, radius: float, solver: Solver, clock: Clock
) -> tuple[bool, Float[np.ndarray, " n"] | None]:
    """The same in L2: of whole steps, each of which adds what it costs to the squared distance."""
    rows = rows.inside(-TOLERANCE)
    between = nearest_in_l2(problem, rows)
    multipliers = np.zeros(len(rows.offset)) if between is None else between[1]
    # A point on a face of two patterns must not be lost to both by rounding.
    relaxed_offset = rows.offset + TOLERANCE
    near = confined(problem, radius, rows.matrix, relaxed_offset, multipliers)
    steps = None if near is None else steps_within(near, radius)
    if steps is None:
        return True, None
    if len(steps.inputs) > MOST_STEPS:
        return False, None

    def whole(reduced: Float[np.ndarray, " c"], bound: float) -> Program:
        needless = bound + reduced > 1e-9  # with one of them, the margin would be negative
        return steps.program(rows.matrix, rows.offset, rows.goals, left_out=needless)

    excluded, taken = _excluded(
        steps.program(rows.matrix, rows.offset, rows.goals, integer=False), whole, solver, clock
    )
    return excluded, None if taken is None else problem.tidied(steps.point(taken))


def _excluded(
    relaxed: Program,
    whole: Callable[[Float[np.ndarray, " c"], float], Program],
    solver: Solver,
    clock: Clock,
) -> tuple[bool, Float[np.ndarray, " c"] | None]:
    """Whether the margin, the last column, is negative; if not, the other columns, if known.

    Args:
        relaxed: minimises the negative margin, without integers.
        whole: the same with them, given the reduced costs and the bound of the relaxation.
        solver: of both.
        clock: when to stop.
    """
    solution = solved(relaxed, solver, clock)
    if solution is None:
        return False, None
    if solution.stop is Stop.INFEASIBLE or (solution.bound is not None and solution.bound > 0):
        return True, None
    if solution.row_duals is None or solution.bound is None:
        return False, None
    reduced = (relaxed.cost - relaxed.matrix.T @ solution.row_duals)[:-1]
    program = whole(reduced, solution.bound)
    solution = solved(program, solver, clock, target=0.0)
    if solution is None or solution.stop in (Stop.INFEASIBLE, Stop.CUTOFF):
        return solution is not None, None
    if solution.bound is not None and solution.bound > 0:
        return True, None
    return False, None if solution.x is None else solution.x[: len(reduced)]


def _fixed(
    problem: NearestProblem, form: LinearForm, reduced: Float[np.ndarray, " c"], most: float
) -> tuple[Bool[np.ndarray, " c"], Float[np.ndarray, " c"]]:
    """Columns that stay at their lower bound: one step away, the margin would be negative.

    Args:
        problem: what is asked.
        form: of the inputs.
        reduced: costs of its columns in the program that minimises the negative margin.
        most: proved upper bound on the margin.
    """
    if isinstance(problem.norm, L0):
        return np.zeros(len(reduced), dtype=bool), form.lower
    grid = problem.grid
    if grid is None or not isinstance(problem.norm, L1) or not grid.contains(problem.center).all():
        return np.zeros(len(reduced), dtype=bool), form.lower
    owner = sp.csc_array(form.transform).indices  # one input a column
    step = np.broadcast_to(grid.step, len(problem.center))[owner]
    stays = (form.lower == 0) & (most - reduced * step < -1e-9)
    return stays, form.lower


def is_thin(problem: NearestProblem, pattern: Pattern, solver: Solver, clock: Clock) -> bool:
    """Whether no input is inside a pattern and the criterion by more than `TOLERANCE`.

    Args:
        problem: what is asked.
        pattern: on which the network is affine.
        solver: of a linear program.
        clock: when to stop.

    **Trusts** the solver's dual bound, or its verdict that a linear program has no solution.
    """
    rows = rows_on(problem, pattern)
    if rows is None:
        return False
    order = np.argsort(~rows.moving, kind="stable")
    all_of_them = replace(
        rows,
        matrix=rows.matrix[order],
        offset=rows.offset[order],
        goals=int(rows.moving.sum()),
        moving=rows.moving[order],
    )
    program = program_of(problem.box.linear_form(), all_of_them, margin=True)
    solution = solved(program, solver, clock)
    if solution is None:
        return False
    depth = np.inf if solution.bound is None else -solution.bound
    return solution.stop is Stop.INFEASIBLE or depth <= TOLERANCE
