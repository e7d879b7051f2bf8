"""Networks as attacks see them: torch modules from a batch of inputs to logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualbound.errors import InvalidInput
from dualbound.network.graph import Network
from dualbound.network.torch_twin import twin

if TYPE_CHECKING:
    import torch


def classifier(
    network: Network, *, dtype: torch.dtype | None = None, device: torch.device | str = "cpu"
) -> torch.nn.Module:
    """A torch module that computes the network on inputs of any shape.

    Args:
        network: what to compute.
        dtype: of weights and inputs; float32 unless told.
        device: where the weights are.

    Returns:
        A module from ``(b, *shape)`` to logits ``(b, m)``, in evaluation mode.

    >>> import torch
    >>> net = Network.dense([[[1.0, -1.0, 0.0, 0.0]]], [[0.5]])
    >>> classifier(net)(torch.tensor([[[3.0, 1.0], [0.0, 0.0]]]))
    tensor([[2.5000]])
    """
    import torch

    return torch.nn.Sequential(torch.nn.Flatten(), twin(network, dtype=dtype, device=device)).eval()


def device_named(name: str) -> torch.device:
    """A device that is there.

    Raises:
        InvalidInput: torch knows none of this name, or there is none on this machine.

    >>> device_named("cpu")
    device(type='cpu')
    >>> device_named("abacus")
    Traceback (most recent call last):
    dualbound.errors.InvalidInput: There is no device 'abacus' here: ... Use one of cpu...
    """
    import torch

    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ["cpu", *(f"cuda:{k}" for k in range(torch.cuda.device_count()))]
        reason = str(error).splitlines()[0].rstrip(".")
        raise InvalidInput(
            f"There is no device {name!r} here: {reason}. Use one of {', '.join(there)}."
        ) from error
    return device
