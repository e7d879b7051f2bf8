"""Bounds where goals are reached, against sampled points and the truth of tiny chains."""

from __future__ import annotations

import time

import numpy as np
import pytest

from dualbound.limits import Clock, Limits
from dualbound.phases.chain import Chain
from dualbound.phases.narrowing import Narrowing, carrying
from dualbound.phases.tree import PhaseTree
from phases.random_chains import Case, true_maximum


def smallest_goals(chain: Chain, moves: np.ndarray) -> np.ndarray:
    last = len(chain.sizes) - 1
    found = []
    for move in moves:
        values = np.maximum(chain.values(move)[chain.layer(last - 1)], 0.0)
        found.append((chain.weight(last) @ values + chain.bias[chain.layer(last)]).min())
    return np.array(found)


@pytest.mark.parametrize("seed", range(30))
def test_a_carried_neuron_is_the_smallest_goal_where_the_goals_are_reached(seed: int) -> None:
    case = Case(seed)
    moves = case.region.sample(case.rng, 300) - case.reference
    neurons = np.array([case.chain.values(move) for move in moves])
    goals = smallest_goals(case.chain, moves)
    least, most = float(np.quantile(goals, 0.6)), float(goals.max()) + 0.5
    for at in range(case.chain.hidden):
        for side in (1, -1):
            chain, low, high = carrying(case.chain, case.low, case.high, at, side, least, most)
            carried = smallest_goals(chain, moves)
            reached = goals >= least
            np.testing.assert_allclose(carried[reached], side * neurons[reached, at], atol=1e-9)
            assert np.all(carried <= side * neurons[:, at] + 1e-9)
            values = np.array([chain.values(move) for move in moves])
            assert np.all(values >= low - 1e-9)
            assert np.all(values <= high + 1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_narrowed_bounds_hold_wherever_the_goals_do(seed: int) -> None:
    case = Case(seed)
    moves = case.region.sample(case.rng, 3000) - case.reference
    neurons = np.array([case.chain.values(move) for move in moves])
    goals = smallest_goals(case.chain, moves)
    best, most = int(goals.argmax()), float(goals.max()) + 1.0
    for part, threads in ((0.5, 1), (0.9, 3), (1.0, 1)):
        least = float(np.quantile(goals, part))
        inside = goals >= least
        found = Narrowing(case.chain, case.room, case.low, case.high, Clock(), threads=threads)
        for _ in range(2):
            before = found.low.copy(), found.high.copy()
            found.narrow(least, most, moves[best], 9)
            assert np.all(found.low >= before[0])
            assert np.all(found.high <= before[1])
            assert np.all(neurons[inside] >= found.low)
            assert np.all(neurons[inside] <= found.high)


@pytest.mark.parametrize("seed", range(30))
def test_a_tree_within_narrowed_bounds_proves_what_is_true_and_no_more(seed: int) -> None:
    case = Case(seed)
    truth = true_maximum(case)
    goals = smallest_goals(case.chain, case.region.sample(case.rng, 500) - case.reference)
    move = case.region.sample(case.rng, 1)[0] - case.reference
    for least, proved in ((truth + 1e-4, True), (truth - 1e-3, False)):
        known = Narrowing(case.chain, case.room, case.low, case.high, Clock())
        known.narrow(least, truth + 1.0, move, 9)
        tree = PhaseTree(
            case.chain, case.room, Clock(), least=least, low=known.low, high=known.high
        )
        assert tree.run() is proved
        assert max(tree.most, least) >= goals.max()


def test_narrowing_makes_a_difference_and_ends_with_its_clock() -> None:
    won = 0
    for case in map(Case, range(40)):
        if len(case.chain.sizes) < 3 or not ((case.low < 0) & (case.high > 0)).any():
            continue
        moves = case.region.sample(case.rng, 200) - case.reference
        truth, move = float(smallest_goals(case.chain, moves).max()), moves[0]
        late = Narrowing(case.chain, case.room, case.low, case.high, Clock(Limits(1e-9)))
        late.narrow(truth - 0.1, truth + 1.0, move, 9)
        assert late.nodes == 0
        assert np.array_equal(late.low, case.low)
        found = Narrowing(case.chain, case.room, case.low, case.high, Clock())
        found.narrow(truth - 0.1, truth + 1.0, move, 9)
        won += bool((found.high - found.low).sum() < 0.99 * (case.high - case.low).sum())
    assert won >= 5


def test_points_of_trees_side_by_side_are_told_one_at_a_time() -> None:
    inside, told = 0, 0

    def look(_: np.ndarray) -> None:
        nonlocal inside, told
        inside, told = inside + 1, told + 1
        time.sleep(0.001)
        assert inside == 1
        inside -= 1

    for case in map(Case, range(20)):
        moves = case.region.sample(case.rng, 200) - case.reference
        goals = smallest_goals(case.chain, moves)
        found = Narrowing(
            case.chain, case.room, case.low, case.high, Clock(), on_point=look, threads=4
        )
        found.narrow(float(np.quantile(goals, 0.8)), float(goals.max()) + 1.0, moves[0], 9)
    assert told >= 20
