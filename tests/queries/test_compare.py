"""Networks side by side: margins against every activation pattern, and what is made of them."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from brute_force import Allowed, Combination, Tiny, random_tiny
from dualbound import Box, Dataset, Limits, Network, compare
from dualbound.errors import InvalidInput
from dualbound.queries import Compared, Comparing, Margin, Side
from dualbound.queries.compare import smallest_margin

VALUE = 2e-6


def network_of(tiny: Tiny) -> Network:
    return Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu)


def least_margin(tiny: Tiny, box: Box, label: int, target: int) -> float:
    """By a linear program on every activation pattern."""
    none = [np.zeros(len(bias)) for bias in tiny.biases]
    last = np.zeros(tiny.outputs)
    last[label], last[target] = -1.0, 1.0
    outputs = [*none[:-1], last]
    wanted = Combination(
        inputs=np.zeros(tiny.inputs),
        pre=none if tiny.final_relu else outputs,
        post=outputs if tiny.final_relu else none,
        phases=none,
        slacks=none,
    )
    return -wanted.greatest(tiny, Allowed(box.lower, box.upper))


def around(x: np.ndarray, eps: float) -> Box:
    return Box(np.maximum(x - eps, 0.0), np.minimum(x + eps, 1.0))


@pytest.mark.parametrize("seed", range(30))
def test_a_margin_is_the_least_of_all_activation_patterns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tiny = random_tiny(rng)
    x, eps = rng.random(tiny.inputs), float(rng.choice([0.02, 0.1, 0.4]))
    label = int(np.argmax(tiny(x)))
    target = (label + 1) % tiny.outputs
    truth = least_margin(tiny, around(x, eps), label, target)
    found = smallest_margin(network_of(tiny), x, label, target, eps, gap=1e-6, index=7)
    assert (found.index, found.label, found.target) == (7, label, target)
    assert found.value == pytest.approx(truth, abs=VALUE, rel=VALUE)
    assert found.bound <= truth + VALUE
    assert found.bound <= (found.value or 0.0)
    decided = smallest_margin(network_of(tiny), x, label, target, eps, gap=None)
    assert decided.value is not None
    assert decided.bound <= truth + VALUE
    assert decided.value >= truth - VALUE
    if abs(truth) > VALUE:
        assert decided.decided
        assert decided.found == (truth < 0)


@pytest.mark.parametrize("seed", range(40, 52))
@pytest.mark.unchecked_shapes
def test_an_adversary_is_in_the_box_and_turns_the_label(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tiny = random_tiny(rng)
    x, eps = rng.random(tiny.inputs), 0.4
    label = int(np.argmax(tiny(x)))
    target = (label + 1) % tiny.outputs
    found = smallest_margin(network_of(tiny), x, label, target, eps)
    truth = least_margin(tiny, around(x, eps), label, target)
    if abs(truth) > VALUE:
        assert found.found == (truth < 0)
        assert found.decided
    assert (found.x is not None) == found.found
    if found.x is not None:
        box = around(x, eps)
        assert np.all((box.lower <= found.x) & (found.x <= box.upper))
        outputs = tiny(found.x)
        assert outputs[target] > outputs[label]
        assert outputs[label] - outputs[target] == pytest.approx(found.value, abs=VALUE)


@pytest.mark.unchecked_shapes
@pytest.mark.parametrize("shift", [0.004, -0.004])
def test_a_wide_gap_is_narrowed_where_0_lies_within_it(shift: float) -> None:
    """The least margin is ±0.004, and 0.1 counts as proved: that alone would decide nothing."""
    rng = np.random.default_rng(5)
    tiny = Tiny([rng.normal(size=(5, 3)), rng.normal(size=(2, 5))], [np.zeros(5), np.zeros(2)])
    x, eps = np.full(3, 0.5), 0.3
    truth = least_margin(tiny, around(x, eps), 0, 1)
    moved = replace(tiny, biases=[np.zeros(5), np.array([shift - truth, 0.0])])
    found = smallest_margin(network_of(moved), x, 0, 1, eps, gap=0.1)
    assert found.decided
    assert found.found == (shift < 0)


def test_what_is_decided() -> None:
    def margin(value: float | None, bound: float) -> Margin:
        return Margin(0, 0, 1, value, bound, None, 0.1)

    assert margin(-0.1, -0.2).found
    assert margin(-0.1, -0.2).decided
    assert margin(0.2, 0.0).decided
    assert margin(None, 0.1).decided
    for undecided in (margin(0.1, -0.2), margin(None, -1.0)):
        assert not undecided.found
        assert not undecided.decided


def test_shares_and_matrices() -> None:
    margins = (
        Margin(4, 0, 1, -0.1, -0.1, np.zeros(2), 0.1),
        Margin(4, 0, 2, 0.3, 0.2, None, 0.1),
        Margin(6, 1, 0, 0.3, -0.2, None, 0.1),
        Margin(6, 1, 2, 0.3, 0.2, None, 0.1),
        Margin(9, 2, 1, 0.3, 0.2, None, 0.1),
        Margin(9, 2, 0, 0.3, 0.2, None, 0.1),
    )
    side = Side("net", 0.5, 10, margins, ())
    assert side.open == 1
    assert side.robust((4, 6, 9), 3) == (1 / 3, 2 / 3)
    stopped = replace(side, margins=margins[:-1])
    assert stopped.robust((4, 6, 9), 3) == (0, 2 / 3)
    assert stopped.robust((4, 6, 9, 10), 3) == (0, 3 / 4)
    assert side.matrix(3).tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert side.asked(3).tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    assert Side("net", 0.5, 10, (), ()).robust((), 3) is None


@pytest.fixture(scope="module")
def networks() -> dict[str, Network]:
    """Two that differ a little."""
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=(6, 3)), rng.normal(size=(3, 6))]
    biases = [rng.normal(size=6) * 0.1, np.array([-0.3, 0.4, 0.1])]
    return {
        name: Network.dense([one + rng.normal(size=one.shape) * 0.15 for one in weights], biases)
        for name in "ab"
    }


@pytest.fixture(scope="module")
def data(networks: dict[str, Network]) -> Dataset:
    """Labels of the first network, some of which the others do not give."""
    x = np.random.default_rng(0).random((200, 3)).astype(np.float32)
    labels = networks["a"](x).argmax(axis=1)
    return Dataset("toy", "test", x, labels, ("red", "green", "blue"))


ASK: dict[str, Any] = {"eps": 0.25, "count": 3, "distances": 1}


@pytest.fixture(scope="module")
def found(networks: dict[str, Network], data: Dataset) -> Compared:
    return compare(networks, data, **ASK)


def figures(found: Compared) -> list[list[tuple[object, ...]]]:
    """All answers without their seconds."""
    return [
        [(m.index, m.label, m.target, m.value, m.bound) for m in side.margins]
        + [(d.index, d.value, d.bound, d.decided) for d in side.distances]
        for side in found.sides
    ]


def test_the_first_images_that_all_answer_right(
    found: Compared, networks: dict[str, Network], data: Dataset
) -> None:
    x = data.values()
    right = [
        k for k in range(len(data))
        if all(int(np.argmax(net(x[k]))) == data.labels[k] for net in networks.values())
    ]  # fmt: skip
    assert found.images == tuple(right[:3])
    assert found.classes == 3
    assert found.note == ""
    for side, network in zip(found.sides, networks.values(), strict=True):
        expected = np.mean(
            [int(np.argmax(network(one))) == y for one, y in zip(x, data.labels, strict=True)]
        )
        assert side.accuracy == pytest.approx(expected)
        assert side.parameters == 6 * 3 + 6 + 3 * 6 + 3
        assert [(m.index, m.target) for m in side.margins] == [
            (k, t) for k in right[:3] for t in range(3) if t != data.labels[k]
        ]
        assert side.open == 0
        assert [one.index for one in side.distances] == right[:1]


def test_the_nearest_adversary_is_within_the_radius_if_there_is_one(found: Compared) -> None:
    for side in found.sides:
        for one in side.distances:
            turned = any(m.found for m in side.margins if m.index == one.index)
            assert one.decided
            assert one.value is None or (one.value < found.eps) == turned
            assert one.value is None or one.bound <= one.value


def test_transfer(found: Compared, networks: dict[str, Network]) -> None:
    names = [side.name for side in found.sides]
    assert names == list(networks)
    assert any(side.adversaries for side in found.sides)
    for column, side in enumerate(found.sides):
        for row, name in enumerate(names):
            answers = [
                int(np.argmax(networks[name](one.x))) == one.label
                for one in side.margins if one.x is not None
            ]  # fmt: skip
            if answers:
                assert found.transfer[row, column] == pytest.approx(np.mean(answers))
            else:
                assert np.isnan(found.transfer[row, column])
        if side.adversaries:
            assert found.transfer[column, column] == 0


@pytest.mark.unchecked_shapes
@pytest.mark.slow
def test_two_processes_answer_the_same(
    found: Compared, networks: dict[str, Network], data: Dataset
) -> None:
    shared = compare(networks, data, **ASK, processes=2)
    assert figures(shared) == figures(found)
    np.testing.assert_array_equal(shared.transfer, found.transfer)


@pytest.mark.unchecked_shapes
def test_ctrl_c_keeps_what_is_done(
    found: Compared, networks: dict[str, Network], data: Dataset
) -> None:
    def stop(now: Comparing) -> None:
        if now.done == 4:
            signal.raise_signal(signal.SIGINT)

    stopped = compare(networks, data, **ASK, on_progress=stop)
    done = figures(stopped)
    assert sum(map(len, done)) == 4
    assert stopped.note.startswith("interrupted: ")
    first = found.images[0]
    assert {line[0] for side in done for line in side} == {first}
    for side, whole in zip(done, figures(found), strict=True):
        assert all(line in whole for line in side)


def test_a_time_limit_stops(networks: dict[str, Network], data: Dataset) -> None:
    stopped = compare(networks, data, **ASK, limits=Limits(1e-6))
    assert stopped.note.startswith("the time was over: ")
    assert [side.margins for side in stopped.sides] == [(), ()]
    assert np.isnan(stopped.transfer).all()


@pytest.mark.unchecked_shapes
def test_progress(networks: dict[str, Network], data: Dataset) -> None:
    seen: list[tuple[int, int]] = []
    found = compare(
        networks,
        data,
        eps=0.15,
        count=1,
        on_progress=lambda now: seen.append((now.done, now.total)),
    )
    assert seen == [(k, 4) for k in range(1, 5)]
    assert len(found.images) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"eps": 0.0}, "radius eps must be above 0", id="eps"),
        pytest.param({"eps": 1.5}, "at most 1", id="wide"),
        pytest.param({"count": 0}, "at least one image", id="count"),
        pytest.param({"distances": -1}, "at least one image", id="distances"),
        pytest.param({"gap": -0.1}, "gap must be", id="gap"),
        pytest.param({"seconds": 0.0}, "time limit must be greater", id="seconds"),
    ],
)
def test_mistakes(
    networks: dict[str, Network], data: Dataset, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        compare(networks, data, **{"eps": 0.1, **options})


def test_networks_and_data_that_do_not_fit(networks: dict[str, Network], data: Dataset) -> None:
    flat = Network.dense([[[1.0, 0.0], [0.0, 1.0]]], [[0.0, 0.0]])
    with pytest.raises(InvalidInput, match="flat reads 2 numbers and has 2 outputs; toy has"):
        compare({**networks, "flat": flat}, data, eps=0.1)
    with pytest.raises(InvalidInput, match="no network"):
        compare({}, data, eps=0.1)
    with pytest.raises(InvalidInput, match=r"values from .* to 2"):
        compare(networks, replace(data, inputs=data.inputs * 0 + np.float32(2)), eps=0.1)
    wrong = replace(data, labels=(data.labels + 1) % 3)
    with pytest.raises(
        InvalidInput, match=r"None of the 200 inputs of toy is answered right by a\.$"
    ):
        compare({"a": networks["a"]}, wrong, eps=0.1)
    with pytest.raises(InvalidInput, match="over itself"):
        smallest_margin(networks["a"], np.zeros(3), 1, 1, 0.1)
