"""``query = "forward"``: the network as a program whose input is fixed (Schoenfeld, 3.3).

A check of the program rather than of the network: with the input fixed, it has one solution, the
forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from dualbound.bounds import METHODS
from dualbound.errors import InvalidInput
from dualbound.limits import Clock, Limits
from dualbound.milp import FORMULATIONS, encode, formulation_named
from dualbound.network import Network
from dualbound.region import Box
from dualbound.solvers import solver_named
from dualbound.studies.asks.ask import Ask, Tell, needed
from dualbound.studies.row import Row

EQUAL = 1e-6
"""Outputs that differ by less, relative to the largest, are the network's own."""


@dataclass(frozen=True)
class Forward(Ask):
    """The program's outputs at a fixed input, beside the network's.

    Attributes:
        formulation: of the rectifiers.
        solver: by name.
        bounds: method of the bounds over the range, from which the program takes its big-Ms.
        range: what every input lies between.
        seconds: limit for each question.
    """

    formulation: str = "fischetti-jo"
    solver: str = "highs"
    bounds: str = "interval"
    range: tuple[float, float] = (0.0, 1.0)
    seconds: float | None = None

    query: ClassVar[str] = "forward"
    of_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.formulation not in FORMULATIONS:
            known = ", ".join(FORMULATIONS)
            raise InvalidInput(f"Unknown formulation {self.formulation!r}; known are {known}.")
        if self.bounds not in METHODS:
            raise InvalidInput(f"Unknown method {self.bounds!r}; known are {', '.join(METHODS)}.")
        solver_named(self.solver)
        Limits(self.seconds)
        Box(*self.range)

    def answer(
        self, network: Network, x: Float[np.ndarray, "..."] | None, tell: Tell | None
    ) -> Row:
        """See `Ask.answer`: the value is the largest difference of an output."""
        solver, clock = solver_named(self.solver), Clock(Limits(self.seconds))
        center = network.one_input(needed(x))
        box = Box(*self.range).sized(network.input_size)
        region = Box(center, center).sized(network.input_size)
        encoding = encode(
            network,
            region.linear_form(),
            METHODS[self.bounds](network, box),
            formulation=formulation_named(self.formulation),
        )
        program = encoding.builder.build()
        solution = solver.solve(program, clock)
        outputs = network(center)
        about: dict[str, Any] = {
            "label_before": int(np.argmax(outputs)),
            "criterion": "outputs of the program at a fixed input",
            "seconds": clock.seconds,
            "engine": f"milp {self.formulation}",
            "solver": f"{solver.name} {solver.version()}",
            "nodes": solution.nodes,
        }
        if solution.x is None:
            why = f"the solver found no point: {solution.stop.name.lower()}"
            return Row(status="unknown", note=why, **about)
        value = encoding.values[network.output]
        v = solution.x[: value.coefficients.shape[1]]
        found = np.asarray(value.coefficients @ v + value.constant)
        off = float(np.abs(found - outputs).max())
        equal = off <= EQUAL * (1 + float(np.abs(outputs).max()))
        return Row(
            status="optimal" if equal else "feasible",
            value=off,
            bound=0.0,
            label_after=int(np.argmax(found)),
            replayed=equal,
            detail={
                "outputs_before": [float(o) for o in outputs],
                "outputs_after": [float(o) for o in found],
            },
            **about,
        )
