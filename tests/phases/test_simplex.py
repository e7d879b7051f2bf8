"""The dual simplex method against scipy, on random boxed programs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from dualbound.phases import simplex


def random_dictionary(seed: int) -> simplex.Dictionary:
    """Rows ``x_r = c_r + T_r x``, every variable boxed; now and then a box is one point."""
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(1, 12)), int(rng.integers(1, 12))
    d = simplex.dictionary(m, n, m + n)
    d.shape[:2] = m, n
    d.table[:m, :n] = rng.normal(size=(m, n)) * (rng.random((m, n)) < 0.7)
    d.table[:m, n] = rng.normal(size=m)
    d.columns[:], d.rows[:] = np.arange(n), n + np.arange(m)
    d.low[:] = rng.normal(size=m + n) - rng.uniform(0, 3)
    d.high[:] = d.low + rng.uniform(0, 3, m + n) * (rng.random(m + n) < 0.9)
    return d


def truth(d: simplex.Dictionary, cost: np.ndarray) -> float:
    """The maximum by scipy; minus infinity if there is no point."""
    m, n = d.shape[:2]
    table, constant = d.table[:m, :n].copy(), d.table[:m, n].copy()
    low, high = d.low[n:] - constant, d.high[n:] - constant
    found = linprog(
        -cost,
        A_ub=np.vstack([table, -table]),
        b_ub=np.concatenate([high, -low]),
        bounds=list(zip(d.low[:n], d.high[:n], strict=True)),
    )
    return -found.fun if found.status == 0 else -np.inf


@pytest.mark.parametrize("seed", range(200))
def test_optimum_and_emptiness_are_scipys(seed: int) -> None:
    d = random_dictionary(seed)
    m, n = d.shape[:2]
    first = d.table[:m].copy()
    cost = np.random.default_rng(seed + 1).normal(size=n)
    expected = truth(d, cost)
    d.table[m, :n] = cost
    ended = simplex.maximise(d, -np.inf, 1000, -1.0)
    if expected == -np.inf:
        assert ended == simplex.EMPTY
        return
    assert ended == simplex.OPTIMAL
    assert simplex.objective(d) == pytest.approx(expected, abs=1e-7)
    x = np.zeros(m + n)
    x[d.rows[:m]] = d.values[:m]
    x[d.columns[:n]] = np.where(d.raised[:n], d.high[d.columns[:n]], d.low[d.columns[:n]])
    assert x[n:] == pytest.approx(first[:, :n] @ x[:n] + first[:, n], abs=1e-7)
    assert np.all(x >= d.low - 1e-7)
    assert np.all(x <= d.high + 1e-7)


@pytest.mark.parametrize("seed", range(100))
def test_whenever_it_stops_its_objective_is_a_bound(seed: int) -> None:
    cost = np.random.default_rng(seed + 1).normal(size=int(random_dictionary(seed).shape[1]))
    expected = truth(random_dictionary(seed), cost)
    for pivots in range(6):
        d = random_dictionary(seed)
        d.table[d.shape[0], : d.shape[1]] = cost
        simplex.maximise(d, -np.inf, pivots, -1.0)
        assert simplex.objective(d) >= expected - 1e-7


@pytest.mark.parametrize("seed", range(50))
def test_asking_for_a_variable_and_going_back_to_a_basis(seed: int) -> None:
    d = random_dictionary(seed)
    m, n = d.shape[:2]
    cost = np.random.default_rng(seed).normal(size=n)
    if truth(d, cost) == -np.inf:
        return
    k = seed % (m + n)
    simplex.ask(d, k, -1, 1.0)
    assert simplex.maximise(d, -np.inf, 1000, -1.0) == simplex.OPTIMAL
    most = simplex.objective(d)
    basic = np.zeros(m + n, dtype=bool)
    basic[d.rows[:m]] = True
    again = random_dictionary(seed)
    simplex.restore(again, basic)
    simplex.ask(again, k, -1, 1.0)
    assert simplex.maximise(again, -np.inf, 1000, -1.0) == simplex.OPTIMAL
    assert simplex.objective(again) == pytest.approx(most, abs=1e-7)
