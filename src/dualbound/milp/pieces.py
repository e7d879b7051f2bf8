r"""Activations that are no rectifiers, as programs: pieces of lines inside a proved band.

The interval of what is read is cut into pieces; on each the activation lies between two lines of
one slope. With a binary z for every piece and a share w of what is read,

.. math:: a = \sum_k w_k, \quad l_k z_k \le w_k \le u_k z_k, \quad \sum_k z_k = 1, \quad
    \sum_k (s_k w_k + c^-_k z_k) \le y \le \sum_k (s_k w_k + c^+_k z_k),

whose linear relaxation is the convex hull of the pieces. The activation's graph is inside, so what
is proved of the program holds for the network; the program's solutions are within the band of it,
and every witness is replayed. Vielma, *Mixed integer linear programming formulation techniques*,
2015, section 5 (the multiple choice model).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dualbound.bounds.envelopes import pieces
from dualbound.errors import InvalidInput
from dualbound.milp.expression import Expression
from dualbound.milp.program import ProgramBuilder
from dualbound.milp.relu import Recipe, ReluColumns
from dualbound.network.elementwise import Elementwise

BAND = 0.01
"""How far apart the lines around a piece may be, about."""


def in_pieces(
    builder: ProgramBuilder,
    name: str,
    op: Elementwise,
    pre: Expression,
    lower: Float[np.ndarray, " k"],
    upper: Float[np.ndarray, " k"],
    *,
    integer: bool = True,
    band: float = BAND,
) -> ReluColumns:
    """Add one layer of activations.

    Args:
        builder: takes columns and rows.
        name: of the layer, unique in the program.
        op: a sigmoid or a sign.
        pre: what the layer reads.
        lower: bounds of what the layer reads.
        upper: likewise.
        integer: whether binaries are integral; a relaxation leaves them in [0, 1].
        band: see `BAND`. A sign needs none.

    Raises:
        InvalidInput: a bound is not finite.
    """
    if not (np.all(np.isfinite(lower)) and np.all(np.isfinite(upper))):
        raise InvalidInput(f"Layer {name!r} has no finite bounds; none is guessed.")
    outputs = builder.columns(
        [f"{name}_y{j}" for j in range(len(lower))],
        lower=op(lower) - op.err,
        upper=op(upper) + op.err,
    )
    recipes: list[Recipe] = [(outputs, op)]
    for j, (low, high) in enumerate(zip(lower.tolist(), upper.tolist(), strict=True)):
        recipes += _one(
            builder, f"{name}_{{}}{j}", op, pre, j, (low, high), int(outputs[j]), integer, band
        )
    return ReluColumns(Expression.of_columns(outputs), np.full(len(lower), -1), recipes)


def _one(
    builder: ProgramBuilder,
    name: str,
    op: Elementwise,
    pre: Expression,
    j: int,
    ends: tuple[float, float],
    y: int,
    integer: bool,
    band: float,
) -> list[Recipe]:
    """One neuron: its shares and binaries, and the rows that tie them to what it reads."""
    first, last, slope, under, over = np.array(pieces(op, *ends, band)).T
    count = len(first)
    ones = np.ones(count)

    def named(letter: str) -> list[str]:
        return [name.format(f"{letter}{k}_") for k in range(count)]

    w = builder.columns(named("w"), lower=np.minimum(first, 0.0), upper=np.maximum(last, 0.0))
    z = builder.columns(
        named("z"), lower=float(count == 1), upper=1.0, integer=integer and count > 1
    )
    read, coefficients = pre.row(j)
    here = float(pre.constant[j])
    builder.rows(
        [name.format("def")],
        [np.concatenate([w, read])],
        [np.concatenate([ones, -coefficients])],
        lower=here,
        upper=here,
    )
    builder.rows([name.format("one")], [z], [ones], lower=1.0, upper=1.0)
    pairs = list(np.stack([w, z], 1))
    builder.rows(named("from"), pairs, list(np.stack([ones, -first], 1)), lower=0.0)
    builder.rows(named("to"), pairs, list(np.stack([ones, -last], 1)), upper=0.0)
    line = [np.concatenate([[y], w, z])]
    builder.rows([name.format("above")], line, [np.concatenate([[1.0], -slope, -under])], lower=0.0)
    builder.rows([name.format("below")], line, [np.concatenate([[1.0], -slope, -over])], upper=0.0)

    def chosen(v: Float[np.ndarray, " k"]) -> Float[np.ndarray, " p"]:
        """The narrowest piece that a value is in: a sign is 0 at 0 alone."""
        inside = (first <= v[j]) & (v[j] <= last)
        return np.eye(count)[int(np.argmin(np.where(inside, last - first, np.inf)))]

    return [(z, chosen), (w, lambda v: chosen(v) * v[j])]
