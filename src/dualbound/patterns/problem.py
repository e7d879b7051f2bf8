"""What an attack and a search are after."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from dualbound.criterion import Criterion
from dualbound.network import Network, replay
from dualbound.network.patterns import Pattern
from dualbound.patterns.cells import cell_at, key_of, named
from dualbound.region import L0, L1, L2, Box, Grid, Norm

FLOAT32_ROUNDING = 2e-5
"""Relative error allowed to the criterion's slack in a float32 evaluation. The label is allowed
none: it must be strictly right."""

HAIR = 1e-3
"""Part of a step that is allowed to the rounding of a distance that comes in steps."""


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
        grid: of which it must be a point, if any.
        listed: keys of activation patterns that do not count: a point must be inside the cell of
            another, see `cells`. None where patterns do not matter.
    """

    network: Network
    center: Float[np.ndarray, " n"]
    criterion: Criterion
    norm: Norm
    box: Box
    grid: Grid | None = None
    listed: frozenset[bytes] | None = None

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

    @property
    def is_integral(self) -> bool:
        """Whether the nearest point of one activation pattern takes integers to find."""
        return self.grid is not None or isinstance(self.norm, L0)

    @property
    def is_plain(self) -> bool:
        """Whether every point of a pattern that reaches the criterion will do, and no integers."""
        return self.listed is None and not self.is_integral

    @property
    def continuous(self) -> NearestProblem:
        """The same without grid, and in L1 instead of L0: close, and without integers."""
        norm = L1(self.norm.weights) if isinstance(self.norm, L0) else self.norm
        return replace(self, norm=norm, grid=None)

    def tidied(self, x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """A point moved into the box, and there to the nearest point of the grid."""
        x = self.box.project(x[None])[0]
        return x if self.grid is None else self.grid.snap(x, self.box)

    @property
    def _step(self) -> float | None:
        """Distances, or in L2 their squares, are multiples of this; None if of nothing."""
        if self.norm.weights is not None:
            return None
        if isinstance(self.norm, L0):
            return 1.0
        if self.grid is None or not self.grid.contains(self.center).all():
            return None
        steps = self.grid.step[self.grid.step > 0]  # a range may be a single value
        if not len(steps) or np.min(steps) < np.max(steps):
            return None
        step = float(np.min(steps))
        return step**2 if isinstance(self.norm, L2) else step

    @property
    def least(self) -> float:
        """The distance of the nearest point there is, whatever the criterion."""
        return float(self.distance(self.tidied(self.center)))

    def before(self, distance: float) -> float:
        """A radius within which a point nearer than one at this distance must lie.

        Where distances come in steps, the next smaller one, and a little more against rounding.

        >>> from dualbound.criterion import Targeted
        >>> net = Network.dense([np.eye(2)], [[0.0, 0.0]])
        >>> box = Box(0, 1).sized(2)
        >>> asked = NearestProblem(net, np.zeros(2), Targeted(1), L0(), box)
        >>> round(asked.before(2.0), 2), asked.beyond(asked.before(2.0))
        (1.0, 2.0)
        """
        step = self._step
        if step is None or not np.isfinite(distance):
            return distance
        power = 2 if isinstance(self.norm, L2) else 1
        count = max(np.round(distance**power / step) - 1 + HAIR, 0.0)
        return float(min((count * step) ** (1 / power), distance))

    def beyond(self, radius: float) -> float:
        """The least distance of a point outside a ball of this radius."""
        step = self._step
        if step is None or not np.isfinite(radius):
            return radius
        power = 2 if isinstance(self.norm, L2) else 1
        count = np.floor(radius**power / step - HAIR / 2) + 1
        return max(radius, float((count * step) ** (1 / power)))

    def counts(self, x: Float[np.ndarray, " n"]) -> bool:
        """Whether the point is inside a cell that is not listed."""
        if self.listed is None:
            return True
        cell = cell_at(self.network, self.box, x)
        return cell is not None and key_of(cell) not in self.listed

    def has_listed(self, pattern: Pattern) -> bool:
        """Whether an activation pattern is listed."""
        if not self.listed:
            return False
        return key_of(named(self.network, self.box, pattern)) in self.listed

    def reached(self, x: Float[np.ndarray, " n"]) -> bool:
        """Whether ``x`` is on the grid, counts, and reaches the criterion in every evaluation."""
        return (
            (self.grid is None or bool(self.grid.contains(x).all()))
            and self.counts(x)
            and all(
                self.criterion.reached(found.outputs, rounding=found.rounding)
                for found in self.evaluations(x)
            )
        )
