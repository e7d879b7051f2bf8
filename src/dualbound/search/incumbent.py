"""What a search knows at any moment: the best witness, the proved bound, and the gap between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from dualbound.errors import SoundnessError
from dualbound.limits import Clock
from dualbound.search.underway import Underway


@dataclass(frozen=True)
class Progress:
    """A moment of a running query.

    Attributes:
        phase: what is being done, in a word or two.
        value: distance of the best witness so far, or None.
        bound: proved lower bound on the distance.
        gap: relative distance of the two, or None without a witness.
        nodes: branch-and-bound nodes so far.
        seconds: since the start.
    """

    phase: str
    value: float | None
    bound: float
    gap: float | None
    nodes: int
    seconds: float


def relative_gap(value: float | None, bound: float | None) -> float | None:
    """``(value - bound) / max(|value|, 1e-9)``, never below 0; None where either is missing.

    >>> relative_gap(2.0, 1.5)
    0.25
    """
    if value is None or bound is None:
        return None
    return max(0.0, value - bound) / max(abs(value), 1e-9)


def check_distance(value: float, bound: float) -> None:
    """Compare the distance of a witness with what was proved.

    Raises:
        SoundnessError: it is nearer than what was proved possible.
    """
    if value < bound * (1 - 1e-7) - 1e-9:
        raise SoundnessError(
            f"A witness at distance {value!r} contradicts the proved bound {bound!r}. "
            "No figure of this run can be trusted; please report it."
        )


@dataclass
class Incumbent(Underway):
    """The best witness and the proved bound of one search; only ever better.

    Attributes:
        clock: of the query.
        on_progress: told of every change.
        x: best witness, or None.
        value: its distance, or infinity.
        bound: proved: nothing nearer than this reaches the criterion.
        phase: what is being done.
        nodes: branch-and-bound nodes so far.
        programs: linear programs of their relaxations, where the search is our own.
        seconds: of each phase that has ended.
        note: what the user should hear of how the search ended.
    """

    clock: Clock
    on_progress: Callable[[Progress], None] | None = None
    x: Float[np.ndarray, " n"] | None = None
    value: float = np.inf
    bound: float = 0.0
    phase: str = "start"
    nodes: int = 0
    programs: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def gap(self) -> float | None:
        """The relative gap, None without a witness."""
        return relative_gap(self.value if self.x is not None else None, self.bound)

    def improve(self, x: Float[np.ndarray, " n"], value: float) -> bool:
        """Take a witness if it is nearer than the best one.

        Raises:
            SoundnessError: it is nearer than what was proved possible.
        """
        check_distance(value, self.bound)
        if value >= self.value:
            return False
        self.x, self.value = x, value
        self.report()
        return True

    def prove(self, bound: float) -> None:
        """Record that nothing nearer than ``bound`` reaches the criterion.

        It may be beyond the best witness, which need not reach the same alternative of a union.
        """
        if self.x is not None:
            bound = min(bound, self.value)
        if bound > self.bound:
            self.bound = bound
            self.report()

    def report(self, *, extra_nodes: int = 0, bound: float | None = None) -> None:
        """Tell whoever watches."""
        if self.on_progress is not None:
            known = max(self.bound, bound) if bound is not None else self.bound
            value = self.value if self.x is not None else None
            self.on_progress(
                Progress(
                    phase=self.phase,
                    value=value,
                    bound=known,
                    gap=relative_gap(value, known),
                    nodes=self.nodes + extra_nodes,
                    seconds=self.clock.seconds,
                )
            )
