"""What an attack and a search are after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualbound.criterion import Criterion
from dualbound.network.graph import Network
from dualbound.region import Box, Norm


@dataclass(frozen=True, eq=False)
class NearestProblem:
    """The point of a box nearest to a centre at which a network reaches a criterion.

    Attributes:
        network: any.
        center: ``(n,)``, where distances are measured from.
        criterion: what to reach.
        norm: how distances are measured.
        box: where the point must lie, caps and masks included.
    """

    network: Network
    center: Float[np.ndarray, " n"]
    criterion: Criterion
    norm: Norm
    box: Box

    def distance(self, x: Float[np.ndarray, "*b n"]) -> np.ndarray:
        """From the centre."""
        return self.norm.distance(x, self.center)

    def reached(self, x: Float[np.ndarray, " n"]) -> bool:
        """Whether the network, evaluated in float64, reaches the criterion at ``x``."""
        return self.criterion.reached(self.network(x))
