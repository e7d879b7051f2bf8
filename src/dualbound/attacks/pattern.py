r"""The closest point of one activation pattern: on it the network is affine.

.. math:: \min_x \|x - x^0\| \quad\text{s.t.}\quad A(Vx + v) \ge b + \sigma,\;
          \pm(U_j x + u_j) \ge 0,\; x \in \text{box}

where :math:`U_j` is the pre-activation of neuron j on the pattern, with + where it is active. In L1
and L∞ this is a linear program, in L2 a projection. In L0, and on a grid, integers come in: the
linear relaxation says which inputs are worth deciding, and the others stay where it has them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

from dualbound.attacks.cells import ZERO
from dualbound.attacks.problem import NearestProblem
from dualbound.attacks.projection import project_to_rows
from dualbound.attacks.steps import Steps, confined, steps_within
from dualbound.errors import InvalidInput, SolverFailed
from dualbound.limits import Clock
from dualbound.milp import Program, ProgramBuilder
from dualbound.network.graph import Pattern, maps_on_pattern
from dualbound.region import L0, L1, L2, Box, LinearForm, LInf
from dualbound.solvers import Solution, Solver, Stop

RUNGS = (24, 100)
"""How many inputs may be decided anew in a program with integers: few first, then more."""

RUNG_SECONDS = 2.0
"""How long one of these programs may take while a witness is looked for."""

WINDOW = 4
"""How many steps an input may take in the rounding of an L2 projection to a grid."""

MOST_STEPS = 20_000
"""Of L2 balls with more steps than this from level to level no program is made."""

FINE = 2e-3
"""Two steps that are no larger a part of the distance are fine."""

TOLERANCE = 1e-6
"""Rows, scaled to a largest coefficient of 1, are relaxed by this where something is proved."""


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


@dataclass(frozen=True, eq=False)
class _Rows:
    """``matrix·x + offset >= 0``, those of the criterion first, scaled to coefficients of 1.

    Attributes:
        matrix, offset: of the rows.
        goals: how many are the criterion's.
        neurons: of the others.
        moving: which are not constant in the box.
        strict: whether a point must be well inside the pattern, and not only reach the criterion.
    """

    matrix: Float[np.ndarray, "m n"]
    offset: Float[np.ndarray, " m"]
    goals: int
    neurons: list[tuple[str, int]]
    moving: Bool[np.ndarray, " m"]
    strict: bool = False

    def inside(self, least: float) -> _Rows:
        """The same with the criterion to be exceeded; missed, where ``least`` is negative.

        A constant cannot be exceeded. Where the criterion has one, it may just so be reached on the
        pattern and nowhere else: then the point is to be well inside the pattern instead.
        """
        shifted = np.arange(len(self.offset)) < self.goals
        if least > 0:
            strict = self.strict or not self.moving[: self.goals].all()
            shifted = self.moving & (shifted | strict)
        return replace(self, offset=self.offset - least * shifted)


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
        below: with integers, points at this distance or further are not looked for.

    Returns:
        The optimum; in L0 and on a grid, a good point. None if no point of the pattern reaches the
        criterion, or if the numbers are beyond the solver: an attack does without.
    """
    rows = _rows(problem, pattern, linearised_at)
    if rows is None:
        return None
    rows = rows.inside(inside)
    if isinstance(problem.norm, L2):
        return None if clock.expired else _projected(problem, rows, solver, clock, below)
    form = _form(problem)
    solution = _solved(_program(form, rows), solver, clock)
    if solution is None or solution.x is None:
        return None
    x: Float[np.ndarray, " n"] | None = form.offset + form.transform @ solution.x
    if problem.is_integral:
        least = problem.beyond(float(form.cost @ solution.x) * (1 - 1e-9) - 1e-12)
        x = _whole(problem, rows, form, solution, solver, clock) if least < below else None
    if x is None:
        return None
    x = problem.tidied(x)
    return PatternOptimum(x, float(problem.distance(x)), _tight(solution.row_duals, rows))


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
    tolerances; the rows are relaxed by ten times as much.
    """
    rows = _rows(problem, pattern, None)
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
    form = box.linear_form() if boxed else _form(replace(problem, box=box))
    if not boxed:
        form = replace(
            form,
            rows=sp.vstack([form.rows, sp.csr_array(form.cost[None])], format="csr"),
            row_upper=np.append(form.row_upper, radius * (1 + 1e-9)),
        )
    relaxed = _program(form, rows.inside(-TOLERANCE), margin=True)
    solution = _solved(relaxed, solver, clock)
    if solution is None:
        return False, None
    if solution.stop is Stop.INFEASIBLE or (solution.bound is not None and solution.bound > 0):
        return True, None
    if solution.row_duals is None or solution.bound is None:
        return False, None
    reduced = relaxed.cost - relaxed.matrix.T @ solution.row_duals
    fixed = _fixed(problem, form, reduced[: len(form.cost)], -solution.bound)
    whole = _program(form, rows.inside(-TOLERANCE), problem, fixed, margin=True)
    solution = _solved(whole, solver, clock, target=0.0)
    if solution is None or solution.stop in (Stop.INFEASIBLE, Stop.CUTOFF):
        return solution is not None, None
    if solution.bound is not None and solution.bound > 0:
        return True, None
    if solution.x is None:
        return False, None
    return False, problem.tidied(form.offset + form.transform @ solution.x[: len(form.cost)])


def _excluded_in_round(
    problem: NearestProblem, rows: _Rows, radius: float, solver: Solver, clock: Clock
) -> tuple[bool, Float[np.ndarray, " n"] | None]:
    """The same in L2: of whole steps, each of which adds what it costs to the squared distance."""
    rows = rows.inside(-TOLERANCE)
    between = _between(problem, rows)
    multipliers = np.zeros(len(rows.offset)) if between is None else between[1]
    # A point on a face of two patterns must not be lost to both by rounding.
    relaxed_offset = rows.offset + TOLERANCE
    near = confined(problem, radius, rows.matrix, relaxed_offset, multipliers)
    steps = None if near is None else steps_within(near, radius)
    if steps is None:
        return True, None
    if len(steps.inputs) > MOST_STEPS:
        return False, None
    relaxed = steps.program(rows.matrix, rows.offset, rows.goals, integer=False)
    solution = _solved(relaxed, solver, clock)
    if solution is None:
        return False, None
    if solution.stop is Stop.INFEASIBLE or (solution.bound is not None and solution.bound > 0):
        return True, None
    if solution.row_duals is None or solution.bound is None:
        return False, None
    reduced = (relaxed.cost - relaxed.matrix.T @ solution.row_duals)[:-1]
    needless = solution.bound + reduced > 1e-9  # with one of them, the margin would be negative
    whole = steps.program(rows.matrix, rows.offset, rows.goals, left_out=needless)
    solution = _solved(whole, solver, clock, target=0.0)
    if solution is None or solution.stop in (Stop.INFEASIBLE, Stop.CUTOFF):
        return solution is not None, None
    if solution.bound is not None and solution.bound > 0:
        return True, None
    if solution.x is None:
        return False, None
    return False, problem.tidied(steps.point(solution.x[:-1]))


def is_thin(problem: NearestProblem, pattern: Pattern, solver: Solver, clock: Clock) -> bool:
    """Whether no input is inside a pattern and the criterion by more than `TOLERANCE`.

    Args:
        problem: what is asked.
        pattern: on which the network is affine.
        solver: of a linear program.
        clock: when to stop.

    **Trusts** the solver's dual bound, or its verdict that a linear program has no solution.
    """
    rows = _rows(problem, pattern, None)
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
    program = _program(problem.box.linear_form(), all_of_them, margin=True)
    solution = _solved(program, solver, clock)
    if solution is None:
        return False
    depth = np.inf if solution.bound is None else -solution.bound
    return solution.stop is Stop.INFEASIBLE or depth <= TOLERANCE


def _rows(
    problem: NearestProblem, pattern: Pattern | None, linearised_at: Pattern | None
) -> _Rows | None:
    signs = pattern if pattern is not None else linearised_at
    if signs is None:
        return None
    network = problem.network
    maps = maps_on_pattern(network, signs)
    weight, bias = maps[network.output]
    a, b = problem.criterion.rows(network.output_size)
    matrices, offsets = [a @ weight], [a @ bias - b]
    neurons: list[tuple[str, int]] = []
    for relu in network.relus if pattern is not None else ():
        weight, bias = maps[relu.reads[0]]
        sign = np.where(signs[relu.name], 1.0, -1.0)
        matrices.append(sign[:, None] * weight)
        offsets.append(sign * bias)
        neurons += [(relu.name, j) for j in range(relu.size)]
    matrix, offset = np.vstack(matrices), np.concatenate(offsets)
    if not (np.isfinite(matrix).all() and np.isfinite(offset).all()):
        return None
    largest = np.abs(matrix).max(axis=1)
    scale = np.where(largest > ZERO, largest, 1.0)
    free = problem.box.lower < problem.box.upper
    moving = np.abs(matrix[:, free]).max(axis=1, initial=0.0) > ZERO
    return _Rows(
        matrix=matrix / scale[:, None],
        offset=offset / scale,
        goals=len(a),
        neurons=neurons,
        moving=moving,
        strict=problem.listed is not None,
    )


def _projected(
    problem: NearestProblem, rows: _Rows, solver: Solver, clock: Clock, below: float
) -> PatternOptimum | None:
    """In L2: the point of the rows that is nearest; on a grid, one nearer than ``below``."""
    found = _between(problem, rows)
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
    return PatternOptimum(x, float(problem.distance(x)), _tight(found[1], rows))


def _between(
    problem: NearestProblem, rows: _Rows
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " m"]] | None:
    """In L2, the point of the rows that is nearest, grid or not, and the rows' multipliers."""
    box = problem.box
    return project_to_rows(
        problem.center, rows.matrix, rows.offset, box.lower, box.upper, problem.norm.weights
    )


