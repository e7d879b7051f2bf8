"""What holds of the inputs of one activation pattern that reach a criterion, as linear rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from dualbound.network.patterns import Pattern, maps_on_pattern
from dualbound.patterns.cells import ZERO
from dualbound.patterns.problem import NearestProblem


@dataclass(frozen=True, eq=False)
class Rows:
    """``matrix·x + offset >= 0``, those of the criterion first, scaled to coefficients of 1.

    Attributes:
        matrix, offset: of the rows.
        goals: how many are the criterion's.
        neurons: of the others.
        moving: which are not constant in the box.
        strict: whether a point must be well inside the pattern, and not only reach the criterion.
    """

    matrix: Float[np.ndarray, "m n"]
    offset: Float[np.ndarray, " m"]
    goals: int
    neurons: list[tuple[str, int]]
    moving: Bool[np.ndarray, " m"]
    strict: bool = False

    def inside(self, least: float) -> Rows:
        """The same with the criterion to be exceeded; missed, where ``least`` is negative.

        A constant cannot be exceeded. Where the criterion has one, it may just so be reached on the
        pattern and nowhere else: then the point is to be well inside the pattern instead.
        """
        shifted = np.arange(len(self.offset)) < self.goals
        if least > 0:
            strict = self.strict or not self.moving[: self.goals].all()
            shifted = self.moving & (shifted | strict)
        return replace(self, offset=self.offset - least * shifted)


def rows_on(problem: NearestProblem, signs: Pattern, *, kept: bool = True) -> Rows | None:
    """The rows of a pattern; None where their numbers overflow.

    Args:
        problem: has the network and the criterion.
        signs: at which the network is linearised.
        kept: whether inputs have to be of this pattern; otherwise the criterion has the only rows.
    """
    network = problem.network
    maps = maps_on_pattern(network, signs)
    weight, bias = maps[network.output]
    a, b = problem.criterion.rows(network.output_size)
    matrices, offsets = [a @ weight], [a @ bias - b]
    neurons: list[tuple[str, int]] = []
    for relu in network.relus if kept else ():
        weight, bias = maps[relu.reads[0]]
        sign = np.where(signs[relu.name], 1.0, -1.0)
        matrices.append(sign[:, None] * weight)
        offsets.append(sign * bias)
        neurons += [(relu.name, j) for j in range(relu.size)]
    matrix, offset = np.vstack(matrices), np.concatenate(offsets)
    if not (np.isfinite(matrix).all() and np.isfinite(offset).all()):
        return None
    largest = np.abs(matrix).max(axis=1)
    scale = np.where(largest > ZERO, largest, 1.0)
    free = problem.box.lower < problem.box.upper
    moving = np.abs(matrix[:, free]).max(axis=1, initial=0.0) > ZERO
    return Rows(
        matrix=matrix / scale[:, None],
        offset=offset / scale,
        goals=len(a),
        neurons=neurons,
        moving=moving,
        strict=problem.listed is not None,
    )


def tight_neurons(duals: np.ndarray | None, rows: Rows) -> tuple[tuple[str, int, float], ...]:
    """Neurons whose sign has a multiplier: name, index, multiplier, the largest first."""
    if duals is None:
        return ()
    found = [
        (name, j, float(duals[rows.goals + k]))
        for k, (name, j) in enumerate(rows.neurons)
        if duals[rows.goals + k] > 1e-9
    ]
    return tuple(sorted(found, key=lambda item: -item[2]))
