"""Criteria that are made of targeted ones: reached where one of those is."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from jaxtyping import Float

from dualbound.criterion.criterion import Criterion
from dualbound.criterion.targeted import Targeted
from dualbound.errors import InvalidCriterion


class Union(Criterion):
    """A set of outputs put together from `Targeted` ones.

    A point at which two labels tie is in none of them, and so not in their union.
    """

    @abstractmethod
    def alternatives(self, outputs: int) -> tuple[Targeted, ...]:
        """See `Criterion.alternatives`."""

    def rows(self, outputs: int) -> tuple[Float[np.ndarray, "k m"], Float[np.ndarray, " k"]]:
        """Those of the only alternative."""
        found = self.alternatives(outputs)
        if len(found) > 1:
            raise InvalidCriterion(
                f"The criterion '{self}' is a union of {len(found)} polyhedra and has no rows of "
                "its own: take those of its alternatives."
            )
        return found[0].rows(outputs)

    def classified(self, outputs: Float[np.ndarray, " m"]) -> bool:
        """Whether one of the labels wanted is the strict argmax."""
        return any(one.classified(outputs) for one in self.alternatives(len(outputs)))
