"""The largest value by one mixed-integer program, which takes every objective: phases too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from dualbound.bounds import Bounds
from dualbound.bounds.layer_bounds import magnitude
from dualbound.errors import InvalidInput, SoundnessError
from dualbound.milp import Encoding, Expression, Program, encode_moderately, formulation_named
from dualbound.milp.relu import equal_rows
from dualbound.network.nodes import Affine
from dualbound.network.patterns import Pattern, maps_on_pattern
from dualbound.region import Region
from dualbound.search.direct import directly
from dualbound.search.milp import GAVE_UP, SHARE, TOLERANCE, Milp
from dualbound.search.objective import Objective
from dualbound.search.optimum import Optimum
from dualbound.solvers import Can, Effort, Highs, Stop, demand
from dualbound.tighten.ascent import climb
from dualbound.tighten.layerwise import CANCELLED_SLACK

ACTIVE_IS_ONE = {"bigm": True, "fischetti-jo": False, "indicator": True}
"""What a formulation's binary means; the papers' z is 1 where inactive."""

LARGEST = 64.0
"""Differences whose squares are asked about are at most this in a solver's program. Its tolerances
are absolute: of squares of 1e10 SCIP has claimed what is false."""

LEAST_PART = 0.1
"""Of the differences whose squares are asked about, a solver's tolerance may hide this part."""

MARGINS = (1e-6, 0.0)
"""How far inside a pattern its best point is looked for: by more than a solver's tolerance, so that
the phases are what they shall be; or not at all, where a pattern is too thin for that."""


def by_program(optimum: Optimum, engine: Milp, hints: Objective | None = None) -> None:
    """Close the gap by one mixed-integer program.

    Args:
        optimum: what is asked, and takes what is found.
        engine: its solver, formulation and bounds.
        hints: another objective on the same inputs that is ascended for a first point too.

    Raises:
        InvalidInput: phases are asked about in a formulation that has no binary for them, or
            squares of a solver that cannot do them.

    **Trusts** the solver's dual bound within its tolerance.
    """
    objective, region = optimum.objective, optimum.region
    form = formulation_named(engine.formulation)
    if objective.phases and form.name not in ACTIVE_IS_ONE:
        raise InvalidInput(
            f"Phases are not asked about in the formulation {form.name}; use fischetti-jo."
        )
    solver = engine.backend()
    if objective.squares:
        demand(solver, frozenset({Can.QUADRATIC}))
    bounds = directly(optimum, engine.bounds_over, hints)
    if optimum.closed:
        return
    optimum.enter("search")
    known, bounds = bounds, bounds.intersect(objective.confined(optimum.value))
    optimum.unstable = bounds.unstable_count(objective.network)
    optimum.note = _beyond(objective, region, known, bounds, solver.name)
    if optimum.note:
        return
    encoding = encode_moderately(objective.network, region.linear_form(), bounds, formulation=form)
    unit = _unit(objective, bounds)
    program = _program(objective, encoding, bounds, ACTIVE_IS_ONE.get(form.name, True), unit)

    def watch(effort: Effort) -> None:
        bound = np.inf if effort.bound is None else slackened(-effort.bound)
        optimum.report(bound=bound, extra_nodes=effort.nodes)

    slack = CANCELLED_SLACK * _magnitude(objective, bounds)

    def slackened(bound: float) -> float:
        """A bound of the program in the units of the objective."""
        squared = 2.0 if objective.squares else 1.0  # solvers hold a cone to the same tolerance
        return unit**2 * (bound + squared * TOLERANCE * (1 + abs(bound))) + slack

    start = None if optimum.x is None else _start(objective, encoding, optimum.x, unit)
    solution = solver.solve(
        program, optimum.clock, start=start, gap=SHARE * optimum.gap, on_effort=watch
    )
    optimum.nodes += solution.nodes
    if solution.stop is Stop.INFEASIBLE:
        raise SoundnessError(
            f"{solver.name} claims that the region has no points, but it has. No figure of this "
            "run can be trusted; please report it."
        )
    if solution.stop in GAVE_UP:
        optimum.note = f"{solver.name} gave up: {solution.message}"
    if solution.x is not None:
        _take(optimum, encoding, solution.x, bounds, ACTIVE_IS_ONE.get(form.name, True))
    if solution.bound is not None:
        optimum.prove(slackened(-solution.bound))


def _beyond(
    objective: Objective, region: Region, known: Bounds, bounds: Bounds, solver: str
) -> str:
    """Why no program can tell squares that are asked about from a solver's tolerance, if none can.

    Args:
        objective: that is asked about.
        region: of inputs.
        known: bounds of all nodes.
        bounds: the same where the objective is no worse than at the best point.
        solver: its name.
    """
    for name in objective.squares:
        if not isinstance(objective.network[name].op, Affine):
            continue
        terms = float(magnitude(objective.network, region, known, name).max())
        away = float(np.maximum(np.abs(bounds.lower[name]), np.abs(bounds.upper[name])).max())
        if CANCELLED_SLACK * terms > LEAST_PART * away:
            return (
                f"differences of at most {away:.2g} are asked about, in outputs that are sums of "
                f"terms up to {terms:.2g}: within the tolerance of {solver} they cannot be told "
                "apart, and the bound is what is proved without it"
            )
    return ""


def _unit(objective: Objective, bounds: Bounds) -> float:
    """What squared differences are measured in, so that none is above `LARGEST`: a power of 2."""
    largest = 0.0
    for name, (_, center) in objective.squares.items():
        ends = np.abs(bounds.lower[name] - center), np.abs(bounds.upper[name] - center)
        largest = max(largest, float(np.maximum(*ends).max()))
    return float(2.0 ** np.ceil(np.log2(max(largest / LARGEST, 1.0))))


