"""Repair: the right label for an input that the network gets wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualbound.criterion.criterion import Criterion
from dualbound.criterion.targeted import FLOOR, Targeted, how_clearly
from dualbound.criterion.union import Union
from dualbound.errors import InvalidCriterion


@dataclass(frozen=True)
class Class(Union):
    """The network, which answers something else, must answer ``label``.

    Args:
        label: the right one.
        ratio: see `Targeted`.
        margin: see `Targeted`.
        floor: see `Targeted`.

    Raises:
        InvalidCriterion: values that make no sense.

    >>> Class(2).at(np.array([0.0, 1.0, 0.3])).goal
    'the right label 2'
    """

    label: int
    ratio: float | None = None
    margin: float | None = None
    floor: float = FLOOR

    def __post_init__(self) -> None:
        Targeted(self.label, self.ratio, self.margin, self.floor)

    def __str__(self) -> str:
        return f"{self.goal}, {how_clearly(self.ratio, self.margin)}"

    @property
    def goal(self) -> str:
        """Such as ``the right label 3``."""
        return f"the right label {self.label}"

    def at(self, outputs: Float[np.ndarray, " m"]) -> Criterion:
        """The same; the present label must be another."""
        self.alternatives(len(outputs))
        if self.label == int(np.argmax(outputs)):
            raise InvalidCriterion(
                f"The network already answers {self.label} for this input: there is nothing to "
                "repair."
            )
        return self

    def alternatives(self, outputs: int) -> tuple[Targeted, ...]:
        """The label as a target."""
        wanted = Targeted(self.label, self.ratio, self.margin, self.floor)
        wanted.check(outputs)
        return (wanted,)
