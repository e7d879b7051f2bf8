"""Virtual adversaries: where the answer turns fastest, whatever the label.

Miyato, Maeda, Koyama, Ishii, *Virtual adversarial training: a regularization method for supervised
and semi-supervised learning*, 2018, algorithm 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from dualbound.attacks.loss import answered, climbed
from dualbound.attacks.threat import Allowed, Threat
from dualbound.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dualbound.attacks.loss import Loss


def virtual(
    net: nn.Module,
    x: Tensor,
    y: Tensor | None = None,
    *,
    xi: float = 1e-2,
    iterations: int = 1,
    seed: int = 0,
    **allowed: Unpack[Allowed],
) -> Tensor:
    r"""A step of length ``eps`` in the direction in which the answers' KL divergence grows most.

    With d of length 1, at first random, ``d ← gradient of KL(p(x) || p(x + xi·d))`` is a step of
    the power iteration for the first eigenvector of the divergence's Hessian at ``x``.

    Args:
        net: from inputs ``(b, *shape)`` to logits ``(b, m)``.
        x: the inputs, ``(b, *shape)``.
        y: not used: an adversary needs no label.
        xi: length of the moves at which gradients are taken. The paper's 1e-6 is lost in float32.
        iterations: of the power iteration.
        seed: of the first directions.
        **allowed: ``eps``, ``norm`` (``l2`` is the paper's, ``linf`` takes the signs), ``lower``,
            ``upper`` and ``mask``; see `Threat.around`.

    Returns:
        The points of the regions that are furthest along the direction, ``(b, *shape)``.

    Raises:
        InvalidInput: inputs, the threat or an option make no sense.

    >>> import torch
    >>> net = torch.nn.Linear(2, 2)
    >>> net.weight.data = torch.tensor([[3.0, -4.0], [0.0, 0.0]])
    >>> x = torch.tensor([[0.5, 0.5]])
    >>> (virtual(net, x, eps=0.1, norm="l2") - x).abs()  # along the row, to either side
    tensor([[0.0600, 0.0800]])
    """
    import torch

    threat = Threat.around(x, **allowed)
    if not (0 < xi < float("inf") and iterations >= 0):
        raise InvalidInput(
            f"Found xi {xi} and {iterations} iterations; expected above 0, and 0 up."
        )
    before = answered(net, threat.x).log_softmax(1)
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(threat.x)
    moving = threat.low < threat.high
    direction = _unit(torch.where(moving, direction, 0.0))
    for _ in range(iterations):
        _, _, slope = climbed(net, threat.x + xi * direction, divergence_from(before))
        slope = torch.where(moving, slope, 0.0)
        flat = (slope == 0).flatten(1).all(1).reshape(-1, *[1] * (x.ndim - 1))
        direction = torch.where(flat, direction, _unit(slope))
    return threat.furthest(direction)


def divergence_from(before: Tensor) -> Loss:
    """The KL divergence of answers from those before, as a loss of logits.

    Args:
        before: logarithms of probabilities, ``(b, m)``.

    >>> import torch
    >>> before = torch.tensor([[0.0, 0.0]]).log_softmax(1)
    >>> round(float(divergence_from(before)(torch.tensor([[1.0, 0.0]]))), 4)
    0.1201
    """

    def of_logits(logits: Tensor) -> Tensor:
        return (before.exp() * (before - logits.log_softmax(1))).sum(1)

    return of_logits


def _unit(directions: Tensor) -> Tensor:
    """Directions of Euclidean length 1; none where there is none."""
    import torch

    rows = directions.flatten(1)
    tiny = torch.finfo(rows.dtype).tiny
    rows = rows / rows.abs().amax(1, keepdim=True).clamp(min=tiny)
    return (rows / rows.norm(dim=1, keepdim=True).clamp(min=tiny)).reshape(directions.shape)
