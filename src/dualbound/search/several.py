"""A criterion that is a union: one search for each alternative, one witness and cutoff for all.

The nearest input that reaches a union is the nearest of those that reach its alternatives. The
best witness found for any of them is the cutoff of every other; an alternative that CROWN excludes
from the ball of that radius is never opened. Nothing nearer reaches the union than the *least* of
what is proved for its alternatives, each of which therefore keeps a bound of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from dualbound.bounds import crown
from dualbound.limits import Clock
from dualbound.patterns import NearestProblem
from dualbound.search.engine import CLOSE, Engine, NearestRun
from dualbound.search.incumbent import Incumbent, Progress, check_distance, relative_gap


def search_all(
    engine: Engine,
    problem: NearestProblem,
    incumbent: Incumbent,
    gap: float,
    parts: Sequence[Part] | None = None,
) -> int | None:
    """Search every alternative of a problem's criterion until the gap of their union is closed.

    Args:
        engine: what searches one alternative.
        problem: what is asked.
        incumbent: of the union; see `Engine.search`.
        gap: relative gap that counts as closed; one finer than the engine's finest is searched for
            as that.
        parts: the alternatives, with what an earlier search has proved of each and found for it;
            they learn what this one does.

    Returns:
        How many neurons were unstable when a proof began, at most; None if none did.

    **Trusts** what the engine trusts.
    """
    gap = max(gap, engine.finest)
    center = problem.center
    if np.array_equal(problem.tidied(center), center) and problem.reached(center):
        incumbent.improve(center, 0.0)
        return None
    parts = parts_of(problem) if parts is None else list(parts)
    if min(part.bound for part in parts) == np.inf:
        incumbent.prove(np.inf)
        return None
    if len(parts) == 1:
        part = parts[0]
        incumbent.prove(part.bound)
        unstable = engine.search(part.problem, incumbent, gap)
        part.bound = incumbent.bound
        return unstable
    if engine.takes_unions:
        incumbent.prove(min(part.bound for part in parts))
        unstable = engine.search(problem, incumbent, gap)
        for part in parts:
            part.bound = max(part.bound, incumbent.bound)
        return unstable
    run = _Several(engine, problem, incumbent, gap, parts)
    run.search()
    incumbent.enter("done")
    return run.unstable


def parts_of(problem: NearestProblem) -> list[Part]:
    """The alternatives of a problem's criterion, of which nothing is known yet."""
    alternatives = problem.criterion.alternatives(problem.network.output_size)
    return [Part(replace(problem, criterion=one)) for one in alternatives]


@dataclass
class Part:
    """One alternative.

    Attributes:
        problem: with this alternative as its criterion.
        bound: proved for it alone.
        x: the best witness seen of it, or None.
        value: its distance, or infinity.
        most: upper bound of its slack over the last ball that CROWN looked at.
        tried: the cutoff under which a search of it ended by itself, whatever it left open; None
            if none did.
    """

    problem: NearestProblem
    bound: float = 0.0
    x: Float[np.ndarray, " n"] | None = None
    value: float = np.inf
    most: float = np.inf
    tried: float | None = None


