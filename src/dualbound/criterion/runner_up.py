"""The network's own most confused partner of an input's label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualbound.criterion.criterion import Criterion
from dualbound.criterion.targeted import FLOOR, Targeted, how_clearly
from dualbound.criterion.union import Union
from dualbound.errors import InvalidCriterion


@dataclass(frozen=True)
class RunnerUp(Union):
    """The network must answer the label that has the second largest output now.

    Args:
        ratio: see `Targeted`.
        margin: see `Targeted`.
        floor: see `Targeted`.

    Raises:
        InvalidCriterion: values that make no sense.

    >>> RunnerUp().at(np.array([0.0, 1.0, 0.3])).goal
    'label 2'
    """

    ratio: float | None = None
    margin: float | None = None
    floor: float = FLOOR

    def __post_init__(self) -> None:
        Targeted(0, self.ratio, self.margin, self.floor)

    def __str__(self) -> str:
        return f"{self.goal}, {how_clearly(self.ratio, self.margin)}"

    @property
    def goal(self) -> str:
        """Always the same, until `at` names the label."""
        return "the runner-up"

    def at(self, outputs: Float[np.ndarray, " m"]) -> Criterion:
        """The runner-up as a target; of several the first."""
        present = int(np.argmax(outputs))
        Targeted(present).check(len(outputs))
        others = np.where(np.arange(len(outputs)) == present, -np.inf, outputs)
        return Targeted(int(np.argmax(others)), self.ratio, self.margin, self.floor)

    def alternatives(self, outputs: int) -> tuple[Targeted, ...]:
        """None that could be named without an input."""
        raise InvalidCriterion(
            "Which label is the runner-up depends on the input: ask `at` first, with the network's "
            "outputs there."
        )
