"""What every set of outputs can do: a polyhedron ``A·o >= b``, or a union of some."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float


class Criterion(ABC):
    """A set of outputs that a witness must reach."""

    @property
    @abstractmethod
    def goal(self) -> str:
        """In words, what is reached: ``label 2``, ``any other label``."""

    @abstractmethod
    def at(self, outputs: Float[np.ndarray, " m"]) -> Criterion:
        """What is asked of an input where the network has these outputs before it is changed.

        Raises:
            InvalidCriterion: nothing can be asked there: a label out of range, or reached already.
        """

    @abstractmethod
    def alternatives(self, outputs: int) -> tuple[Criterion, ...]:
        """The polyhedra, for so many outputs, whose union this is; of a polyhedron it alone.

        Raises:
            InvalidCriterion: it does not fit, or it depends on the input: ask `at` first.
        """

    @abstractmethod
    def rows(self, outputs: int) -> tuple[Float[np.ndarray, "k m"], Float[np.ndarray, " k"]]:
        """``A`` and ``b`` such that the criterion is ``A·o >= b``.

        Raises:
            InvalidCriterion: the criterion does not fit a network of so many outputs, or is a union
                of several polyhedra.
        """

    @abstractmethod
    def classified(self, outputs: Float[np.ndarray, " m"]) -> bool:
        """Whether a classifier with these outputs says, strictly, what the criterion wants."""

    def slack(self, outputs: Float[np.ndarray, "*b m"]) -> Float[np.ndarray, "*b"]:
        """The smallest ``A·o - b``, of the best alternative: at least 0 where it is reached.

        It is infinite where an alternative has no rows: nothing is asked there.
        """
        return np.asarray(self._slacks(outputs).max(axis=0))

    def closest(self, outputs: Float[np.ndarray, " m"]) -> Criterion:
        """The alternative with the largest slack at these outputs."""
        return self.alternatives(len(outputs))[int(np.argmax(self._slacks(outputs)))]

    def reached(self, outputs: Float[np.ndarray, " m"], *, rounding: float = 0.0) -> bool:
        """Whether these outputs are in the set and strictly classified so; NaN never is.

        Args:
            outputs: ``(m,)`` logits.
            rounding: relative error that the outputs may carry, for a replay in float32.
        """
        least = -rounding * (1.0 + float(np.abs(outputs).max()))
        pairs = zip(self.alternatives(len(outputs)), self._slacks(outputs), strict=True)
        return any(bool(slack >= least) and one.classified(outputs) for one, slack in pairs)

    def _slacks(self, outputs: Float[np.ndarray, "*b m"]) -> Float[np.ndarray, "a *b"]:
        rows = [one.rows(outputs.shape[-1]) for one in self.alternatives(outputs.shape[-1])]
        return np.stack(
            [np.asarray((outputs @ a.T - b).min(axis=-1, initial=np.inf)) for a, b in rows]
        )
