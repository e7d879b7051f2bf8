"""What every set of outputs can do: here, polyhedra ``A·o >= b``."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float


class Criterion(ABC):
    """A set of outputs that a witness must reach."""

    @abstractmethod
    def rows(self, outputs: int) -> tuple[Float[np.ndarray, "k m"], Float[np.ndarray, " k"]]:
        """``A`` and ``b`` such that the criterion is ``A·o >= b``.

        Raises:
            InvalidCriterion: the criterion does not fit a network of so many outputs.
        """

    def slack(self, outputs: Float[np.ndarray, "*b m"]) -> Float[np.ndarray, "*b"]:
        """The smallest ``A·o - b``: at least 0 where the criterion is reached."""
        a, b = self.rows(outputs.shape[-1])
        return np.asarray((outputs @ a.T - b).min(axis=-1))

    @abstractmethod
    def classified(self, outputs: Float[np.ndarray, " m"]) -> bool:
        """Whether a classifier with these outputs says, strictly, what the criterion wants."""

    def reached(self, outputs: Float[np.ndarray, " m"], *, rounding: float = 0.0) -> bool:
        """Whether these outputs are in the set and strictly classified so; NaN never is.

        Args:
            outputs: ``(m,)`` logits.
            rounding: relative error that the outputs may carry, for a replay in float32.
        """
        scale = 1.0 + float(np.abs(outputs).max())
        return bool(self.slack(outputs) >= -rounding * scale) and self.classified(outputs)

    @abstractmethod
    def check(self, outputs: int, present: int | None = None) -> None:
        """Refuse what cannot be asked.

        Args:
            outputs: how many outputs the network has.
            present: the label of the unchanged input, where that matters.

        Raises:
            InvalidCriterion: a target out of range, or reached already.
        """
