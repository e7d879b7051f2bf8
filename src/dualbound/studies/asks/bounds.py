"""``query = "bounds"``: proved bounds of every neuron over the range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from dualbound.bounds import Bounds
from dualbound.errors import InvalidInput
from dualbound.limits import Clock, Limits
from dualbound.network import Affine, Network
from dualbound.queries.bounds import METHODS, bounds
from dualbound.region import Box
from dualbound.search import Progress
from dualbound.solvers import solver_named
from dualbound.studies.asks.ask import Ask, Tell
from dualbound.studies.row import Row


@dataclass(frozen=True)
class BoundNeurons(Ask):
    """See `dualbound.bounds`; the row's detail has every neuron's.

    Attributes:
        method: ``interval``, ``crown``, ``lp``, ``milp`` or ``exact``.
        seconds_per_neuron: limit for each maximum and minimum.
        solver: of ``lp`` and ``milp``.
        range: what every input lies between.
        seconds: limit for the whole network.
    """

    method: str = "crown"
    seconds_per_neuron: float | None = None
    solver: str = "highs"
    range: tuple[float, float] = (0.0, 1.0)
    seconds: float | None = None

    query: ClassVar[str] = "bounds"
    of_image: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InvalidInput(f"Unknown method {self.method!r}; known are {', '.join(METHODS)}.")
        solver_named(self.solver)
        Limits(self.seconds)
        Limits(self.seconds_per_neuron)
        Box(*self.range)

    def answer(
        self, network: Network, x: Float[np.ndarray, "..."] | None, tell: Tell | None
    ) -> Row:
        """See `Ask.answer`."""
        clock = Clock()
        region = Box(*self.range).sized(network.input_size)

        def told(layer: str, so_far: Bounds) -> None:
            if tell is not None:
                tell(Progress(layer, None, 0.0, None, 0, clock.seconds))

        found = bounds(
            network,
            region,
            method=self.method,
            seconds_per_neuron=self.seconds_per_neuron,
            solver=self.solver,
            limits=Limits(self.seconds),
            on_layer=told,
        )
        return Row(
            status="feasible" if found.loose else "optimal",
            criterion=f"bounds by {self.method}",
            seconds=clock.seconds,
            solver=self.solver if self.method in ("lp", "milp") else None,
            unstable=found.unstable_count(network),
            note=f"not as tight as can be: {', '.join(found.loose)}" if found.loose else None,
            detail={"layers": _layers(network, found)},
        )


def _layers(network: Network, found: Bounds) -> list[dict[str, Any]]:
    layers = []
    for node in network.nodes:
        if not isinstance(node.op, Affine):
            continue
        low, high = found.lower[node.name], found.upper[node.name]
        layers.append(
            {
                "layer": node.name,
                "neurons": node.size,
                "unstable": int(((low < 0) & (high > 0)).sum()),
                "mean_width": float((high - low).mean()),
                "tight": node.name not in found.loose,
                "lower": [float(v) for v in low],
                "upper": [float(v) for v in high],
            }
        )
    return layers