def _nearest_in_round(
    problem: NearestProblem, steps: Steps, rows: _Rows, solver: Solver, clock: Clock
) -> Float[np.ndarray, " n"] | None:
    """The grid point of the rows that takes the cheapest steps, or one about as near."""
    relaxed = steps.program(rows.matrix, rows.offset, 0, integer=False)
    solution = _solved(relaxed, solver, clock)
    if solution is None or solution.row_duals is None or solution.bound is None:
        return None
    reduced = relaxed.cost - relaxed.matrix.T @ solution.row_duals
    whole = steps.program(rows.matrix, rows.offset, 0, left_out=solution.bound + reduced > 1.0)
    solution = _solved(whole, solver, clock.within(RUNG_SECONDS), gap=2 * FINE)
    if solution is None or solution.x is None:
        return None
    return problem.tidied(steps.point(solution.x))


def _rounded(
    problem: NearestProblem, rows: _Rows, x: Float[np.ndarray, " n"], solver: Solver, clock: Clock
) -> Float[np.ndarray, " n"] | None:
    """The best grid point near a projection: each input steps up from a level below it.

    The squared distance is convex and known at every level, so steps of rising cost stand for it.
    """
    low, step, first, last = _levels(problem)
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
    _add(builder, "r", matrix, lower=-(rows.offset + rows.matrix @ (low + below * step)))
    if builder.column_count == 0:
        return x
    solution = _solved(builder.build(), solver, clock.within(RUNG_SECONDS))
    if solution is None or solution.x is None:
        return None
    taken = below.copy()
    for column in columns:
        taken[moves] += np.round(solution.x[column])
    return low + taken * step


