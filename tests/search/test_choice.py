"""Which engine a question gets when none is named."""

from __future__ import annotations

import numpy as np
import pytest
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


@pytest.mark.unchecked_shapes
def test_l2_on_a_small_graph_needs_no_quadratic_solver() -> None:
    torch.manual_seed(0)
    network = dualbound.load(_Skip(), input_shape=(3,))
    x = np.full(3, 0.5)
    target = 1 - int(np.argmax(network(x)))
    answer = dualbound.nearest(network, x, dualbound.Targeted(target), norm="l2")
    assert answer.status in (dualbound.Status.OPTIMAL, dualbound.Status.INFEASIBLE)
    assert answer.stats.engine.startswith("bab")


@pytest.mark.unchecked_shapes
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


@pytest.mark.unchecked_shapes
def test_over_an_l2_ball_that_no_program_takes() -> None:
    torch.manual_seed(0)
    network = dualbound.load(_Skip(), input_shape=(3,))
    box = dualbound.Box(0, 1).sized(3)
    ball = dualbound.L2Ball(np.full(3, 0.5), 0.3, box)
    outside = dualbound.L2Ball(np.full(3, -0.1), 0.5, box)
    chain = dualbound.Network.dense([np.eye(3), np.ones((2, 3))], [np.zeros(3), np.zeros(2)])
    for asked, region in ((network, ball), (chain, outside)):
        answer = dualbound.activate(asked, dualbound.Neuron("logits", 0), region)
        assert answer.status is dualbound.Status.OPTIMAL
        assert answer.stats.engine.startswith("bab")


@pytest.mark.unchecked_shapes
def test_a_ball_that_a_search_cannot_count_from_is_refused_with_what_to_do() -> None:
    chain = dualbound.Network.dense([np.eye(3), np.ones((2, 3))], [np.zeros(3), np.zeros(2)])
    outside = dualbound.L2Ball(np.full(3, -0.1), 0.5, dualbound.Box(0, 1).sized(3))
    with pytest.raises(dualbound.DualboundError, match=r"outside its box.*; use the engine bab"):
        dualbound.activate(chain, dualbound.Neuron(1, 0), outside, engine=dualbound.Columns())
    with pytest.raises(dualbound.DualboundError, match="ask for bounds by crown"):
        dualbound.bounds(chain, outside, method="exact")
