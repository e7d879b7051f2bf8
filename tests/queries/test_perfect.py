"""Perfect against the truth: the least loss on every activation pattern of tiny networks."""

from __future__ import annotations

import numpy as np
import pytest

from brute_force import Allowed, Tiny, least_l1_loss, least_squared_loss, random_tiny
from dualbound import Activation, Box, Columns, Highs, L1Ball, Milp, Network, Status, perfect
from dualbound.errors import InvalidInput
from dualbound.search import Engine

NET = Network.dense([np.eye(2), np.eye(2)], [[0.0, 0.0], [0.0, 0.0]])


def asked(seed: int, loss: str, engine: Engine | None = None) -> tuple[Activation, float, float]:
    """An answer about a random network, the truth, and how far the truth may be lower."""
    rng = np.random.default_rng(seed)
    tiny = random_tiny(rng)
    lower = rng.uniform(-1, 0, tiny.inputs)
    upper = lower + rng.uniform(0.1, 1.5, tiny.inputs)
    allowed, region = Allowed(lower, upper), Box(lower, upper)
    if rng.random() < 0.4:
        allowed = Allowed(lower, upper, rng.uniform(lower, upper), float(rng.uniform(0.2, 1.0)))
        assert allowed.center is not None
        region = L1Ball(allowed.center, allowed.radius, region)
    label = int(rng.integers(tiny.outputs))
    network = Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu)
    answer = perfect(network, label, region, loss=loss, gap=1e-5, engine=engine)
    assert answer.x is not None
    assert region.violation(answer.x[None])[0] == 0
    away = np.abs(tiny(answer.x) - np.eye(tiny.outputs)[label])
    value = away.sum() if loss == "l1" else (away**2).sum()
    assert answer.value == pytest.approx(value, abs=1e-12)
    assert answer.runtime_value == pytest.approx(value, abs=1e-4, rel=1e-4)
    if loss == "l1":
        return answer, least_l1_loss(tiny, label, allowed), 1e-9
    reached, bound = least_squared_loss(tiny, label, allowed)
    return answer, reached, reached - bound


@pytest.mark.parametrize("seed", range(30))
def test_the_l1_loss_is_least(seed: int) -> None:
    answer, truth, _ = asked(seed, "l1", Columns(threads=1) if seed % 2 else None)
    assert answer.status is Status.OPTIMAL
    assert answer.value == pytest.approx(truth, abs=2e-5, rel=2e-5)
    assert answer.bound <= truth + 1e-9


@pytest.mark.parametrize("seed", range(100, 115))
def test_by_one_program_too(seed: int) -> None:
    answer, truth, _ = asked(seed, "l1", Milp())
    assert answer.status is Status.OPTIMAL
    assert answer.value == pytest.approx(truth, abs=2e-5, rel=2e-5)
    assert answer.bound <= truth + 1e-9


@pytest.mark.parametrize("seed", range(200, 220))
def test_the_squared_loss_is_least(seed: int) -> None:
    pytest.importorskip("pyscipopt")
    answer, truth, doubt = asked(seed, "squared")
    assert doubt <= 1e-6 * (1 + truth)
    assert answer.value == pytest.approx(truth, abs=2e-5, rel=2e-5)
    assert answer.bound <= truth + 1e-9


@pytest.mark.parametrize("times", [1e5, 1e7])
@pytest.mark.parametrize("seed", range(200, 212))
def test_the_squared_loss_is_least_of_huge_outputs(seed: int, times: float) -> None:
    """Of outputs t·o the loss is t² times that of o with a goal of 1/t."""
    pytest.importorskip("pyscipopt")
    tiny, box, label = squared_case(seed)
    truth = times**2 * least_squared_loss(tiny, label, Allowed(*box), one=1 / times)[0]
    weights, biases = list(tiny.weights), list(tiny.biases)
    weights[-1], biases[-1] = times * weights[-1], times * biases[-1]
    network = Network.dense(weights, biases, final_relu=tiny.final_relu)
    answer = perfect(network, label, Box(*box), loss="squared", gap=1e-5)
    assert answer.bound <= truth * (1 + 1e-9) + 1e-9
    assert answer.status is Status.OPTIMAL or answer.note
    if truth > times:  # otherwise all is lost in float32, and replays fail
        assert answer.value == pytest.approx(truth, rel=2e-5)
        assert answer.bound == pytest.approx(truth, rel=2e-5)


