"""Units are removed physically: smaller matrices and filters, and the next layer adjusted."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from dualbound.errors import InvalidInput
from dualbound.network.torch_chain import TorchChain
from dualbound.prune.units import Keep, Layer, Weighted, between, layers_of


def removed(
    chain: TorchChain, keep: Keep, stand_for: Mapping[str, np.ndarray] | None = None
) -> TorchChain:
    """A chain without the units that do not stay.

    The next layer's bias takes up what a removed unit stands for: 0, or a number that is given.
    The result computes what the chain with those units held at that number does.

    Args:
        chain: stays as it is.
        keep: which units stay, by layer; of a layer that is not named, all.
        stand_for: what the values of each unit are when it is removed, after its rectifier; 0 where
            not given.

    Raises:
        InvalidInput: a layer would lose all its units, a mask does not fit, or a unit cannot be
            removed: its layer, or the next one, is a convolution in groups, or it stands for a
            number other than 0 and the next layer pads.

    >>> from dualbound import Network
    >>> from dualbound.network.torch_chain import chain
    >>> net = Network.dense([[[1.0], [2.0]], [[3.0, 4.0]]], [[0.0, 0.5], [0.0]])
    >>> cut = removed(chain(net), {"relu1": np.array([False, True])})
    >>> cut.module(torch.tensor([[1.0]])).item()
    10.0
    """
    layers = {layer.name: layer for layer in layers_of(chain)}
    module = copy.deepcopy(chain.module)
    for name, mask in keep.items():
        if name not in layers:
            raise InvalidInput(
                f"There is no layer {name!r} with units to remove; there are {', '.join(layers)}."
            )
        layer = layers[name]
        if mask.shape != (layer.units,) or mask.dtype != bool:
            raise InvalidInput(
                f"The mask of layer {name!r} has shape {mask.shape} of {mask.dtype}; expected one "
                f"bool for each of its {layer.units} units."
            )
        if mask.all():
            continue
        if not mask.any():
            raise InvalidInput(
                f"All {layer.units} units of layer {name!r} would be removed, and with them all "
                "that the network knows of its input: keep at least one."
            )
        values = np.zeros(layer.units) if stand_for is None else stand_for[name]
        _cut(module, chain, layer, torch.from_numpy(mask), torch.from_numpy(values).float())
    return TorchChain(module.eval(), chain.rectifiers, chain.shape)


def _cut(
    module: nn.Sequential, chain: TorchChain, layer: Layer, mask: Tensor, values: Tensor
) -> None:
    """Remove units of one layer."""
    own, following = module[layer.own], module[layer.next]
    assert isinstance(own, Weighted) and isinstance(following, Weighted)  # noqa: S101, PT018
    for one in (own, following):
        if isinstance(one, nn.Conv2d) and one.groups > 1:
            raise InvalidInput(
                f"Layer {layer.name!r} makes or meets a convolution in {one.groups} groups, whose "
                "channels cannot be removed one by one."
            )
    constants = _after(chain, layer, values)
    _keep_rows(own, mask)
    for part in between(
        TorchChain(module, chain.rectifiers, chain.shape), layer.own + 1, layer.next
    ):
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            _keep_normalised(part, mask.repeat_interleave(part.num_features // len(mask)))
        if isinstance(part, nn.Unflatten):
            raise InvalidInput(f"Layer {layer.name!r} is reshaped into an image; not supported.")
    _keep_columns(following, mask, constants, layer)


def _after(chain: TorchChain, layer: Layer, values: Tensor) -> Tensor:
    """What the next layer reads where every unit of a layer has its value at all places."""
    value = torch.zeros((1, *chain.shape))
    with torch.no_grad():
        for part in between(chain, 0, layer.rectifier + 1):
            value = part(value)
        value = values.reshape(1, -1, *[1] * (value.ndim - 2)).expand_as(value)
        for part in between(chain, layer.rectifier + 1, layer.next):
            value = part(value)
    return value[0]


def _keep_rows(layer: Weighted, mask: Tensor) -> None:
    layer.weight = nn.Parameter(layer.weight.detach()[mask].clone())
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias.detach()[mask].clone())
    if isinstance(layer, nn.Linear):
        layer.out_features = int(mask.sum())
    else:
        layer.out_channels = int(mask.sum())


def _keep_normalised(layer: nn.BatchNorm1d | nn.BatchNorm2d, mask: Tensor) -> None:
    layer.weight = nn.Parameter(layer.weight.detach()[mask].clone())
    layer.bias = nn.Parameter(layer.bias.detach()[mask].clone())
    for name in ("running_mean", "running_var"):
        setattr(layer, name, getattr(layer, name)[mask].clone())
    layer.num_features = int(mask.sum())


def _keep_columns(layer: Weighted, mask: Tensor, constants: Tensor, of: Layer) -> None:
    """The columns of the units that stay; the others' constants go into the bias."""
    weight = layer.weight.detach()
    if isinstance(layer, nn.Linear):
        chosen = mask.repeat_interleave(weight.shape[1] // len(mask))
        folded = weight[:, ~chosen] @ constants.reshape(-1)[~chosen]
        layer.in_features = int(chosen.sum())
    else:
        chosen = mask
        lost = constants[~mask]
        each = lost.reshape(len(lost), -1)
        level = torch.equal(each, each[:, :1].expand_as(each))
        if bool(each.any()) and (not level or layer.padding not in ((0, 0), 0, "valid")):
            raise InvalidInput(
                f"A unit of layer {of.name!r} stands for a number other than 0, and the "
                "convolution that reads it pads with zeros: no single bias takes that up. (Behind "
                "the rectifier a batch normalisation makes such a number of a unit that is 0.)"
            )
        folded = torch.einsum("ochw,c->o", weight[:, ~mask], each[:, 0])
        layer.in_channels = int(mask.sum())
    layer.weight = nn.Parameter(weight[:, chosen].clone())
    if bool(folded.any()):
        before = torch.zeros(len(weight)) if layer.bias is None else layer.bias.detach()
        layer.bias = nn.Parameter(before + folded)


def parameters(module: nn.Module) -> int:
    """How many numbers a module is made of."""
    return sum(one.numel() for one in module.parameters())
