"""Certified training by interval bounds.

Gowal et al., *On the effectiveness of interval bound propagation for training verifiably robust
models*, 2018.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from dualbound.data import Dataset
from dualbound.errors import InvalidInput
from dualbound.learn.adversarial import checked_mixture, checked_range
from dualbound.learn.method import Method, Step

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Interval(Method):
    """The loss at the worst outputs that intervals cannot exclude, beside the loss at the inputs.

    Attributes:
        eps: radius of the L∞ ball, in the units of the inputs.
        share: of the loss that is at the worst outputs, at the end.
        ramp: over which share of the training eps and share grow from 0.
        lower: smallest value of an input.
        upper: largest value of an input.
    """

    eps: float
    share: float = 0.5
    ramp: float = 0.5
    lower: float = 0.0
    upper: float = 1.0

    def __post_init__(self) -> None:
        checked_mixture(self.eps, self.share, self.ramp)

    def check(self, data: Dataset) -> None:
        """See `Method.check`: inputs outside the range, whose intervals would be empty."""
        checked_range(data, self.lower, self.upper)

    def loss(self, step: Step) -> tuple[Tensor, Tensor]:
        """See `Method.loss`; the outputs are those at the inputs."""
        _refuse_unknown(step.module)
        outputs = step.module(step.x)
        grown = step.grown(self.ramp)
        clean = step.mean_loss(outputs)
        if not grown:
            return clean, outputs
        eps, share = grown * self.eps, grown * self.share
        low, high = (step.x - eps).clamp(min=self.lower), (step.x + eps).clamp(max=self.upper)
        worst = step.mean_loss(worst_outputs(step.module, low, high, step.y))
        return (1 - share) * clean + share * worst, outputs


def worst_outputs(module: nn.Module, low: Tensor, high: Tensor, y: Tensor) -> Tensor:
    """The least that intervals allow for each label, and the most for the others.

    Args:
        module: a chain of layers.
        low: lower ends of the inputs, ``(batch, *shape)``.
        high: upper ends.
        y: labels.

    Raises:
        InvalidInput: the module is not a chain of layers that are known here.
    """
    import torch

    low, high = interval(module, low, high)
    own = torch.nn.functional.one_hot(y, low.shape[1]).bool()
    return torch.where(own, low, high)


def interval(module: nn.Module, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds of a chain's outputs by interval arithmetic, differentiable; rounding is not counted.

    Args:
        module: a `nn.Sequential` of affine layers, convolutions, pools, rectifiers and dropout.
        low: lower ends of the inputs, ``(batch, *shape)``.
        high: upper ends.

    Raises:
        InvalidInput: another layer.

    >>> import torch
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> _ = torch.nn.init.constant_(layer.weight, -1.0)
    >>> low, high = interval(torch.nn.Sequential(layer), torch.zeros(1, 2), torch.ones(1, 2))
    >>> low.item(), high.item()
    (-2.0, 0.0)
    """
    import torch
    from torch import nn

    _refuse_unknown(module)
    if isinstance(module, nn.Sequential):
        for layer in module:
            low, high = interval(layer, low, high)
        return low, high
    if isinstance(module, nn.Dropout):  # the same values of both ends
        kept = module(torch.ones_like(low))
        return low * kept, high * kept
    if isinstance(module, nn.ReLU | nn.Flatten | nn.MaxPool2d | nn.AvgPool2d | nn.Identity):
        return module(low), module(high)  # all of them are monotone
    centre, reach = (high + low) / 2, (high - low) / 2
    if isinstance(module, nn.Conv2d):
        spread = functools.partial(
            nn.functional.conv2d, weight=module.weight.abs(), stride=module.stride,
            padding=module.padding, dilation=module.dilation, groups=module.groups,
        )  # fmt: skip
    else:
        weight = cast("nn.Linear", module).weight
        spread = functools.partial(nn.functional.linear, weight=weight.abs())
    middle, around = module(centre), spread(reach)
    return middle - around, middle + around


def _refuse_unknown(module: nn.Module) -> None:
    from torch import nn

    known = (
        nn.Linear, nn.Conv2d, nn.ReLU, nn.Flatten, nn.MaxPool2d, nn.AvgPool2d, nn.Dropout,
        nn.Identity,
    )  # fmt: skip
    if isinstance(module, nn.Sequential):
        for layer in module:
            _refuse_unknown(layer)
    elif not isinstance(module, known):
        raise InvalidInput(
            "Interval training knows chains of dense layers, convolutions, pools, rectifiers and "
            f"dropout; this network has {type(module).__name__}."
        )
    elif isinstance(module, nn.Conv2d) and module.padding_mode != "zeros":
        raise InvalidInput(
            "Interval training knows convolutions that are padded with zeros; this network has "
            f"one that is padded by {module.padding_mode!r}."
        )
