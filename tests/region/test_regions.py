"""Regions: support function, projection, samples, linear forms, caps and masks, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from dualbound.errors import InvalidInput
from dualbound.region import L1, Box, L1Ball, LInf, Norm, Region, norm_named

Problem = tuple[np.random.Generator, np.ndarray, np.ndarray, np.ndarray, float]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """A centre inside or outside a box (some sides of no width), and a radius that reaches it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, 6))
    lower = rng.uniform(-1, 1, n).round(2)
    upper = lower + np.where(rng.random(n) < 0.2, 0.0, rng.uniform(0, 2, n).round(2))
    center = rng.uniform(lower, upper)
    if draw(st.booleans()):
        center = rng.uniform(lower - 1, upper + 1)
    elif draw(st.booleans()):
        center = np.where(rng.random(n) < 0.6, lower, upper)
    apart = np.abs(np.clip(center, lower, upper) - center).sum()
    extra = draw(st.sampled_from([0.0, 1e-9, 0.3, 1.0, 3.0, 100.0]))
    return rng, center, lower, upper, float(apart * (1 + 1e-15) + extra)


def support_by_program(
    center: np.ndarray, radius: float, lower: np.ndarray, upper: np.ndarray, direction: np.ndarray
) -> float:
    """The maximum over L1 ball and box, with a column for each distance."""
    n = len(center)
    eye = np.eye(n)
    solved = linprog(
        -np.concatenate([direction, np.zeros(n)]),
        A_ub=np.vstack(
            [
                np.hstack([eye, -eye]),
                np.hstack([-eye, -eye]),
                np.concatenate([np.zeros(n), np.ones(n)]),
            ]
        ),
        b_ub=np.concatenate([center, -center, [radius]]),
        bounds=[*zip(lower, upper, strict=True), *[(0, None)] * n],
    )
    assert solved.status == 0
    return -float(solved.fun)


@given(problems())
@settings(max_examples=60)
def test_support_of_the_l1_ball_is_the_linear_programs_optimum(problem: Problem) -> None:
    rng, center, lower, upper, radius = problem
    ball = L1Ball(center, radius, Box(lower, upper))
    directions = np.vstack(
        [rng.normal(size=(3, len(center))), rng.integers(-1, 2, (2, len(center)))]
    )
    found = ball.support(directions)
    at = ball.maximiser(directions)
    assert np.all(ball.violation(at) <= 1e-12)
    np.testing.assert_allclose(np.sum(directions * at, axis=1), found, atol=1e-12)
    for direction, value in zip(directions, found, strict=True):
        truth = support_by_program(center, radius, lower, upper, direction)
        assert value == pytest.approx(truth, abs=1e-6)


def greedy(ball: L1Ball, direction: np.ndarray) -> float:
    """The slow twin for a centre in the box: unit of radius after unit, dearest input first."""
    total, left = float(direction @ ball.center), ball.radius
    for i in sorted(range(len(direction)), key=lambda i: -abs(direction[i])):
        side = ball.box.upper if direction[i] > 0 else ball.box.lower
        step = min(left, abs(side[i] - ball.center[i]))
        total, left = total + abs(direction[i]) * step, left - step
    return total


@pytest.mark.parametrize("radius", [0.0, 0.5, 5.0, 20.0, 60.0, 1000.0])
def test_support_of_a_large_l1_ball_is_the_greedy_one(radius: float) -> None:
    rng = np.random.default_rng(5)
    for n in (63, 64, 65, 300):
        center = np.where(rng.random(n) < 0.5, np.round(rng.random(n)), rng.random(n))
        ball = L1Ball(center, radius, Box(0, 1).sized(n))
        directions = np.vstack(
            [
                rng.normal(size=(3, n)),
                rng.integers(-2, 3, (3, n)),
                rng.normal(size=(3, n)) * (rng.random(n) < 0.05),
                np.zeros((1, n)),
            ]
        )
        found, at = ball.support(directions), ball.maximiser(directions)
        assert np.all(ball.violation(at) <= 1e-10)
        expected = [greedy(ball, direction) for direction in directions]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@given(problems())
@settings(max_examples=60)
def test_the_box_around_the_l1_ball_is_its_support_along_the_axes(problem: Problem) -> None:
    _, center, lower, upper, radius = problem
    ball = L1Ball(center, radius, Box(lower, upper))
    eye = np.eye(len(center))
    np.testing.assert_allclose(ball.support(eye), ball.upper, atol=1e-12)
    np.testing.assert_allclose(-ball.support(-eye), ball.lower, atol=1e-12)


def regions(problem: Problem) -> list[Region]:
    _, center, lower, upper, radius = problem
    box = Box(lower, upper)
    return [box, L1Ball(center, radius, box), LInf().ball(center, radius, box)]


