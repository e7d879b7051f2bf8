"""Properties: of which inputs, and which outputs none of them may have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np
from jaxtyping import Float

from dualbound.criterion.polyhedron import OutputSet
from dualbound.errors import InvalidProperty
from dualbound.region import Box, Region


@final
@dataclass(frozen=True, eq=False)
class Case:
    """Inputs, and the outputs that none of them may have.

    Attributes:
        region: of the inputs, with ``(n,)`` bounds: a box, or a ball around a point.
        criterion: the outputs that violate the property.
        inner: where strict inequalities leave out faces of the region, all float64 numbers that are
            inside it; None where there are none.
    """

    region: Region
    criterion: OutputSet
    inner: Box | None = None

    @property
    def witnesses(self) -> Region:
        """Where a counterexample must lie; what is proved, is proved of the whole region."""
        return self.inner or self.region


@final
@dataclass(frozen=True, eq=False)
class Property:
    """It is violated where, in some case, an input of the region has outputs in the set.

    Args:
        cases: of different regions; of none the property holds, whatever the network.
        inputs: how many the network has.
        outputs: likewise.
        of_model: whether it speaks of what the model itself puts out, as files do: of
            probabilities, where a softmax at its end is left out of the network.

    Raises:
        InvalidProperty: a region of another number of inputs.
        InvalidCriterion: a set of another number of outputs.

    >>> from dualbound.criterion import Polyhedron
    >>> from dualbound.region import Box, L1Ball
    >>> near = L1Ball(np.array([0.5, 0.5]), 0.25, Box([0.0, 0.0], [1.0, 1.0]))
    >>> asked = Property((Case(near, OutputSet([Polyhedron([[1.0]], [2.0])])),), 2, 1)
    >>> [asked.violated_by(np.array([0.25, b]), np.array([2.5])) for b in (0.5, 0.625)]
    [True, False]
    """

    cases: tuple[Case, ...]
    inputs: int
    outputs: int
    of_model: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        for case in self.cases:
            if case.region.lower.shape != (self.inputs,):
                raise InvalidProperty(
                    f"A case bounds inputs of shape {case.region.lower.shape}; the property is of "
                    f"{self.inputs} inputs and needs a bound for each."
                )
            case.criterion.alternatives(self.outputs)

    def violated_by(self, x: Float[np.ndarray, " n"], outputs: Float[np.ndarray, " m"]) -> bool:
        """Whether an input and the network's outputs there are a counterexample.

        Args:
            x: ``(n,)``; no tolerance is allowed for. Of a box that is exact; of a ball, the
                distance from its centre is compared with the radius as float64 has computed it.
            outputs: ``(m,)``.
        """
        with np.errstate(over="ignore"):  # far outside, by more than any float64
            return any(
                case.witnesses.violation(x[None])[0] == 0 and case.criterion.classified(outputs)
                for case in self.cases
            )
