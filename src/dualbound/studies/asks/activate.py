"""``query = "activate"``: the input that activates a neuron most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidInput
from dualbound.limits import Limits, check_gap
from dualbound.network import Network
from dualbound.queries import Neuron, activate, layer_node
from dualbound.queries.activate import DEFAULT_GAP, engine_for
from dualbound.queries.neurons import objective_of
from dualbound.region import Box
from dualbound.search import Engine, engine_named
from dualbound.studies.asks.ask import Ask, Tell
from dualbound.studies.row import Row, row_of_activation


@dataclass(frozen=True)
class Activate(Ask):
    """See `dualbound.activate`.

    Attributes:
        layer: of rectifiers, from 1; ``"logits"``; or ``"all"`` layers and the logits.
        neuron: of the layer, from 0; or ``"all"``.
        post: after the rectifier.
        maximise: or minimise.
        range: what every input lies between.
        gap: see `dualbound.activate`.
        engine: ``auto``, ``bab``, ``columns`` or ``milp``; on one thread.
        solver, formulation: of the engine `dualbound.Milp`.
        seconds: limit for each question.
    """

    layer: int | str = "all"
    neuron: int | str = "all"
    post: bool = False
    maximise: bool = True
    range: tuple[float, float] = (0.0, 1.0)
    gap: float = DEFAULT_GAP
    engine: str = "auto"
    solver: str | None = None
    formulation: str | None = None
    seconds: float | None = None

    query: ClassVar[str] = "activate"
    of_image: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if isinstance(self.layer, str) and self.layer not in ("all", "logits"):
            raise InvalidInput(f'layer takes a number, "logits" or "all"; found {self.layer!r}.')
        if isinstance(self.neuron, str) and self.neuron != "all":
            raise InvalidInput(f'neuron takes a number or "all"; found {self.neuron!r}.')
        check_gap(self.gap)
        self._engine()
        Limits(self.seconds)
        Box(*self.range)

    def resolved(
        self, network: Network, x: Float[np.ndarray, "..."] | None, label: int | None
    ) -> Iterator[Self]:
        """See `Ask.resolved`: one for each neuron that is meant."""
        layers: list[int | str] = [self.layer]
        if self.layer == "all":
            layers = [*range(1, len(network.relus) + 1)]
            layers += [] if self.post else ["logits"]
        for layer in layers:
            size = network[layer_node(network, layer, post=self.post)].size
            if isinstance(self.neuron, int):
                if not 0 <= self.neuron < size:
                    raise InvalidInput(f"layer {layer} has neurons 0 to {size - 1}.")
                yield replace(self, layer=layer)
            else:
                for neuron in range(size):
                    yield replace(self, layer=layer, neuron=neuron)

    def answer(
        self, network: Network, x: Float[np.ndarray, "..."] | None, tell: Tell | None
    ) -> Row:
        """See `Ask.answer`."""
        neuron = Neuron(self.layer, int(self.neuron), post=self.post)
        region = Box(*self.range).sized(network.input_size)
        answer = activate(
            network,
            neuron,
            region,
            maximise=self.maximise,
            gap=self.gap,
            engine=self._engine() or self._chosen(network, neuron),
            limits=Limits(self.seconds),
            on_progress=tell,
        )
        row = row_of_activation(answer, f"{'largest' if self.maximise else 'smallest'} {neuron}")
        row.detail.update(layer=self.layer, neuron=self.neuron)
        return row

    def _engine(self) -> Engine | None:
        return engine_named(
            self.engine, threads=1, solver=self.solver, formulation=self.formulation
        )

    def _chosen(self, network: Network, neuron: Neuron) -> Engine:
        objective = objective_of(network, neuron, sign=1.0)
        return engine_for(objective, Box(*self.range).sized(network.input_size), threads=1)
