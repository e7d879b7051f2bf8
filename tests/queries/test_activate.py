"""Activate: what it refuses, how it stops, and what it does with solvers and files that lie."""

from __future__ import annotations

import os
import signal
from itertools import pairwise

import numpy as np
import pytest

import dualbound
from dualbound import (
    Activation,
    Box,
    Columns,
    L0Ball,
    L1Ball,
    L2Ball,
    Limits,
    Milp,
    Network,
    Neuron,
    Region,
    Status,
    activate,
)
from dualbound.errors import InvalidInput, SoundnessError
from dualbound.network.graph import Source
from dualbound.network.onnx_writer import write_onnx
from dualbound.search import Progress
from dualbound.solvers import Fake, Solution, Stop


def random_network(seed: int, *sizes: int, final_relu: bool = False) -> Network:
    rng = np.random.default_rng(seed)
    pairs = list(pairwise(sizes))
    return Network.dense(
        [rng.normal(size=(m, n)) for n, m in pairs],
        [rng.normal(size=m) for _, m in pairs],
        final_relu=final_relu,
    )


NET = random_network(0, 3, 4, 4, 2)
WIDE = random_network(1, 12, 30, 30, 30, 2)
LOGIT = Neuron("logits", 0)
CENTER, UNIT = np.array([0.3, 0.8, 0.5]), Box(0, 1).sized(3)
BALL = L2Ball(CENTER, 0.4, UNIT)


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"neurons": Neuron(3, 0)}, "no layer 3; the network has 1 to 2, or logits"),
            ({"neurons": Neuron(0, 0)}, "no layer 0"),
            ({"neurons": Neuron(1, 4)}, "no neuron 4 of layer 1; its layer has the neurons 0 to 3"),
            ({"neurons": Neuron(1, -1)}, "0 to 3"),
            ({"neurons": Neuron("logits", 2)}, "no logit 2"),
            ({"neurons": Neuron("logits", 0, post=True)}, "No rectifier follows the logits"),
            ({"neurons": ()}, "Nothing is asked for"),
            ({"neurons": {LOGIT: 0.0}}, "Nothing is asked for"),
            ({"neurons": [LOGIT], "slacks": [LOGIT]}, "A slack is that of a hidden neuron"),
            ({"phases": [Neuron(1, 0, post=True)]}, "A phase is that of a hidden neuron"),
            ({"neurons": {LOGIT: np.nan}}, "coefficient of logit 0 is nan"),
            ({"neurons": LOGIT, "inputs": [1.0]}, "shape"),
            ({"neurons": LOGIT, "gap": 1.0}, "gap must be at least 0"),
            ({"neurons": LOGIT, "region": Box([0], [1])}, "is a region of 1 inputs"),
            ({"phases": [Neuron(1, 0)], "engine": Columns()}, "columns cannot do this: phases"),
            (
                {"neurons": LOGIT, "region": BALL, "engine": Milp()},
                "L2 ball is not a set of linear",
            ),
        ],
    )
    def test_say_what_is_wrong(self, options: dict[str, object], message: str) -> None:
        with pytest.raises(InvalidInput, match=message):
            activate(NET, **options)  # type: ignore[arg-type]

    def test_a_network_without_rectifiers_has_logits_only(self) -> None:
        with pytest.raises(InvalidInput, match="logits only"):
            activate(Network.dense([[[1.0]]], [[0.0]]), Neuron(1, 0))


@pytest.mark.parametrize(
    "region",
    [
        BALL,
        L2Ball(CENTER, 0.4, UNIT, np.array([1.0, 2.0, 0.5])),
        L1Ball(CENTER, 0.4, UNIT, np.array([1.0, 2.0, 0.5])),
        L0Ball(CENTER, 1, UNIT),
    ],
    ids=["l2", "l2-weighted", "l1-weighted", "l0"],
)
@pytest.mark.parametrize("wanted", [{LOGIT: 1}, {Neuron(2, 1, post=True): 1, Neuron(1, 0): -2}])
def test_every_kind_of_region(region: Region, wanted: dict[Neuron, float]) -> None:
    answer = activate(NET, wanted, region)
    assert answer.status is Status.OPTIMAL
    assert answer.x is not None
    assert region.violation(answer.x[None])[0] == 0
    values = NET.values(region.sample(np.random.default_rng(0), 20_000))
    every = values["affine3"][:, 0]
    if LOGIT not in wanted:
        every = values["relu2"][:, 1] - 2 * values["affine1"][:, 0]
    assert every.max() <= answer.value + 1e-4 * max(1, abs(answer.value))  # type: ignore
    assert every.max() >= answer.value - 0.2  # type: ignore[operator]  # samples come close
    if not isinstance(region, L2Ball):
        twin = activate(NET, wanted, region, engine=Milp())
        assert twin.value == pytest.approx(answer.value, rel=2e-4)


