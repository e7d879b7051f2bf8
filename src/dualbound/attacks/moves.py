r"""Moves inside a box along a linear function: how far a ball reaches, and how little is enough.

Every input gains ``slope`` for a unit of its move, ``slope >= 0``, and can move by ``room``. The
best moves of a ball and the least moves that gain enough lie on one curve, a point for each level
:math:`\lambda`:

.. math::
    L_\infty:\ \min(\lambda, \text{room}) \qquad L_2:\ \min(\lambda\,\text{slope}, \text{room})
    \qquad L_1:\ \text{room, the steepest first, until } \lambda \text{ is spent}

What a level gains, and the square of its length, are piecewise linear (in :math:`\lambda` or its
square): one sort finds the exact level, as in a fractional knapsack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def furthest(slope: Tensor, room: Tensor, radius: Tensor, norm: str) -> Tensor:
    """The moves of a ball that gain most; inputs without slope stay.

    Args:
        slope: at least 0, ``(..., n)``.
        room: at least 0, finite, ``(..., n)``.
        radius: of the ball, finite, ``(...)``.
        norm: ``linf``, ``l2`` or ``l1``.

    Returns:
        Moves ``(..., n)``, none below 0 or above its room.

    >>> import torch
    >>> slope, room = torch.tensor([3.0, 4.0]), torch.tensor([1.0, 0.6])
    >>> furthest(slope, room, torch.tensor(1.0), "l1")
    tensor([0.4000, 0.6000])
    >>> furthest(slope, room, torch.tensor(1.0), "l2")
    tensor([0.8000, 0.6000])
    """
    import torch

    slope, room = _scaled(slope, room)
    if norm == "linf":
        return torch.minimum(radius[..., None], room)
    if norm == "l1":
        order, (spent,) = _steepest_first(slope, room)
        left = radius[..., None] - (spent.cumsum(-1) - spent)
        return torch.zeros_like(room).scatter(-1, order, torch.minimum(left.clamp(min=0), spent))
    knots = (room / slope).nan_to_num(0.0, posinf=0.0)
    square = _level(knots**2, room**2, slope**2, radius**2)
    return torch.minimum(square.sqrt()[..., None] * slope, room)


def least(slope: Tensor, room: Tensor, goal: Tensor, norm: str) -> tuple[Tensor, Tensor]:
    """The shortest moves that gain enough: the nearest point of a half-space and a box.

    Args:
        slope: at least 0, ``(..., n)``.
        room: at least 0, finite, ``(..., n)``.
        goal: what is to be gained, ``(...)``.
        norm: ``linf``, ``l2`` or ``l1``.

    Returns:
        Moves ``(..., n)``, and whether they are enough ``(...)``; where nothing is, all go as far
        as they can.

    >>> import torch
    >>> slope, room = torch.tensor([3.0, 4.0]), torch.tensor([1.0, 0.6])
    >>> for norm in ("l1", "l2", "linf"):
    ...     print(*least(slope, room, torch.tensor(3.3), norm))
    tensor([0.3000, 0.6000]) tensor(True)
    tensor([0.3960, 0.5280]) tensor(True)
    tensor([0.4714, 0.4714]) tensor(True)
    >>> least(slope, room, torch.tensor(6.0), "l2")
    (tensor([1.0000, 0.6000]), tensor(False))
    """
    import torch

    size = slope.amax(-1, keepdim=True)
    goal = goal.clamp(min=0) / torch.where(size > 0, size, 1.0)[..., 0]
    slope, room = _scaled(slope, room)
    enough = (slope * room).sum(-1) >= goal
    if norm == "l1":
        order, (steep, far) = _steepest_first(slope, slope, room)
        gain = steep * far
        left = goal[..., None] - (gain.cumsum(-1) - gain)
        steps = torch.minimum(left.clamp(min=0) / steep, far).nan_to_num(0.0)
        return torch.zeros_like(room).scatter(-1, order, steps), enough
    if norm == "linf":
        level = _level(room, slope * room, slope, goal)[..., None]
        steps = torch.minimum(level, room)
    else:
        knots = (room / slope).nan_to_num(0.0, posinf=0.0)
        level = _level(knots, slope * room, slope**2, goal)[..., None]
        steps = torch.minimum(level * slope, room)
    return torch.where(enough[..., None], steps, room), enough


def _scaled(slope: Tensor, room: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes of at most 1, whose squares do not vanish; no room where there is no slope."""
    import torch

    size = slope.amax(-1, keepdim=True)
    return slope / torch.where(size > 0, size, 1.0), torch.where(slope > 0, room, 0.0)


def _steepest_first(slope: Tensor, *sorted_too: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    order = slope.argsort(dim=-1, descending=True, stable=True)
    return order, tuple(one.gather(-1, order) for one in sorted_too)


def _level(knots: Tensor, worth: Tensor, rate: Tensor, goal: Tensor) -> Tensor:
    """The least level at which all gain ``goal``; the largest of numbers where none does.

    An input gains ``rate`` times the level until its knot, and ``worth`` from there on.
    """
    import torch

    order = knots.argsort(dim=-1, stable=True)
    knots, worth, rate = (one.gather(-1, order) for one in (knots, worth, rate))
    settled = worth.cumsum(-1)
    moving = rate.flip(-1).cumsum(-1).flip(-1)  # of this knot and all after it
    at_knots = settled - worth + knots * moving
    first = (at_knots < goal[..., None]).sum(-1, keepdim=True).clamp(max=knots.shape[-1] - 1)
    before, speed = (settled - worth).gather(-1, first), moving.gather(-1, first)
    level = (goal[..., None] - before) / speed
    return torch.where(speed > 0, level.clamp(min=0), torch.finfo(level.dtype).max)[..., 0]