@given(problems())
@settings(max_examples=40)
def test_samples_lie_inside(problem: Problem) -> None:
    rng = problem[0]
    for region in regions(problem):
        points = region.sample(rng, 200)
        assert points.shape == (200, len(region.lower))
        assert np.all(region.violation(points) <= 1e-12)
        assert np.all((region.lower - 1e-12 <= points) & (points <= region.upper + 1e-12))


@given(problems())
@settings(max_examples=60)
def test_the_projection_is_inside_and_no_point_is_nearer(problem: Problem) -> None:
    rng, _, lower, _, _ = problem
    for region in regions(problem):
        points = rng.normal(size=(4, len(lower))) * 2
        projected = region.project(points)
        assert np.all(region.violation(projected) <= 1e-9)
        # The projection p of y on a convex set: no point x of it has (y - p)·(x - p) > 0.
        away = points - projected
        excess = region.support(away) - np.sum(away * projected, axis=1)
        assert np.all(excess <= 1e-8 * (1 + np.abs(away).sum(axis=1)))
        inside = region.sample(rng, 4)
        np.testing.assert_allclose(region.project(inside), inside, atol=1e-9)


@given(problems())
@settings(max_examples=60)
def test_every_sample_has_coordinates_in_the_linear_form(problem: Problem) -> None:
    rng = problem[0]
    for region in regions(problem):
        form = region.linear_form()
        for x in region.sample(rng, 10):
            v = form.coordinates(x)
            assert np.all((form.lower - 1e-12 <= v) & (v <= form.upper + 1e-12))
            assert np.all(form.rows @ v <= form.row_upper + 1e-12)
            np.testing.assert_allclose(form.offset + form.transform @ v, x, atol=1e-12)
        assert len(form.names) == len(set(form.names)) == len(form.cost)
        assert not form.cost.any()


@given(problems())
@settings(max_examples=60)
def test_every_point_of_the_linear_form_is_of_the_region(problem: Problem) -> None:
    rng = problem[0]
    for region in regions(problem):
        form = region.linear_form()
        if not len(form.cost):
            assert region.violation(form.offset[None])[0] <= 1e-12
            continue
        solved = linprog(
            rng.normal(size=len(form.cost)),
            A_ub=form.rows.toarray() if form.rows.shape[0] else None,
            b_ub=form.row_upper if form.rows.shape[0] else None,
            bounds=[*zip(form.lower, form.upper, strict=True)],
        )
        assert solved.status == 0
        assert region.violation((form.offset + form.transform @ solved.x)[None])[0] <= 1e-7


@pytest.mark.parametrize("norm", [L1(), LInf()])
@given(problem=problems())
@settings(max_examples=40)
def test_the_distance_form_costs_the_distance(norm: Norm, problem: Problem) -> None:
    rng, center, lower, upper, _ = problem
    box = Box(lower, upper)
    form = norm.distance_form(center, box)
    nearest, furthest = norm.reach(center, box)
    for x in box.sample(rng, 10):
        v = form.coordinates(x)
        distance = float(norm.distance(x, center))
        assert np.all((form.lower - 1e-12 <= v) & (v <= form.upper + 1e-12))
        assert np.all(form.rows @ v <= form.row_upper + 1e-12)
        np.testing.assert_allclose(form.offset + form.transform @ v, x, atol=1e-12)
        # Inputs that cannot move cost the same everywhere; a form may leave them out.
        fixed = np.abs(center - x)[lower == upper].sum() if norm.name == "l1" else 0.0
        if not np.any(fixed):
            assert form.cost @ v == pytest.approx(distance, abs=1e-12)
        assert nearest - 1e-12 <= distance <= furthest + 1e-12


def test_a_centre_outside_the_box_pays_for_the_way_there() -> None:
    ball = L1Ball(np.array([-0.5, 0.5]), 0.7, Box([0.0, 0.0], [1.0, 1.0]))
    np.testing.assert_allclose(ball.upper, [0.2, 0.7])
    np.testing.assert_allclose(ball.lower, [0.0, 0.3])
    assert ball.support(np.array([[1.0, 1.0]]))[0] == pytest.approx(0.7)


def test_violations_are_measured() -> None:
    box = Box([0.0, 0.0], [1.0, 1.0])
    np.testing.assert_allclose(box.violation(np.array([[0.5, 1.25], [0.0, 1.0]])), [0.25, 0.0])
    ball = L1Ball(np.zeros(2), 0.5, box)
    np.testing.assert_allclose(
        ball.violation(np.array([[0.5, 0.25], [-0.1, 0.0], [0.25, 0.25]])).clip(min=0),
        [0.25, 0.1, 0.0],
    )


