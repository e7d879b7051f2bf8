"""A set of allowed targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualbound.criterion.criterion import Criterion
from dualbound.criterion.targeted import FLOOR, Targeted, how_clearly
from dualbound.criterion.union import Union
from dualbound.errors import InvalidCriterion


@dataclass(frozen=True)
class OneOf(Union):
    """The network must answer one of some labels, by the ratio or margin of `Targeted`.

    Args:
        labels: at least one; none twice, and not the present one.
        ratio: see `Targeted`.
        margin: see `Targeted`.
        floor: see `Targeted`.

    Raises:
        InvalidCriterion: no label, one twice, or values that make no sense.

    >>> OneOf((0, 2)).reached(np.array([0.0, 1.0, 1.3])), OneOf((0, 1)).goal
    (True, 'label 0 or 1')
    """

    labels: Sequence[int]
    ratio: float | None = None
    margin: float | None = None
    floor: float = FLOOR

    def __post_init__(self) -> None:
        if isinstance(self.labels, int):
            raise InvalidCriterion(
                f"OneOf takes several labels, found {self.labels}; for one there is Targeted."
            )
        object.__setattr__(self, "labels", tuple(self.labels))
        if not self.labels:
            raise InvalidCriterion("Name at least one label that the network may answer.")
        for label in self.labels:
            if self.labels.count(label) > 1:
                raise InvalidCriterion(f"Label {label} is named more than once.")
            Targeted(label, self.ratio, self.margin, self.floor)

    def __str__(self) -> str:
        return f"{self.goal}, {how_clearly(self.ratio, self.margin)}"

    @property
    def goal(self) -> str:
        """Such as ``label 1, 4 or 7``."""
        *others, last = map(str, self.labels)
        return f"label {', '.join(others)} or {last}" if others else f"label {last}"

    def at(self, outputs: Float[np.ndarray, " m"]) -> Criterion:
        """The same; the present label must not be among those wanted."""
        for one in self.alternatives(len(outputs)):
            one.at(outputs)
        return self

    def alternatives(self, outputs: int) -> tuple[Targeted, ...]:
        """One for each label."""
        wanted = [Targeted(label, self.ratio, self.margin, self.floor) for label in self.labels]
        for one in wanted:
            one.check(outputs)
        return tuple(wanted)
