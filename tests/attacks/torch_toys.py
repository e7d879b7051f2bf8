"""Small torch classifiers for attacks, and the threats that they are tried with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

INF = float("inf")


def affine(seed: int, inputs: int = 6, labels: int = 2) -> nn.Module:
    """A random affine map in float64."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, labels)).double()


def smooth(seed: int, inputs: int = 6, labels: int = 4) -> nn.Module:
    """A random network without kinks, so that differences of it have derivatives as limits."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, 9), nn.Tanh(), nn.Linear(9, labels)
    ).double()


def rectified(seed: int, inputs: int = 6, labels: int = 4) -> nn.Module:
    """A random network of rectifiers, sharp enough that small moves change its answer."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(),
        nn.Linear(12, labels),
    ).double()  # fmt: skip
    with torch.no_grad():
        for weight in net.parameters():
            weight *= 2
    return net


def batch(seed: int, count: int = 8, inputs: int = 6) -> Tensor:
    """Random inputs in [0, 1], some of whose values are 0 or 1."""
    rng = np.random.default_rng(seed)
    x = rng.random((count, inputs))
    x[rng.random(x.shape) < 0.2] = 0.0
    x[rng.random(x.shape) < 0.2] = 1.0
    return torch.as_tensor(x)


def answers(net: nn.Module, x: Tensor) -> Tensor:
    """What the network answers."""
    with torch.no_grad():
        return net(x).argmax(1)
