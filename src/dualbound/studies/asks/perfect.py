"""``query = "perfect"``: the input that is a perfect example of a label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidInput
from dualbound.limits import Limits, check_gap
from dualbound.network import Network
from dualbound.queries import perfect
from dualbound.queries.activate import DEFAULT_GAP
from dualbound.queries.perfect import LOSSES
from dualbound.region import Box
from dualbound.search import Engine, engine_named
from dualbound.studies.asks.ask import Ask, Tell
from dualbound.studies.row import Row, row_of_activation


@dataclass(frozen=True)
class Perfect(Ask):
    """See `dualbound.perfect`.

    Attributes:
        label: or ``"all"``.
        loss: ``l1`` or ``squared``.
        range: what every input lies between.
        gap: see `dualbound.perfect`.
        engine: ``auto``, ``bab``, ``columns`` or ``milp``.
        solver, formulation: of the engine `dualbound.Milp`.
        seconds: limit for each question.
    """

    label: int | str = "all"
    loss: str = "l1"
    range: tuple[float, float] = (0.0, 1.0)
    gap: float = DEFAULT_GAP
    engine: str = "auto"
    solver: str | None = None
    formulation: str | None = None
    seconds: float | None = None

    query: ClassVar[str] = "perfect"
    of_image: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if isinstance(self.label, str) and self.label != "all":
            raise InvalidInput(f'label takes a number or "all"; found {self.label!r}.')
        if self.loss not in LOSSES:
            raise InvalidInput(f"Unknown loss {self.loss!r}; known are {', '.join(LOSSES)}.")
        check_gap(self.gap)
        self._engine()
        Limits(self.seconds)
        Box(*self.range)

    def resolved(
        self, network: Network, x: Float[np.ndarray, "..."] | None, label: int | None
    ) -> Iterator[Self]:
        """See `Ask.resolved`: one for each label that is meant."""
        if isinstance(self.label, int) and not 0 <= self.label < network.output_size:
            raise InvalidInput(f"the network answers 0 to {network.output_size - 1}.")
        labels = range(network.output_size) if self.label == "all" else [self.label]
        for one in labels:
            yield replace(self, label=one)

    def answer(
        self, network: Network, x: Float[np.ndarray, "..."] | None, tell: Tell | None
    ) -> Row:
        """See `Ask.answer`."""
        answer = perfect(
            network,
            int(self.label),
            Box(*self.range).sized(network.input_size),
            loss=self.loss,
            gap=self.gap,
            engine=self._engine(),
            limits=Limits(self.seconds),
            on_progress=tell,
        )
        asked = f"{self.loss} loss to a perfect {self.label}"
        return row_of_activation(answer, asked, int(self.label))

    def _engine(self) -> Engine | None:
        return engine_named(
            self.engine, threads=1, solver=self.solver, formulation=self.formulation
        )