class TestNames:
    def test_several_neurons_count_once_each(self) -> None:
        x = activate(NET, [Neuron(1, 0), Neuron(1, 2), Neuron(1, 2)]).x
        assert x is not None
        values = NET.values(x[None])["affine1"][0]
        value = activate(NET, {Neuron(1, 0): 1, Neuron(1, 2): 2}).value
        assert value == pytest.approx(values[0] + 2 * values[2])

    def test_a_final_rectifier_is_a_layer_too(self) -> None:
        net = random_network(3, 3, 4, 2, final_relu=True)
        post = activate(net, Neuron(2, 1, post=True))
        assert post.value == activate(net, Neuron("logits", 1)).value
        assert post.runtime_value == pytest.approx(post.value, rel=1e-5)
        before = activate(net, Neuron(2, 1))
        assert before.runtime_value is None
        assert post.value == pytest.approx(max(before.value or 0.0, 0.0), rel=2e-4)


def test_minimum_and_maximum_are_mirror_images() -> None:
    seen: list[Progress] = []
    least = activate(NET, LOGIT, maximise=False, on_progress=seen.append)
    most = activate(NET, {LOGIT: -1.0})
    assert least.value == pytest.approx(-(most.value or 0.0))
    assert least.bound <= least.value  # type: ignore[operator]
    last = seen[-1]
    assert (last.value, last.bound) == (least.value, least.bound)
    bounds = [now.bound for now in seen if np.isfinite(now.bound)]
    assert bounds == sorted(bounds)


@pytest.mark.parametrize("engine", [Columns(), Milp()])
def test_a_limit_keeps_both_ends(engine: Columns | Milp) -> None:
    answer = activate(WIDE, LOGIT, engine=engine, limits=Limits(0.3))
    assert answer.status is Status.FEASIBLE
    assert answer.value is not None
    assert answer.gap is not None
    assert answer.gap > 1e-4
    assert answer.value < answer.bound < np.inf
    points = Box(0, 1).sized(12).sample(np.random.default_rng(0), 10_000)
    assert WIDE(points)[:, 0].max() <= answer.value


def test_an_interruption_keeps_both_ends() -> None:
    def stop(now: Progress) -> None:
        if now.phase == "search":
            os.kill(os.getpid(), signal.SIGINT)

    answer = activate(WIDE, LOGIT, on_progress=stop)
    assert answer.status is Status.FEASIBLE
    assert "interrupted" in answer.note


@pytest.mark.slow
@pytest.mark.unchecked_shapes
def test_is_not_worse_than_a_thousand_ascents() -> None:
    net = dualbound.load("dnn1")
    for neuron in (Neuron(2, 3), Neuron(3, 1, post=True), Neuron("logits", 7)):
        answer = activate(net, neuron, limits=Limits(20))
        assert answer.value is not None
        assert answer.value >= best_by_ascent(net, neuron) - 1e-6


def best_by_ascent(net: Network, neuron: Neuron) -> float:
    """Projected gradient ascent in numpy, the gradient by hand."""
    weights = [node.op.weight for node in net.nodes if hasattr(node.op, "weight")]
    biases = [node.op.bias for node in net.nodes if hasattr(node.op, "bias")]
    last = len(weights) if neuron.layer == "logits" else int(neuron.layer)
    x = np.random.default_rng(1).random((1000, net.input_size))
    best = -np.inf
    for k in range(60):
        pre, value = [], x
        for weight, bias in zip(weights[:last], biases[:last], strict=True):
            pre.append(value @ weight.T + bias)
            value = np.maximum(pre[-1], 0)
        best = max(best, float((value if neuron.post else pre[-1])[:, neuron.index].max()))
        slope = np.zeros_like(pre[-1])
        slope[:, neuron.index] = 1.0
        for back in range(last - 1, -1, -1):
            slope = slope @ weights[back]
            if back:
                slope = slope * (pre[back - 1] > 0)
        x = np.clip(x + 0.2 * 0.95**k * np.sign(slope), 0, 1)
    return best


