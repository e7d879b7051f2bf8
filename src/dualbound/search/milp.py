"""The engine ``milp``: one mixed-integer program at a time, given to a solver.

*Strategy margin* (the default): a witness first; then, inside the ball of its distance, maximise
the margin of the criterion and either prove it negative or meet a nearer witness, which shrinks the
ball and with it every bound and every big-M.

*Strategy direct*: minimise the distance in one program over the whole box. Slow; kept as the twin
that the fast way is checked against, and as the form of the papers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from dualbound.attacks import Linearised, NearestProblem
from dualbound.bounds import METHODS, Bounds, crown
from dualbound.bounds.crown import maximum
from dualbound.bounds.layer_bounds import relaxed
from dualbound.errors import InvalidInput
from dualbound.limits import Clock
from dualbound.milp import formulation_named
from dualbound.region import Region
from dualbound.search.incumbent import Incumbent
from dualbound.search.programs import NearestProgram, distance_program, margin_program
from dualbound.solvers import Effort, Solution, Solver, Stop, solver_named

TOLERANCE = 1e-6
"""Feasibility tolerance that solvers work with; proofs are asked with the criterion relaxed by it,
so that a point which exactly reaches the criterion is never lost to it."""


GAVE_UP = (Stop.FAILED, Stop.UNBOUNDED, Stop.INFEASIBLE_OR_UNBOUNDED, Stop.OTHER_LIMIT)
"""Ends that leave the question open and that the user should hear of."""


@dataclass(frozen=True)
class Milp:
    """Solve a nearest query by mixed-integer programming.

    Args:
        strategy: ``margin`` or ``direct``, see above.
        solver: its name, or the solver itself.
        formulation: of the rectifiers: ``bigm`` or ``fischetti-jo``.
        bounds: method of the bounds over the whole box, for ``direct``.
        attack: how the first witness is found; None starts without one.

    Raises:
        InvalidInput: an unknown strategy, formulation or bound method.
        UnknownSolver: no such solver.
    """

    strategy: str = "margin"
    solver: str | Solver = "highs"
    formulation: str = "bigm"
    bounds: str = "crown"
    attack: Linearised | None = field(default_factory=Linearised)
    name = "milp"

    def __post_init__(self) -> None:
        if self.strategy not in ("margin", "direct"):
            raise InvalidInput(f"Unknown strategy {self.strategy!r}; known are direct, margin.")
        if self.bounds not in METHODS:
            raise InvalidInput(
                f"Unknown bound method {self.bounds!r}; known are {', '.join(sorted(METHODS))}."
            )
        formulation_named(self.formulation)
        solver_named(self.solver)

    def search(self, problem: NearestProblem, incumbent: Incumbent, gap: float) -> int | None:
        """Improve the incumbent from both sides until the gap is closed or its clock expires.

        Args:
            problem: what is asked.
            incumbent: takes every witness and every proof. A bound of infinity means that no
                point of the box reaches the criterion.
            gap: relative gap that counts as closed.

        Returns:
            How many neurons of the last program were unstable; None if there was none.

        **Trusts** the solver's verdict that a program has no solution, within its tolerances.
        """
        run = _Run(problem, incumbent, gap, self, solver_named(self.solver))
        incumbent.prove(problem.norm.reach(problem.center, problem.box)[0])
        if self.strategy == "direct":
            run.direct()
        else:
            run.margin()
        incumbent.enter("done")
        return run.unstable


@dataclass
class _Run:
    """One search: the problem, what is known, and the means."""

    problem: NearestProblem
    incumbent: Incumbent
    gap: float
    engine: Milp
    solver: Solver
    unstable: int | None = None

    def margin(self) -> None:
        """Shrink the ball until it holds nothing nearer."""
        known = self.incumbent
        known.enter("bounds")
        self._raise_bound()
        if self.engine.attack is not None:
            known.enter("attack")
            x = self.engine.attack(self.problem, self.solver, known.clock)
            if x is not None:
                known.improve(x, float(self.problem.distance(x)))
        furthest = self.problem.norm.reach(self.problem.center, self.problem.box)[1]
        retreat = 0.0
        while not known.clock.expired and retreat < 0.5:
            radius = min(known.value * (1 - self.gap), furthest) * (1 - retreat)
            unsearched = known.x is None and radius == furthest  # maybe 0: a box of one point
            if radius <= known.bound and not unsearched:
                return
            excluded, x = self._look_inside(radius)
            if excluded:
                known.prove(radius if radius < furthest else np.inf)
                return
            if x is None:
                return
            if not self._take(x):
                # A point within the solver's tolerance of the criterion, but not of it: nothing
                # nearer than this can be told apart. Prove what can be proved.
                retreat = max(2 * retreat, self.gap, 1e-6)

    def direct(self) -> None:
        """One program over the whole box."""
        known = self.incumbent
        known.enter("bounds")
        bounds = METHODS[self.engine.bounds](self.problem.network, self.problem.box)
        program = distance_program(self.problem, bounds, formulation_named(self.engine.formulation))
        self.unstable = bounds.unstable_count(self.problem.network)
        known.enter("search")
        solution = self._solve(program, gap=self.gap)
        if solution.stop is Stop.INFEASIBLE:
            known.prove(np.inf)
        elif solution.bound is not None:
            known.prove(solution.bound - TOLERANCE * (1 + abs(solution.bound)))
        if solution.x is not None:
            self._take(program.encoding.input_at(solution.x))

    def _raise_bound(self, precision: float = 1.02) -> None:
        """The largest radius whose ball is excluded by CROWN alone: doubling, then bisection."""
        known = self.incumbent
        nearest, furthest = self.problem.norm.reach(self.problem.center, self.problem.box)
        high = max(nearest, furthest / 1024)
        while high < furthest and self._excluded_by_bounds(high):
            high *= 2
        high = min(high, furthest)
        low = max(known.bound, furthest / 1024)
        while not known.clock.expired and high > precision * low:
            middle = float(np.sqrt(low * high))
            if self._excluded_by_bounds(middle):
                low = middle
            else:
                high = middle

    def _excluded_by_bounds(self, radius: float) -> bool:
        """Whether CROWN alone proves that a ball holds no witness; then the bound is raised."""
        region = self._ball(radius)
        excluded = self._most(region, crown(self.problem.network, region)) < 0
        if excluded:
            self.incumbent.prove(radius)
        return excluded and not self.incumbent.clock.expired

    def _look_inside(self, radius: float) -> tuple[bool, Float[np.ndarray, " n"] | None]:
        """Whether the ball is proved to hold no witness; else a point that may be one."""
        known, network = self.incumbent, self.problem.network
        known.enter("bounds")
        region = self._ball(radius)
        bounds = crown(network, region)
        most = self._most(region, bounds)
        self.unstable = bounds.unstable_count(network)
        if most < 0:
            return True, None
        program = margin_program(
            self.problem,
            region,
            bounds,
            formulation_named(self.engine.formulation),
            least=-TOLERANCE,
            most=most,
        )
        known.enter("search")
        solution = self._solve(program, target=0.0)
        excluded = solution.stop in (Stop.INFEASIBLE, Stop.CUTOFF)
        x = None if solution.x is None else program.encoding.input_at(solution.x)
        return excluded, x

    def _ball(self, radius: float) -> Region:
        return self.problem.norm.ball(self.problem.center, radius, self.problem.box)

    def _most(self, region: Region, bounds: Bounds) -> float:
        """An upper bound on the criterion's slack over a region."""
        a, b = self.problem.criterion.rows(self.problem.network.output_size)
        over = maximum(self.problem.network, region, bounds, self.problem.network.output, a)
        return float((relaxed(over, over)[1] - b).min())

    def _solve(
        self, program: NearestProgram, *, target: float | None = None, gap: float = 0.0
    ) -> Solution:
        known = self.incumbent

        def watch(effort: Effort) -> None:
            known.report(extra_nodes=effort.nodes)

        solution = self.solver.solve(
            program.program, known.clock, target=target, gap=gap, on_effort=watch
        )
        known.nodes += solution.nodes
        if solution.stop in GAVE_UP:
            known.note = f"{self.solver.name} gave up: {solution.message}"
        return solution

    def _take(self, x: Float[np.ndarray, " n"]) -> bool:
        """Polish a point and walk down from it; whether the incumbent got better."""
        known, problem = self.incumbent, self.problem
        x = problem.box.project(x[None])[0]
        known.enter("polish")
        clock = Clock() if known.clock.expired else known.clock
        found = (self.engine.attack or Linearised()).descend(problem, x, self.solver, clock)
        if found is None and problem.reached(x):
            return known.improve(x, float(problem.distance(x)))
        return found is not None and known.improve(found.x, found.distance)
