r"""The closest point of one activation pattern: on it the network is affine.

.. math:: \min_x \|x - x^0\| \quad\text{s.t.}\quad A(Vx + v) \ge b + \sigma,\;
          \pm(U_j x + u_j) \ge 0,\; x \in \text{box}

where :math:`U_j` is the pre-activation of neuron j on the pattern, with + where it is active. In L1
and L∞ this is a linear program, in L1 one in which few inputs need columns, in L2 a projection. In
L0, and on a grid, integers come in: the linear relaxation says which inputs are worth deciding, and
the others stay where it has them.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

from dualbound.errors import SolverFailed
from dualbound.limits import Clock
from dualbound.milp import ProgramBuilder
from dualbound.network.patterns import Pattern
from dualbound.patterns.problem import NearestProblem
from dualbound.patterns.programs import form_of, levels_of, program_of, solved
from dualbound.patterns.projection import nearest_in_l2
from dualbound.patterns.rows import Rows, rows_on, tight_neurons
from dualbound.patterns.steps import MOST_STEPS, Steps, confined, steps_within
from dualbound.region import L0, L1, L2, Box, LinearForm, LInf
from dualbound.solvers import Solution, Solver

RUNGS = (24, 100)
"""How many inputs may be decided anew in a program with integers: few first, then more."""

RUNG_SECONDS = 2.0
"""How long one of these programs may take while a witness is looked for."""

WINDOW = 4
"""How many steps an input may take in the rounding of an L2 projection to a grid."""

FINE = 2e-3
"""Two steps that are no larger a part of the distance are fine."""


@dataclass(frozen=True, eq=False)
class PatternOptimum:
    """The closest point of a pattern, and the neurons whose sign is what holds it back.

    Attributes:
        x: ``(n,)``, in the box and on the grid.
        distance: from the centre, evaluated at ``x``.
        tight: rectifier name, neuron, and multiplier, the largest multiplier first.
    """

    x: Float[np.ndarray, " n"]
    distance: float
    tight: tuple[tuple[str, int, float], ...]


def closest_on_pattern(
    problem: NearestProblem,
    pattern: Pattern | None,
    solver: Solver,
    clock: Clock,
    *,
    linearised_at: Pattern | None = None,
    inside: float = 1e-7,
    below: float = np.inf,
) -> PatternOptimum | None:
    """Solve the program above.

    Args:
        problem: what is asked.
        pattern: the signs to keep; None keeps none and only linearises, at ``linearised_at``.
        solver: any that solves linear programs, and with integers where the problem has them.
        clock: when to stop.
        linearised_at: the pattern whose affine map is used when no signs are kept.
        inside: how far inside the criterion the point must be, in units of the input: every row is
            scaled to a largest coefficient of 1, so that this is above the solver's tolerance.
        below: points at this distance or further need not be found.

    Returns:
        The optimum; in L0 and on a grid, a good point. None if no point of the pattern reaches the
        criterion, or if the numbers are beyond the solver: an attack does without.
    """
    signs = linearised_at if pattern is None else pattern
    rows = None if signs is None else rows_on(problem, signs, kept=pattern is not None)
    if rows is None:
        return None
    rows = rows.inside(inside)
    if isinstance(problem.norm, L2):
        return None if clock.expired else _projected(problem, rows, solver, clock, below)
    if isinstance(problem.norm, L1) and not problem.is_integral:
        with contextlib.suppress(SolverFailed):
            return None if clock.expired else _cheapest(problem, rows, clock, below)
    form = form_of(problem)
    solution = solved(program_of(form, rows), solver, clock)
    if solution is None or solution.x is None:
        return None
    x: Float[np.ndarray, " n"] | None = form.offset + form.transform @ solution.x
    if problem.is_integral:
        least = problem.beyond(float(form.cost @ solution.x) * (1 - 1e-9) - 1e-12)
        x = _whole(problem, rows, form, solution, solver, clock) if least < below else None
    if x is None:
        return None
    x = problem.tidied(x)
    return PatternOptimum(x, float(problem.distance(x)), tight_neurons(solution.row_duals, rows))


def _cheapest(
    problem: NearestProblem, rows: Rows, clock: Clock, below: float
) -> PatternOptimum | None:
    """In L1: the point of the rows that is nearest, if it is nearer than ``below``."""
    from dualbound.phases.cheapest import cheapest_moves  # brings numba along

    box, start = problem.box, problem.tidied(problem.center)
    weights = problem.norm.weights
    found = cheapest_moves(
        rows.matrix,
        rows.offset + rows.matrix @ start,
        np.ones(len(start)) if weights is None else weights,
        box.upper - start,
        start - box.lower,
        budget=below - float(problem.distance(start)),
        clock=clock,
    )
    if found is None:
        return None
    x = problem.tidied(start + found[0])
    return PatternOptimum(x, float(problem.distance(x)), tight_neurons(found[1], rows))


def _projected(
    problem: NearestProblem, rows: Rows, solver: Solver, clock: Clock, below: float
) -> PatternOptimum | None:
    """In L2: the point of the rows that is nearest; on a grid, one nearer than ``below``."""
    found = nearest_in_l2(problem, rows)
    if found is None:
        return None
    x: Float[np.ndarray, " n"] | None = found[0]
    if problem.grid is not None:
        steps = None
        if below < np.inf:
            radius = problem.before(below)
            near = confined(problem, radius, rows.matrix, rows.offset, found[1])
            steps = None if near is None else steps_within(near, radius)
            if steps is None:
                return None
        if steps is None or len(steps.inputs) > MOST_STEPS:
            x = _rounded(problem, rows, found[0], solver, clock)
        else:
            x = _nearest_in_round(problem, steps, rows, solver, clock)
    if x is None:
        return None
    x = problem.tidied(x)
    return PatternOptimum(x, float(problem.distance(x)), tight_neurons(found[1], rows))


def _nearest_in_round(
    problem: NearestProblem, steps: Steps, rows: Rows, solver: Solver, clock: Clock
) -> Float[np.ndarray, " n"] | None:
    """The grid point of the rows that takes the cheapest steps, or one about as near."""
    relaxed = steps.program(rows.matrix, rows.offset, 0, integer=False)
    solution = solved(relaxed, solver, clock)
    if solution is None or solution.row_duals is None or solution.bound is None:
        return None
    reduced = relaxed.cost - relaxed.matrix.T @ solution.row_duals
    whole = steps.program(rows.matrix, rows.offset, 0, left_out=solution.bound + reduced > 1.0)
    solution = solved(whole, solver, clock.within(RUNG_SECONDS), gap=2 * FINE)
    if solution is None or solution.x is None:
        return None
    return problem.tidied(steps.point(solution.x))


def _rounded(
    problem: NearestProblem, rows: Rows, x: Float[np.ndarray, " n"], solver: Solver, clock: Clock
) -> Float[np.ndarray, " n"] | None:
    """The best grid point near a projection: each input steps up from a level below it.

    The squared distance is convex and known at every level, so steps of rising cost stand for it.
    """
    low, step, first, last = levels_of(problem)
    below = np.clip(np.floor((x - low) / step) - (WINDOW // 2 - 1), first, last)
    price = np.ones(len(x)) if problem.norm.weights is None else problem.norm.weights
    builder = ProgramBuilder()
    columns: list[np.ndarray] = []
    moves = np.flatnonzero(np.minimum(below + WINDOW, last) > below)
    for j in range(WINDOW):
        at = low + (below + j) * step - problem.center
        costs = price * ((at + step) ** 2 - at**2)
        upper = (below + j < last).astype(float)[moves]
        columns.append(
            builder.columns(
                [f"s{j}_{i}" for i in moves],
                lower=0.0,
                upper=upper,
                cost=costs[moves],
                integer=True,
            )
        )
    matrix = sp.csr_array(np.hstack([rows.matrix[:, moves] * step[moves]] * WINDOW))
    builder.matrix_rows("r", matrix, lower=-(rows.offset + rows.matrix @ (low + below * step)))
    if builder.column_count == 0:
        return x
    solution = solved(builder.build(), solver, clock.within(RUNG_SECONDS))
    if solution is None or solution.x is None:
        return None
    taken = below.copy()
    for column in columns:
        taken[moves] += np.round(solution.x[column])
    return low + taken * step


def _whole(
    problem: NearestProblem,
    rows: Rows,
    form: LinearForm,
    relaxed: Solution,
    solver: Solver,
    clock: Clock,
) -> Float[np.ndarray, " n"] | None:
    """A good point with integers near the relaxation's: few inputs are decided anew, then more."""
    if relaxed.x is None or relaxed.row_duals is None:
        return None
    program, columns, duals = program_of(form, rows), relaxed.x, relaxed.row_duals
    at_least = float(form.cost @ columns)
    if isinstance(problem.norm, LInf):
        # The relaxation leaves most inputs somewhere between; on the ball of the next attainable
        # radius the point furthest inside the criterion has nearly all of them at its corners.
        radius = problem.beyond(at_least * (1 - 1e-9))
        ball = problem.norm.ball(problem.center, radius * (1 + 1e-12), problem.box)
        inner = problem.norm.distance_form(problem.center, Box(ball.lower, ball.upper))
        program = program_of(inner, rows, margin=True)
        solution = solved(program, solver, clock)
        if solution is None or solution.x is None or solution.row_duals is None:
            return None
        columns, duals = solution.x[: len(form.cost)], solution.row_duals
    price = np.abs(program.cost - program.matrix.T @ duals)[: len(columns)]
    x = form.offset + form.transform @ columns
    resting = x if problem.grid is None else problem.grid.snap(x, problem.box)
    transform = sp.csc_array(form.transform)
    score = np.full(len(x), np.inf)
    between = (columns > form.lower + 1e-9) & (columns < form.upper - 1e-9)
    price = np.where(between, -1.0 if isinstance(problem.norm, L0) else price, price)
    for j in range(transform.shape[1]):
        for i in transform.indices[transform.indptr[j] : transform.indptr[j + 1]]:
            score[i] = min(score[i], price[j])
    score[np.abs(resting - x) > 1e-9] = -1.0
    order = np.argsort(score, kind="stable")
    best: tuple[float, Float[np.ndarray, " n"]] | None = None
    for count in RUNGS:
        if clock.expired:
            break
        chosen = np.zeros(len(x), dtype=bool)
        chosen[order[:count]] = True
        chosen |= score < 0
        found = _decided(problem, rows, form, resting, chosen, at_least, solver, clock)
        if found is not None:
            distance = float(problem.distance(found))
            if best is None or distance < best[0]:
                best = distance, found
            if distance <= problem.beyond(at_least * (1 - 1e-7)) * (1 + 1e-7) or chosen.all():
                break
    return None if best is None else best[1]


def _decided(
    problem: NearestProblem,
    rows: Rows,
    form: LinearForm,
    resting: Float[np.ndarray, " n"],
    chosen: Bool[np.ndarray, " n"],
    at_least: float,
    solver: Solver,
    clock: Clock,
) -> Float[np.ndarray, " n"] | None:
    """The best point where only the chosen inputs leave where they rest.

    Where steps are fine, near enough is within two of the best: what is nearer, if anything, is
    left to the search.
    """
    transform = sp.csc_array(form.transform)
    moves = np.diff(transform.indptr) > 0
    owner = np.zeros(len(moves), dtype=int)
    owner[moves] = transform.indices[transform.indptr[:-1][moves]]
    fixed = moves & ~chosen[owner]
    program = program_of(form, rows, problem, (fixed, form.coordinates(resting)))
    first = problem.beyond(at_least * (1 - 1e-9))
    step = first - problem.before(first)
    gap = min(2 * step / first, FINE) if first > 0 else 0.0
    solution = solved(program, solver, clock.within(RUNG_SECONDS), target=first, gap=gap)
    if solution is None or solution.x is None:
        return None
    return problem.tidied(form.offset + form.transform @ solution.x[: len(form.cost)])