class TestLies:
    def solved(self, bound: float | None, stop: Stop = Stop.OPTIMAL) -> Activation:
        liar = Fake([Solution(stop, None, None, bound, None, 0, 0, 0.0, "scripted")])
        return activate(NET, {LOGIT: 1, Neuron(1, 0): 1}, engine=Milp(solver=liar))

    def test_a_bound_below_the_value_reached_is_fatal(self) -> None:
        with pytest.raises(SoundnessError, match="contradicts the proved bound"):
            self.solved(1e3)

    def test_so_is_the_claim_that_the_region_is_empty(self) -> None:
        with pytest.raises(SoundnessError, match="has no points"):
            self.solved(np.inf, Stop.INFEASIBLE)

    def test_a_bound_is_relaxed_by_what_a_solver_may_violate(self) -> None:
        first = self.solved(None)
        assert first.value is not None
        close = first.value + 1e-3
        answer = self.solved(-close)
        assert close + 1e-6 * (1 + close) < answer.bound < close + 1e-4

    def test_a_solver_that_gives_up_leaves_what_is_known(self) -> None:
        answer = self.solved(None, Stop.FAILED)
        assert answer.status is Status.FEASIBLE
        assert answer.bound < np.inf
        assert "fake gave up: scripted" in answer.note

    def test_a_file_that_answers_otherwise_takes_the_input_away(self) -> None:
        other = Source(write_onnx(random_network(5, 3, 4, 4, 2)))
        net = Network(NET.nodes, NET.input_shape, NET.output, other)
        answer = activate(net, LOGIT)
        assert (answer.status, answer.value, answer.x) == (Status.UNKNOWN, None, None)
        assert "failed its replay: an output by onnxruntime" in answer.note


class TestPhases:
    NET = Network.dense([[[1.0]], [[1.0]]], [[0.0], [0.0]])

    @pytest.mark.parametrize("formulation", ["bigm", "fischetti-jo"])
    @pytest.mark.parametrize(
        ("low", "high", "worth", "value"),
        [
            (0.0, 0.0, 1.0, 1.0),  # exactly 0 is both, and counts as suits
            (0.0, 0.0, -1.0, 0.0),
            (0.0, 1.0, 1.0, 1.0),
            (-1.0, 0.0, -1.0, 0.0),
            (-1.0, 1.0, 1.0, 1.0),
            (-1.0, 1.0, -1.0, 0.0),
            (0.5, 1.0, 1.0, 0.0),
            (-1.0, -0.5, -1.0, -1.0),
        ],
    )
    def test_of_one_neuron(
        self, low: float, high: float, worth: float, value: float, formulation: str
    ) -> None:
        answer = activate(
            self.NET,
            phases={Neuron(1, 0): worth},
            region=Box([low], [high]),
            engine=Milp(formulation=formulation),
        )
        assert (answer.status, answer.value) == (Status.OPTIMAL, value)
        assert answer.bound == pytest.approx(value, abs=1e-4)


def test_a_box_of_one_point() -> None:
    x = np.array([0.2, 0.5, 0.7])
    for neuron in (LOGIT, Neuron(2, 1), Neuron(2, 1, post=True)):
        answer = activate(NET, neuron, Box(x, x))
        assert answer.status is Status.OPTIMAL
        np.testing.assert_array_equal(answer.x, x)


@pytest.mark.parametrize("kind", [L0Ball, L1Ball])
def test_phases_over_a_ball_of_one_point(kind: type[L0Ball | L1Ball]) -> None:
    region = kind(np.array([0.3, 0.0]), 0.0, Box(0, 1).sized(2))
    net = Network.dense([[[1.0, 0.0], [-1.0, 0.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    answer = activate(net, phases=Neuron(1, 1), region=region)
    assert (answer.status, answer.value, answer.bound) == (Status.OPTIMAL, 1.0, 1.0)
