"""Any label other than the present one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from dualbound.criterion.criterion import Criterion
from dualbound.criterion.targeted import FLOOR, Targeted, how_clearly
from dualbound.criterion.union import Union
from dualbound.errors import InvalidCriterion


@dataclass(frozen=True)
class Untargeted(Union):
    """The network must answer, by the ratio or margin of `Targeted`, any other label.

    Args:
        ratio: see `Targeted`.
        margin: see `Targeted`.
        floor: see `Targeted`.
        present: the label to get away from; `at` finds it.

    Raises:
        InvalidCriterion: values that make no sense.

    >>> away = Untargeted(margin=0.1).at(np.array([0.0, 1.0, 0.3]))
    >>> away.present, away.reached(np.array([0.0, 0.5, 0.7]))
    (1, True)
    """

    ratio: float | None = None
    margin: float | None = None
    floor: float = FLOOR
    present: int | None = None

    def __post_init__(self) -> None:
        Targeted(0, self.ratio, self.margin, self.floor)

    def __str__(self) -> str:
        return f"{self.goal}, {how_clearly(self.ratio, self.margin)}"

    @property
    def goal(self) -> str:
        """Always the same."""
        return "any other label"

    def at(self, outputs: Float[np.ndarray, " m"]) -> Criterion:
        """The same with the present label."""
        present = int(np.argmax(outputs))
        if self.present not in (None, present):
            raise InvalidCriterion(
                f"The network answers {present} for this input, not {self.present}: leave the "
                "present label out."
            )
        found = replace(self, present=present)
        found.alternatives(len(outputs))
        return found

    def alternatives(self, outputs: int) -> tuple[Targeted, ...]:
        """One for each other label."""
        if self.present is None:
            raise InvalidCriterion(
                "Which labels are other ones depends on the input: ask `at` first, with the "
                "network's outputs there."
            )
        Targeted(self.present).check(outputs)
        others = [label for label in range(outputs) if label != self.present]
        return tuple(Targeted(one, self.ratio, self.margin, self.floor) for one in others)
