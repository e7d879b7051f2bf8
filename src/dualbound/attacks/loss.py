r"""What attacks climb: how wrong the answers of a classifier are, and the gradient of that.

The cross-entropy of a label is :math:`\log(1 + e^L)` with the logarithm of the odds that it is
wrong,

.. math:: L = \log \sum_{j \ne y} e^{z_j} - z_y .

Both climb in the same directions, and every attack here asks for directions only. But where a
network is sure, the cross-entropy is 0 in float32 and has no direction any more; L has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dualbound.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor, nn

    Loss = Callable[[Tensor], Tensor]
    """Of logits ``(b, m)``, one for each input ``(b,)``."""


def log_odds(logits: Tensor, y: Tensor) -> Tensor:
    """The logarithm of the odds that each label is wrong, ``(b,)``.

    >>> import torch
    >>> logits, y = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([0])
    >>> float(log_odds(logits, y).exp().log1p()), float(torch.nn.CrossEntropyLoss()(logits, y))
    (0.40760..., 0.40760...)
    """
    return _others(logits, y).logsumexp(1) - _own(logits, y)


def lead(logits: Tensor, y: Tensor) -> Tensor:
    """How far the largest other output is above the label's, ``(b,)``; above 0 it is misread."""
    return _others(logits, y).amax(1) - _own(logits, y)


def _own(logits: Tensor, y: Tensor) -> Tensor:
    return logits.gather(1, y[:, None])[:, 0]


def _others(logits: Tensor, y: Tensor) -> Tensor:
    return logits.scatter(1, y[:, None], float("-inf"))


def climbed(net: nn.Module, x: Tensor, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
    """The logits, the loss, and its gradient at a batch of inputs.

    No gradient of a parameter is touched, and neither is the module's mode; where that is training,
    what a pass in training leaves behind, such as running means, is left here too.

    Args:
        net: from inputs ``(b, *shape)`` to logits ``(b, m)``.
        x: the inputs.
        loss: of the logits.

    Returns:
        Logits ``(b, m)``, losses ``(b,)`` and gradients ``(b, *shape)``; a gradient that is no
        number is 0.
    """
    import torch

    with torch.enable_grad():
        points = x.detach().requires_grad_()
        logits = net(points)
        losses = loss(logits)
        (slope,) = torch.autograd.grad(losses.sum(), points)
    return logits.detach(), losses.detach(), slope.nan_to_num(0.0, 0.0, 0.0)


def answered(net: nn.Module, x: Tensor) -> Tensor:
    """The logits ``(b, m)``, without a gradient."""
    import torch

    with torch.no_grad():
        logits: Tensor = net(x)
    return logits


def check_labels(y: Tensor, x: Tensor) -> None:
    """Refuse what is not one label for each input.

    Raises:
        InvalidInput: another shape or type, or a label below 0.
    """
    import torch

    if y.dtype != torch.int64 or y.shape != (len(x),):
        raise InvalidInput(
            f"The labels are {tuple(y.shape)} of {y.dtype}; expected one of torch.int64 for each "
            f"of {len(x)} inputs."
        )
    if y.device != x.device:
        raise InvalidInput(f"The labels are on {y.device}, the inputs on {x.device}.")


def of_label(y: Tensor, loss: Callable[[Tensor, Tensor], Tensor] = log_odds) -> Loss:
    """A loss of logits and labels as one of logits, which must have an output for every label.

    Raises:
        InvalidInput: when it is called with logits of other labels.
    """

    def of_logits(logits: Tensor) -> Tensor:
        if logits.ndim != 2 or len(logits) != len(y) or logits.shape[1] < 2:
            raise InvalidInput(
                f"The network answers {tuple(logits.shape)}; expected ({len(y)}, m), two outputs "
                "or more for each input."
            )
        if not bool(((y >= 0) & (y < logits.shape[1])).all()):
            raise InvalidInput(
                f"The labels go from {int(y.min())} to {int(y.max())}; the network's from 0 to "
                f"{logits.shape[1] - 1}."
            )
        return loss(logits, y)

    return of_logits