@dataclass
class _Several:
    """The search of a union.

    Attributes:
        unstable: see `search_all`.
    """

    engine: Engine
    problem: NearestProblem
    incumbent: Incumbent
    gap: float
    parts: list[Part]
    unstable: int | None = field(default=None, init=False)

    def search(self) -> None:
        """Bounds by CROWN and one attack for all; then what they leave open, one after another."""
        known = self.incumbent
        known.enter("bounds")
        self._exclude_by_crown_alone()
        if self.engine.attack is not None:
            known.enter("attack")
            x = self.engine.attack(self.problem, self.engine.backend(), known.clock)
            if x is not None:
                self._take(x, float(self.problem.distance(x)))
        known.enter("bounds")
        self._exclude()
        while (left := self._open()) and not known.clock.expired:
            for k, part in enumerate(left):
                if self._is_open(part) and not known.clock.expired:
                    # An alternative that takes long leaves the others their share of the time.
                    self._open_one(part, known.clock.remaining / (len(left) - k))

    def _exclude_by_crown_alone(self) -> None:
        """Raise every alternative's bound in steps of 2, and the least of them by bisection."""
        known, furthest = self.incumbent, self._run_of(self.problem, 0.0).furthest
        nearest = self.problem.norm.reach(self.problem.center, self.problem.box)[0]
        for part in self.parts:
            part.bound = max(part.bound, nearest)
        low = radius = max(nearest, furthest / 1024)
        while radius < furthest and not known.clock.expired and self._exclude(radius):
            low = max(low, known.bound)
            radius *= 2
        high = min(2 * low, furthest)
        while high > CLOSE * low and not known.clock.expired:
            middle = float(np.sqrt(low * high))
            self._exclude(middle)
            if known.bound >= middle:
                low = middle
            else:
                high = middle

    def _exclude(self, radius: float | None = None) -> bool:
        """Ask CROWN about a ball, that of the cutoff if none is named; whether it excludes any."""
        whole = self._run_of(self.problem, 0.0)
        radius = whole.radius if radius is None else radius
        region = whole.ball(radius)
        bounds = crown(self.problem.network, region)
        excluded = False
        for part in self.parts:
            run = self._run_of(part.problem, part.bound)
            part.most = run.most(region, bounds)
            if part.most < 0:
                run.excluded(radius)
                part.bound, excluded = run.incumbent.bound, True
        self._raise()
        return excluded

    def _open(self) -> list[Part]:
        """What is not closed, the most promising first."""
        x = self.incumbent.x
        outputs = None if x is None else self.problem.network(x)

        def promise(part: Part) -> tuple[bool, float, float]:
            reached = outputs is not None and part.problem.criterion.reached(outputs)
            return not reached, part.bound, -part.most

        return sorted(filter(self._is_open, self.parts), key=promise)

    def _is_open(self, part: Part) -> bool:
        return (
            not self._run_of(part.problem, part.bound).finished
            and part.bound < np.inf
            and (part.tried is None or self.incumbent.value < part.tried)
        )

    def _open_one(self, part: Part, seconds: float) -> None:
        """Search one alternative for some seconds, under the cutoff of all."""
        known = self.incumbent
        clock = known.clock.within(seconds)
        own = self._view(part.bound, clock, self._relay(part))
        engine = self.engine if known.x is None else self.engine.without_attack()
        unstable = engine.search(part.problem, own, self.gap)
        if unstable is not None:
            self.unstable = max(self.unstable or 0, unstable)
        part.bound = own.bound
        known.nodes += own.nodes
        known.programs += own.programs
        for phase, spent in own.seconds.items():
            known.seconds[phase] = known.seconds.get(phase, 0.0) + spent
        if own.note and own.note not in known.note:
            known.note = "; ".join(filter(None, (known.note, own.note)))
        before = known.value
        if own.x is not None and own.value < known.value:
            self._take(own.x, own.value)
        if not clock.expired:
            part.tried = known.value
        if known.value < before:
            self._exclude()
        self._raise()

    def _take(self, x: Float[np.ndarray, " n"], value: float) -> None:
        """Take a witness, unless it contradicts what is proved for an alternative it reaches."""
        outputs = self.problem.network(x)
        for part in self.parts:
            if part.problem.criterion.reached(outputs):
                check_distance(value, part.bound)
                if value < part.value:
                    part.x, part.value = x, value
        self.incumbent.improve(x, value)

    def _raise(self) -> None:
        """Record what is proved for the union: the least of its alternatives."""
        self.incumbent.prove(min(part.bound for part in self.parts))

    def _view(
        self,
        bound: float,
        clock: Clock | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Incumbent:
        """The witness and cutoff of all beside a bound of one alternative's own."""
        known = self.incumbent
        return Incumbent(clock or known.clock, on_progress, known.x, known.value, bound)

    def _run_of(self, problem: NearestProblem, bound: float) -> NearestRun:
        return NearestRun(problem, self._view(bound), self.gap, self.engine.backend(), None)

    def _relay(self, part: Part) -> Callable[[Progress], None] | None:
        """What a search of one alternative tells, in figures of the union."""
        known, tell = self.incumbent, self.incumbent.on_progress
        if tell is None:
            return None
        others = min((one.bound for one in self.parts if one is not part), default=np.inf)

        def told(now: Progress) -> None:
            bound = max(known.bound, min(now.bound, others))
            if now.value is not None:
                bound = min(bound, now.value)
            tell(
                replace(
                    now,
                    phase=f"{now.phase} ({part.problem.criterion.goal})",
                    bound=bound,
                    gap=relative_gap(now.value, bound),
                    nodes=known.nodes + now.nodes,
                    seconds=known.clock.seconds,
                )
            )

        return told
