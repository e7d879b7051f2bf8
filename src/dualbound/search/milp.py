"""The engine ``milp``: one mixed-integer program at a time, given to a solver.

*Strategy margin* (the default): a witness first; then, inside the ball of its distance, maximise
the margin of the criterion and either prove it negative or meet a nearer witness, which shrinks the
ball and with it every bound and every big-M. In L2, whose ball has no rows, the squared distance is
minimised instead, with that of the witness as a cutoff.

*Strategy direct*: minimise the distance in one program over the whole box. Slow; kept as the twin
that the fast way is checked against, and as the form of the papers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from dualbound.attacks import Linearised
from dualbound.bounds import METHODS, Bounds, crown, interval
from dualbound.errors import InvalidInput, SoundnessError
from dualbound.milp import formulation_named
from dualbound.network import Network
from dualbound.patterns import NearestProblem
from dualbound.region import L2, Box, L2Ball, Region
from dualbound.search.engine import Engine, NearestRun
from dualbound.search.incumbent import Incumbent
from dualbound.search.programs import NearestProgram, distance_program, margin_program
from dualbound.solvers import Can, Effort, Highs, Solution, Solver, Stop, demand, solver_named

SHARE = 0.9
"""The part of a gap that a solver is asked to leave: its tolerance takes some of the rest."""

TOLERANCE = 1e-6
"""Feasibility tolerance that solvers work with; proofs are asked with the criterion relaxed by it,
so that a point which exactly reaches the criterion is never lost to it."""


GAVE_UP = (Stop.FAILED, Stop.UNBOUNDED, Stop.INFEASIBLE_OR_UNBOUNDED, Stop.OTHER_LIMIT)
"""Ends that leave the question open and that the user should hear of."""

LEFT_OPEN = (
    "what is left open could neither be excluded nor turned into a nearer witness: there {} takes "
    "the criterion for reached, within the tolerance of {:g} by which it is relaxed, and the "
    "network does not reach it"
)


@dataclass(frozen=True)
class Milp(Engine):
    """Solve a nearest query by mixed-integer programming.

    Args:
        strategy: ``margin`` or ``direct``, see above.
        solver: its name, or the solver itself. Where it gives no multipliers, witnesses are looked
            for by HiGHS; what is proved is proved by it.
        formulation: of the rectifiers: ``bigm``, ``fischetti-jo`` or, where the solver has
            indicator constraints, ``indicator``.
        bounds: method of the bounds over the whole box, for ``direct``, and over the region that
            `dualbound.activate` or `dualbound.perfect` asks about; or bounds of every
            pre-activation that are known to hold there, from `dualbound.bounds`.
        attack: how the first witness is found; None starts without one.

    Raises:
        InvalidInput: an unknown strategy, formulation or bound method, or a formulation that the
            solver cannot do.
        UnknownSolver: no such solver.
    """

    strategy: str = "margin"
    solver: str | Solver = "highs"
    formulation: str = "bigm"
    bounds: str | Bounds = "crown"
    attack: Linearised | None = field(default_factory=Linearised)
    name: ClassVar[str] = "milp"
    finest: ClassVar[float] = TOLERANCE

    def __post_init__(self) -> None:
        if self.strategy not in ("margin", "direct"):
            raise InvalidInput(f"Unknown strategy {self.strategy!r}; known are direct, margin.")
        if isinstance(self.bounds, str) and self.bounds not in METHODS:
            raise InvalidInput(
                f"Unknown bound method {self.bounds!r}; known are {', '.join(sorted(METHODS))}."
            )
        if formulation_named(self.formulation).is_conditional:
            demand(solver_named(self.solver), frozenset({Can.INDICATORS}))
        solver_named(self.solver)

    def __str__(self) -> str:
        return f"{self.name} {self.strategy}"

    def bounds_over(self, network: Network, region: Region) -> Bounds:
        """Bounds of every pre-activation over a region, in the way that was asked for.

        **Trusts** that bounds which were given hold over the region.
        """
        if isinstance(self.bounds, str):
            return METHODS[self.bounds](network, region)
        return interval(network, region).intersect(self.bounds)

    def without_attack(self) -> Milp:
        """See `Engine.without_attack`."""
        return replace(self, attack=None)

    def backend(self) -> Solver:
        """The solver chosen."""
        return solver_named(self.solver)

    def prepare(self, tell: Callable[[str], None]) -> None:
        """See `Engine.prepare`: the polishing of witnesses is compiled, some seconds, once."""
        from dualbound.phases.cheapest import prepare  # brings numba along

        prepare(tell)

    def check(self, problem: NearestProblem) -> None:
        """See `Engine.check`: an L2 distance is a quadratic objective."""
        if isinstance(problem.norm, L2):
            demand(self.backend(), frozenset({Can.QUADRATIC}))

    def search(self, problem: NearestProblem, incumbent: Incumbent, gap: float) -> int | None:
        """See `Engine.search`.

        **Trusts** the solver's verdict that a program has no solution, within its tolerances.
        """
        # Witnesses are looked for with the help of multipliers.
        finder = self.backend() if Can.DUALS in self.backend().can else Highs()
        run = _Run(problem, incumbent, gap, finder, self.attack, self)
        incumbent.prove(problem.least)
        if self.strategy == "direct":
            run.direct()
        else:
            run.start()
            run.margin()
        if not (run.finished or incumbent.clock.expired or incumbent.note):
            incumbent.note = LEFT_OPEN.format(self.backend().name, TOLERANCE)
        incumbent.enter("done")
        return run.unstable


@dataclass
class _Run(NearestRun):
    engine: Milp
    unstable: int | None = None

    def margin(self) -> None:
        """Shrink the ball until it holds nothing nearer."""
        known = self.incumbent
        retreat = 0.0
        while not known.clock.expired and retreat < 0.5 and not self.finished:
            radius = min(self.radius, min(known.value, self.furthest) * (1 - retreat))
            if retreat and radius <= known.bound:
                return
            excluded, x = self._look_inside(radius)
            if excluded:
                self.excluded(radius)
                return
            if x is None:
                return
            known.enter("polish")
            if not self.take(x):
                # A point within the solver's tolerance of the criterion, but not of it: nothing
                # nearer than this can be told apart. Prove what can be proved.
                retreat = max(10 * retreat, self.gap, TOLERANCE)

    def direct(self) -> None:
        """One program over the whole box."""
        known = self.incumbent
        known.enter("bounds")
        bounds = self.engine.bounds_over(self.problem.network, self.problem.box)
        program = distance_program(self.problem, bounds, formulation_named(self.engine.formulation))
        self.unstable = bounds.unstable_count(self.problem.network)
        known.enter("search")
        solution = self._solve(program, gap=SHARE * self.gap)
        if solution.stop is Stop.INFEASIBLE:
            if known.x is not None and self.problem.reached(known.x):
                raise SoundnessError(
                    f"{self.engine.backend().name} claims that no input reaches the criterion, but "
                    "one was found. No figure of this run can be trusted; please report it."
                )
            known.prove(np.inf)
        elif solution.bound is not None:
            bound = solution.bound - TOLERANCE * (1 + abs(solution.bound))
            squared = isinstance(self.problem.norm, L2)
            known.prove(float(np.sqrt(max(bound, 0.0))) if squared else bound)
        if solution.x is not None:
            self.take(program.encoding.input_at(solution.x))

    def _look_inside(self, radius: float) -> tuple[bool, Float[np.ndarray, " n"] | None]:
        """Whether the ball is proved to hold no witness; else a point that may be one."""
        known, network = self.incumbent, self.problem.network
        known.enter("bounds")
        region = self.ball(radius)
        bounds = crown(network, region)
        most = self.most(region, bounds)
        self.unstable = bounds.unstable_count(network)
        if most < 0:
            return True, None
        formulation = formulation_named(self.engine.formulation)
        known.enter("search")
        if isinstance(region, L2Ball):  # which has no rows: the distance is asked for, as a square
            inside = replace(self.problem, box=Box(region.lower, region.upper))
            program = distance_program(inside, bounds, formulation, relaxed=TOLERANCE)
            solution = self._solve(program, target=radius**2, cutoff=radius**2 * (1 + TOLERANCE))
        else:
            program = margin_program(
                self.problem, region, bounds, formulation, least=-TOLERANCE, most=most
            )
            solution = self._solve(program, target=0.0)
        excluded = solution.stop in (Stop.INFEASIBLE, Stop.CUTOFF)
        x = None if solution.x is None else program.encoding.input_at(solution.x)
        return excluded, x

    def _solve(
        self,
        program: NearestProgram,
        *,
        target: float | None = None,
        cutoff: float | None = None,
        gap: float = 0.0,
    ) -> Solution:
        known = self.incumbent

        def watch(effort: Effort) -> None:
            known.report(extra_nodes=effort.nodes)

        solver = self.engine.backend()
        solution = solver.solve(
            program.program, known.clock, target=target, cutoff=cutoff, gap=gap, on_effort=watch
        )
        known.nodes += solution.nodes
        if solution.stop in GAVE_UP:
            known.note = f"{solver.name} gave up: {solution.message}"
        return solution
