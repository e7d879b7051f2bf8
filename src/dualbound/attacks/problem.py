"""What an attack and a search are after."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from dualbound.criterion import Criterion
from dualbound.network import Network, replay
from dualbound.region import Box, Norm

FLOAT32_ROUNDING = 2e-5
"""Relative error allowed to the criterion's slack in a float32 evaluation. The label is allowed
none: it must be strictly right."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one way of evaluating the network says of an input.

    Attributes:
        name: of the runtime and its precision.
        outputs: logits, ``(m,)``.
        rounding: relative error that they may carry.
    """

    name: str
    outputs: Float[np.ndarray, " m"]
    rounding: float


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

    def narrowed(self, x: Float[np.ndarray, " n"]) -> NearestProblem:
        """The same with the one alternative of the criterion that ``x`` is closest to reaching."""
        return replace(self, criterion=self.criterion.closest(self.network(x)))

    def evaluations(self, x: Float[np.ndarray, " n"]) -> tuple[Evaluation, ...]:
        """The outputs at ``x`` in float64, and by onnxruntime on the file as given."""
        return (
            Evaluation("dualbound float64", self.network(x), 0.0),
            Evaluation("onnxruntime", replay(self.network, x).before_softmax, FLOAT32_ROUNDING),
        )

    def reached(self, x: Float[np.ndarray, " n"]) -> bool:
        """Whether every evaluation says that ``x`` reaches the criterion."""
        return all(
            self.criterion.reached(found.outputs, rounding=found.rounding)
            for found in self.evaluations(x)
        )
