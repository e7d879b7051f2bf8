"""The big-M formulation of the rectifier, with a column for the pre-activation."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float

from dualbound.milp.expression import Expression
from dualbound.milp.program import ProgramBuilder
from dualbound.milp.relu import Formulation, Recipe, equal_rows


class BigM(Formulation):
    r"""``y = max(a, 0)`` with ``a = Wx + b`` in ``[l, u]`` and ``z = 1`` where active.

    .. math:: y \ge a, \quad y \le a - l (1 - z), \quad y \le u z, \quad y \ge 0

    Its linear relaxation over ``a, y`` is the triangle. Tjeng, Xiao, Tedrake, *Evaluating
    robustness of neural networks with mixed integer programming*, ICLR 2019, section 4.1.
    """

    name: ClassVar[str] = "bigm"

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
        """Three columns and four rows a neuron."""

        def named(letter: str) -> list[str]:
            return [name.format(letter) for name in names]

        a = builder.columns(named("a"), lower=lower, upper=upper)
        y = builder.columns(named("y"), lower=0.0, upper=upper)
        z = builder.columns(named("z"), lower=0.0, upper=1.0, integer=integer)
        equal_rows(builder, named("def"), pre, chosen, [a], [1])
        ones = np.ones(len(chosen))
        builder.rows(
            named("above"), list(np.stack([y, a], 1)), list(np.stack([ones, -ones], 1)), lower=0.0
        )
        builder.rows(
            named("line"),
            list(np.stack([y, a, z], 1)),
            list(np.stack([ones, -ones, -lower], 1)),
            upper=-lower,
        )
        builder.rows(
            named("off"), list(np.stack([y, z], 1)), list(np.stack([ones, -upper], 1)), upper=0.0
        )
        return (
            y,
            z,
            [
                (a, lambda v: v[chosen]),
                (y, lambda v: np.maximum(v[chosen], 0.0)),
                (z, lambda v: (v[chosen] > 0).astype(float)),
            ],
        )
