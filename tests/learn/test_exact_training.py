"""Training with the nearest adversaries: what they are, and what becomes of them."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dualbound.data import Dataset
from dualbound.errors import InvalidInput
from dualbound.learn import Recipe, Step, Trained, exact, train
from dualbound.learn.exact import Adversary, Exact, adversaries, stacked
from dualbound.limits import Clock
from dualbound.network import Network
from learn.toys import rows, same

ARCHITECTURE = "4-6-3"
RECIPE = Recipe(epochs=3, batch=1, rate=0.02)
DATA = rows(6, apart=0.5)


pytestmark = pytest.mark.unchecked_shapes


def network_of(module: nn.Module) -> Network:
    dense = [layer for layer in module if isinstance(layer, nn.Linear)]
    return Network.dense(
        [layer.weight.detach().double().numpy() for layer in dense],
        [layer.bias.detach().double().numpy() for layer in dense],
    )


@pytest.fixture(scope="module")
def network() -> Network:
    return network_of(train(ARCHITECTURE, DATA, replace(RECIPE, epochs=40)).module)


@pytest.fixture(scope="module")
def nearest_ones(network: Network) -> list[Adversary]:
    return list(adversaries(network, DATA.values(), DATA.labels))


def label(network: Network, x: np.ndarray) -> np.ndarray:
    return network(x.reshape(len(x), -1)).argmax(axis=1)


def naive(network: Network, x: np.ndarray, own: int, norm: str, tries: int = 20_000) -> float:
    """The nearest of many points at random, drawn nearer as far as they stay adversaries."""
    random = np.random.default_rng(0)
    found = random.random((tries, len(x)))
    found = found[label(network, found) != own]
    low, high = np.zeros(len(found)), np.ones(len(found))
    for _ in range(20):
        middle = (low + high) / 2
        there = label(network, x + middle[:, None] * (found - x)) != own
        low, high = np.where(there, low, middle), np.where(there, middle, high)
    change = np.abs(high[:, None] * (found - x))
    return float((change.sum(axis=1) if norm == "l1" else change.max(axis=1)).min())


class TestAdversaries:
    @pytest.mark.parametrize("norm", ["l1", "linf"])
    def test_are_answered_otherwise_and_nothing_naive_is_nearer(
        self, network: Network, nearest_ones: list[Adversary], norm: str
    ) -> None:
        x, y = DATA.values(), DATA.labels
        found = nearest_ones if norm == "l1" else list(adversaries(network, x, y, norm=norm))
        right = np.flatnonzero(label(network, x) == y)
        assert [one.index for one in found] == right.tolist()
        assert len(found) > 4
        for one in found:
            assert one.x is not None
            assert one.value is not None
            assert one.x.shape == (4,)
            assert 0 <= one.x.min() <= one.x.max() <= 1
            assert label(network, one.x[None])[0] != y[one.index]
            moved = np.abs(one.x - x[one.index])
            assert (moved.sum() if norm == "l1" else moved.max()) == pytest.approx(one.value)
            assert one.proved
            assert one.bound <= one.value <= one.bound * 1.001
            assert one.bound <= naive(network, x[one.index], int(y[one.index]), norm)

    def test_go_where_they_are_sent(self, network: Network, nearest_ones: list[Adversary]) -> None:
        partners = (1, 2, 0)
        criterion = Exact(partners=partners).criterion
        x, y = DATA.values(), DATA.labels
        everywhere = {one.index: one for one in nearest_ones}
        sent = list(adversaries(network, x, y, criterion_of=criterion))
        assert len(sent) == len(everywhere)
        for one in sent:
            assert one.x is not None
            assert label(network, one.x[None])[0] == partners[y[one.index]]
            assert one.value >= everywhere[one.index].bound

    def test_that_there_are_none_of_within_a_cap_are_proved_to_be_none(
        self, network: Network
    ) -> None:
        found = list(adversaries(network, DATA.values(), DATA.labels, cap=1e-4))
        assert found
        assert all(one.x is None and one.value is None and one.proved for one in found)
        assert stacked(found, DATA.labels) is None

    def test_within_a_cap_move_no_further(self, network: Network) -> None:
        x = DATA.values()
        found = [one for one in adversaries(network, x, DATA.labels, cap=0.3) if one.x is not None]
        assert found
        for one in found:
            assert one.x is not None
            assert np.abs(one.x - x[one.index]).max() <= 0.3 + 1e-9

    @pytest.mark.slow
    def test_of_two_processes_are_those_of_one(
        self, network: Network, nearest_ones: list[Adversary]
    ) -> None:
        two = list(adversaries(network, DATA.values(), DATA.labels, processes=2))
        assert [a.index for a in nearest_ones] == [a.index for a in two]
        for a, b in zip(nearest_ones, two, strict=True):
            assert a.x == pytest.approx(b.x, abs=1e-9)
            assert (a.value, a.bound) == pytest.approx((b.value, b.bound), abs=1e-9)

    @pytest.mark.parametrize("processes", [1, 2])
    def test_end_when_the_clock_says_so(self, network: Network, processes: int) -> None:
        clock = Clock()
        clock.interrupt()
        x, y = DATA.values(), DATA.labels
        assert list(adversaries(network, x, y, processes=processes, clock=clock)) == []

    def test_are_stacked_with_the_labels_that_they_should_have(self) -> None:
        found = [
            Adversary(1, np.full(4, 0.25), 1.0, 1.0, True, 0.0),
            Adversary(2, None, None, np.inf, True, 0.0),
            Adversary(3, np.full(4, 0.5), 1.0, 0.5, False, 0.0),
        ]
        x, y = stacked(found, np.array([5, 6, 7, 8]))
        assert x.dtype == np.float32
        assert x.tolist() == [[0.25] * 4, [0.5] * 4]
        assert y.tolist() == [6, 8]


def taught(method: Exact, data: Dataset = DATA, folder: Path | None = None) -> Trained:
    return train(ARCHITECTURE, data, RECIPE, method=method, folder=folder)


@pytest.fixture
def _read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of dense layers without the second that torch takes to export one."""
    monkeypatch.setattr(exact, "load", lambda module, input_shape: network_of(module))


