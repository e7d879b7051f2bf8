"""Balls from small to large, before the one that is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dualbound import Columns, Status, Targeted, load, load_image, nearest


@pytest.fixture(name="grown")
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float, bool]]:
    """Of every tree: its radius, what is known before it, and whether it proved its ball empty."""
    from dualbound.search.shrinking_ball import ShrinkingBall

    heard = []
    grow = ShrinkingBall._grow

    def listening(self: ShrinkingBall, radius: float, *others: Any, **more: Any) -> Any:
        before = self._known
        found = grow(self, radius, *others, **more)
        heard.append((radius, before, found[1]))
        return found

    monkeypatch.setattr(ShrinkingBall, "_grow", listening)
    return heard


@pytest.mark.parametrize("dearer", [2.0, 16.0, 1e9])
def test_they_grow_and_raise_the_bound(
    dearer: float, grown: list[tuple[float, float, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dualbound.search.shrinking_ball.PATIENCE", 1)
    monkeypatch.setattr("dualbound.search.shrinking_ball.DEARER", dearer)
    network, image = load("dnn2"), load_image("sample:0").pixels
    answer = nearest(network, image, Targeted(2, ratio=1.2), engine=Columns(threads=1))
    assert answer.status is Status.OPTIMAL
    first, *balls, last = grown
    assert not first[2]
    assert last[2]
    assert last[0] >= answer.value * (1 - 1e-3)
    assert all(proved for _, _, proved in balls)
    radii, known = np.array([ball[0] for ball in balls]), np.array([ball[1] for ball in balls])
    assert (radii > known).all()  # each is larger than what is known
    assert (known[1:] >= radii[:-1]).all()  # which is what the one before has proved
    assert (radii < answer.value).all()
    if dearer == 2.0:
        assert len(balls) > 5
    if dearer == 1e9:
        assert len(balls) <= 1


def test_after_the_attack_has_found_a_witness_the_tree_is_planted_in_its_ball(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dualbound.search.engine import NearestRun
    from dualbound.search.shrinking_ball import ShrinkingBall

    monkeypatch.setattr("dualbound.search.shrinking_ball.PATIENCE", 1)
    monkeypatch.setattr("dualbound.search.shrinking_ball.DOUBT", 1)
    monkeypatch.setattr(NearestRun, "start", lambda self, **_: None)
    monkeypatch.setattr(ShrinkingBall, "_exclude_smaller_balls", lambda *_: None)
    better, grow = ShrinkingBall._is_better, ShrinkingBall._grow
    rooms = []

    def blind(self: ShrinkingBall, move: Any, *, sparingly: bool) -> bool:
        """Sees no witness before the attack."""
        return self.incumbent.x is not None and better(self, move, sparingly=sparingly)

    def listening(self: ShrinkingBall, *others: Any, **more: Any) -> Any:
        found = grow(self, *others, **more)
        rooms.append(found[0].room.budget)
        return found

    monkeypatch.setattr(ShrinkingBall, "_is_better", blind)
    monkeypatch.setattr(ShrinkingBall, "_grow", listening)
    network, image = load("dnn2"), load_image("sample:0").pixels
    answer = nearest(network, image, Targeted(2, ratio=1.2), engine=Columns(threads=1))
    assert answer.status is Status.OPTIMAL
    assert answer.value == pytest.approx(6.301488, abs=1e-4)
    assert rooms[0] > 100  # the whole box
    assert rooms[-1] < 7


def test_without_a_witness_they_come_all_the_same(
    grown: list[tuple[float, float, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one of them finds it."""
    from dualbound.search.shrinking_ball import ShrinkingBall

    monkeypatch.setattr("dualbound.search.shrinking_ball.PATIENCE", 1)
    monkeypatch.setattr("dualbound.search.shrinking_ball.DOUBT", 1)
    better = ShrinkingBall._is_better

    def blind(self: ShrinkingBall, move: Any, *, sparingly: bool) -> bool:
        """Sees no witness in the first tree."""
        return len(grown) > 0 and better(self, move, sparingly=sparingly)

    monkeypatch.setattr(ShrinkingBall, "_is_better", blind)
    network, image = load("dnn2"), load_image("sample:0").pixels
    engine = Columns(attack=None, threads=1)
    answer = nearest(network, image, Targeted(2, ratio=1.2), engine=engine)
    assert answer.status is Status.OPTIMAL
    assert answer.value == pytest.approx(6.301488, abs=1e-4)
    assert len(grown) > 3
