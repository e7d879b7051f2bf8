"""What is known of the largest value of an objective over a region."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from dualbound.errors import SoundnessError
from dualbound.limits import Clock
from dualbound.region import Region
from dualbound.search.incumbent import Progress
from dualbound.search.objective import Objective
from dualbound.search.underway import Underway


def open_gap(value: float, bound: float) -> float:
    """How far a bound is above a value, relatively; absolutely where the value is below 1.

    >>> open_gap(4.0, 5.0), open_gap(0.0, 0.5)
    (0.25, 0.5)
    """
    return max(0.0, bound - value) / max(abs(value), 1.0)


@dataclass
class Optimum(Underway):
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
