"""Orders in which units may go: at random, by magnitude, by gradient; and what goes in an order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int

from dualbound.errors import InvalidInput
from dualbound.network.torch_chain import TorchChain
from dualbound.prune.units import Keep, Layer, Weighted, every, layers_of

if TYPE_CHECKING:
    from dualbound.prune.scores import Importance

RANKINGS = ("importance", "random", "magnitude", "gradient")
"""What units can be ranked by."""

Order = tuple[int, ...]
"""Units, as places among those of all layers: the first is to go first."""


def random_order(chain: TorchChain, seed: int) -> Order:
    """A permutation."""
    total = sum(layer.units for layer in layers_of(chain))
    return tuple(np.random.default_rng(seed).permutation(total).tolist())


def magnitude_order(chain: TorchChain) -> Order:
    """By the Euclidean length of the weights into a unit, in parts of its layer's mean.

    Layers differ in scale: without that mean whole layers would go first (Han and others,
    *Learning both weights and connections*, 2015, for single weights; Li and others, *Pruning
    filters for efficient ConvNets*, 2017, for channels, there with sums of magnitudes).
    """
    found = []
    for layer in layers_of(chain):
        own = chain.module[layer.own]
        assert isinstance(own, Weighted)  # noqa: S101  # that is what it was chosen for
        lengths = own.weight.detach().reshape(layer.units, -1).norm(dim=1).numpy()
        found.append(lengths / max(float(lengths.mean()), 1e-30))
    return _ascending(np.concatenate(found))


def gradient_order(
    chain: TorchChain, x: Float[np.ndarray, "k *shape"], labels: Int[np.ndarray, " k"]
) -> Order:
    r"""By :math:`|\partial L / \partial c_j|` of the mean loss at factors *c = 1* on the units.

    The cross-entropy's sensitivity to a unit's presence (Lee, Ajanthan, Torr, *SNIP: single-shot
    network pruning based on connection sensitivity*, 2019, for units in place of weights).
    """
    layers = {layer.rectifier: layer for layer in layers_of(chain)}
    factors = {k: torch.ones(layer.units, requires_grad=True) for k, layer in layers.items()}
    value = torch.from_numpy(np.array(x, dtype=np.float32)).reshape(-1, *chain.shape)
    for k, part in enumerate(chain.module):
        value = part(value)
        if k in factors:
            value = value * factors[k].reshape(1, -1, *[1] * (value.ndim - 2))
    right = torch.from_numpy(np.array(labels, dtype=np.int64))
    loss = torch.nn.functional.cross_entropy(value, right)
    slopes = torch.autograd.grad(loss, list(factors.values()))
    return _ascending(np.concatenate([one.abs().numpy() for one in slopes]))


def _ascending(values: Float[np.ndarray, " units"]) -> Order:
    return tuple(int(k) for k in np.argsort(values, kind="stable"))


def importance_order(found: Importance) -> Order:
    """By score; units of one score in the order in which they were let go."""
    scores = np.concatenate([found.scores[layer.name] for layer in found.layers])
    place = {unit: k for k, unit in enumerate(found.order)}
    last = len(place)
    units = range(len(scores))
    return tuple(sorted(units, key=lambda k: (scores[k] > 0.5, place.get(k, last), scores[k])))


def without_first(layers: Sequence[Layer], order: Order, count: int) -> Keep:
    """All units but the first ones of an order; of every layer one stays.

    Args:
        layers: all.
        order: of all their units.
        count: how many go, if that many can.

    Raises:
        InvalidInput: the count is negative, or more than can go.

    >>> layers = (Layer("a", 2, 1, 0, 1, 2), Layer("b", 2, 1, 2, 3, 4))
    >>> without_first(layers, (0, 1, 2, 3), 2)
    {'a': array([False,  True]), 'b': array([False,  True])}
    """
    total = sum(layer.units for layer in layers)
    if not 0 <= count <= total - len(layers):
        raise InvalidInput(
            f"{count} units cannot be removed: there are {total}, and one of each of {len(layers)} "
            "layers must stay."
        )
    keep = every(tuple(layers))
    owner = [(layer.name, k) for layer in layers for k in range(layer.units)]
    left = count
    for unit in order:
        name, k = owner[unit]
        if left and keep[name].sum() > 1:
            keep[name][k] = False
            left -= 1
    return keep
