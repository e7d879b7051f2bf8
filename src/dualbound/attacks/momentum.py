"""The momentum iterative method: FGSM in many small steps that keep their direction.

Dong, Liao, Pang, Su, Zhu, Hu, Li, *Boosting adversarial attacks with momentum*, 2018, algorithm 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from dualbound.attacks.pgd import pgd
from dualbound.attacks.threat import Allowed

if TYPE_CHECKING:
    from torch import Tensor, nn


def momentum_pgd(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 10,
    momentum: float = 1.0,
    early: bool = False,
    **allowed: Unpack[Allowed],
) -> Tensor:
    """Steps of ``eps / steps`` from the input itself, along a sum of all gradients so far.

    Each gradient is divided by its L1 norm, and the sum is multiplied by ``momentum`` before one is
    added to it.

    Args:
        net: from inputs ``(b, *shape)`` to logits ``(b, m)``.
        x: the inputs, ``(b, *shape)``.
        y: their labels, ``(b,)``.
        steps: how many.
        momentum: the method's decay factor.
        early: whether an input is left alone once it is misread.
        **allowed: ``eps`` (finite), ``norm``, ``lower``, ``upper`` and ``mask``; see
            `Threat.around`.

    Returns:
        As `pgd`.

    Raises:
        InvalidInput: inputs, labels, the threat or an option make no sense.

    >>> import torch
    >>> net = torch.nn.Linear(2, 2)
    >>> net.weight.data = torch.tensor([[1.0, -2.0], [0.0, 0.0]])
    >>> momentum_pgd(net, torch.tensor([[0.5, 0.95]]), torch.tensor([0]), eps=0.25)
    tensor([[0.2500, 1.0000]])
    """
    step = allowed["eps"] / max(steps, 1)
    return pgd(
        net, x, y, steps=steps, step=step, random=False, momentum=momentum, early=early, **allowed
    )
