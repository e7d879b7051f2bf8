"""Sets of inputs for batched bounds: a box for each, or one region for all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from dualbound.region import Box, L1Ball, L2Ball, Region

Span = tuple[Tensor, Tensor]
"""Lower and upper bounds of a node, each ``(b, m)``; ``b`` is 1 where they hold for all sets."""

Spans = Mapping[str, Span]
"""By name of a node."""


def products(c: Float[Tensor, "#b k m"], v: Float[Tensor, "#b m"]) -> Float[Tensor, "#b k"]:
    """``c·v`` for every row of every set; either may be the same for all sets.

    >>> products(torch.ones(1, 1, 2), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3.],
            [7.]])
    """
    if len(v) == 1:
        return c @ v[0]
    if len(c) == 1:
        return v @ c[0].T
    return torch.bmm(v[:, None], c.mT)[:, 0]  # the other way round, torch is ten times slower


class Rooms(ABC):
    """Sets of inputs, as many as there are in a batch, or one for all."""

    @abstractmethod
    def minimiser(self, c: Float[Tensor, "#b k n"]) -> Float[Tensor, "#b k n"]:
        """For every row of every set, a point of the set that makes ``c·x`` smallest."""

    @abstractmethod
    def minimum(self, c: Float[Tensor, "#b k n"]) -> Float[Tensor, "#b k"]:
        """What ``c·x`` is at least, up to rounding."""

    @abstractmethod
    def span(self) -> Span:
        """The box around each set."""

    @abstractmethod
    def to(self, dtype: torch.dtype) -> Rooms:
        """The same sets in another floating-point type."""


@dataclass(frozen=True, eq=False)
class OneRoom(Rooms):
    """Any region, for all of a batch; its furthest points are found in numpy."""

    region: Region
    dtype: torch.dtype
    device: torch.device | str = "cpu"

    def minimiser(self, c: Float[Tensor, "#b k n"]) -> Float[Tensor, "#b k n"]:
        """A point that is furthest against each row."""
        rows = c.reshape(-1, c.shape[-1]).cpu().numpy().astype(float)
        points = self.region.maximiser(-rows)
        return torch.as_tensor(points).to(self.device, self.dtype).reshape(c.shape)

    def minimum(self, c: Float[Tensor, "#b k n"]) -> Float[Tensor, "#b k"]:
        """Of a ball the dual value: its furthest point is found to 1e-12 only, and too near."""
        rows = c.reshape(-1, c.shape[-1]).cpu().numpy().astype(float)
        least = torch.as_tensor(-self.region.support(-rows))
        return least.to(self.device, self.dtype).reshape(c.shape[:2])

    def span(self) -> Span:
        """The box around the region."""
        low, high = (
            torch.tensor(end)[None].to(self.device, self.dtype)
            for end in (self.region.lower, self.region.upper)
        )
        return low, high

    def to(self, dtype: torch.dtype) -> OneRoom:
        """See `Rooms.to`."""
        return replace(self, dtype=dtype)


@dataclass(frozen=True, eq=False)
class Boxes(Rooms):
    """Boxes, ``(b, n)``."""

    lower: Float[Tensor, "b n"]
    upper: Float[Tensor, "b n"]

    def minimiser(self, c: Float[Tensor, "#b k n"]) -> Float[Tensor, "#b k n"]:
        """A corner."""
        return torch.where(c > 0, self.lower[:, None], self.upper[:, None])

    def minimum(self, c: Float[Tensor, "#b k n"]) -> Float[Tensor, "#b k"]:
        """See `Rooms.minimum`."""
        return products(c.clamp(min=0), self.lower) + products(c.clamp(max=0), self.upper)

    def __getitem__(self, chosen: Tensor) -> Boxes:
        return Boxes(self.lower[chosen], self.upper[chosen])

    def span(self) -> Span:
        """The boxes themselves."""
        return self.lower, self.upper

    def to(self, dtype: torch.dtype) -> Boxes:
        """See `Rooms.to`."""
        return Boxes(self.lower.to(dtype), self.upper.to(dtype))


def rooms_of(
    region: Region, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
) -> Rooms:
    """One set of inputs for all of a batch.

    Of a ball whose centre is not in its box, the box: what is left of its radius there is a
    difference that may lose all its digits.
    """
    if isinstance(region, L1Ball | L2Ball) and region.box.violation(region.center[None])[0] > 0:
        region = region.box
    if not isinstance(region, Box):
        return OneRoom(region, dtype, device)
    low, high = (torch.tensor(end)[None].to(device, dtype) for end in (region.lower, region.upper))
    return Boxes(low, high)
