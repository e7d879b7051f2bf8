"""``query = "verify"``: is every input near an image answered alike?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from jaxtyping import Float

from dualbound.criterion import Property, Untargeted
from dualbound.errors import InvalidInput
from dualbound.limits import Limits
from dualbound.network import Network
from dualbound.queries import robustness, verify
from dualbound.region import NORMS, Box
from dualbound.search import Progress
from dualbound.search.bab import Bab, Decision
from dualbound.studies.asks.ask import Ask, Tell, needed
from dualbound.studies.row import Row, row_of_verification


@dataclass(frozen=True)
class Verify(Ask):
    """See `dualbound.verify` and `dualbound.robustness`.

    An image that the network misreads is asked about too: it violates what is asked by itself.

    Attributes:
        eps: how far around the image; several of them are several questions.
        norm: ``linf``, ``l2``, ``l1`` or ``l0``.
        label: that must be answered; the true one of each image if not given, and where that is not
            known, what the network answers.
        margin: another label counts where it is so much above every other output; without, also
            where it is level with the label.
        range: what every input lies between.
        branching: ``auto``, ``phases`` or ``inputs``.
        seconds: limit for each question.
    """

    eps: float | tuple[float, ...]
    norm: str = "linf"
    label: int | None = None
    margin: float | None = None
    range: tuple[float, float] = (0.0, 1.0)
    branching: str = "auto"
    seconds: float | None = None

    query: ClassVar[str] = "verify"
    of_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self._radii or not all(0 <= eps < np.inf for eps in self._radii):
            raise InvalidInput(f"eps takes numbers of at least 0, found {self.eps!r}.")
        if self.norm not in NORMS:
            raise InvalidInput(f"Unknown norm {self.norm!r}; known are {', '.join(NORMS)}.")
        Bab(branching=self.branching)
        if self.branching == "inputs" and self.norm != "linf":
            raise InvalidInput('branching = "inputs" halves boxes: it goes with norm = "linf".')
        if self.label is not None and self.margin is not None:
            raise InvalidInput("label and margin do not go together: leave one of them out.")
        Untargeted(margin=self.margin)
        Limits(self.seconds)
        Box(*self.range)

    @property
    def _radii(self) -> tuple[float, ...]:
        return self.eps if isinstance(self.eps, tuple) else (self.eps,)

    def resolved(
        self, network: Network, x: Float[np.ndarray, "..."] | None, label: int | None
    ) -> Iterator[Self]:
        """See `Ask.resolved`: one for each radius, with the label that must be answered."""
        known = self.label if self.label is not None else label
        for eps in self._radii:
            ask = replace(self, eps=eps, label=known if self.margin is None else None)
            ask._claim(network, needed(x))
            yield ask

    def answer(
        self, network: Network, x: Float[np.ndarray, "..."] | None, tell: Tell | None
    ) -> Row:
        """See `Ask.answer`."""
        x = needed(x)
        answer = verify(
            network,
            self._claim(network, x),
            hints=[x],
            engine=Bab(branching=self.branching),
            limits=Limits(self.seconds),
            on_progress=None if tell is None else lambda now: tell(_progress(now)),
        )
        outputs = network(x)
        margin = "" if self.margin is None else f", margin {self.margin:g}"
        asked = f"any other label within {self._radii[0]:g}{margin}"
        row = row_of_verification(answer, x, self.norm, int(np.argmax(outputs)), asked)
        row.detail["outputs_before"] = [float(v) for v in outputs]
        return row

    def _claim(self, network: Network, x: Float[np.ndarray, "..."]) -> Property:
        return robustness(
            network,
            x,
            self._radii[0],
            norm=self.norm,
            label=self.label,
            criterion=None if self.margin is None else Untargeted(margin=self.margin),
            region=Box(*self.range),
        )


def _progress(now: Decision) -> Progress:
    """What a search knows, as a question of a distance would say it."""
    return Progress(now.phase, None, now.bound, None, now.nodes, now.clock.seconds)