@pytest.mark.usefixtures("_read_at_once")
class TestTraining:
    def test_sees_them_for_one_epoch_with_the_right_label(self) -> None:
        told: list[tuple[int, list[Adversary]]] = []
        seen: dict[int, set[tuple[object, ...]]] = {}

        class Spy(Exact):
            def loss(self, step: Step) -> tuple[torch.Tensor, torch.Tensor]:
                pairs = zip(step.x.tolist(), step.y.tolist(), strict=True)
                seen.setdefault(int(step.epoch), set()).update((*x, y) for x, y in pairs)
                return super().loss(step)

        found = taught(Spy(after=(1,), on_found=lambda epoch, all_: told.append((epoch, all_))))
        [(epoch, those)] = told
        with_x = [one for one in those if one.x is not None]
        assert epoch == 1
        assert [one.added for one in found.history] == [0, len(with_x), 0]
        assert with_x
        own = {(*x, y) for x, y in zip(DATA.values().tolist(), DATA.labels.tolist(), strict=True)}
        shown = {
            (*one.x.astype(np.float32).tolist(), int(DATA.labels[one.index])) for one in with_x
        }
        assert seen == {0: own, 1: own | shown, 2: own}

    def test_makes_them_after_every_epoch_of_those_asked_for(self) -> None:
        always = [one.added for one in taught(Exact(count=2)).history]
        assert always[0] == 0
        assert all(0 <= added <= 2 for added in always)
        assert any(always)
        assert [one.added for one in taught(Exact(after=())).history] == [0] * 3

    def test_without_them_is_plain(self) -> None:
        assert same(taught(Exact(after=())).module, train(ARCHITECTURE, DATA, RECIPE).module)

    def test_goes_on_with_those_that_it_had(self, tmp_path: Path) -> None:
        """Stopped in the epoch that sees them, which does not make them again."""
        made: list[int] = []

        class Stopping(Exact):
            def loss(self, step: Step) -> tuple[torch.Tensor, torch.Tensor]:
                if made and step.epoch > 1.3 and not stopped:
                    stopped.append(True)
                    os.kill(os.getpid(), signal.SIGINT)
                return super().loss(step)

        stopped: list[bool] = []
        method = Stopping(
            after=(1,), count=3, on_found=lambda epoch, found: made.append(len(found))
        )
        first = taught(method, folder=tmp_path)
        assert (first.finished, len(first.history)) == (False, 1)
        second = taught(method, folder=tmp_path)
        assert len(made) == 1
        stopped.append(True)
        assert same(second.module, taught(method).module)


def test_pictures_in_bytes_are_shown_with_theirs_as_floats() -> None:
    data = replace(DATA, inputs=(DATA.inputs.reshape(6, 1, 2, 2) * 255).astype(np.uint8))
    found = train("4-6-3", data, Recipe(epochs=2, batch=6), method=Exact(count=3))
    assert found.history[1].added > 0


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"count": 0}, "count is 0; expected 1 or more"),
            ({"cap": -0.1}, "cap is -0.1; expected 0 or more"),
            ({"cap": float("nan")}, "cap is nan; expected 0 or more"),
            ({"processes": 0}, "processes is 0; expected 1 or more"),
            ({"gap": 1.0}, "gap is 1.0; expected 0 to below 1"),
            ({"seconds": 0.0}, "time limit must be greater than 0"),
            ({"norm": "l7"}, "Unknown norm 'l7'"),
            ({"ratio": 1.0}, "above 1, found 1"),
        ],
    )
    def test_at_once(self, options: dict[str, object], message: str) -> None:
        with pytest.raises(InvalidInput, match=message):
            Exact(**options)

    @pytest.mark.parametrize(
        ("partners", "message"),
        [
            ((1, 0), "nothing of where label 2 shall go"),
            ((1, 1, 0), "nothing of where label 1 shall go"),
            ((1, 2, 3), "sends label 2 to 3; expected one of the labels 0 to 2"),
        ],
    )
    def test_before_anything_is_learned(self, partners: tuple[int, ...], message: str) -> None:
        with pytest.raises(InvalidInput, match=message):
            train(ARCHITECTURE, DATA, RECIPE, method=Exact(partners=partners, after=(2,)))