def _program(
    objective: Objective, encoding: Encoding, bounds: Bounds, active_is_one: bool, unit: float
) -> Program:
    """The encoded network with the objective, negated, as its cost: in squares of the unit."""
    for name, (costs, center) in objective.squares.items():
        value, count = encoding.values[name], len(center)
        low, high = (bounds.lower[name] - center) / unit, (bounds.upper[name] - center) / unit
        room = TOLERANCE * (1 + np.abs(low) + np.abs(high))
        columns = encoding.builder.columns(
            [f"{name}_d{j}" for j in range(count)],
            lower=low - room,
            upper=high + room,
            quadratic=costs,
        )
        away = Expression(value.coefficients / unit, (value.constant - center) / unit)
        names = [f"{name}_away{j}" for j in range(count)]
        equal_rows(encoding.builder, names, away, np.arange(count), [columns], [1])
    program = encoding.builder.build()
    cost, constant = np.zeros(program.shape[1]), 0.0
    for name, weights in objective.weights.items():
        value = encoding.values[name].mapped(weights[None], np.zeros(1))
        cost += value.costs(0, len(cost))
        constant += float(value.constant[0])
    for name, worth in objective.phases.items():
        binaries, before = encoding.layers[name].binaries, objective.network[name].reads[0]
        free = binaries >= 0
        cost[binaries[free]] += np.where(active_is_one, -1.0, 1.0) * worth[free]
        constant += float(worth[free].sum()) if active_is_one else 0.0
        low, high = bounds.lower[before][~free], bounds.upper[before][~free]
        # Without a binary, a neuron whose bound is 0 itself may be both: count what adds more.
        off, both = high <= 0, (low <= 0) & (high >= 0)
        sure = np.where(both, np.maximum(worth[~free], 0.0), np.where(off, worth[~free], 0.0))
        constant += float(sure.sum())
    return replace(program, cost=-cost / unit**2, offset=-constant / unit**2)


def _start(
    objective: Objective, encoding: Encoding, x: Float[np.ndarray, " n"], unit: float
) -> Float[np.ndarray, " c"]:
    """The columns' values at an input, those of `_program` among them: the last ones."""
    start, values = encoding.start_at(x), objective.network.values(x[None])
    parts = [(values[name][0] - center) / unit for name, (_, center) in objective.squares.items()]
    away = np.concatenate([np.zeros(0), *parts])
    start[len(start) - len(away) :] = away
    return start


def _magnitude(objective: Objective, bounds: Bounds) -> float:
    size = sum(float(np.abs(worth).sum()) for worth in objective.phases.values())
    for name, weights in objective.weights.items():
        reach = np.maximum(np.abs(bounds.lower[name]), np.abs(bounds.upper[name]))
        size += float(np.abs(weights) @ reach)
    for name, (costs, center) in objective.squares.items():
        reach = np.maximum(np.abs(bounds.lower[name]), np.abs(bounds.upper[name])) + np.abs(center)
        size += 2 * float(costs @ reach**2)  # where a difference errs by a part, its square by two
    return size


def _take(
    optimum: Optimum,
    encoding: Encoding,
    v: Float[np.ndarray, " c"],
    bounds: Bounds,
    active_is_one: bool,
) -> None:
    """A program's solution, what can be climbed to from it, and the best point of its pattern."""
    objective, region = optimum.objective, optimum.region
    x = region.project(encoding.input_at(v)[None])
    optimum.offer(x)
    chained = objective.along_chain(bounds)
    if chained is not None and not objective.phases:
        optimum.offer(climb(chained[0], region, chained[1], x)[1])
    if objective.phases:
        pattern = {}
        for relu in objective.network.relus:
            binaries = encoding.layers[relu.name].binaries
            one = np.append(v, 0.0)[binaries] > 0.5
            stable = bounds.lower[relu.reads[0]] >= 0
            pattern[relu.name] = np.where(binaries < 0, stable, one == active_is_one)
        for margin in MARGINS:
            best = _best_on_pattern(objective, region, pattern, margin)
            if best is not None:
                optimum.offer(best[None])


def _best_on_pattern(
    objective: Objective, region: Region, pattern: Pattern, margin: float
) -> Float[np.ndarray, " n"] | None:
    """The best point of one activation pattern, somewhat inside where phases count."""
    maps, form = maps_on_pattern(objective.network, pattern), region.linear_form()
    matrices, sides = [], []
    for relu in objective.network.relus:
        weight, bias = maps[relu.reads[0]]
        sign = np.where(pattern[relu.name], 1.0, -1.0)
        counts = objective.phases.get(relu.name, np.zeros(relu.size)) != 0
        matrices.append(sign[:, None] * weight)
        sides.append(margin * counts - sign * bias)
    left, right = np.vstack(matrices), np.concatenate(sides)
    slope = sum(
        (weights @ maps[name][0] for name, weights in objective.weights.items()),
        start=np.zeros(left.shape[1]),
    )
    rows = sp.vstack([sp.csr_array(left @ form.transform), form.rows], format="csr")
    unbounded = np.full(rows.shape[0], np.inf)
    low, high = -unbounded, unbounded.copy()
    low[: len(right)], high[len(right) :] = right - left @ form.offset, form.row_upper
    program = Program(
        cost=-(form.transform.T @ slope),
        lower=form.lower,
        upper=form.upper,
        integer=np.zeros(len(form.lower), dtype=bool),
        matrix=rows,
        row_lower=low,
        row_upper=high,
        column_names=form.names,
        row_names=tuple(f"r{i}" for i in range(rows.shape[0])),
    )
    x = Highs().solve(program).x
    return None if x is None else form.offset + form.transform @ x
