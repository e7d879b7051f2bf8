"""FGSM: one step along the gradient.

Goodfellow, Shlens, Szegedy, *Explaining and harnessing adversarial examples*, 2015, section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from dualbound.attacks.loss import check_labels, climbed, of_label
from dualbound.attacks.threat import Allowed, Threat

if TYPE_CHECKING:
    from torch import Tensor, nn


def fgsm(net: nn.Module, x: Tensor, y: Tensor, **allowed: Unpack[Allowed]) -> Tensor:
    """The point of each region that is furthest along the gradient of the cross-entropy.

    In L∞ it is ``x + eps·sign(gradient)``, clipped; in L2 a step along the gradient itself, in L1
    one of the steepest inputs, both with all that the bounds leave of it. On an affine network with
    two labels no attack does better.

    Args:
        net: from inputs ``(b, *shape)`` to logits ``(b, m)``.
        x: the inputs, ``(b, *shape)``.
        y: their labels, ``(b,)``.
        **allowed: ``eps``, ``norm``, ``lower``, ``upper`` and ``mask``; see `Threat.around`.

    Returns:
        Adversaries ``(b, *shape)``, in their regions, whether they are misread or not.

    Raises:
        InvalidInput: inputs, labels or the threat make no sense.

    >>> import torch
    >>> net = torch.nn.Linear(2, 2)
    >>> net.weight.data = torch.tensor([[1.0, -2.0], [0.0, 0.0]])
    >>> fgsm(net, torch.tensor([[0.5, 0.95]]), torch.tensor([0]), eps=0.25)
    tensor([[0.2500, 1.0000]])
    """
    threat = Threat.around(x, **allowed)
    check_labels(y, threat.x)
    _, _, slope = climbed(net, threat.x, of_label(y))
    return threat.furthest(slope)
