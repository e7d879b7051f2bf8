"""The lines between which an activation lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dualbound.bounds.batched.rooms import Span, Spans
from dualbound.bounds.envelopes import envelope
from dualbound.network.elementwise import Elementwise, Relu
from dualbound.network.graph import Network

RELU = Relu()


@dataclass(frozen=True, eq=False)
class Lines:
    """The lines around an activation: ``alpha v + floor <= f(v) <= slope v + intercept``.

    Attributes:
        lower: of the spans, clipped by what is decided.
        upper: likewise.
        unstable: which neurons have two lines; the others have one, exact.
        slope, intercept: of the upper line.
        alpha: of the lower one.
        floor: its intercept; None where that is 0, and the lower line of an unstable neuron may
            have any slope of [0, 1]: of rectifiers.
    """

    lower: Float[Tensor, "b m"]
    upper: Float[Tensor, "b m"]
    unstable: Tensor
    slope: Float[Tensor, "b m"]
    intercept: Float[Tensor, "b m"]
    alpha: Float[Tensor, "b m"]
    floor: Float[Tensor, "b m"] | None = None

    @classmethod
    def of(cls, span: Span, op: Elementwise = RELU) -> Lines:
        """CROWN's lines over a span, see `bounds.envelopes`."""
        low, high = span
        if not isinstance(op, Relu):
            return cls._around(op, low, high)
        unstable = (low < 0) & (high > 0)
        active = (low >= 0).to(low.dtype)
        half = torch.where(unstable, high / 2 - low / 2, 1.0)  # the whole width may overflow
        least = 4 * torch.finfo(low.dtype).tiny  # below it, numbers lose their digits
        slope = torch.where(unstable, ((high / 2) / half).clamp(min=least), active)
        # Above both ends but for 4 u (slope |v| + intercept); `Rounding` charges more for each.
        intercept = torch.where(unstable, -slope * low, 0.0)
        alpha = torch.where(unstable, (high > -low).to(low.dtype), active)
        return cls(low, high, unstable, slope, intercept, alpha)

    @classmethod
    def _around(cls, op: Elementwise, low: Tensor, high: Tensor) -> Lines:
        """The lines around another activation, from numpy in float64."""
        ends = (end.detach().cpu().numpy().astype(float) for end in (low, high))
        lines = envelope(op, *ends)

        def tensor(part: np.ndarray) -> Tensor:
            return torch.tensor(part).to(low.device, low.dtype)

        return cls(
            low,
            high,
            low < high,
            tensor(lines.high_slope),
            tensor(lines.high),
            tensor(lines.low_slope),
            tensor(lines.low),
        )

    @property
    def free(self) -> Tensor:
        """Which neurons have a lower line of any slope in [0, 1]."""
        return self.unstable if self.floor is None else torch.zeros_like(self.unstable)

    @cached_property
    def most_open(self) -> int:
        """How many upper lines of one set have an intercept, at most."""
        return int((self.intercept != 0).sum(1).amax())

    def __getitem__(self, chosen: Tensor) -> Lines:
        """The lines of some sets; those that hold for all sets stay as they are."""
        if len(self.lower) == 1 and len(chosen) != 1:
            return self
        chosen_part = self._each(lambda part: part[chosen])
        return replace(chosen_part, unstable=self.unstable[chosen])

    def to(self, dtype: torch.dtype) -> Lines:
        """The same lines in another floating-point type, for looking, not for believing."""
        return self._each(lambda part: part.to(dtype))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Lines:
        """All parts that are numbers, changed."""
        return Lines(
            change(self.lower),
            change(self.upper),
            self.unstable,
            change(self.slope),
            change(self.intercept),
            change(self.alpha),
            None if self.floor is None else change(self.floor),
        )


def lines_of(network: Network, spans: Spans) -> dict[str, Lines]:
    """The lines of every activation of a network, from bounds of what each reads."""
    return {
        name: Lines.of(spans[network[name].reads[0]], op)
        for name, op in network.activations.items()
    }