def _form(problem: NearestProblem) -> LinearForm:
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


def _program(
    form: LinearForm,
    rows: _Rows,
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
    _add(builder, "r", sp.csr_array(matrix), lower=lower_side)
    region = form.rows
    if counted:
        region = _add_counts(builder, form, columns, free, charged=not margin)
    _add(builder, "f", region, upper=form.row_upper)
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
    low, step, first, last = _levels(problem)
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


def _levels(
    problem: NearestProblem,
) -> tuple[
    Float[np.ndarray, " n"],
    Float[np.ndarray, " n"],
    Float[np.ndarray, " n"],
    Float[np.ndarray, " n"],
]:
    """Of each input's grid: where it begins, its step, and which steps lie in the box."""
    grid, n = problem.grid, len(problem.center)
    if grid is None:
        raise ValueError("a problem without a grid has no levels")
    narrow = grid.narrowed(problem.box)
    return (
        np.broadcast_to(grid.ends.lower, n),
        np.broadcast_to(grid.step, n),
        grid.steps(narrow.lower),
        grid.steps(narrow.upper),
    )


def _add(
    builder: ProgramBuilder,
    name: str,
    matrix: sp.csr_array,
    *,
    lower: np.ndarray | float = -np.inf,
    upper: np.ndarray | float = np.inf,
) -> None:
    parts = [slice(a, b) for a, b in zip(matrix.indptr, matrix.indptr[1:], strict=False)]
    builder.rows(
        [f"{name}{i}" for i in range(len(parts))],
        [matrix.indices[part] for part in parts],
        [matrix.data[part] for part in parts],
        lower=lower,
        upper=upper,
    )


def _solved(
    program: Program,
    solver: Solver,
    clock: Clock,
    *,
    target: float | None = None,
    gap: float = 0.0,
) -> Solution | None:
    try:
        return solver.solve(program, clock, target=target, gap=gap)
    except SolverFailed:
        return None


def _whole(
    problem: NearestProblem,
    rows: _Rows,
    form: LinearForm,
    relaxed: Solution,
    solver: Solver,
    clock: Clock,
) -> Float[np.ndarray, " n"] | None:
    """A good point with integers near the relaxation's: few inputs are decided anew, then more."""
    if relaxed.x is None or relaxed.row_duals is None:
        return None
    program, columns, duals = _program(form, rows), relaxed.x, relaxed.row_duals
    at_least = float(form.cost @ columns)
    if isinstance(problem.norm, LInf):
        # The relaxation leaves most inputs somewhere between; on the ball of the next attainable
        # radius the point furthest inside the criterion has nearly all of them at its corners.
        radius = problem.beyond(at_least * (1 - 1e-9))
        ball = problem.norm.ball(problem.center, radius * (1 + 1e-12), problem.box)
        inner = problem.norm.distance_form(problem.center, Box(ball.lower, ball.upper))
        program = _program(inner, rows, margin=True)
        solution = _solved(program, solver, clock)
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
    rows: _Rows,
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
    program = _program(form, rows, problem, (fixed, form.coordinates(resting)))
    first = problem.beyond(at_least * (1 - 1e-9))
    step = first - problem.before(first)
    gap = min(2 * step / first, FINE) if first > 0 else 0.0
    solution = _solved(program, solver, clock.within(RUNG_SECONDS), target=first, gap=gap)
    if solution is None or solution.x is None:
        return None
    return problem.tidied(form.offset + form.transform @ solution.x[: len(form.cost)])


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


def _tight(duals: np.ndarray | None, rows: _Rows) -> tuple[tuple[str, int, float], ...]:
    if duals is None:
        return ()
    found = [
        (name, j, float(duals[rows.goals + k]))
        for k, (name, j) in enumerate(rows.neurons)
        if duals[rows.goals + k] > 1e-9
    ]
    return tuple(sorted(found, key=lambda item: -item[2]))
