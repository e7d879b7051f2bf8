"""The support function of the grid points of a ball, by enumeration of all of them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from dualbound import Box, Grid
from dualbound.phases.grid_support import GridSupport


@pytest.mark.parametrize("seed", range(80))
def test_it_lies_between_the_grid_points_and_the_whole_ball(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, levels = int(rng.integers(1, 5)), int(rng.integers(1, 7))
    ends = Box(rng.uniform(-1, 0, n), rng.uniform(0.5, 2, n))
    grid = Grid(levels, ends)
    center = rng.uniform(ends.lower, ends.upper)
    if rng.random() < 0.5:
        center = grid.snap(center)
    weights = rng.uniform(0.3, 3, n) if rng.random() < 0.5 else None
    support = GridSupport(center, ends, grid, weights)
    marks = grid.values(np.arange(levels + 1.0)[:, None] * np.ones(n)).T
    points = np.array(list(product(*marks)))
    prices = np.ones(n) if weights is None else weights
    lengths = (prices * (points - center) ** 2).sum(axis=1)
    for radius in (0.0, *rng.uniform(0.05, 2, 4)):
        for direction in (np.zeros(n), *rng.normal(size=(5, n))):
            bound = support(direction, radius)
            inside = points[lengths <= radius**2]
            assert np.all((inside - center) @ direction <= bound + 1e-12)
            without = np.sqrt((direction**2 / prices).sum()) * radius
            assert bound <= without * (1 + 1e-12) + 1e-12


def test_a_coarse_grid_leaves_little_of_a_ball() -> None:
    """A hundred inputs that move by 0.02 each come to 2 together; on quarters, none can."""
    n = 100
    support = GridSupport(np.zeros(n), Box(0, 1).sized(n), Grid(4))
    assert support(np.ones(n), 0.2) < 0.2
    assert support(np.ones(n), 0.5) == pytest.approx(4 * 0.25, rel=0.01)
