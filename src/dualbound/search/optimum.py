"""The largest value of an objective over a region: what is known of it, and two ways to know more.

Our own phase tree (`by_tree`) takes chains of affine maps and rectifiers; one mixed-integer program
(`by_program`) takes everything, phases too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from dualbound.bounds import Bounds, crown
from dualbound.bounds.crown import maximum as crown_maximum
from dualbound.bounds.layer_bounds import magnitude, rounding
from dualbound.errors import InvalidInput, SoundnessError
from dualbound.limits import Clock
from dualbound.milp import Encoding, Expression, Program, encode_moderately, formulation_named
from dualbound.milp.relu import equal_rows
from dualbound.network.graph import Affine, Network, Pattern, maps_on_pattern
from dualbound.phases import reference_of
from dualbound.region import Box, Region
from dualbound.search.incumbent import Progress
from dualbound.search.milp import GAVE_UP, TOLERANCE, Milp
from dualbound.search.objective import Objective
from dualbound.solvers import Can, Effort, Highs, Stop, demand
from dualbound.tighten.ascent import ascend, climb
from dualbound.tighten.extreme import extreme
from dualbound.tighten.layerwise import CANCELLED_SLACK

STARTS, STARTS_A_NEURON = 1000, 40
"""Points of the region that a first point is looked for from, at most and for each neuron."""

FEWEST_STARTS = 30
"""The same where hardly a neuron can change its phase; in between by the square of the share."""

STARTS_FOR_A_SIDE = 100
"""The same where it is enough to know the side of a number that the largest value is on: decisions
are quick, and find more where there is more."""

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


def open_gap(value: float, bound: float) -> float:
    """How far a bound is above a value, relatively; absolutely where the value is below 1.

    >>> open_gap(4.0, 5.0), open_gap(0.0, 0.5)
    (0.25, 0.5)
    """
    return max(0.0, bound - value) / max(abs(value), 1.0)


@dataclass
class Optimum:
    """The best point and the proved bound of one search; only ever better.

    Attributes:
        objective: to be maximised.
        region: of the network's inputs.
        clock: of the query.
        gap: see `open_gap`; counts as closed.
        side: if given, all that is asked is whether the largest value is above this number.
        on_progress: told of every change, in terms of the objective.
        x: best point, exactly in the region; None while there is none.
        value: of the objective there, or minus infinity.
        bound: proved: no point of the region has a larger value.
        phase: what is being done.
        nodes: branch-and-bound nodes so far.
        unstable: neurons whose sign was open when the proof began.
        seconds: of each phase that has ended.
        note: what the user should hear of how the search ended.
    """

    objective: Objective
    region: Region
    clock: Clock
    gap: float
    side: float | None = None
    on_progress: Callable[[Progress], None] | None = None
    x: Float[np.ndarray, " n"] | None = None
    value: float = -np.inf
    bound: float = np.inf
    phase: str = "start"
    nodes: int = 0
    unstable: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def closed(self) -> bool:
        """Whether value and bound are close enough, or on one side of what was asked about."""
        if self.side is not None:
            return self.value > self.side or self.bound <= self.side
        return open_gap(self.value, self.bound) <= self.gap

    def offer(self, points: Float[np.ndarray, "k n"]) -> None:
        """Take the best of some points, if it is better than the best so far.

        Raises:
            SoundnessError: it is better than what was proved possible.
        """
        values = self.objective(points)
        for at in np.argsort(-values, kind="stable")[:3]:
            if values[at] <= self.value:
                return
            x = inside(self.region, points[at])
            if x is None:
                continue
            value = float(self.objective(x[None])[0])
            self.check(value)
            if value > self.value:
                self.x, self.value = x, value
                self.report()

    def check(self, value: float) -> None:
        """Compare a value that was reached with what was proved.

        Raises:
            SoundnessError: it is better than what was proved possible.
        """
        if value > self.bound + 1e-7 * abs(self.bound) + 1e-9:
            raise SoundnessError(
                f"A point with the value {value!r} contradicts the proved bound {self.bound!r}. "
                "No figure of this run can be trusted; please report it."
            )

    def prove(self, bound: float) -> None:
        """Record that no point of the region has a larger value."""
        if not bound < self.bound:
            return
        self.bound = bound
        self.check(self.value)
        self.bound = max(bound, self.value)
        self.report()

    def enter(self, phase: str) -> None:
        """Name what is being done from now on, and count the seconds of what was done so far."""
        spent = self.clock.seconds - sum(self.seconds.values())
        self.seconds[self.phase] = self.seconds.get(self.phase, 0.0) + spent
        self.phase = phase
        self.report()

    def report(
        self, *, value: float = -np.inf, bound: float = np.inf, extra_nodes: int = 0
    ) -> None:
        """Tell whoever watches; of more than is recorded yet, if that is known."""
        if self.on_progress is not None:
            value, bound = max(value, self.value), min(bound, self.bound)
            known = value if value > -np.inf else None
            self.on_progress(
                Progress(
                    phase=self.phase,
                    value=known,
                    bound=bound,
                    gap=None if known is None else open_gap(value, bound),
                    nodes=self.nodes + extra_nodes,
                    seconds=self.clock.seconds,
                )
            )


def inside(region: Region, x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"] | None:
    """The nearest point of a region that is exactly in it, as its violation is computed.

    >>> from dualbound.region import Box, L1Ball
    >>> ball = L1Ball(np.full(3, 0.1), 0.3, Box(0, 1).sized(3))
    >>> x = inside(ball, np.full(3, 0.9))
    >>> ball.violation(x[None]), x.round(12)
    (array([0.]), array([0.2, 0.2, 0.2]))
    """
    nearest = region.project(x[None])[0]
    if region.violation(nearest[None])[0] == 0.0:
        return nearest
    middle = region.sample(np.random.default_rng(0), 64).mean(axis=0)
    for power in range(-52, -25):
        point = nearest + 2.0**power * (middle - nearest)
        if region.violation(point[None])[0] == 0.0:
            return point
    return None


def by_tree(optimum: Optimum, threads: int, hints: Objective | None = None) -> None:
    """Close the gap by branch and bound on phases.

    Args:
        optimum: what is asked, and takes what is found.
        threads: how many look at nodes.
        hints: another objective on the same inputs that is ascended for a first point too.

    Raises:
        InvalidInput: see `tree_refuses`.

    **Trusts** float64 sums within the slack of `phases.propagation`; solvers with nothing.
    """
    objective, region = optimum.objective, optimum.region
    refused = tree_refuses(objective, region)
    if refused:
        raise InvalidInput(f"The engine columns cannot do this: {refused}; use the engine milp.")
    bounds = directly(optimum, crown, hints)
    chained = objective.along_chain(bounds)
    if optimum.closed or chained is None or optimum.x is None:
        return
    optimum.enter("search")
    network, direction = chained
    slack = objective.rounding(bounds)

    def tell(value: float, bound: float, nodes: int) -> None:
        optimum.report(value=value, bound=bound + slack, extra_nodes=nodes)

    found = extreme(
        network,
        region,
        crown(network, region),
        direction,
        optimum.clock,
        optimum.x[None],
        gap=optimum.gap * 0.99,
        threads=threads,
        tell=tell,
    )
    optimum.nodes, optimum.unstable = found.nodes, found.unstable
    optimum.offer(found.x[None])
    optimum.prove(found.bound + slack)


def tree_refuses(objective: Objective, region: Region) -> str:
    """Why `by_tree` cannot take a question; empty when it can."""
    if objective.phases:
        return "phases are asked about, which are no continuous function of the input"
    if objective.squares:
        return "squares are asked about"
    if not objective.on_chain:
        return "the network is no plain chain of affine maps and rectifiers"
    try:
        reference_of(region)
    except InvalidInput as error:
        return str(error).rstrip(".")
    return ""


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

    start = None if optimum.x is None else encoding.start_at(optimum.x)
    solution = solver.solve(
        program, optimum.clock, start=start, gap=optimum.gap * 0.9, on_effort=watch
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


def directly(
    optimum: Optimum,
    method: Callable[[Network, Region], Bounds],
    hints: Objective | None = None,
) -> Bounds:
    """What comes first, whatever follows: bounds, a first point, and a first proof."""
    objective, region = optimum.objective, optimum.region
    optimum.enter("bounds")
    bounds = method(objective.network, region)
    optimum.prove(_without_search(objective, region, bounds))
    optimum.enter("ascent")
    _look_around(optimum, objective, bounds)
    if hints is not None and not optimum.closed:
        _look_around(optimum, hints, method(hints.network, region))
    return bounds


def _without_search(objective: Objective, region: Region, bounds: Bounds) -> float:
    """A bound by CROWN alone."""
    if not objective.weights:
        most = 0.0
    elif (chained := objective.along_chain(bounds)) is None:
        return np.inf
    else:
        network, direction = chained
        known = bounds if network is objective.network else crown(network, region)
        over = crown_maximum(network, region, known, network.output, direction[None])
        most = min(float(over[0]) + objective.rounding(bounds), _by_intervals(objective, bounds))
    phases = sum(float(np.maximum(worth, 0.0).sum()) for worth in objective.phases.values())
    return most + phases


def _by_intervals(objective: Objective, bounds: Bounds) -> float:
    """The sum of what each value can add; 0 exactly where that is the most that any adds."""
    terms = [
        np.maximum(weights * bounds.lower[name], weights * bounds.upper[name])
        for name, weights in objective.weights.items()
    ]
    every = np.concatenate(terms)
    return float(every.sum() + rounding(len(every)) * np.abs(every).sum())


def _look_around(optimum: Optimum, objective: Objective, bounds: Bounds) -> None:
    """Offer the best that climbing and ascending from many points come to, until that is proved."""
    region = optimum.region
    most = STARTS if isinstance(region, Box) else STARTS // 5  # a step takes longer there
    neurons = sum(relu.size for relu in objective.network.relus)
    count = min(most, STARTS_A_NEURON * (1 + neurons))
    if neurons and set(objective.network.pre_activations) <= bounds.lower.keys():
        open_ = bounds.unstable_count(objective.network) / neurons
        count = max(min(count, FEWEST_STARTS), round(count * open_**2))
    if optimum.side is not None:
        count = min(count, STARTS_FOR_A_SIDE)
    middle = region.project((region.lower + region.upper)[None] / 2)
    points = np.vstack([middle, region.sample(np.random.default_rng(0), count - 1)])
    optimum.offer(points)
    for name, (costs, center) in objective.squares.items():
        part = objective.network.up_to(name)
        nil = region.project(np.zeros((1, points.shape[1])))
        faint = nil + np.linspace(0, 1, len(points))[:, None] ** 2 * (points - nil)
        optimum.offer(ascend(part, region, costs, faint, optimum.clock, around=center)[1])
    chained = objective.along_chain(bounds) if objective.weights else None
    if chained is None:
        return
    network, direction = chained
    for part, along in (*_eager(objective, bounds), chained):
        _, points = climb(part, region, along, points)
        optimum.offer(points)
    if network.relus and (optimum.side is not None or not optimum.closed):
        fresh = region.sample(np.random.default_rng(1), count)
        fresh[: count // 4] = points[np.argsort(-objective(points), kind="stable")[: count // 4]]
        optimum.offer(ascend(network, region, direction, fresh, optimum.clock)[1])


def _eager(
    objective: Objective, bounds: Bounds
) -> tuple[tuple[Network, Float[np.ndarray, " m"]], ...]:
    """The objective with pre-activations in place of rectified values: none has a gradient of 0."""
    network = objective.network
    rectified = {relu.name: relu.reads[0] for relu in network.relus}
    weights: dict[str, np.ndarray] = {}
    for name, given in objective.weights.items():
        before = rectified.get(name, name)
        weights[before] = weights.get(before, 0.0) + given
    if weights.keys() == objective.weights.keys():
        return ()
    found = Objective(network, weights).along_chain(bounds)
    return () if found is None else (found,)


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
