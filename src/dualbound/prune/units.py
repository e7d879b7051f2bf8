"""What can be removed from a network: the neurons, and the channels, of its rectified layers."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from dualbound.errors import InvalidInput
from dualbound.network.torch_chain import TorchChain

Keep = dict[str, np.ndarray]
"""For each layer, by the name of its rectifier, which units stay."""

Weighted = nn.Linear | nn.Conv2d


@dataclass(frozen=True)
class Layer:
    """A rectified layer whose units can be removed.

    Attributes:
        name: of its rectifier, as the network calls that node.
        units: how many neurons, or channels.
        places: how many values a unit has: 1 of a neuron, height times width of a channel.
        own: which layer of the chain makes the units.
        rectifier: which one rectifies them.
        next: which layer with weights reads them.
    """

    name: str
    units: int
    places: int
    own: int
    rectifier: int
    next: int

    @property
    def is_convolved(self) -> bool:
        """Whether its units are channels."""
        return self.places > 1

    def of_values(self) -> np.ndarray:
        """The unit of each flat value of the rectifier, ``(units * places,)``."""
        return np.repeat(np.arange(self.units), self.places)


def layers_of(chain: TorchChain) -> tuple[Layer, ...]:
    """The layers with units that can be removed: rectified ones that are not the last.

    Raises:
        InvalidInput: there are none.

    >>> from dualbound import Network
    >>> from dualbound.network.torch_chain import chain
    >>> net = Network.dense([[[1.0, -1.0]], [[2.0], [-2.0]]], [[0.5], [0.0, 1.0]])
    >>> layers_of(chain(net))
    (Layer(name='relu1', units=1, places=1, own=0, rectifier=1, next=2),)
    """
    weighted = [k for k, one in enumerate(chain.module) if isinstance(one, Weighted)]
    shapes = _shapes(chain)
    found = []
    for own, following in itertools.pairwise(weighted):
        inside = [
            (index, name) for name, index in chain.rectifiers.items() if own < index < following
        ]
        if inside:
            index, name = min(inside)
            units = shapes[own][0]
            places = int(np.prod(shapes[index], dtype=int)) // units
            found.append(Layer(name, units, places, own, index, following))
    if not found:
        raise InvalidInput(
            "The network has no rectified layer before its last one: there are no neurons whose "
            "importance could be asked for, and none to remove."
        )
    return tuple(found)


def _shapes(chain: TorchChain) -> list[tuple[int, ...]]:
    """Of what each layer returns, without the batch axis."""
    value, shapes = torch.zeros((1, *chain.shape)), []
    with torch.no_grad():
        for layer in chain.module:
            value = layer(value)
            shapes.append(tuple(value.shape[1:]))
    return shapes


def every(layers: tuple[Layer, ...]) -> Keep:
    """All units stay."""
    return {layer.name: np.ones(layer.units, dtype=bool) for layer in layers}


def masked(chain: TorchChain, keep: Keep) -> nn.Sequential:
    """The same layers, where the units that do not stay are 0 after their rectifier.

    What a cut network must be equal to; its weights are copies.
    """
    module = copy.deepcopy(chain.module)
    parts: list[nn.Module] = []
    by_index = {layer.rectifier: layer for layer in layers_of(chain)}
    for k, layer in enumerate(module):
        parts.append(layer)
        if k in by_index and by_index[k].name in keep:
            parts.append(_Mask(torch.from_numpy(keep[by_index[k].name].astype(np.float32))))
    return nn.Sequential(*parts).eval()


class _Mask(nn.Module):
    """Multiplies every unit by 0 or 1."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.mask.reshape(1, -1, *[1] * (x.ndim - 2))


def between(chain: TorchChain, first: int, last: int) -> Iterator[nn.Module]:
    """The layers from one index up to, and without, another."""
    yield from list(chain.module)[first:last]
