"""What the engine says before its clock starts."""

from __future__ import annotations

import numpy as np
import pytest

from dualbound import (
    Bab,
    Box,
    Columns,
    Limits,
    Network,
    Neuron,
    Progress,
    Status,
    Targeted,
    activate,
    nearest,
    robustness,
    verify,
)


@pytest.mark.parametrize("kept", [True, False])
def test_compiling_is_announced_and_is_not_the_querys_time(
    kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dualbound.phases.tree.is_kept", lambda *_: kept)
    heard: list[Progress] = []
    net = Network.dense([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]], [[0.0, 0.0]] * 2)
    answer = nearest(
        net,
        [0.7, 0.2],
        Targeted(1, margin=0.1),
        engine=Columns(threads=1),
        limits=Limits(30),
        on_progress=heard.append,
    )
    assert answer.status.name == "OPTIMAL"
    first = heard[0]
    assert first.phase.startswith("compiling") != kept
    assert (first.seconds == 0.0) or kept
    assert "compiling" not in " ".join(answer.stats.phases)


def test_whoever_else_compiles_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualbound.phases.tree.is_kept", lambda *_: False)
    net = Network.dense([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]], [[0.0, 0.0]] * 2)
    heard: list[str] = []
    verify(net, robustness(net, [0.7, 0.2], eps=0.1), on_progress=lambda d: heard.append(d.phase))
    assert heard[0].startswith("compiling")
    heard.clear()
    wanted = {Neuron("logits", 0): 1.0, Neuron("logits", 1): -1.0}
    activate(net, wanted, Box(0, 1), engine=Bab(), on_progress=lambda p: heard.append(p.phase))
    assert heard[0].startswith("compiling")


@pytest.mark.parametrize("seed", range(8))
def test_a_network_without_rectifiers(seed: int) -> None:
    """The nearest point of a half-space in a box: the knapsack of its largest coefficients."""
    rng = np.random.default_rng(seed)
    weight, bias = rng.normal(size=(2, 6)), rng.normal(size=2)
    x = rng.random(6)
    before = int(np.argmax(weight @ x + bias))
    target = 1 - before
    row = weight[target] - weight[before]
    missing = 0.01 - row @ x - bias[target] + bias[before]
    gains, distance = np.abs(row), 0.0
    room = np.where(row > 0, 1 - x, x)
    for j in np.argsort(-gains):
        moved = min(room[j], missing / gains[j])
        distance, missing = distance + moved, missing - moved * gains[j]
        if missing <= 1e-15:
            break
    net = Network.dense([weight], [bias])
    answer = nearest(net, x, Targeted(target, margin=0.01), engine=Columns(threads=1))
    if missing > 1e-9:
        assert answer.status is Status.INFEASIBLE
    else:
        assert answer.status is Status.OPTIMAL
        assert answer.value == pytest.approx(distance, abs=1e-7)
        assert answer.bound <= distance + 1e-9


@pytest.mark.slow
def test_a_linear_program_that_the_solver_refuses_is_only_a_witness_less() -> None:
    """Weights of thousands, layer on layer: HiGHS takes no coefficients of 1e15."""
    weights = [np.full((3, 3), 4e3) * (1 - 2 * np.eye(3)) for _ in range(5)]
    net = Network.dense(weights, [np.zeros(3)] * 5)
    x = np.array([0.1, 0.5, 0.9])
    target = (int(np.argmax(net(x))) + 1) % 3
    answer = nearest(net, x, Targeted(target, margin=1.0), limits=Limits(20))
    twin = nearest(net, x, Targeted(target, margin=1.0), engine=Columns(attack=None))
    assert answer.status in (twin.status, Status.FEASIBLE)
    assert answer.bound <= (twin.value if twin.value is not None else np.inf)


def test_tiny_outputs_are_polished_in_units_of_the_input() -> None:
    net = Network.dense(
        [np.array([[1e-4, -1e-4], [1e-4, 1e-4]]), np.eye(2) * 1e-3], [[0.0, 0.0], [0.0, -3e-8]]
    )
    answer = nearest(net, [0.1, 0.05], Targeted(1, margin=1e-9))
    assert answer.status is Status.OPTIMAL
    assert answer.value == pytest.approx(0.16, abs=1e-7)
