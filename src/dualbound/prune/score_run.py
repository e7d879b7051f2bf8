"""One program of scores, solved again with more tangents until they meet the loss."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dualbound.errors import SolverFailed, SoundnessError
from dualbound.limits import Clock
from dualbound.prune.score_program import Loss, ScoreProgram
from dualbound.prune.scored import Scored
from dualbound.prune.scores import THRESHOLD, Moment, closed
from dualbound.solvers import Effort, Solver

_WRONG = 1e-4
"""A bound this far above a value that was reached is no matter of a solver's tolerance."""


@dataclass
class Asked:
    """What is asked of every program, and what was done so far."""

    loss: Loss
    weight: float
    relaxed: bool
    whole: bool
    solver: Solver
    gap: float
    clock: Clock
    tell: Callable[[Moment], None] | None
    programs: int = 0
    refused: str = ""

    def say(self, part: str, scores: np.ndarray, value: float, bound: float) -> None:
        """Tell whoever watches."""
        if self.tell is not None:
            removable = int((scores < THRESHOLD).sum())
            self.tell(Moment(part, value, bound, removable, self.clock.seconds))


@dataclass(frozen=True, eq=False)
class Found:
    """Scores, and what is known of them."""

    scores: np.ndarray
    value: float
    bound: float
    finished: bool
    order: tuple[int, ...] = ()


class ScoreRun:
    """One program, solved again with more tangents until they meet the loss."""

    def __init__(
        self, asked: Asked, clock: Clock, seen: Scored, labels: np.ndarray, fixed: np.ndarray,
        owners: np.ndarray, start: np.ndarray,
    ) -> None:  # fmt: skip
        self.asked, self.clock = asked, clock
        self.program = ScoreProgram(
            seen, labels, asked.loss, asked.weight, asked.whole, fixed, owners=owners
        )
        self.best = np.where(np.isnan(self.program.fixed), start, self.program.fixed)
        self.value, self.bound = self.program.value(self.best), self.program.least
        self.program.meet(self.best)

    def by_hand(self) -> Found:
        """Scores by letting units go one by one, and nothing proved."""
        order = self.eliminate()
        self.flip()
        return Found(self.best, self.value, -math.inf, False, order)

    def to_the_end(self, part: str) -> Found:
        """Scores whose gap is closed, or the best that there was time for."""
        asked = self.asked
        order = self.by_hand().order
        met = self._until_met(part, relaxed=True)
        if not asked.relaxed:
            self._until_met(part, relaxed=False)
        met = met if asked.relaxed else closed(self.value, self.bound, asked.gap)
        return Found(self.best, self.value, self.bound, met, order)

    def eliminate(self) -> tuple[int, ...]:
        """Let the units go one by one, the one that is missed least first; their order.

        What each would cost is looked at again only when it is the least of all: mostly it has not
        changed by much.
        """
        program = self.program
        scores = self.best.copy()
        order = [int(k) for k in np.flatnonzero(program.scored.most == 0)]
        open_ = [int(k) for k in program.live if math.isnan(program.fixed[k])]
        order += [k for k in open_ if not scores[k]]
        free = [k for k in open_ if scores[k]]
        queue = [(-math.inf, -1, k) for k in free]
        round_ = 0
        while queue:
            _cost, seen, k = heapq.heappop(queue)
            if seen == round_:
                scores[k] = 0.0
                order.append(k)
                self.take(scores.copy())
                round_ += 1
                continue
            if self.clock.expired:
                return (*order, k, *(one for *_, one in sorted(queue)))
            without = scores.copy()
            without[k] = 0.0
            heapq.heappush(queue, (program.value(without), round_, k))
        return tuple(order)

    def flip(self) -> None:
        """Let units go or come back one at a time, as long as the value falls."""
        program = self.program
        free = [int(k) for k in program.live if math.isnan(program.fixed[k])]
        better = True
        while better:
            better = False
            for k in free:
                if self.clock.expired:
                    return
                other = self.best.copy()
                other[k] = 0.0 if other[k] else 1.0
                better |= self.take(other)

    def _until_met(self, part: str, *, relaxed: bool) -> bool:
        """Solve and add tangents until there is nothing more to gain; whether it came so far."""
        while not self.clock.expired:
            if self._once(part, relaxed=relaxed):
                return True
        return False

    def take(self, scores: np.ndarray) -> bool:
        """Keep scores if they are better."""
        value = self.program.value(scores)
        if value < self.value - 1e-12:
            self.best, self.value = scores, value
            return True
        return False

    def _once(self, part: str, *, relaxed: bool) -> bool:
        """Solve it once; whether there is nothing more to be gained this way."""
        asked, program = self.asked, self.program
        program.integer = not relaxed
        built, encoding, losses = program.build()
        start = None if relaxed else program.start(encoding, built, self.best)
        try:
            solution = asked.solver.solve(
                built, self.clock, start=start, gap=asked.gap / 2,
                on_effort=lambda effort: self._say(part, effort),
            )  # fmt: skip
        except SolverFailed as error:  # the scores that were found are good all the same
            asked.refused = str(error).rstrip(".")
            return True
        asked.programs += 1
        before = self.bound
        if solution.bound is not None:
            self.bound = max(self.bound, solution.bound)
        scores = self.best
        if solution.x is not None:
            scores = program.scores_at(encoding, solution.x)
            self.take(scores)
        if self.bound > self.value + _WRONG * max(1.0, abs(self.value)):
            raise SoundnessError(
                f"{asked.solver.name} claims that no scores have a value below {self.bound!r}, "
                f"but some have {self.value!r}. No figure of this run can be trusted; please "
                "report it."
            )
        if solution.x is None:
            return True
        outputs = encoding.values[program.scored.network.output]
        reached = outputs.coefficients @ solution.x[: outputs.coefficients.shape[1]]
        reached = (reached + outputs.constant).reshape(program.scored.count, -1)
        missed = program.worst(program.loss(reached, program.labels)) - solution.x[losses]
        program.meet_outputs(reached)
        program.meet(scores)
        self._say(part, None)
        if closed(self.value, self.bound, asked.gap):
            return True
        met = float(missed.mean()) * asked.weight <= asked.gap
        return relaxed and (met or self.bound <= before + asked.gap / 10)

    def _say(self, part: str, effort: Effort | None) -> None:
        bound = self.bound
        if effort is not None and effort.bound is not None:
            bound = max(bound, effort.bound)
        self.asked.say(part, self.best, self.value, bound)
