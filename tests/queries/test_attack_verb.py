"""``dualbound.attack``: what counts, what is refused, and what is kept."""

from __future__ import annotations

import signal
from typing import Any

import numpy as np
import pytest

import dualbound
from dualbound import Attacked, Box, Limits, Network
from dualbound.data import Dataset, load_dataset
from dualbound.errors import InvalidInput
from dualbound.network import replay
from dualbound.queries import Attacking


def digits(count: int = 20) -> Dataset:
    return load_dataset("sample", "test").subset(slice(count))


def attacked(**asked: Any) -> Attacked:
    return dualbound.attack(dualbound.load("dnn1"), digits(), **asked)


@pytest.mark.parametrize("method", ["fgsm", "pgd", "momentum", "virtual", "deepfool"])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_every_adversary_is_one(method: str, norm: str) -> None:
    """By numpy and by the network in float64, and onnxruntime agrees."""
    network, data = dualbound.load("dnn1"), digits()
    radii = {"linf": (0.02, 0.1), "l2": (0.3, 2.0), "l1": (1.0, 8.0)}[norm]
    found = dualbound.attack(network, data, method=method, eps=radii, norm=norm, batch=7)
    right = found.answers == data.labels
    assert found.count == 20
    assert found.clean == right.mean()
    assert [one.eps for one in found.at[:2]] == list(radii)
    for one in found.at:
        x, start = one.adversaries, data.values(one.turned)
        assert x.dtype == np.float32
        moved = (x.astype(float) - start.astype(float)).reshape(len(x), -1)
        far = {
            "linf": np.abs(moved).max(axis=1),
            "l2": np.sqrt((moved**2).sum(axis=1)),
            "l1": np.abs(moved).sum(axis=1),
        }
        assert np.all(far[norm] <= one.eps)
        assert np.all((x >= 0) & (x <= 1))
        assert np.all(right[one.turned])
        assert len(set(one.turned.tolist())) == len(one.turned)
        answers = network(x.astype(float)).argmax(axis=1) if len(x) else np.zeros(0)
        np.testing.assert_array_equal(answers, one.answers)
        assert np.all(answers != data.labels[one.turned])
        for name, lengths in one.distances.items():
            np.testing.assert_allclose(lengths, far[name])
        assert one.replayed == len(found.at[-1].turned if method == "deepfool" else x)
        if len(x):
            assert np.all(replay(network, x).outputs.argmax(axis=1) != data.labels[one.turned])
        assert one.accuracy == pytest.approx((right.sum() - len(x)) / 20)
        assert one.success == pytest.approx(len(x) / right.sum())
        assert np.all(found.nearest[one.turned] <= one.eps)
    assert np.all(found.nearest[~right] == 0)


def test_an_attack_for_the_nearest_gives_the_whole_curve() -> None:
    found = attacked(method="deepfool", eps=np.array([0.01, 0.05]))
    assert [one.eps for one in found.at] == [0.01, 0.05, np.inf]
    for one in found.at:
        assert found.accuracy(one.eps) == pytest.approx(one.accuracy)
    assert found.accuracy(0.0) == found.clean
    assert found.at[0].accuracy > found.at[1].accuracy


def test_larger_radii_turn_more() -> None:
    found = attacked(eps=(0.01, 0.03, 0.1), steps=10)
    accuracies = [one.accuracy for one in found.at]
    assert accuracies == sorted(accuracies, reverse=True)
    assert found.clean >= accuracies[0] > accuracies[-1]


