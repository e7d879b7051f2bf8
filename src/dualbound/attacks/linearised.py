r"""The linearised attack: linear programs on the activation pattern, from many starts.

On the pattern at a point the network is affine. Three moves are made of that:

*step*: drop the signs, keep the affine map, and jump to the closest point that reaches the
criterion on it; the true network may disagree there, so jump again from there. (The first jump from
the image itself often lands nowhere near: that is why there are other starts.)

*polish*: where the criterion is truly reached, the LP with the signs kept is feasible and gives the
closest point of that pattern.

*descend*: the neurons whose signs hold the optimum back are flipped, one at a time, the largest
multiplier first. The optimum lies on both sides, so the neighbour's LP is feasible as well, and its
optimum is at least as close.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualbound.attacks.gradient import pgd
from dualbound.attacks.pattern import PatternOptimum, closest_on_pattern
from dualbound.attacks.problem import NearestProblem
from dualbound.limits import Clock
from dualbound.network.graph import Pattern, pattern_at
from dualbound.solvers import Solver


@dataclass(frozen=True)
class Linearised:
    """The attack and its effort.

    Args:
        starts: how many starting points are tried at most.
        jumps: how many linearised steps a start may take.
        flips: how many neighbouring patterns a descent may try without improvement.
        seed: of the random starts.
    """

    starts: int = 6
    jumps: int = 12
    flips: int = 30
    seed: int = 0

    def __call__(
        self, problem: NearestProblem, solver: Solver, clock: Clock
    ) -> Float[np.ndarray, " n"] | None:
        """The closest witness found, or None.

        Args:
            problem: what is asked.
            solver: any that solves linear programs.
            clock: when to stop.

        Returns:
            ``(n,)`` in the box, reaching the criterion in float64; no proof of anything.
        """
        best: Float[np.ndarray, " n"] | None = None
        tried = 0
        for start in self._starts(problem):
            if tried >= self.starts:
                break
            if clock.expired:
                if best is None and problem.reached(start):
                    best = self._towards_center(problem, start)
                break
            tried += 1
            reached = self._jump(problem, start, solver, clock)
            if reached is None:
                continue
            found = self.descend(problem, reached, solver, clock)
            x = reached if found is None else found.x  # no time to polish is no reason to lose it
            if best is None or problem.distance(x) < problem.distance(best):
                best = x
        return best

    def descend(
        self, problem: NearestProblem, x: Float[np.ndarray, " n"], solver: Solver, clock: Clock
    ) -> PatternOptimum | None:
        """Polish a point that reaches the criterion, then walk to closer patterns.

        Returns:
            The closest point seen, or None if no point of the pattern of ``x`` passes in float64.
        """
        pattern = pattern_at(problem.network, x)
        best = polish(problem, pattern, solver, clock)
        if best is None:
            return None
        failures = 0
        queue = list(best.tight)
        while queue and failures < self.flips and not clock.expired:
            name, neuron, _ = queue.pop(0)
            neighbour = flipped(pattern, name, neuron)
            found = polish(problem, neighbour, solver, clock)
            if found is not None and found.distance < best.distance * (1 - 1e-7):
                pattern, best, queue, failures = neighbour, found, list(found.tight), 0
            else:
                failures += 1
        return best

    def _jump(
        self, problem: NearestProblem, x: Float[np.ndarray, " n"], solver: Solver, clock: Clock
    ) -> Float[np.ndarray, " n"] | None:
        """Linearised steps until the network itself agrees that the criterion is reached."""
        if problem.reached(x):
            x = self._towards_center(problem, x)
        for k in range(self.jumps):
            pattern = pattern_at(problem.network, x)
            found = closest_on_pattern(problem, None, solver, clock, linearised_at=pattern)
            if found is not None and problem.reached(found.x):
                return found.x
            if problem.reached(x):
                return x
            if found is None or clock.expired:
                return None
            x = found.x if k % 3 < 2 else (x + found.x) / 2
        return None

    def _towards_center(
        self, problem: NearestProblem, x: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """The last point, by bisection, of the segment to the centre that reaches the criterion."""
        home = problem.box.project(problem.center[None])[0]
        near, far = 0.0, 1.0
        for _ in range(20):
            middle = (near + far) / 2
            if problem.reached(home + middle * (x - home)):
                far = middle
            else:
                near = middle
        return home + far * (x - home)

    def _starts(self, problem: NearestProblem) -> Iterator[np.ndarray]:
        """The centre; gradient ascent from it and from random points; the random points."""
        home = problem.box.project(problem.center[None])
        yield home[0]
        rng = np.random.default_rng(self.seed)
        shares = rng.random((max(2 * self.starts, 8), 1))
        random = home + shares * (problem.box.sample(rng, len(shares)) - home)
        ascended = pgd(problem.network, problem.box, problem.criterion, np.vstack([home, random]))
        reached = np.array([problem.reached(x) for x in ascended])
        order = np.argsort(np.where(reached, problem.distance(ascended), np.inf), kind="stable")
        yield from ascended[order]


def polish(
    problem: NearestProblem, pattern: Pattern, solver: Solver, clock: Clock
) -> PatternOptimum | None:
    """The closest point of a pattern that passes the replay.

    A solver answers within its tolerance, and float32 rounds; a point that misses by it is pushed
    inside by solving again with the criterion tightened tenfold.
    """
    for inside in (1e-7, 1e-6, 1e-5, 1e-4, 1e-3):
        found = closest_on_pattern(problem, pattern, solver, clock, inside=inside)
        if found is None or problem.reached(found.x):
            return found
    return None


def flipped(pattern: Pattern, name: str, neuron: int) -> Pattern:
    """The pattern with one neuron on its other side."""
    changed = pattern[name].copy()
    changed[neuron] = not changed[neuron]
    return {**pattern, name: changed}
