"""DeepFool: the nearest adversary by jumps to the borders of the linearised classes.

Moosavi-Dezfooli, Fawzi, Frossard, *DeepFool: a simple and accurate method to fool deep neural
networks*, 2016, algorithm 2. Beyond it, every jump stays between the bounds, as in Croce, Hein,
*Minimally distorted adversarial examples with a fast adaptive boundary attack*, 2020, section 3.2,
and what is found is drawn back towards the input and linearised anew at the border.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from dualbound.attacks.loss import answered, check_labels, lead, of_label
from dualbound.attacks.moves import least
from dualbound.attacks.threat import Allowed, Threat, distance
from dualbound.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor, nn

HALVINGS = 24
"""Of the way between an input and its adversary."""

CLOSER = 0.3
"""What is left of the overshoot from one round to the next."""


def deepfool(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 50,
    overshoot: float = 0.02,
    rounds: int = 10,
    margin: float = 1e-5,
    **allowed: Unpack[Allowed],
) -> Tensor:
    """A near adversary of each input, as near as this finds one.

    Args:
        net: from inputs ``(b, *shape)`` to logits ``(b, m)``.
        x: the inputs, ``(b, *shape)``.
        y: their labels, ``(b,)``.
        steps: how many jumps until an input is misread.
        overshoot: by what share of the way to a border a jump goes beyond it.
        rounds: how often what is found is linearised anew; 0 for the method as published.
        margin: how far another output must be above the label's, relative to the largest output: at
            a border itself, evaluations in float32 disagree.
        **allowed: ``eps`` (``inf`` for any distance), ``norm``, ``lower``, ``upper`` and ``mask``;
            see `Threat.around`.

    Returns:
        Adversaries ``(b, *shape)``: misread and in their regions. An input that is misread as it
        is, or for which none was found, comes back unchanged.

    Raises:
        InvalidInput: inputs, labels, the threat or an option make no sense.

    >>> import torch
    >>> net = torch.nn.Linear(2, 2)
    >>> net.weight.data, net.bias.data = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.zeros(2)
    >>> x, y = torch.tensor([[0.25, 0.0625]]), torch.tensor([0])  # 1.0 above the border
    >>> found = deepfool(net, x, y, eps=1.0, norm="l1", lower=-1.0)
    >>> (found - x).round(decimals=4)
    tensor([[ 0.0000, -0.2500]])
    """
    import torch

    threat = Threat.around(x, **allowed)
    check_labels(y, threat.x)
    if steps < 0 or rounds < 0 or not (0 <= overshoot < float("inf") and 0 <= margin < 1):
        raise InvalidInput(
            f"Found {steps} steps, {rounds} rounds and an overshoot of {overshoot}; expected 0 or "
            f"more; and a margin of {margin}, expected below 1."
        )
    anywhere: Allowed = {**allowed, "eps": float("inf")}
    box = Threat.around(x, **anywhere)
    found, misread = _walk(net, y, box, steps, overshoot, margin)
    rows = torch.nonzero(misread)[:, 0]
    if len(rows):
        found[rows] = _drawn(net, y[rows], box.rows(rows), found[rows], overshoot, rounds, margin)
    kept = misread & threat.contains(found)
    return torch.where(kept.reshape(-1, *[1] * (x.ndim - 1)), found, threat.x)


def _walk(
    net: nn.Module, y: Tensor, box: Threat, steps: int, overshoot: float, margin: float
) -> tuple[Tensor, Tensor]:
    """Jump until misread: where that was, and whether it was anywhere."""
    import torch

    found, misread = box.x.clone(), torch.zeros_like(y, dtype=torch.bool)
    rows = torch.arange(len(y)).to(y)
    for k in range(steps + 1):
        logits = answered(net, found[rows])
        of_label(y[rows])(logits)
        fooled = _clearly_misread(logits, y[rows], margin)
        misread[rows[fooled]] = True
        rows = rows[~fooled]
        if k == steps or len(rows) == 0:
            break
        at = found[rows]
        found[rows] = _jump(net, y[rows], box.rows(rows), at, at, overshoot)
    return found, misread


def _drawn(
    net: nn.Module,
    y: Tensor,
    box: Threat,
    found: Tensor,
    overshoot: float,
    rounds: int,
    margin: float,
) -> Tensor:
    """Misread points drawn towards their inputs, and on along the border where that is nearer."""
    import torch

    best = _bisected(net, y, box, found, margin)
    for k in range(rounds):
        tried = _jump(net, y, box, best, box.x, overshoot * CLOSER**k)
        tried = _bisected(net, y, box, tried, margin)
        nearer = distance(tried, box.x, box.norm) < distance(best, box.x, box.norm)
        nearer &= _clearly_misread(answered(net, tried), y, margin)
        best = torch.where(nearer.reshape(-1, *[1] * (best.ndim - 1)), tried, best)
    return best


def _bisected(net: nn.Module, y: Tensor, box: Threat, far: Tensor, margin: float) -> Tensor:
    """The last points found, on the ways from misread points to their inputs, that are misread."""
    import torch

    near, shape = box.x, (-1, *[1] * (far.ndim - 1))
    for _ in range(HALVINGS):
        middle = box.clamped(near + (far - near) / 2)
        misread = _clearly_misread(answered(net, middle), y, margin).reshape(shape)
        near, far = torch.where(misread, near, middle), torch.where(misread, middle, far)
    return far


def _clearly_misread(logits: Tensor, y: Tensor, margin: float) -> Tensor:
    return lead(logits, y) > margin * logits.abs().amax(1)


def _jump(
    net: nn.Module, y: Tensor, box: Threat, at: Tensor, start: Tensor, overshoot: float
) -> Tensor:
    """The nearest points to ``start`` that are beyond a border of the network linearised at ``at``.

    Where all borders are out of the bounds' reach, as far as they reach to the one that this gets
    closest to.
    """
    import torch

    ahead, slopes = _borders(net, y, at)  # (b, m), (b, m, n)
    origin = start.double().flatten(1)
    ahead = ahead + (slopes @ (origin - at.double().flatten(1))[..., None])[..., 0]
    low, high = (side.double().flatten(1) - origin for side in (box.low, box.high))
    rooms = torch.where(slopes > 0, high[:, None], -low[:, None]).clamp(min=0)
    goal = (-ahead * (1 + overshoot)).clamp(min=0) + 1e-9 * ahead.abs()
    moves, enough = least(slopes.abs(), rooms, goal, box.norm)
    length = distance(moves.flatten(0, 1), torch.zeros_like(moves).flatten(0, 1), box.norm)
    length = length.reshape(enough.shape)
    short = goal - (slopes.abs() * moves).sum(-1)
    own = torch.nn.functional.one_hot(y, length.shape[1]).bool()
    length = torch.where(own | ~enough, torch.inf, length)
    short = torch.where(own, torch.inf, short)
    nearest = torch.where(torch.isfinite(length).any(1), length.argmin(1), short.argmin(1))
    pick = nearest[:, None, None].expand(-1, 1, moves.shape[2])
    move = (slopes.sign() * moves).gather(1, pick)[:, 0]
    return box.clamped((origin + move).to(at.dtype).reshape(at.shape))


def _borders(net: nn.Module, y: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """How far each output is above the label's ``(b, m)``, and its gradient ``(b, m, n)``."""
    import torch

    with torch.enable_grad():
        points = at.detach().requires_grad_()
        logits = net(points)
        ahead = logits - logits.gather(1, y[:, None])
        slopes = [
            torch.autograd.grad(ahead[:, j].sum(), points, retain_graph=True)[0].flatten(1)
            for j in range(logits.shape[1])
        ]
    found = torch.stack(slopes, dim=1).double().nan_to_num(0.0, 0.0, 0.0)
    return ahead.detach().double().nan_to_num(0.0), found
