"""Layers of an architecture: what each is called, and what it is in torch.

A layer is a token of an architecture's text and an entry of its TOML file; both are read in
`dualbound.learn.architecture`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from dualbound.errors import InvalidInput

if TYPE_CHECKING:
    from torch import nn

Shape = tuple[int, ...]
"""Of one input, without the batch axis."""


class Layer(ABC):
    """One layer."""

    weighted = False
    """Whether it has weights, so that a rectifier follows unless it is the last such layer."""

    @abstractmethod
    def __str__(self) -> str:
        """Its token."""

    @abstractmethod
    def modules(self, shape: Shape) -> tuple[list[nn.Module], Shape]:
        """Torch's modules for it, and the shape of what they return.

        Raises:
            InvalidInput: it does not fit the shape.
        """


@dataclass(frozen=True)
class Dense(Layer):
    """An affine map onto *size* neurons of all that comes before.

    >>> str(Dense(64))
    '64'
    """

    size: int
    weighted = True

    def __post_init__(self) -> None:
        _at_least(1, self.size, "a dense layer", "neuron")

    def __str__(self) -> str:
        return str(self.size)

    def modules(self, shape: Shape) -> tuple[list[nn.Module], Shape]:
        """See `Layer.modules`."""
        from torch import nn

        flat: list[nn.Module] = [nn.Flatten()] if len(shape) > 1 else []
        return [*flat, nn.Linear(math.prod(shape), self.size)], (self.size,)


@dataclass(frozen=True)
class Conv(Layer):
    """A convolution: *filters* of a square *kernel*, in steps of *stride*, *padding* zeros around.

    >>> str(Conv(32, 3)), str(Conv(16, 4, stride=2, padding=1))
    ('32c3', '16c4s2p1')
    """

    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0
    weighted = True

    def __post_init__(self) -> None:
        _at_least(1, self.filters, "a convolution", "filter")
        _at_least(1, self.kernel, "a convolution", "row in its kernel")
        _at_least(1, self.stride, "a convolution", "step of stride")
        _at_least(0, self.padding, "a convolution", "row of padding")

    def __str__(self) -> str:
        stride = f"s{self.stride}" if self.stride != 1 else ""
        return f"{self.filters}c{self.kernel}{stride}{f'p{self.padding}' if self.padding else ''}"

    def modules(self, shape: Shape) -> tuple[list[nn.Module], Shape]:
        """See `Layer.modules`."""
        from torch import nn

        channels, *space = _image(shape, self)
        sizes = [(n + 2 * self.padding - self.kernel) // self.stride + 1 for n in space]
        _must_remain(sizes, shape, self)
        conv = nn.Conv2d(channels, self.filters, self.kernel, self.stride, self.padding)
        return [conv], (self.filters, *sizes)


@dataclass(frozen=True)
class Pool(Layer):
    """The largest value, or the mean, of squares of *size* rows that do not overlap.

    >>> str(Pool(2)), str(Pool(2, average=True))
    ('m2', 'a2')
    """

    size: int
    average: bool = False

    def __post_init__(self) -> None:
        _at_least(1, self.size, "a pool", "row")

    def __str__(self) -> str:
        return f"{'a' if self.average else 'm'}{self.size}"

    def modules(self, shape: Shape) -> tuple[list[nn.Module], Shape]:
        """See `Layer.modules`."""
        from torch import nn

        channels, *space = _image(shape, self)
        sizes = [n // self.size for n in space]
        _must_remain(sizes, shape, self)
        pool = nn.AvgPool2d(self.size) if self.average else nn.MaxPool2d(self.size)
        return [pool], (channels, *sizes)


@dataclass(frozen=True)
class Dropout(Layer):
    """In training, each value is 0 with probability *share*, and the others grow to make up for it.

    >>> str(Dropout(0.5))
    'd0.5'
    """

    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InvalidInput(f"A dropout layer drops a share from 0 to 1, found {self.share}.")

    def __str__(self) -> str:
        return f"d{Decimal(str(self.share)):f}"

    def modules(self, shape: Shape) -> tuple[list[nn.Module], Shape]:
        """See `Layer.modules`."""
        from torch import nn

        return [nn.Dropout(self.share)], shape


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Batch normalisation of the layer before, ahead of its rectifier.

    >>> str(BatchNorm())
    'bn'
    """

    def __str__(self) -> str:
        return "bn"

    def modules(self, shape: Shape) -> tuple[list[nn.Module], Shape]:
        """See `Layer.modules`."""
        from torch import nn

        kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        return [kind(shape[0])], shape


@dataclass(frozen=True)
class Rectified(Layer):
    """A rectifier where there would be none: after the last layer.

    >>> str(Rectified())
    'relu'
    """

    def __str__(self) -> str:
        return "relu"

    def modules(self, shape: Shape) -> tuple[list[nn.Module], Shape]:
        """See `Layer.modules`."""
        from torch import nn

        return [nn.ReLU()], shape


def _at_least(least: int, found: int, what: str, unit: str) -> None:
    if found < least:
        raise InvalidInput(f"There must be at least {least} {unit} in {what}, found {found}.")


def _image(shape: Shape, layer: Layer) -> Shape:
    if len(shape) != 3:
        raise InvalidInput(
            f"The layer {layer} needs an image (channels, height, width), found shape {shape}: "
            "put it before the dense layers."
        )
    return shape


def _must_remain(sizes: list[int], shape: Shape, layer: Layer) -> None:
    if min(sizes) < 1:
        raise InvalidInput(
            f"The layer {layer} does not fit an image of {shape[1]} x {shape[2]}: leave out a "
            "pool, or add padding."
        )
