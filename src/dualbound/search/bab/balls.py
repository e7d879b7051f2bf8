"""Nearest inputs by verification: balls that are proved empty, around which witnesses close in.

Each radius that is looked at is either excluded, which raises the proved bound, or yields a
witness, which lowers the distance, or is given up after a while; then smaller ones come first, and
it is tried for longer later. So there is a proved bound at any moment, however large the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from dualbound.attacks import ascend
from dualbound.limits import Clock
from dualbound.region import Box, LInf, Region
from dualbound.search.bab.decision import Decision
from dualbound.search.engine import NearestRun

FIRST = 0.5
"""Seconds that a radius is tried for at first."""

FIRST_RADIUS = 1 / 64
"""Of the first ball, as a part of the furthest distance, where nothing is known."""

CLOSE = 1.05
"""Where bound and given-up radius are within this factor, radii are tried for longer."""

CLOSING = 12
"""Balls in which witnesses are looked for, one after another."""

RESTARTS = 10
"""Points that gradient ascent starts from, at first; more where radii are tried for longer."""

FINEST = 1 + 1e-4
"""The search ends where a ball that cannot be decided is within this factor of the bound."""

LEFT_OPEN = (
    "what is left open could neither be excluded nor turned into a nearer witness: there the "
    "criterion is reached or missed by about as much as rounding, or the lines of a curve"
)

WALKING = 40
"""Halvings of the way from a witness to the centre."""

Decide = Callable[[Region, Decision], None]


@dataclass
class Balls(NearestRun):
    """One search by balls.

    Attributes:
        decide: whether a region has a witness.
        polishes: whether witnesses are moved to the nearest point of their activation pattern.
    """

    decide: Decide
    polishes: bool
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    unstable: int | None = None

    def search(self) -> None:
        """Until the gap is closed, or the clock says so, or nothing more can be decided."""
        known, seconds = self.incumbent, FIRST
        given_up = stuck = np.inf
        self._close_in(restarts=RESTARTS)
        while not (self.finished or known.clock.expired):
            radius = self._next(min(given_up, stuck))
            clock = known.clock.within(seconds)
            if not self._look_within(radius, clock):
                given_up = radius
                if not clock.expired:
                    stuck = radius
            if stuck <= FINEST * max(known.bound, self._smallest):
                known.note = LEFT_OPEN
                break
            if min(given_up, self.radius) <= CLOSE * max(known.bound, self._smallest):
                given_up, seconds = np.inf, 4 * seconds
                self._close_in(restarts=int(RESTARTS * seconds / FIRST))

    @property
    def _smallest(self) -> float:
        """A radius below which none is tried, unless it is all that is left."""
        return self.radius * FIRST_RADIUS**2

    def _close_in(self, *, restarts: int) -> None:
        """Nearer witnesses by gradient ascent in smaller and smaller balls; nothing is proved."""
        import torch  # takes seconds to load

        problem, known = self.problem, self.incumbent
        known.enter("attack")
        least = max(known.bound, self._smallest)
        for step in range(CLOSING):
            if known.clock.expired or self.finished or self.radius <= CLOSE * least:
                break
            first = step == 0 and known.x is None
            radius = self.radius if first else float(np.sqrt(least * self.radius))
            region = self.ball(radius)
            starts = region.sample(self.rng, restarts)
            if known.x is not None:
                starts = np.vstack([known.x, starts])
            points = ascend(
                problem.network,
                region,
                problem.criterion,
                region.project(starts),
                steps=50,
                dtype=None if self.polishes else torch.float32,
                clock=known.clock,
            )
            slack = problem.criterion.slack(problem.network(points))
            best = points[np.argsort(-slack)[:3]]
            reached = [self._improved(x) for x in best[np.sort(-slack)[:3] <= 0]]
            if not any(reached):
                least = radius
        if known.x is not None and self.polishes:
            self.take(known.x)

    def _next(self, too_large: float) -> float:
        """The radius to look at: between the bound and what is known to be too large."""
        high, low = min(too_large, self.radius), self.incumbent.bound
        if too_large == np.inf:
            if self.incumbent.x is None and low > 0:
                return min(4 * low, self.furthest)
            if high <= CLOSE * low:
                return high  # nothing is left but the whole proof
        low = max(low, self._smallest)
        return float(np.sqrt(low * high)) if low < high else high

    def _look_within(self, radius: float, clock: Clock) -> bool:
        """Whether a ball is proved empty, or a nearer witness was found in it."""
        known = self.incumbent
        region = self.ball(radius)
        if isinstance(self.problem.norm, LInf):
            region = Box(region.lower, region.upper)
        before = known.value
        decision = Decision(
            self._accept,
            clock,
            lambda now: known.report(extra_nodes=now.nodes),
        )
        known.enter("search")
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number proves nothing
            self.decide(region, decision)
        known.nodes += decision.nodes
        if decision.unstable is not None:
            self.unstable = decision.unstable
        if decision.bound < 0:
            self.excluded(radius)
        return decision.bound < 0 or known.value < before

    def _accept(self, x: Float[np.ndarray, " n"]) -> bool:
        """Take a point if it is a witness, moved as near as can be."""
        found = self._improved(x)
        if found and self.polishes and self.incumbent.x is not None:
            self.take(self.incumbent.x)
        return found

    def _improved(self, x: Float[np.ndarray, " n"]) -> bool:
        """Take a point if it is a witness, and the last one on its way to the centre that is."""
        problem, known = self.problem, self.incumbent
        x = problem.tidied(x)
        if not problem.reached(x):
            return False
        known.improve(x, float(problem.distance(x)))
        x = self._walked(x)
        known.improve(x, float(problem.distance(x)))
        return True

    def _walked(self, x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The last point on the way to the centre that is found to be a witness."""
        problem = self.problem
        near, far = 1.0, 0.0  # parts of the way that are left
        for _ in range(WALKING):
            middle = (near + far) / 2
            point = problem.tidied(problem.center + middle * (x - problem.center))
            near, far = (middle, far) if problem.reached(point) else (near, middle)
        return problem.tidied(problem.center + near * (x - problem.center))
