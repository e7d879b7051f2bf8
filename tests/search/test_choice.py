"""Which engine a question gets when none is named."""

from __future__ import annotations

import numpy as np
import torch

import dualbound


class _Skip(torch.nn.Module):
    """A sum around a rectified layer: no chain."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Linear(3, 3), torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs."""
        return self.last(x + torch.relu(self.first(x)))


def test_l2_on_a_small_graph_needs_no_quadratic_solver(unchecked_shapes: None) -> None:
    torch.manual_seed(0)
    network = dualbound.load(_Skip(), input_shape=(3,))
    x = np.full(3, 0.5)
    target = 1 - int(np.argmax(network(x)))
    answer = dualbound.nearest(network, x, dualbound.Targeted(target), norm="l2")
    assert answer.status in (dualbound.Status.OPTIMAL, dualbound.Status.INFEASIBLE)
    assert answer.stats.engine.startswith("bab")


def test_few_inputs_of_a_curved_network_are_halved() -> None:
    torch.manual_seed(2)
    layers = torch.nn.Linear(3, 5), torch.nn.Sigmoid(), torch.nn.Linear(5, 3)
    network = dualbound.load(torch.nn.Sequential(*layers))
    x = np.array([0.3, 0.6, 0.5])
    found = dualbound.verify(network, dualbound.robustness(network, x, eps=0.05))
    answer = dualbound.nearest(network, x, dualbound.Untargeted(), norm="linf")
    assert answer.status in (dualbound.Status.OPTIMAL, dualbound.Status.INFEASIBLE)
    assert answer.stats.nodes < 1000
    assert found.outcome is not dualbound.Outcome.UNKNOWN
