"""Projections: the point is the nearest one, by the conditions that say so."""

from __future__ import annotations

import numpy as np
import pytest

from dualbound.patterns.projection import project_to_rows


def test_a_step_that_is_far_too_long_is_taken_back() -> None:
    """With both inputs at a bound there is no curvature; halving the step did not help."""
    rows = np.array([[-1.0, -0.25889968]])
    center, weights = np.array([0.83275324, 0.84712979]), np.array([1.19830149, 0.85878979])
    lower, upper = np.array([0.3102631, 0.72252502]), np.array([1.0, 0.97173456])
    found = project_to_rows(center, rows, np.array([0.51779935]), lower, upper, weights)
    assert found is not None
    truth = np.array([0.51779935 - 0.25889968 * lower[1], lower[1]])
    assert found[0] == pytest.approx(truth, abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_the_point_is_the_nearest(seed: int) -> None:
    """It satisfies the rows, is where the multipliers put it, and those of loose rows are 0."""
    rng = np.random.default_rng(seed)
    for _ in range(300):
        n, m = rng.integers(1, 6), rng.integers(1, 8)
        rows = rng.normal(size=(m, n))
        rows /= np.abs(rows).max(axis=1, keepdims=True)
        center, weights = rng.uniform(0, 1, n), rng.uniform(0.3, 2, n)
        lower = center - rng.uniform(0, 0.6, n) * (rng.random(n) < 0.8)
        upper = center + rng.uniform(0, 0.6, n) * (rng.random(n) < 0.8)
        inside = rng.uniform(lower, upper)
        offset = -rows @ inside + rng.uniform(0, 0.3, m) * (rng.random(m) < 0.7)
        found = project_to_rows(center, rows, offset, lower, upper, weights)
        if found is None:  # the only point, up to rounding
            assert np.min(rows @ inside + offset) < 1e-12
            continue
        x, multipliers = found
        slack = rows @ x + offset
        assert np.all(slack >= -1e-8)
        assert np.all(multipliers >= 0)
        assert x == pytest.approx(np.clip(center + rows.T @ multipliers / weights, lower, upper))
        assert np.max(np.abs(slack) * np.minimum(multipliers, 1.0)) <= 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_weights_of_very_different_size_do_no_harm(seed: int) -> None:
    """Newton's steps creep there; the conditions are checked in units of each input's weight."""
    rng = np.random.default_rng(100 + seed)
    for _ in range(60):
        n, m = rng.integers(1, 6), rng.integers(1, 8)
        rows = rng.normal(size=(m, n))
        rows /= np.abs(rows).max(axis=1, keepdims=True)
        center, weights = rng.uniform(0, 1, n), 10.0 ** rng.integers(-4, 5, n)
        lower, upper = center - rng.uniform(0, 0.6, n), center + rng.uniform(0, 0.6, n)
        inside = rng.uniform(lower, upper)
        offset = -rows @ inside + rng.uniform(0, 0.3, m)
        found = project_to_rows(center, rows, offset, lower, upper, weights)
        assert found is not None
        x, multipliers = found
        assert np.all(rows @ x + offset >= -1e-8)
        assert np.all(multipliers >= 0)
        dual = np.clip(center + rows.T @ multipliers / weights, lower, upper)
        cost = 0.5 * weights @ (x - center) ** 2
        proved = 0.5 * weights @ (dual - center) ** 2 - multipliers @ (rows @ dual + offset)
        assert proved >= cost * (1 - 1e-6) - 1e-9 * weights.max()


@pytest.mark.parametrize("weights", [None, np.array([1e-3, 1.0, 1e3])])
def test_what_is_empty_has_no_point(weights: np.ndarray | None) -> None:
    rows = np.array([[1.0, 1.0, 0.5], [-1.0, -1.0, -0.5]])
    zeros = np.zeros(3)
    assert project_to_rows(zeros, rows, np.array([-1.0, 0.9]), zeros, zeros + 1, weights) is None
