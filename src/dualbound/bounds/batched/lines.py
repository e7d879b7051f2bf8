"""The lines between which a rectifier lies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from dualbound.bounds.batched.rooms import Span


@dataclass(frozen=True, eq=False)
class Lines:
    """The lines between which a rectifier lies: ``alpha v <= max(v, 0) <= slope v + intercept``.

    Attributes:
        lower: of the spans, clipped by decided phases.
        upper: likewise.
        unstable: which neurons have two lines; the others have one, exact.
        slope, intercept: of the upper line.
        alpha: of the lower one.
    """

    lower: Float[Tensor, "b m"]
    upper: Float[Tensor, "b m"]
    unstable: Tensor
    slope: Float[Tensor, "b m"]
    intercept: Float[Tensor, "b m"]
    alpha: Float[Tensor, "b m"]

    @classmethod
    def of(cls, span: Span) -> Lines:
        """CROWN's lines: the lower one is the flatter of 0 and 1 that leaves the smaller area."""
        low, high = span
        unstable = (low < 0) & (high > 0)
        active = (low >= 0).to(low.dtype)
        half = torch.where(unstable, high / 2 - low / 2, 1.0)  # the whole width may overflow
        slope = torch.where(unstable, (high / 2) / half, active)
        # Rounded upwards, the line lies above both ends.
        intercept = torch.where(unstable, -slope * low, 0.0)
        alpha = torch.where(unstable, (high > -low).to(low.dtype), active)
        return cls(low, high, unstable, slope, intercept, alpha)

    def __getitem__(self, chosen: Tensor) -> Lines:
        """The lines of some sets; those that hold for all sets stay as they are."""
        if len(self.lower) == 1 and len(chosen) != 1:
            return self
        parts = (self.lower, self.upper, self.unstable, self.slope, self.intercept, self.alpha)
        return Lines(*(part[chosen] for part in parts))

    def to(self, dtype: torch.dtype) -> Lines:
        """The same lines in another floating-point type, for looking, not for believing."""
        low, high, slope, intercept, alpha = (
            part.to(dtype)
            for part in (self.lower, self.upper, self.slope, self.intercept, self.alpha)
        )
        return Lines(low, high, self.unstable, slope, intercept, alpha)
