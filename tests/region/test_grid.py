"""Grids: exact 8-bit values, rounding inwards, integral columns, refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from dualbound.errors import InvalidInput
from dualbound.region import L0, L1, Box, Grid, LInf, Norm
from examples import examples


def test_the_values_are_those_of_an_8_bit_image() -> None:
    pixels = np.arange(256, dtype=np.uint8) / 255
    grid = Grid(255)
    np.testing.assert_array_equal(grid.values(np.arange(256)), pixels)
    np.testing.assert_array_equal(grid.steps(pixels), np.arange(256))
    assert grid.contains(pixels).all()
    inner = pixels[1:-1]
    for neighbour in (np.nextafter(inner, 2), np.nextafter(inner, -1)):
        assert not grid.contains(neighbour).any()
    assert not grid.contains(np.array([-1 / 255, 256 / 255, np.nan])).any()
    np.testing.assert_array_equal(np.rint(grid.snap(np.linspace(0, 1, 999)) * 255) % 1, 0)


@st.composite
def grids(draw: st.DrawFn) -> tuple[np.random.Generator, Grid, list[np.ndarray]]:
    """A grid over a range of its own for each input (some of no width), and all its values."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, levels = draw(st.integers(1, 4)), draw(st.sampled_from([1, 2, 3, 7, 10]))
    lower = rng.uniform(-1, 1, n).round(2)
    upper = lower + np.where(rng.random(n) < 0.2, 0.0, rng.uniform(0, 2, n).round(2))
    grid = Grid(levels, Box(lower, upper))
    # Each value as the grid computes it: it must be the same number bit for bit.
    every = grid.values(np.repeat(np.arange(levels + 1)[:, None], n, axis=1))
    np.testing.assert_allclose(every, np.linspace(lower, upper, levels + 1), atol=1e-12)
    return rng, grid, [np.unique(every[:, i]) for i in range(n)]


@given(grids())
@examples(100)
def test_snapping_finds_the_nearest_value_in_the_box(
    problem: tuple[np.random.Generator, Grid, list[np.ndarray]],
) -> None:
    rng, grid, values = problem
    n = len(values)
    for _ in range(5):
        # Bounds on values, between them, and beyond the ends.
        ends = np.array([rng.choice(v, 2) for v in values]).T
        ends = ends + np.where(rng.random((2, n)) < 0.5, 0.0, rng.normal(size=(2, n)))
        box = Box(ends.min(axis=0), ends.max(axis=0))
        left = [v[(box.lower[i] <= v) & (v <= box.upper[i])] for i, v in enumerate(values)]
        if not all(map(len, left)):
            with pytest.raises(InvalidInput, match="grid of"):
                grid.narrowed(box)
            continue
        narrow = grid.narrowed(box)
        np.testing.assert_array_equal(narrow.lower, [v.min() for v in left])
        np.testing.assert_array_equal(narrow.upper, [v.max() for v in left])
        assert grid.contains(narrow.lower).all()
        x = rng.normal(size=(6, n))
        snapped = grid.snap(x, box)
        assert grid.contains(snapped).all()
        assert np.all(box.violation(snapped) == 0)
        nearest = np.array(
            [[np.abs(v - at).min() for at, v in zip(p, left, strict=True)] for p in x]
        )
        np.testing.assert_allclose(np.abs(x - snapped), nearest, atol=1e-12)
        np.testing.assert_array_equal(grid.snap(snapped, box), snapped)


@pytest.mark.parametrize("norm", [L0(), L1(), LInf(), L1(np.array([0.3, 1.0, 2.0]))])
@pytest.mark.parametrize("seed", range(4))
def test_the_integral_form_is_the_grid(norm: Norm, seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = Grid(int(rng.integers(1, 5)))
    center = rng.random(3) if seed % 2 else grid.snap(rng.random(3))
    box = grid.narrowed(Box(0, 1).sized(3))
    form = grid.form(norm.distance_form(center, box))
    points = grid.values(np.array(list(itertools.product(range(grid.levels + 1), repeat=3))))
    for x in points:
        v = form.coordinates(x)
        assert np.all(form.rows @ v <= form.row_upper + 1e-12)
        assert np.all((form.lower - 1e-12 <= v) & (v <= form.upper + 1e-12))
        np.testing.assert_allclose(form.offset + form.transform @ v, x, atol=1e-12)
        assert form.cost @ v == pytest.approx(norm.distance(x, center), abs=1e-12)
    direction, price = rng.normal(size=3), 0.3
    solved = milp(
        price * form.cost + direction @ form.transform,
        integrality=form.integer,
        constraints=LinearConstraint(form.rows.toarray(), ub=form.row_upper),
        bounds=Bounds(form.lower, form.upper),
    )
    truth = np.min(points @ direction + price * norm.distance(points, center))
    assert solved.fun + direction @ form.offset == pytest.approx(truth, abs=1e-6)
    assert len(form.names) == len(set(form.names)) == len(form.cost)


class TestRefusals:
    @pytest.mark.parametrize("levels", [0, -1, True, 2**40])
    def test_levels_that_make_no_grid(self, levels: int) -> None:
        with pytest.raises(InvalidInput, match="whole number of levels"):
            Grid(levels)

    def test_a_frozen_input_off_the_grid(self) -> None:
        box = Box([0.0, 0.3], [1.0, 0.3])
        for refused in (Grid(255).narrowed, lambda box: Grid(255).snap(np.zeros(2), box)):
            with pytest.raises(InvalidInput, match=r"Input 1 may not change, but its value 0\.3"):
                refused(box)
        with pytest.raises(InvalidInput, match="Input 1 may not change"):
            Grid(255).form(L1().distance_form(np.array([0.0, 0.3]), box))

    def test_a_frozen_input_on_the_grid_stays(self) -> None:
        narrow = Grid(255).narrowed(Box([0.0, 76 / 255], [1.0, 76 / 255]))
        assert narrow.lower[1] == narrow.upper[1] == 76 / 255

    def test_bounds_between_two_values(self) -> None:
        with pytest.raises(InvalidInput, match=r"between the bounds 0\.3 and 0\.4 of input 0"):
            Grid(2).narrowed(Box([0.3], [0.4]))
