"""The closest point of a pattern in L1: the same by our own method and by a solver."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dualbound import Highs, Network, Targeted
from dualbound.errors import SolverFailed
from dualbound.limits import Clock
from dualbound.network.patterns import pattern_at
from dualbound.patterns import NearestProblem, PatternOptimum, closest_on_pattern
from dualbound.region import L1, Box


def problem_of(seed: int) -> NearestProblem:
    rng = np.random.default_rng(seed)
    sizes = [int(rng.integers(2, 30)), *rng.integers(2, 8, rng.integers(1, 4)), 3]
    weights = [rng.normal(size=(m, n)) for n, m in itertools.pairwise(sizes)]
    net = Network.dense(weights, [rng.normal(size=len(w)) / 3 for w in weights])
    center = rng.random(sizes[0])
    box = Box(0, 1).sized(sizes[0]).within(center, cap=float(rng.choice([0.2, 1.0])))
    target = int(np.argsort(net(center))[-2])
    prices = None if rng.random() < 0.5 else rng.random(sizes[0]) + 0.1
    return NearestProblem(net, center, Targeted(target, margin=0.01), L1(prices), box)


def both(
    problem: NearestProblem, x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> tuple[PatternOptimum | None, PatternOptimum | None]:
    def closest() -> PatternOptimum | None:
        pattern = pattern_at(problem.network, x)
        return closest_on_pattern(problem, pattern, Highs(), Clock(), inside=0.0)

    def fails(*_: object, **__: object) -> None:
        raise SolverFailed("for the test")

    ours = closest()
    monkeypatch.setattr("dualbound.phases.cheapest.cheapest_moves", fails)
    return ours, closest()


@pytest.mark.parametrize("seed", range(60))
def test_both_find_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_of(seed)
    x = problem.box.sample(np.random.default_rng(seed), 1)[0]
    ours, theirs = both(problem, x, monkeypatch)
    assert (ours is None) == (theirs is None)
    if ours is not None and theirs is not None:
        assert ours.distance == pytest.approx(theirs.distance, rel=1e-6, abs=1e-6)
        assert problem.box.violation(ours.x[None])[0] == 0
        slack = problem.criterion.slack(problem.network(ours.x))
        assert float(slack) >= -1e-6


def test_some_of_these_are_found_and_some_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = 0
    for seed in range(60):
        problem = problem_of(seed)
        x = problem.box.sample(np.random.default_rng(seed), 1)[0]
        pattern = pattern_at(problem.network, x)
        found += closest_on_pattern(problem, pattern, Highs(), Clock()) is not None
    assert 10 < found < 50
