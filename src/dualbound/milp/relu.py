"""What a formulation of the rectifier is; the formulations are one a file beside this one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidInput
from dualbound.milp.expression import Expression
from dualbound.milp.program import ProgramBuilder

Recipe = tuple[np.ndarray, Callable[[Float[np.ndarray, " k"]], Float[np.ndarray, " k"]]]
"""Columns, and their values as a function of the layer's pre-activations."""


@dataclass
class ReluColumns:
    """What encoding one rectifier layer left behind.

    Attributes:
        post: the layer's output.
        binaries: the binary of each neuron, -1 for a stable one.
        recipes: how to fill the layer's columns from its pre-activations, for a warm start.
    """

    post: Expression
    binaries: np.ndarray
    recipes: list[Recipe] = field(default_factory=list)


class Formulation(ABC):
    """How an unstable rectifier becomes columns and rows.

    Attributes:
        name: as on the command line.
        is_conditional: whether it makes conditional rows, which not every solver takes.
    """

    name: ClassVar[str]
    is_conditional: ClassVar[bool] = False

    @abstractmethod
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
        """Add the unstable neurons of one layer.

        Args:
            builder: takes columns and rows.
            names: one a neuron, unique in the program.
            pre: the pre-activations of the whole layer.
            chosen: which of its neurons these are, ``(c,)``.
            lower: their lower bounds, below 0.
            upper: their upper bounds, above 0.
            integer: whether binaries are integral; a relaxation leaves them in [0, 1].

        Returns:
            The columns of the outputs, those of the binaries, and the recipes.
        """

    def relu(
        self,
        builder: ProgramBuilder,
        name: str,
        pre: Expression,
        lower: Float[np.ndarray, " k"],
        upper: Float[np.ndarray, " k"],
        *,
        integer: bool = True,
    ) -> ReluColumns:
        """Add one rectifier layer; stable neurons are linear and cost no binary.

        Raises:
            InvalidInput: a bound is missing or not finite. There is no default big-M.
        """
        if not (np.all(np.isfinite(lower)) and np.all(np.isfinite(upper))):
            raise InvalidInput(f"Layer {name!r} has no finite bounds; a big-M is never guessed.")
        outputs, binaries = np.full(len(lower), -1), np.full(len(lower), -1)
        active = np.flatnonzero((lower >= 0) & (upper > 0))
        outputs[active] = builder.columns(
            [f"{name}_y{j}" for j in active], lower=lower[active], upper=upper[active]
        )
        equal_rows(builder, [f"{name}_on{j}" for j in active], pre, active, [outputs[active]], [1])
        recipes: list[Recipe] = [(outputs[active], lambda v: v[active])]
        free = np.flatnonzero((lower < 0) & (upper > 0))
        if len(free):
            outputs[free], binaries[free], more = self.unstable(
                builder,
                [f"{name}_{{}}{j}" for j in free],
                pre,
                free,
                lower[free],
                upper[free],
                integer=integer,
            )
            recipes += more
        return ReluColumns(Expression.of_columns(outputs), binaries, recipes)


def equal_rows(
    builder: ProgramBuilder,
    names: list[str],
    pre: Expression,
    chosen: np.ndarray,
    columns: list[np.ndarray],
    signs: list[float],
) -> None:
    """Add the rows ``sum of signs·columns = pre`` for the chosen entries of ``pre``."""
    indices, values = [], []
    for k, j in enumerate(chosen.tolist()):
        read, coefficients = pre.row(j)
        indices.append(np.concatenate([[column[k] for column in columns], read]))
        values.append(np.concatenate([signs, -coefficients]))
    builder.rows(names, indices, values, lower=pre.constant[chosen], upper=pre.constant[chosen])
