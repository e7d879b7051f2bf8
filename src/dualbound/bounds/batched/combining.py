"""What the linear bounds of several rows prove together."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from dualbound.bounds.batched.propagator import Passed, believed
from dualbound.bounds.batched.rounding import Rounding

STEPS = 12
"""In which weights of rows are looked for."""


def combined(
    passed: Passed, bound: Float[Tensor, "b k"], chosen: Tensor, rounding: Rounding
) -> tuple[Float[Tensor, " b"], Float[Tensor, "b c"]]:
    r"""A bound of the largest of some rows: where it is positive, one of them is.

    .. math:: \max_{\lambda \ge 0, \sum \lambda = 1} \min_x \sum_i \lambda_i (s_i^\top x + c_i)

    The weights are looked for by exponentiated gradients; any weights are valid.

    Args:
        passed: a backward pass of all rows.
        bound: of each row, constants that were added after the pass included.
        chosen: the rows.
        rounding: of the propagator that made the pass.

    Returns:
        The bound, and the weights of the rows that prove it.
    """
    rooms = passed.rooms
    slope, least = passed.slope[:, chosen], bound[:, chosen]
    constant = least - (slope * passed.x[:, chosen]).sum(-1)
    size = constant.abs() + slope.abs() @ rounding.reach[rounding.network.input]
    unit = rounding.unit_of(least.shape[1])
    best, first = least.max(1)
    weights = torch.nn.functional.one_hot(first, least.shape[1]).to(least.dtype)
    scale = (least.amax(1) - least.amin(1)).clamp(min=1e-12)[:, None]
    logits = torch.zeros_like(least)
    for step in range(STEPS):
        weight = torch.softmax(logits, 1)
        together = (weight[..., None] * slope).sum(1, keepdim=True)
        x = rooms.minimiser(together)
        value = (together * x).sum((1, 2)) + (weight * constant).sum(1)
        value = believed(value - unit * (weight * size).sum(1))
        weights = torch.where((value > best)[:, None], weight, weights)
        best = torch.maximum(best, value)
        rise = (slope * x).sum(-1) + constant
        logits = logits + (4 / (1 + step) ** 0.5) * rise / scale
    return best, weights
