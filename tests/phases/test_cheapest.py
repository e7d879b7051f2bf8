"""The cheapest moves that satisfy rows, beside scipy's linear programs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from dualbound.errors import SolverFailed
from dualbound.limits import Clock, Limits
from dualbound.phases.cheapest import AT_MOST, cheapest_moves


class Case:
    """Rows, offsets, costs and room, random but for the seed; sparse and dense, tight and wide."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        m, n = int(rng.integers(1, 20)), int(rng.integers(1, 60))
        matrix = rng.normal(size=(m, n)) * (rng.random((m, n)) < rng.choice([0.3, 1.0]))
        self.matrix = matrix / np.maximum(np.abs(matrix).max(axis=1, keepdims=True), 1e-9)
        self.offset = rng.normal(size=m) * rng.choice([0.3, 1.0, 3.0])
        self.cost = np.ones(n) if rng.random() < 0.5 else rng.random(n) + 0.1
        self.up, self.down = rng.random((2, n)) * (rng.random((2, n)) < 0.8)

    def truth(self) -> float | None:
        """The least cost; None if no moves satisfy the rows."""
        room = np.concatenate([self.up, self.down])
        found = linprog(
            np.concatenate([self.cost, self.cost]),
            A_ub=np.hstack([-self.matrix, self.matrix]),
            b_ub=self.offset,
            bounds=np.stack([np.zeros(len(room)), room], axis=1),
        )
        assert found.status in (0, 2)
        return float(found.fun) if found.status == 0 else None

    def found(self) -> tuple[np.ndarray, np.ndarray] | None:
        return cheapest_moves(self.matrix, self.offset, self.cost, self.up, self.down)


@pytest.mark.parametrize("seed", range(120))
def test_they_cost_what_a_linear_program_says(seed: int) -> None:
    case = Case(seed)
    truth, found = case.truth(), case.found()
    assert (found is None) == (truth is None)
    if found is None or truth is None:
        return
    moves, multipliers = found
    assert np.all(case.matrix @ moves + case.offset >= -1e-7)
    assert np.all((-case.down <= moves) & (moves <= case.up))
    assert case.cost @ np.abs(moves) == pytest.approx(truth, rel=1e-7, abs=1e-7)
    pull = multipliers @ case.matrix  # and the multipliers prove it
    saved = np.maximum(pull - case.cost, 0) @ case.up + np.maximum(-pull - case.cost, 0) @ case.down
    assert -multipliers @ case.offset - saved == pytest.approx(truth, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("n", [AT_MOST // 2 + 50, 2 * AT_MOST])
def test_many_inputs_that_each_move_a_little(n: int) -> None:
    rng = np.random.default_rng(n)
    matrix, up = rng.random((1, n)) + 0.01, np.full(n, 0.001)
    offset = -0.9 * (matrix @ up)
    try:
        found = cheapest_moves(matrix, offset, np.ones(n), up, np.zeros(n))
    except SolverFailed:
        assert n > AT_MOST  # more inputs move than may have columns
        return
    best = linprog(np.ones(n), A_ub=-matrix, b_ub=offset, bounds=[(0, 0.001)] * n)
    assert found is not None
    assert found[0].sum() == pytest.approx(best.fun, rel=1e-7)


def test_no_rows_at_all_need_no_moves() -> None:
    found = cheapest_moves(np.zeros((0, 3)), np.zeros(0), np.ones(3), np.ones(3), np.ones(3))
    assert found is not None
    assert not found[0].any()


def test_a_constant_row_is_satisfied_or_is_not() -> None:
    rows, ones = np.zeros((1, 2)), np.ones(2)
    found = cheapest_moves(rows, np.array([0.5]), ones, ones, ones)
    assert found is not None
    assert not found[0].any()
    assert cheapest_moves(rows, np.array([-0.5]), ones, ones, ones) is None


@pytest.mark.parametrize("seed", range(60))
def test_within_a_budget(seed: int) -> None:
    case = Case(seed)
    truth = case.truth()
    if truth is None or truth < 1e-3:
        return
    rows = (case.matrix, case.offset, case.cost, case.up, case.down)
    found = cheapest_moves(*rows, budget=1.001 * truth)
    assert found is not None
    assert case.cost @ np.abs(found[0]) == pytest.approx(truth, rel=1e-7, abs=1e-7)
    assert cheapest_moves(*rows, budget=0.999 * truth) is None
    assert cheapest_moves(*rows, budget=0.0) is None
    assert cheapest_moves(*rows, budget=-1.0) is None


def test_a_row_that_no_moves_satisfy_is_seen_at_once() -> None:
    rng = np.random.default_rng(0)
    matrix, up = rng.normal(size=(50, 2 * AT_MOST)), np.full(2 * AT_MOST, 0.1)
    offset = -2.0 * np.abs(matrix) @ up
    assert cheapest_moves(matrix, offset, np.ones(len(up)), up, up) is None


def test_out_of_time_it_gives_up() -> None:
    case = next(case for case in map(Case, range(100)) if case.truth())  # needs moves
    clock = Clock(Limits(1e-9))
    with pytest.raises(SolverFailed):
        cheapest_moves(case.matrix, case.offset, case.cost, case.up, case.down, clock=clock)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    ones = np.ones(2)
    with pytest.raises(SolverFailed, match="not finite"):
        cheapest_moves(np.array([[1.0, value]]), np.array([0.5]), ones, ones, ones)
