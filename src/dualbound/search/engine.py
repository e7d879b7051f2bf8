"""What every engine of a nearest query does, and the choice among them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from dualbound.attacks import Linearised
from dualbound.bounds import Bounds, crown
from dualbound.bounds.crown import maximum
from dualbound.bounds.layer_bounds import rounding
from dualbound.limits import Clock, Limits
from dualbound.patterns import NearestProblem
from dualbound.region import Region
from dualbound.search.incumbent import Incumbent
from dualbound.solvers import Solver

CLOSE = 1.02
"""What CROWN alone excludes is bisected until the ends of the radius are this close, as a ratio."""

GRACE = 1.0
"""Seconds in which a point that came with the end of the time may still be polished."""


class Engine(ABC):
    """A way to close the gap between a witness and a proof.

    Attributes:
        name: as on the command line.
        finest: the smallest relative gap that it searches for: what is nearer than a witness by
            less than this is a matter of rounding, or of a solver's tolerance.
        takes_unions: whether it is handed all alternatives of a criterion at once.
        attack: how the first witness is found; None starts without one.
    """

    name: ClassVar[str]
    takes_unions: ClassVar[bool] = False
    finest: ClassVar[float] = 1e-9  # witnesses are polished to this, see `attacks.polish`
    attack: Linearised | None

    def __str__(self) -> str:
        return self.name

    @abstractmethod
    def backend(self) -> Solver:
        """What solves its programs."""

    @abstractmethod
    def without_attack(self) -> Engine:
        """The same for a question that has a witness already."""

    def check(self, problem: NearestProblem) -> None:  # noqa: B027  # most take everything
        """Refuse what cannot be asked of this engine, before any work is done.

        Raises:
            InvalidInput: the network, or the norm, is not for this engine.
            SolverError: its solver cannot do what the question needs.
        """

    def prepare(self, tell: Callable[[str], None]) -> None:  # noqa: B027  # most need nothing
        """Do what is needed once on a machine, before the clock starts; ``tell`` hears what."""

    @abstractmethod
    def search(self, problem: NearestProblem, incumbent: Incumbent, gap: float) -> int | None:
        """Improve the incumbent from both sides until the gap is closed or its clock expires.

        Args:
            problem: what is asked.
            incumbent: takes every witness and every proof. A bound of infinity means that no
                point of the box reaches the criterion.
            gap: relative gap that counts as closed.

        Returns:
            How many neurons were unstable when the last proof began; None if none did.
        """


@dataclass
class NearestRun:
    """One search: the problem, what is known, and the steps that engines share."""

    problem: NearestProblem
    incumbent: Incumbent
    gap: float
    solver: Solver
    attack: Linearised | None

    @property
    def furthest(self) -> float:
        """The distance of the furthest point of the box."""
        return self.problem.norm.reach(self.problem.center, self.problem.box)[1]

    @property
    def radius(self) -> float:
        """Of the ball in which there must be nothing for the gap to be closed."""
        value = self.incumbent.value
        return min(value * (1 - self.gap), self.problem.before(value), self.furthest)

    @property
    def finished(self) -> bool:
        """Whether the bound has reached that radius."""
        known = self.incumbent
        unsearched = known.x is None and self.radius == self.furthest  # which may be 0
        return self.radius <= known.bound and (not unsearched or known.bound == np.inf)

    def start(self, *, lightly: bool = False) -> None:
        """What comes first, whatever follows: a bound by CROWN, and a witness by attack.

        Args:
            lightly: whether the attack makes little effort.
        """
        self.incumbent.enter("bounds")
        self._raise_bound()
        if self.attack is not None:
            self.look(self.attack.lightly() if lightly else self.attack)

    def look(self, attack: Linearised) -> None:
        """Look for a witness by attack."""
        known = self.incumbent
        known.enter("attack")
        x = attack(self.problem, self.solver, known.clock)
        if x is not None:
            known.improve(x, float(self.problem.distance(x)))

    def ball(self, radius: float) -> Region:
        """All points of the box within a radius."""
        return self.problem.norm.ball(self.problem.center, radius, self.problem.box)

    def excluded(self, radius: float) -> None:
        """Record that a ball holds no witness, its surface included."""
        beyond = self.problem.beyond(radius)
        self.incumbent.prove(beyond if radius < self.furthest else np.inf)

    def most(self, region: Region, bounds: Bounds) -> float:
        """An upper bound on the criterion's slack over a region, by CROWN."""
        a, b = self.problem.criterion.rows(self.problem.network.output_size)
        over = maximum(self.problem.network, region, bounds, self.problem.network.output, a)
        return float((over - b + rounding(1) * np.abs(b)).min())

    def take(self, x: Float[np.ndarray, " n"]) -> bool:
        """Polish a point and walk down from it; whether the incumbent got better."""
        known, problem = self.incumbent, self.problem
        x = problem.box.project(x[None])[0]
        if not np.isfinite(x).all():
            return False
        clock = Clock(Limits(GRACE)) if known.clock.expired else known.clock
        better = False
        if problem.network.is_piecewise_linear:
            attack = self.attack or Linearised()
            found = attack.descend(problem.narrowed(x), x, self.solver, clock)
            better = found is not None and known.improve(found.x, found.distance)
        x = problem.tidied(x)
        distance = float(problem.distance(x))
        if distance < known.value and problem.reached(x):
            better |= known.improve(x, distance)
        return better

    def _raise_bound(self) -> None:
        """The largest radius whose ball is excluded by CROWN alone: doubling, then bisection."""
        known, furthest = self.incumbent, self.furthest
        nearest = self.problem.norm.reach(self.problem.center, self.problem.box)[0]
        high = max(nearest, furthest / 1024)
        while high < furthest and self._excluded_by_crown(high):
            high *= 2
        high = min(high, furthest)
        low = max(known.bound, furthest / 1024)
        while not known.clock.expired and high > CLOSE * low:
            middle = float(np.sqrt(low * high))
            if self._excluded_by_crown(middle):
                low = middle
            else:
                high = middle

    def _excluded_by_crown(self, radius: float) -> bool:
        """Whether CROWN alone proves that a ball holds no witness; then the bound is raised."""
        region = self.ball(radius)
        excluded = self.most(region, crown(self.problem.network, region)) < 0
        if excluded:
            self.incumbent.prove(self.problem.beyond(radius))
        return excluded and not self.incumbent.clock.expired
