"""The rectifier by indicator constraints: the solver branches on them, and no big-M is written."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float

from dualbound.milp.bigm import BigM
from dualbound.milp.expression import Expression
from dualbound.milp.program import ProgramBuilder
from dualbound.milp.relu import Formulation, Recipe, equal_rows


class Indicator(Formulation):
    r"""``y = max(a, 0)`` with ``a = Wx + b`` in ``[l, u]`` and ``z = 1`` where active.

    .. math::
        y \ge a, \quad y \ge 0, \quad z = 1 \Rightarrow y \le a, \quad z = 0 \Rightarrow y \le 0

    The bounds stay on the columns, from where a solver may derive big-Ms of its own. Its linear
    relaxation knows nothing of the conditions; who wants a relaxation gets that of `BigM`.
    """

    name: ClassVar[str] = "indicator"
    is_conditional: ClassVar[bool] = True

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
        """Three columns, two rows and two conditional rows a neuron."""
        if not integer:
            return BigM().unstable(builder, names, pre, chosen, lower, upper, integer=False)

        def named(letter: str) -> list[str]:
            return [name.format(letter) for name in names]

        a = builder.columns(named("a"), lower=lower, upper=upper)
        y = builder.columns(named("y"), lower=0.0, upper=upper)
        z = builder.columns(named("z"), lower=0.0, upper=1.0, integer=True)
        equal_rows(builder, named("def"), pre, chosen, [a], [1])
        ones = np.ones(len(chosen))
        pairs, difference = list(np.stack([y, a], 1)), list(np.stack([ones, -ones], 1))
        builder.rows(named("above"), pairs, difference, lower=0.0)
        builder.rows(named("on"), pairs, difference, upper=0.0, only_if=(z, 1))
        builder.rows(named("off"), list(y[:, None]), list(ones[:, None]), upper=0.0, only_if=(z, 0))
        return (
            y,
            z,
            [
                (a, lambda v: v[chosen]),
                (y, lambda v: np.maximum(v[chosen], 0.0)),
                (z, lambda v: (v[chosen] > 0).astype(float)),
            ],
        )