class TestCapsAndMasks:
    center = np.array([0.1, 0.5, 1.0])

    def test_a_cap_cuts_on_both_sides_and_never_leaves_the_box(self) -> None:
        box = Box(0, 1).sized(3).within(self.center, cap=0.2)
        np.testing.assert_allclose(box.lower, [0.0, 0.3, 0.8])
        np.testing.assert_allclose(box.upper, [0.3, 0.7, 1.0])

    def test_caps_and_mask_for_each_input(self) -> None:
        box = Box(0, 1).sized(3).within(self.center, cap=[0.0, 0.1, 1.0], mask=[1, 1, 0])
        np.testing.assert_array_equal(box.lower, [0.1, 0.4, 1.0])
        np.testing.assert_array_equal(box.upper, [0.1, 0.6, 1.0])

    def test_an_image_shaped_mask_is_taken_in_the_order_of_the_inputs(self) -> None:
        center = np.full(4, 0.5)
        box = Box(0, 1).sized(4).within(center, mask=np.array([[True, False], [False, True]]))
        np.testing.assert_array_equal(box.upper, [1.0, 0.5, 0.5, 1.0])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"cap": -0.1}, "at least 0"),
            ({"cap": np.nan}, "at least 0"),
            ({"cap": [0.1, np.nan, 0.1]}, "at least 0"),
            ({"cap": [0.1, 0.1]}, "2 values; the network reads 3"),
            ({"mask": [True]}, "1 values; the network reads 3"),
        ],
    )
    def test_nonsense_is_refused(self, options: dict[str, object], message: str) -> None:
        with pytest.raises(InvalidInput, match=message):
            Box(0, 1).sized(3).within(self.center, **options)

    def test_a_frozen_input_outside_the_box_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="Input 1 may not change"):
            Box(0, 1).sized(2).within(np.array([0.5, 2.0]), mask=[True, False])

    def test_a_cap_that_does_not_reach_the_box_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="box is empty: at input 0"):
            Box(0, 1).sized(1).within(np.array([2.0]), cap=0.5)


class TestRefusals:
    def test_a_box_turned_around(self) -> None:
        with pytest.raises(InvalidInput, match=r"empty: at input 1 its lower bound 0\.5"):
            Box([0.0, 0.5], [1.0, 0.4])

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_a_box_without_finite_bounds(self, bad: float) -> None:
        with pytest.raises(InvalidInput, match="finite"):
            Box([0.0, bad], [1.0, 1.0])

    def test_a_box_of_two_shapes(self) -> None:
        with pytest.raises(InvalidInput, match="two shapes"):
            Box([0.0, 0.0], [1.0, 1.0, 1.0])

    def test_a_box_of_another_size(self) -> None:
        with pytest.raises(InvalidInput, match="bounds 2 inputs; the network reads 3"):
            Box([0.0, 0.0], [1.0, 1.0]).sized(3)

    def test_two_boxes_that_do_not_meet(self) -> None:
        with pytest.raises(InvalidInput, match="empty"):
            Box([0.0], [1.0]).intersect(Box([2.0], [3.0]))

    def test_a_ball_that_does_not_reach_the_box(self) -> None:
        with pytest.raises(InvalidInput, match=r"does not reach the box: it is 1\.0"):
            L1Ball(np.array([2.0]), 0.5, Box([0.0], [1.0]))

    @pytest.mark.parametrize("radius", [-1.0, np.nan])
    def test_a_ball_of_no_radius(self, radius: float) -> None:
        with pytest.raises(InvalidInput, match="radius"):
            L1Ball(np.array([0.5]), radius, Box([0.0], [1.0]))

    @pytest.mark.parametrize("norm", [L1(), LInf()])
    def test_a_centre_that_is_not_a_number(self, norm: Norm) -> None:
        with pytest.raises(InvalidInput):
            norm.ball(np.array([np.nan]), 1.0, Box([0.0], [1.0]))

    def test_a_ball_and_a_box_of_two_sizes(self) -> None:
        with pytest.raises(InvalidInput, match="centre has shape"):
            L1Ball(np.array([0.5]), 1.0, Box([0.0, 0.0], [1.0, 1.0]))

    def test_an_unknown_norm(self) -> None:
        with pytest.raises(InvalidInput, match="'l3'; known are l1, linf"):
            norm_named("l3")


def test_a_ball_of_radius_0_is_its_centre() -> None:
    center = np.array([0.2, 0.0])
    box = Box([0.0, 0.0], [1.0, 1.0])
    for norm in (L1(), LInf()):
        region = norm.ball(center, 0.0, box)
        np.testing.assert_array_equal(region.sample(np.random.default_rng(0), 3), [center] * 3)
        np.testing.assert_array_equal(region.project(np.ones((1, 2))), center[None])
        form = region.linear_form()
        np.testing.assert_array_equal(
            form.offset + form.transform @ form.coordinates(center), center
        )
