"""PGD: many projected steps along the gradient, from random starts.

Madry, Makelov, Schmidt, Tsipras, Vladu, *Towards deep learning models resistant to adversarial
attacks*, 2018, section 2.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from dualbound.attacks.loss import answered, check_labels, climbed, lead, of_label
from dualbound.attacks.threat import Allowed, Threat
from dualbound.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor, nn


def pgd(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 40,
    step: float | Tensor | None = None,
    restarts: int = 1,
    random: bool = True,
    momentum: float = 0.0,
    early: bool = False,
    seed: int = 0,
    **allowed: Unpack[Allowed],
) -> Tensor:
    """Climb the cross-entropy by projected steps; of all points passed the best one is kept.

    Args:
        net: from inputs ``(b, *shape)`` to logits ``(b, m)``.
        x: the inputs, ``(b, *shape)``.
        y: their labels, ``(b,)``.
        steps: how many of each run.
        step: length of one, in the norm, for all or ``(b,)``; 2.5 times ``eps`` over the steps when
            not given.
        restarts: how many runs.
        random: whether the first run starts at random too, and not at the input itself.
        momentum: how much of the last direction is kept; see `momentum_pgd`.
        early: whether an input is left alone once it is misread: its adversary is the first.
        seed: of the random starts.
        **allowed: ``eps``, ``norm``, ``lower``, ``upper`` and ``mask``; see `Threat.around`.

    Returns:
        For each input the point with the largest loss of those that are misread, or of all if none
        is, ``(b, *shape)``.

    Raises:
        InvalidInput: inputs, labels, the threat or an option make no sense.

    >>> import torch
    >>> net = torch.nn.Linear(2, 2)
    >>> net.weight.data = torch.tensor([[1.0, -2.0], [0.0, 0.0]])
    >>> pgd(net, torch.tensor([[0.5, 0.95]]), torch.tensor([0]), eps=0.25)
    tensor([[0.2500, 1.0000]])
    """
    import torch

    threat = Threat.around(x, **allowed)
    check_labels(y, threat.x)
    _check(steps=steps, restarts=restarts)
    length = 2.5 / max(steps, 1) * threat.radius if step is None else step + 0 * threat.radius
    if not bool((length >= 0).all() and (length < torch.inf).all()):
        raise InvalidInput(f"The step is {step}; expected a finite length of 0 or more.")
    generator = torch.Generator().manual_seed(seed)
    best = _Best(threat.x)
    for run in range(restarts):
        points = threat.random(generator) if random or run else threat.x
        rows = torch.nonzero(~best.misread)[:, 0] if early else torch.arange(len(y)).to(y)
        _climb(net, y, threat, points, rows, best, steps, length.to(points), momentum, early)
    return best.points


def _climb(
    net: nn.Module,
    y: Tensor,
    threat: Threat,
    points: Tensor,
    rows: Tensor,
    best: _Best,
    steps: int,
    length: Tensor,
    momentum: float,
    early: bool,
) -> None:
    """One run of some of the inputs."""
    import torch

    def chosen(which: Tensor) -> tuple[Tensor, Tensor, Threat, Tensor]:
        lengths = length[which].reshape(-1, *[1] * (points.ndim - 1))
        return points[which], y[which], threat.rows(which), lengths

    at, labels, part, far = chosen(rows)
    direction = torch.zeros_like(at)
    for k in range(steps + 1):
        if len(rows) == 0:
            return
        loss = of_label(labels)
        if k == steps:
            logits = answered(net, at)
            best.offer(rows, at, loss(logits), lead(logits, labels) > 0)
            return
        logits, losses, slope = climbed(net, at, loss)
        misread = lead(logits, labels) > 0
        best.offer(rows, at, losses, misread)
        if momentum:
            direction = momentum * direction + _in_mean(slope)
        at = part.project(at + far * part.steepest(direction if momentum else slope, at))
        if early and bool(misread.any()):
            left = ~misread
            at, direction, rows = at[left], direction[left], rows[left]
            labels, part, far = labels[left], part.rows(left), far[left]


class _Best:
    """The best point of each input so far."""

    def __init__(self, x: Tensor) -> None:
        import torch

        self.points = x.clone()
        self.misread = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        self._loss = torch.full((len(x),), -torch.inf, dtype=torch.float64, device=x.device)

    def offer(self, rows: Tensor, points: Tensor, loss: Tensor, misread: Tensor) -> None:
        """Keep what is better: a misread point before any other, then the larger loss."""
        loss, known = loss.double(), self.misread[rows]
        better = (misread & ~known) | ((misread == known) & (loss > self._loss[rows]))
        at = rows[better]
        self.points[at], self._loss[at] = points[better], loss[better]
        self.misread[at] = misread[better]


def _in_mean(slope: Tensor) -> Tensor:
    """Gradients whose entries are 1 in the mean of their magnitudes."""
    import torch

    rows = slope.flatten(1)
    tiny = torch.finfo(slope.dtype).tiny
    rows = rows / rows.abs().amax(1, keepdim=True).clamp(min=tiny)
    return (rows / rows.abs().mean(1, keepdim=True).clamp(min=tiny)).reshape(slope.shape)


def _check(*, steps: int, restarts: int) -> None:
    if steps < 0 or restarts < 1:
        raise InvalidInput(
            f"Found {steps} steps and {restarts} restarts; expected at least 0 and 1."
        )
