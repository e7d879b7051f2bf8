"""Steps of rising cost: exactly the grid points of an L2 ball, by enumeration of all of them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from dualbound import Box, Grid, Network, Targeted
from dualbound.patterns import NearestProblem
from dualbound.patterns.projection import project_to_rows
from dualbound.patterns.steps import confined, steps_within
from dualbound.region import L2
from dualbound.solvers import Highs, Stop


def random_problem(seed: int) -> tuple[NearestProblem, float, np.ndarray]:
    """A problem on a coarse grid, a radius, and all grid points of its box, one a row."""
    rng = np.random.default_rng(seed)
    n, levels = int(rng.integers(1, 4)), int(rng.integers(1, 7))
    ends = Box(rng.uniform(-1, 0, n), rng.uniform(0.5, 2, n))
    grid = Grid(levels, ends)
    center = rng.uniform(ends.lower, ends.upper)
    if rng.random() < 0.5:
        center = grid.snap(center)
    box = ends.within(center, cap=rng.uniform(0.3, 2, n) if rng.random() < 0.4 else None)
    weights = rng.uniform(0.3, 3, n) if rng.random() < 0.5 else None
    network = Network.dense([np.eye(n)], [np.zeros(n)])
    problem = NearestProblem(network, center, Targeted(0), L2(weights), box, grid)
    marks = grid.values(np.arange(levels + 1.0)[:, None] * np.ones(n)).T
    points = np.array(list(product(*marks)))
    points = points[box.violation(points) == 0.0]
    return problem, float(rng.uniform(0.1, 1.5)), points


def some_rows(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng((seed, 1))
    rows = rng.normal(size=(2, n))
    return rows / np.abs(rows).max(axis=1, keepdims=True), rng.uniform(-0.5, 0.5, 2)


@pytest.mark.parametrize("seed", range(60))
def test_whole_steps_within_the_row_are_the_grid_points_of_the_ball(seed: int) -> None:
    problem, radius, points = random_problem(seed)
    inside = {tuple(x.round(9)) for x in points[problem.distance(points) <= radius]}
    steps = steps_within(problem, radius)
    if steps is None:
        assert not inside
        return
    reached = set()
    for taken in product((0.0, 1.0), repeat=len(steps.inputs)):
        if steps.costs @ np.array(taken) <= 1.0:
            reached.add(tuple(steps.point(np.array(taken)).round(9) + 0.0))
    assert reached == {tuple(np.array(x) + 0.0) for x in inside}


@pytest.mark.parametrize("seed", range(60))
def test_the_cheapest_steps_lead_to_the_nearest_point(seed: int) -> None:
    problem, radius, points = random_problem(seed)
    matrix, offset = some_rows(seed, len(problem.center))
    far = problem.distance(points)
    allowed = (far <= radius) & np.all(points @ matrix.T + offset >= 0, axis=1)
    truth = far[allowed].min(initial=np.inf)
    steps = steps_within(problem, radius)
    if steps is None:
        assert truth == np.inf
        return
    solution = Highs().solve(steps.program(matrix, offset, 0))
    if truth == np.inf:
        assert solution.stop is Stop.INFEASIBLE
        return
    assert solution.x is not None
    assert problem.distance(steps.point(solution.x)) == pytest.approx(truth)


@pytest.mark.parametrize("seed", range(60))
def test_the_largest_margin_is_that_of_the_best_point(seed: int) -> None:
    problem, radius, points = random_problem(seed)
    matrix, offset = some_rows(seed, len(problem.center))
    rows = points @ matrix.T + offset
    allowed = (problem.distance(points) <= radius) & (rows[:, 1] >= 0)
    truth = rows[allowed, 0].max(initial=-np.inf)
    steps = steps_within(problem, radius)
    if steps is None:
        assert truth == -np.inf
        return
    solution = Highs().solve(steps.program(matrix, offset, 1))
    if truth == -np.inf:
        assert solution.stop is Stop.INFEASIBLE
        return
    assert solution.value == pytest.approx(-truth, abs=1e-6)


@pytest.mark.parametrize("multipliers", ["none", "any", "best"])
@pytest.mark.parametrize("seed", range(60))
def test_no_point_is_lost_to_a_smaller_box(seed: int, multipliers: str) -> None:
    problem, radius, points = random_problem(seed)
    matrix, offset = some_rows(seed, len(problem.center))
    allowed = (problem.distance(points) <= radius) & np.all(points @ matrix.T + offset >= 0, axis=1)
    y = np.zeros(2)
    if multipliers == "any":
        y = np.random.default_rng(seed).uniform(0, 3, 2)
    elif multipliers == "best":
        box, weights = problem.box, problem.norm.weights
        found = project_to_rows(problem.center, matrix, offset, box.lower, box.upper, weights)
        y = y if found is None else found[1]
    near = confined(problem, radius, matrix, offset, y)
    if near is None:
        assert not allowed.any()
        return
    assert np.all(near.box.violation(points[allowed]) == 0.0)
    assert np.all(near.box.lower >= problem.box.lower)
    assert np.all(near.box.upper <= problem.box.upper)
