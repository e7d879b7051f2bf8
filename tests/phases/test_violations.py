"""Where a bound leans on no neuron, the relaxation says where its optimum is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from dualbound.limits import Clock
from dualbound.phases.chain import Chain
from dualbound.phases.moves import Room
from dualbound.phases.relaxation import Relaxation
from dualbound.phases.tree import PhaseTree


def constant_goal() -> tuple[Chain, Room]:
    """1 - relu(0.6 - |x|) - relu(x + 0.2) - relu(-x - 0.4) over [-1, 1]: 0.8 at most.

    The relaxation takes |x| for as much as 1 everywhere, so that all three rectifiers may be 0.
    """
    weights = [
        np.array([[1.0], [-1.0]]),
        np.array([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]]),
        np.full((1, 3), -1.0),
    ]
    biases = [np.zeros(2), np.array([0.6, 0.2, -0.4]), np.ones(1)]
    magnitudes = [np.full(2, 2.0), np.full(3, 4.0), np.full(1, 10.0)]
    one = np.ones(1)
    return Chain.of(weights, biases, magnitudes, 1e-15), Room(one, one, one, one, np.inf, False)


def test_the_optimum_is_wrong_about_a_neuron_of_the_first_layer() -> None:
    chain, room = constant_goal()
    low = np.array([-1.0, -1.0, -1.4, -0.8, -1.4])
    high = np.array([1.0, 1.0, 0.6, 1.2, 0.6])
    found = Relaxation(chain, room, 0.9).solve(low, high)
    assert found.most == pytest.approx(1.0)
    assert found.leaning.max() > 1e-9  # otherwise all would be alike
    assert found.leaning.argmax() in (0, 1)


@pytest.mark.parametrize("dives", [True, False])
def test_a_tree_proves_the_truth_and_no_more(dives: bool) -> None:
    chain, room = constant_goal()
    assert PhaseTree(chain, room, Clock(), least=0.8 + 1e-6, dives=dives).run()
    assert not PhaseTree(chain, room, Clock(), least=0.8 - 1e-6, dives=dives).run()
