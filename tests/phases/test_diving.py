"""Dives: what they close is closed, what they find is there."""

from __future__ import annotations

import numpy as np
import pytest

from dualbound.limits import Clock
from dualbound.phases import diving
from dualbound.phases.relaxation import Dived, Relaxation
from dualbound.phases.tree import PhaseTree
from dualbound.region import L0Ball
from phases.random_chains import Case, true_maximum


def dived(case: Case, least: float) -> Dived:
    """A dive from the whole room, for as long as it takes."""
    relaxation = Relaxation(case.chain, case.room, least)
    start = relaxation.solve(case.low, case.high)
    won, samples = np.zeros((case.chain.hidden, 2)), np.zeros((case.chain.hidden, 2))
    return relaxation.dive(case.low, case.high, start, least, won, samples, Clock())


@pytest.mark.parametrize("seed", range(100))
def test_a_dive_closes_a_node_just_where_nothing_is_left_of_it(seed: int) -> None:
    case = Case(seed)
    open_ = int(((case.low < 0) & (case.high > 0)).sum())
    truth = true_maximum(case)
    for above in (1e-4, 0.1, 1.0):
        assert dived(case, truth + above).closed or not open_
    for below in (1e-5, 0.1, 1.0):
        found = dived(case, truth - below)
        assert not found.closed
        if found.move is not None and not isinstance(case.region, L0Ball):
            x = case.reference + found.move
            assert float(case.region.violation(x[None])[0]) <= 1e-6
            assert (case.rows @ case.network(x) - case.sides).min() >= truth - below - 1e-6


@pytest.mark.parametrize("seed", range(60))
def test_a_dive_finds_a_point_where_there_are_many(seed: int) -> None:
    case = Case(seed)
    if isinstance(case.region, L0Ball):  # of which the room is only the convex hull
        return
    found = dived(case, float(np.quantile(case.points()[1], 0.5)) - 1e-6)
    assert found.move is not None


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("seed", range(20))
def test_a_tree_proves_the_same_without_dives(seed: int, threads: int) -> None:
    case = Case(seed)
    truth = true_maximum(case)
    for least, proved in ((truth + 1e-6, True), (truth - 1e-3, False)):
        tree = PhaseTree(case.chain, case.room, Clock(), least=least, dives=False, threads=threads)
        assert tree.run() is proved


@pytest.mark.unchecked_shapes
def test_a_dive_that_seems_to_take_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(c for c in map(Case, range(100)) if ((c.low < 0) & (c.high > 0)).sum() > 5)
    truth = true_maximum(case)
    monkeypatch.setattr(diving, "BUDGET", 0)
    monkeypatch.setattr(diving, "AT_ONCE", 1)
    assert not dived(case, truth + 1e-9).closed
    tree = PhaseTree(case.chain, case.room, Clock(), least=truth + 1e-6)
    assert tree.run()


def test_an_estimate_is_by_the_part_that_is_done() -> None:
    state = diving.dive_from(np.zeros(3), np.zeros(3), np.zeros((3, 2)), np.zeros((3, 2)))
    assert state.estimate() == np.inf
    state.counts[:] = 3, 30
    state.last[:] = True, False, True  # a half, and an eighth of the other
    assert state.estimate() == 30 / 0.625