def test_one_seed_gives_one_answer() -> None:
    one, same, other = (attacked(eps=0.02, steps=3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.at[0].adversaries, same.at[0].adversaries)
    assert not np.array_equal(one.at[0].adversaries, other.at[0].adversaries)


def test_masks_and_regions_are_kept() -> None:
    mask = np.zeros((28, 28), dtype=bool)
    mask[10:18] = True
    upper = np.where(np.arange(784) % 2, 1.0, 1.5)
    found = attacked(eps=0.3, method="fgsm", mask=mask, region=Box(np.zeros(784), upper))
    x, start = found.at[0].adversaries, digits().values(found.at[0].turned)
    assert len(x) > 0
    np.testing.assert_array_equal(x[:, 0, ~mask], start[:, 0, ~mask])
    assert x.reshape(len(x), -1)[:, ::2].max() > 1.0
    assert x.reshape(len(x), -1)[:, 1::2].max() <= 1.0


def test_ties_are_no_adversaries() -> None:
    """Both outputs are equal up to 0.5, and above that the first one is larger."""
    network = Network.dense([[[1.0], [1.0]], [[1.0, 1.0], [1.0, 0.0]]], [[0.0, -0.5], [0.0, 0.0]])
    x = np.linspace(0.6, 1, 8, dtype=np.float32)[:, None]
    data = Dataset("ties", "test", x, np.zeros(8, dtype=np.int64), ("a", "b"))
    for method in ("fgsm", "pgd", "deepfool"):
        found = dualbound.attack(network, data, method=method, eps=0.3)
        assert found.clean == 1.0
        assert all(one.accuracy == 1.0 for one in found.at)


def test_what_fails_its_replay_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    from dualbound.attacks import methods

    def liar(net: Any, x: Any, y: Any, *, seed: int = 0, **allowed: Any) -> Any:
        """Moves further than it may."""
        return methods.fgsm(net, x, y, **{**allowed, "eps": 0.2})

    monkeypatch.setitem(methods._OURS, "liar", liar)
    found = attacked(method="liar", eps=(0.01, 0.2))
    honest = attacked(method="fgsm", eps=0.2)
    assert len(found.at[0].turned) == 0
    assert found.at[0].refused == len(honest.at[0].turned)
    np.testing.assert_array_equal(found.at[1].turned, honest.at[0].turned)


def test_of_an_input_with_the_wrong_answer_nothing_is_asked() -> None:
    network = Network.dense([np.eye(2)], [np.zeros(2)])
    x = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
    wrong = Dataset("wrong", "test", x, np.array([1, 0]), ("a", "b"))
    found = dualbound.attack(network, wrong, eps=0.1)
    assert (found.clean, found.at[0].accuracy, found.at[0].success) == (0.0, 0.0, None)


def test_progress_is_told_batch_by_batch() -> None:
    seen: list[Attacking] = []
    found = attacked(eps=(0.01, 0.1), method="fgsm", batch=8, on_progress=seen.append)
    assert [now.done for now in seen] == [8, 16, 20]
    assert seen[-1].total == 20
    assert seen[-1].right == round(found.clean * 20)
    assert seen[-1].turned == {one.eps: len(one.turned) for one in found.at}


def test_ctrl_c_keeps_what_is_done() -> None:
    def stop(now: Attacking) -> None:
        if now.done == 8:
            signal.raise_signal(signal.SIGINT)

    found = attacked(eps=0.1, method="fgsm", batch=4, on_progress=stop)
    assert found.count == 8
    assert found.note == "interrupted after 8 of 20 inputs"
    whole = attacked(eps=0.1, method="fgsm", count=8, batch=4)
    np.testing.assert_array_equal(found.nearest, whole.nearest)


def test_a_limit_before_the_first_batch_is_too_short() -> None:
    with pytest.raises(InvalidInput, match="before the first batch"):
        attacked(limits=Limits(1e-9))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        pytest.param({"eps": -0.1}, "finite and at least 0", id="negative"),
        pytest.param({"eps": ()}, "one radius or several", id="none"),
        pytest.param({"eps": (0.1, 0.1)}, "names a radius twice: 0.1, 0.1", id="twice"),
        pytest.param({"eps": float("nan")}, "finite and at least 0", id="nan"),
        pytest.param({"eps": float("inf")}, "finite", id="infinite"),
        pytest.param({"norm": "l7"}, "pgd measures in", id="norm"),
        pytest.param({"method": "magic"}, "no attack 'magic'", id="method"),
        pytest.param({"method": "fgsm", "steps": 3}, "no option 'steps'", id="option"),
        pytest.param({"count": 0}, "count is 0", id="count"),
        pytest.param({"batch": 0}, "batch is 0", id="batch"),
        pytest.param({"region": Box(0.5, 1)}, "outside of their bounds", id="region"),
        pytest.param({"mask": np.ones(784)}, "784 values of float64", id="mask"),
        pytest.param({"mask": np.ones(9, dtype=bool)}, "9 values of bool", id="mask-size"),
        pytest.param({"device": "abacus"}, "no device 'abacus'", id="device"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        attacked(**asked)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param((2, (1, 2, 2), 3), r"\(1, 2, 2\); the network reads \(4, 1, 2\)", id="size"),
        pytest.param((2, (2, 4, 1), 3), r"shape \(2, 4, 1\); the network", id="order"),
        pytest.param((4, (4, 1, 2), 5), "labels up to 3; the network has 3 outputs", id="labels"),
    ],
)  # fmt: skip
def test_data_that_do_not_fit(data: tuple[int, tuple[int, ...], int], message: str) -> None:
    count, shape, classes = data
    network = Network.dense([np.ones((3, 8))], [[1.0, 0.0, 0.0]], input_shape=(4, 1, 2))
    x = np.zeros((count, *shape), dtype=np.float32)
    names = tuple(f"c{k}" for k in range(classes))
    with pytest.raises(InvalidInput, match=message):
        dualbound.attack(network, Dataset("odd", "test", x, np.arange(count), names))


def test_axes_of_length_one_do_not_count() -> None:
    network = Network.dense([np.ones((3, 8))], [[1.0, 0.0, 0.0]], input_shape=(4, 1, 2))
    for shape in ((4, 2), (1, 4, 2), (8,), (4, 1, 2)):
        x = np.zeros((2, *shape), dtype=np.float32)
        found = dualbound.attack(
            network, Dataset("flat", "test", x, np.zeros(2, dtype=int), ("a", "b", "c")), eps=0.1
        )
        assert found.clean == 1.0
