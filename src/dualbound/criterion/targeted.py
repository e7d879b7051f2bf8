r"""Targeted misclassification, by ratio (the papers' form) or by margin.

The ratio form of the papers, :math:`o_t \ge r\,o_j`, holds trivially where all outputs are 0. Here
it means

.. math:: o_t \ge r \max(o_j, 0) \ \forall j \ne t, \qquad o_t \ge \delta > 0,

which needs no binaries: with :math:`o_t \ge \delta` the rows :math:`o_t - r o_j \ge 0` say the
same. On replay ``t`` must also be the strict argmax.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualbound.criterion.criterion import Criterion
from dualbound.errors import InvalidCriterion

DEFAULT_MARGIN = 1e-4
"""Larger than any solver's tolerance and than float32's rounding of usual logits."""

FLOOR = 1e-3
"""With a ratio, the least output of the target."""


def how_clearly(ratio: float | None, margin: float | None) -> str:
    """In words, by how much a label must win.

    >>> how_clearly(1.2, None), how_clearly(None, None)
    ('ratio 1.2', 'margin 0.0001')
    """
    return f"margin {margin or DEFAULT_MARGIN:g}" if ratio is None else f"ratio {ratio:g}"


@dataclass(frozen=True)
class Targeted(Criterion):
    """The network must answer ``target``.

    Args:
        target: a label.
        ratio: the target's output must be this many times every other one, and positive; above 1.
        margin: the target's logit must exceed every other one by this much; above 0. The default,
            when no ratio is given either, is `DEFAULT_MARGIN`.
        floor: with a ratio, the least output of the target (the papers' hole, see above).

    Raises:
        InvalidCriterion: both a ratio and a margin, or values that make no sense.

    >>> Targeted(2, ratio=1.2).reached(np.array([0.0, 1.0, 1.3]))
    True
    >>> Targeted(2, ratio=1.2).reached(np.zeros(3))
    False
    """

    target: int
    ratio: float | None = None
    margin: float | None = None
    floor: float = FLOOR

    def __post_init__(self) -> None:
        if isinstance(self.target, bool) or not isinstance(self.target, (int, np.integer)):
            raise InvalidCriterion(f"A label is a whole number, found {self.target!r}.")
        if self.ratio is not None and self.margin is not None:
            raise InvalidCriterion("Give a ratio or a margin, not both.")
        if self.ratio is not None and not 1 < self.ratio < np.inf:
            raise InvalidCriterion(
                f"The ratio is how many times the target's output must be every other one: it "
                f"must be above 1, found {self.ratio}."
            )
        if self.margin is not None and not 0 < self.margin < np.inf:
            raise InvalidCriterion(
                "The margin must be above 0 (a tie is no classification) and finite, found "
                f"{self.margin}."
            )
        if not 0 < self.floor < np.inf:
            raise InvalidCriterion(f"The floor must be above 0, found {self.floor}.")

    def __str__(self) -> str:
        return f"{self.goal}, {how_clearly(self.ratio, self.margin)}"

    @property
    def goal(self) -> str:
        """Such as ``label 2``."""
        return f"label {self.target}"

    def at(self, outputs: Float[np.ndarray, " m"]) -> Criterion:
        """The same; the present label must be another."""
        self.check(len(outputs), int(np.argmax(outputs)))
        return self

    def alternatives(self, outputs: int) -> tuple[Targeted, ...]:
        """It alone."""
        self.check(outputs)
        return (self,)

    def rows(self, outputs: int) -> tuple[Float[np.ndarray, "k m"], Float[np.ndarray, " k"]]:
        """One row for each other label, and with a ratio one for the floor."""
        self.check(outputs)
        others = [j for j in range(outputs) if j != self.target]
        a = np.zeros((len(others), outputs))
        a[:, self.target] = 1.0
        a[np.arange(len(others)), others] = -1.0 if self.ratio is None else -self.ratio
        if self.ratio is None:
            return a, np.full(len(others), self.margin or DEFAULT_MARGIN)
        return (
            np.vstack([a, np.eye(outputs)[self.target]]),
            np.append(np.zeros(len(others)), self.floor),
        )

    def classified(self, outputs: Float[np.ndarray, " m"]) -> bool:
        """Whether the target is the strict argmax."""
        others = np.delete(outputs, self.target)
        return bool(np.all(outputs[self.target] > others))

    def check(self, outputs: int, present: int | None = None) -> None:
        """The target must be one of at least two outputs, and not the present label.

        Raises:
            InvalidCriterion: it is not.
        """
        if outputs < 2:
            raise InvalidCriterion(
                f"A targeted criterion needs a classifier; the network has {outputs} output. What "
                "one output shall not be is a property: see verify."
            )
        if not 0 <= self.target < outputs:
            raise InvalidCriterion(
                f"Target {self.target} is out of range: the network's labels are 0 to "
                f"{outputs - 1}."
            )
        if present == self.target:
            raise InvalidCriterion(
                f"The network already answers {present} for this input; choose another target."
            )
