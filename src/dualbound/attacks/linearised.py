r"""The linearised attack: programs on the activation pattern, from many starts.

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

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from dualbound.attacks.ascent import ascend
from dualbound.limits import Clock
from dualbound.network.patterns import Pattern, pattern_at
from dualbound.patterns.closest import PatternOptimum, closest_on_pattern
from dualbound.patterns.problem import NearestProblem
from dualbound.region import Region
from dualbound.solvers import Solver


@dataclass(frozen=True)
class Linearised:
    """The attack and its effort.

    Args:
        starts: how many starting points are followed by linear programs.
        jumps: how many linearised steps a start may take.
        flips: how many neighbouring patterns a descent may try without improvement.
        patience: how many rounds inside the best witness's ball may fail before it ends.
        seed: of the random starts.
    """

    starts: int = 4
    jumps: int = 12
    flips: int = 16
    patience: int = 2
    seed: int = 0

    def lightly(self) -> Linearised:
        """The same with a fraction of the effort: for whoever improves on its witness anyway."""
        return replace(self, starts=1, flips=4, patience=1)

    def __call__(
        self, problem: NearestProblem, solver: Solver, clock: Clock
    ) -> Float[np.ndarray, " n"] | None:
        """The closest witness found, or None.

        Args:
            problem: what is asked.
            solver: any that solves linear programs.
            clock: when to stop.

        Returns:
            ``(n,)`` in the box, passing the replay; no proof of anything. None where nothing was
            found, and on networks that are not piecewise linear: there are no pieces to walk on.
        """
        if not problem.network.is_piecewise_linear:
            return None
        if problem.is_integral:
            near = self(problem.continuous, solver, clock)
            found = None if near is None else self._follow(problem, near, solver, clock)
            return None if found is None else found.x
        rng = np.random.default_rng(self.seed)
        home = problem.box.project(problem.center[None])
        best: PatternOptimum | None = None
        failures = 0
        while failures < self.patience and not clock.expired:
            improved = False
            for start in self._round(problem, home, best, rng, clock):
                found = self._follow(problem, start, solver, clock)
                if found is not None and (
                    best is None or found.distance < best.distance * (1 - 1e-6)
                ):
                    best, improved = found, True
            failures = 0 if improved else failures + 1
        return None if best is None else best.x

    def _round(
        self,
        problem: NearestProblem,
        home: Float[np.ndarray, "1 n"],
        best: PatternOptimum | None,
        rng: np.random.Generator,
        clock: Clock,
    ) -> list[np.ndarray]:
        """Starting points: ascended in the whole box, then only in the best witness's ball."""
        region: Region = problem.box
        if best is None:
            starts = np.vstack([home, self._scattered(problem, home, rng)])
        else:
            region = problem.norm.ball(problem.center, 0.98 * best.distance, problem.box)
            starts = np.vstack([home, best.x[None], region.sample(rng, 10)])
        ascended = ascend(problem.network, region, problem.criterion, starts, clock=clock)
        slack = problem.criterion.slack(problem.network(ascended))
        reached = ascended[slack > 0]
        near = [self._towards_center(problem, x, home[0]) for x in reached]
        near.sort(key=lambda x: float(problem.distance(x)))
        misses = ascended[slack <= 0][np.argsort(-slack[slack <= 0])]
        first = [home[0]] if best is None else []
        return [*first, *near[: self.starts], *misses[: self.starts]]

    def _scattered(
        self, problem: NearestProblem, home: Float[np.ndarray, "1 n"], rng: np.random.Generator
    ) -> Float[np.ndarray, "b n"]:
        """Random points of every brightness, mixed with the centre in every proportion.

        (From bright noise alone, gradient ascent rarely finds its way: half of the labels of a
        narrow network are reached from faint noise only.)
        """
        brightness, share = rng.random((2, 48, 1))
        low = problem.box.lower
        noise = low + brightness**2 * (problem.box.sample(rng, len(share)) - low)
        return home + np.sqrt(share) * (noise - home)

    def _follow(
        self, problem: NearestProblem, start: Float[np.ndarray, " n"], solver: Solver, clock: Clock
    ) -> PatternOptimum | None:
        """Descend from a start, or else jump first; out of time, what is there counts as it is."""
        problem = problem.narrowed(start)
        found = None if clock.expired else self.descend(problem, start, solver, clock)
        reached = self._jump(problem, start, solver, clock) if found is None else None
        if reached is not None:
            found = self.descend(problem, reached, solver, clock)
        if found is None:
            x = problem.tidied(start if reached is None else reached)
            return as_found(problem, x) if problem.reached(x) else None
        return found

    def descend(
        self, problem: NearestProblem, x: Float[np.ndarray, " n"], solver: Solver, clock: Clock
    ) -> PatternOptimum | None:
        """The closest point of a point's own pattern, then a walk to closer patterns.

        Returns:
            The closest point seen, or None if no point of the pattern of ``x`` passes a replay.
        """
        pattern = pattern_at(problem.network, x)
        best = polish(problem, pattern, solver, clock)
        if best is None:
            return None
        failures = 0
        queue = list(best.tight)
        flips = self.flips // 4 if problem.is_integral else self.flips  # dear ones
        while queue and failures < flips and not clock.expired:
            name, neuron, _ = queue.pop(0)
            neighbour = flipped(pattern, name, neuron)
            found = polish(problem, neighbour, solver, clock, best.distance)
            if found is not None and found.distance < best.distance * (1 - 1e-7):
                pattern, best, queue, failures = neighbour, found, list(found.tight), 0
            else:
                failures += 1
        return best

    def _jump(
        self, problem: NearestProblem, x: Float[np.ndarray, " n"], solver: Solver, clock: Clock
    ) -> Float[np.ndarray, " n"] | None:
        """Linearised steps until the network itself agrees that the criterion is reached."""
        for k in range(0 if clock.expired else self.jumps):
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
        self, problem: NearestProblem, x: Float[np.ndarray, " n"], home: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """The last point, by bisection, of the segment to the centre that reaches the criterion."""
        near, far = 0.0, 1.0
        for _ in range(16):
            middle = (near + far) / 2
            if float(problem.criterion.slack(problem.network(home + middle * (x - home)))) > 0:
                far = middle
            else:
                near = middle
        return home + far * (x - home)


