"""The papers' formulation of the rectifier: positive part minus slack."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float

from dualbound.milp.expression import Expression
from dualbound.milp.program import ProgramBuilder
from dualbound.milp.relu import Formulation, Recipe, equal_rows


class FischettiJo(Formulation):
    r"""``Wx + b = y - s`` with ``y, s >= 0`` and ``z = 1`` where *inactive*.

    .. math:: y \le u (1 - z), \quad s \le -l z

    Fischetti, Jo, *Deep neural networks and mixed integer linear optimization*, Constraints 23,
    2018, with the bounds as big-M (Koot, section 3.2). The indicators ``z = 1 → y <= 0`` and
    ``z = 0 → s <= 0`` of the papers are these rows.
    """

    name: ClassVar[str] = "fischetti-jo"

    def unstable(
        self,
        builder: ProgramBuilder,
        names: list[str],
        pre: Expression,
        chosen: np.ndarray,
        lower: Float[np.ndarray, " c"],
        upper: Float[np.ndarray, " c"],
        *,
        integer: bool,
    ) -> tuple[np.ndarray, np.ndarray, list[Recipe]]:
        """Three columns and three rows a neuron."""

        def named(letter: str) -> list[str]:
            return [name.format(letter) for name in names]

        y = builder.columns(named("y"), lower=0.0, upper=upper)
        s = builder.columns(named("s"), lower=0.0, upper=-lower)
        z = builder.columns(named("z"), lower=0.0, upper=1.0, integer=integer)
        equal_rows(builder, named("def"), pre, chosen, [y, s], [1, -1])
        ones = np.ones(len(chosen))
        builder.rows(
            named("yoff"), list(np.stack([y, z], 1)), list(np.stack([ones, upper], 1)), upper=upper
        )
        builder.rows(
            named("soff"), list(np.stack([s, z], 1)), list(np.stack([ones, lower], 1)), upper=0.0
        )
        return (
            y,
            z,
            [
                (y, lambda v: np.maximum(v[chosen], 0.0)),
                (s, lambda v: np.maximum(-v[chosen], 0.0)),
                (z, lambda v: (v[chosen] <= 0).astype(float)),
            ],
        )
