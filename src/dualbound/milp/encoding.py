"""A network over a region as columns and rows: the one model that serves every question."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualbound.bounds import Bounds
from dualbound.errors import InvalidInput
from dualbound.milp.bigm import BigM
from dualbound.milp.expression import Expression
from dualbound.milp.fischetti_jo import FischettiJo
from dualbound.milp.indicator import Indicator
from dualbound.milp.pieces import in_pieces
from dualbound.milp.program import ProgramBuilder
from dualbound.milp.relu import Formulation, ReluColumns
from dualbound.network.elementwise import Elementwise, Relu
from dualbound.network.graph import Network
from dualbound.network.nodes import Affine, Input
from dualbound.region import LinearForm

FORMULATIONS: dict[str, Formulation] = {
    form.name: form for form in (BigM(), FischettiJo(), Indicator())
}


def formulation_named(name: str | Formulation) -> Formulation:
    """The formulation of that name.

    Raises:
        InvalidInput: there is none.
    """
    if isinstance(name, Formulation):
        return name
    if name not in FORMULATIONS:
        known = ", ".join(sorted(FORMULATIONS))
        raise InvalidInput(f"Unknown formulation {name!r}; known are {known}.")
    return FORMULATIONS[name]


@dataclass
class Encoding:
    """A network in a program under construction; the query adds its objective and its rows.

    Attributes:
        network: what was encoded.
        builder: takes further columns and rows.
        inputs: the region's own columns.
        input_columns: their indices in the program.
        values: every node as an expression in the columns.
        layers: what each activation became.
    """

    network: Network
    builder: ProgramBuilder
    inputs: LinearForm
    input_columns: np.ndarray
    values: dict[str, Expression]
    layers: dict[str, ReluColumns]

    def input_at(self, v: Float[np.ndarray, " c"]) -> Float[np.ndarray, " n"]:
        """The network's input in a solution of the program."""
        return self.inputs.offset + self.inputs.transform @ v[self.input_columns]

    def start_at(self, x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " c"]:
        """The columns' values at one input; columns that the query added itself are left NaN."""
        start = np.full(self.builder.column_count, np.nan)
        start[self.input_columns] = self.inputs.coordinates(x)
        values = self.network.values(x[None])
        for name, layer in self.layers.items():
            pre = self.network[name].reads[0]
            for columns, fill in layer.recipes:
                start[columns] = fill(values[pre][0])
        return start


def encode(
    network: Network,
    inputs: LinearForm,
    bounds: Bounds,
    *,
    formulation: Formulation | None = None,
    integer: bool = True,
) -> Encoding:
    """Write a network over a region into a new program (Schoenfeld section 3, Koot section 3.2).

    Args:
        network: any.
        inputs: the region, from `Region.linear_form` or `Norm.distance_form`.
        bounds: of every pre-activation over at least that region; they are the big-Ms.
        formulation: of the unstable rectifiers; `BigM` when not given.
        integer: False leaves the binaries continuous: the triangle relaxation.

    Returns:
        The encoding; its only objective so far is the cost of the region's columns, if any.

    Raises:
        InvalidInput: a bound is missing.
    """
    builder = ProgramBuilder()
    columns = builder.columns(
        list(inputs.names),
        lower=inputs.lower,
        upper=inputs.upper,
        cost=inputs.cost,
        integer=False if inputs.integer is None or not integer else inputs.integer,
        quadratic=0.0 if inputs.quadratic is None else inputs.quadratic,
    )
    builder.matrix_rows("region", inputs.rows, upper=inputs.row_upper)
    encoding = Encoding(network, builder, inputs, columns, {}, {})
    form = formulation or FORMULATIONS["bigm"]
    for node in network.nodes:
        match node.op:
            case Input():
                value = Expression(inputs.transform, inputs.offset)
            case Affine(maps, bias):
                value = Expression.total(
                    [
                        encoding.values[name].mapped(part, np.zeros(node.size))
                        for part, name in zip(maps, node.reads, strict=True)
                    ],
                    bias,
                )
            case Elementwise():
                pre = node.reads[0]
                if pre not in bounds.lower:
                    raise InvalidInput(f"Layer {pre!r} has no bounds; a big-M is never guessed.")
                low, high = bounds.lower[pre], bounds.upper[pre]
                value = encoding.values[pre]
                layer = (
                    form.relu(builder, node.name, value, low, high, integer=integer)
                    if isinstance(node.op, Relu)
                    else in_pieces(builder, node.name, node.op, value, low, high, integer=integer)
                )
                encoding.layers[node.name] = layer
                value = layer.post
        encoding.values[node.name] = value
    return encoding