def neighbour(
    problem: NearestProblem, x: Float[np.ndarray, " n"], solver: Solver, clock: Clock, count: int
) -> PatternOptimum | None:
    """The closest point of the patterns next to that of a point, if any of them counts.

    Args:
        problem: what is asked.
        x: the point.
        solver: of the programs.
        clock: when to stop.
        count: how many neurons are flipped, one at a time: those closest to it.
    """
    pattern, values = pattern_at(problem.network, x), problem.network.values(x[None])
    sizes = [
        (abs(float(value)), relu.name, j)
        for relu in problem.network.relus
        for j, value in enumerate(values[relu.reads[0]][0])
    ]
    best: PatternOptimum | None = None
    for _, name, neuron in sorted(sizes)[:count]:
        if clock.expired:
            break
        below = np.inf if best is None else best.distance
        found = polish(problem, flipped(pattern, name, neuron), solver, clock, below)
        if found is not None and found.distance < below:
            best = found
    return best


def as_found(problem: NearestProblem, x: Float[np.ndarray, " n"]) -> PatternOptimum:
    """A point that was never polished."""
    return PatternOptimum(x, float(problem.distance(x)), ())


def polish(
    problem: NearestProblem,
    pattern: Pattern,
    solver: Solver,
    clock: Clock,
    below: float = np.inf,
) -> PatternOptimum | None:
    """The closest point of a pattern that passes the replay.

    A solver answers within its tolerance, and float32 rounds; a point that misses by it is pushed
    inside by solving again with the criterion tightened tenfold.
    """
    if problem.has_listed(pattern):
        return None
    for inside in (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1):
        found = closest_on_pattern(problem, pattern, solver, clock, inside=inside, below=below)
        if found is None or problem.reached(found.x):
            return found
    return None


def flipped(pattern: Pattern, name: str, neuron: int) -> Pattern:
    """The pattern with one neuron on its other side."""
    changed = pattern[name].copy()
    changed[neuron] = not changed[neuron]
    return {**pattern, name: changed}