@pytest.mark.parametrize("times", [1e-3, 1e7])
@pytest.mark.parametrize("seed", [203, 207, 208, 209, 226])
def test_huge_or_tiny_hidden_values_change_nothing(seed: int, times: float) -> None:
    pytest.importorskip("pyscipopt")
    tiny, box, label = squared_case(seed)
    truth = least_squared_loss(tiny, label, Allowed(*box))[0]
    weights, biases = list(tiny.weights), list(tiny.biases)
    weights[0], biases[0] = times * weights[0], times * biases[0]
    weights[-1] = weights[-1] / times
    for k in range(1, len(biases) - 1):
        biases[k] = times * biases[k]
    network = Network.dense(weights, biases, final_relu=tiny.final_relu)
    answer = perfect(network, label, Box(*box), loss="squared", gap=1e-5)
    assert answer.bound <= truth * (1 + 1e-9) + 1e-9
    assert answer.value == pytest.approx(truth, abs=2e-5, rel=2e-5)
    assert answer.bound == pytest.approx(truth, abs=3e-5, rel=3e-5)


def test_what_a_solver_cannot_tell_apart_is_not_asked_of_it() -> None:
    """Two paths of 1e8 cancel: of the 0.25 that is left, a tolerance of 1e-7 leaves nothing."""
    pytest.importorskip("pyscipopt")
    huge = np.array([[1e8, -1e8], [0.0, 0.0]])
    network = Network.dense([np.ones((2, 1)), huge], [np.zeros(2), np.array([0.5, 0.0])])
    answer = perfect(network, 0, loss="squared")
    # Whether the point passes its replay in float32, too, depends on the processor's sums.
    found = (answer.status, answer.value, answer.bound)
    assert found in ((Status.FEASIBLE, 0.25, 0.0), (Status.UNKNOWN, None, 0.0))
    assert "within the tolerance of scip they cannot be told apart" in answer.note


def squared_case(seed: int) -> tuple[Tiny, tuple[np.ndarray, np.ndarray], int]:
    """A random network, the ends of a box of its inputs, and a label."""
    rng = np.random.default_rng(seed)
    tiny = random_tiny(rng)
    lower = rng.uniform(-1, 0, tiny.inputs)
    upper = lower + rng.uniform(0.1, 1.5, tiny.inputs)
    return tiny, (lower, upper), int(rng.integers(tiny.outputs))


def test_a_perfect_input_is_found_and_needs_no_search() -> None:
    for loss in ("l1", "squared"):
        answer = perfect(NET, 1, loss=loss)
        assert (answer.status, answer.bound) == (Status.OPTIMAL, 0.0)
        assert answer.value == pytest.approx(0.0, abs=1e-4)
        assert answer.label == 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("label", "options", "message"),
        [
            (2, {}, "Label 2 is out of range; the network answers 0 to 1"),
            (-1, {}, "Label -1 is out of range"),
            (0, {"loss": "huber"}, "Unknown loss 'huber'; known are l1, squared"),
            (0, {"loss": "squared", "engine": Columns()}, "columns cannot do this: squares"),
            (
                0,
                {"loss": "squared", "engine": Milp(solver=Highs())},
                "highs cannot do quadratic objectives; use scip",
            ),
            (0, {"region": Box([0], [1])}, "is a region of 1 inputs; the network reads 2"),
        ],
    )
    def test_say_what_is_wrong(self, label: int, options: dict, message: str) -> None:
        with pytest.raises(InvalidInput, match=message):
            perfect(NET, label, **options)
