"""Regions: support function, projection, samples, linear forms, caps and masks, refusals."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from dualbound import Network, Neuron, activate, bounds
from dualbound.errors import InvalidInput
from dualbound.region import (
    L0,
    L1,
    L2,
    Box,
    L0Ball,
    L1Ball,
    L2Ball,
    LInf,
    Norm,
    Region,
    l2_ball,
    norm_named,
)
from examples import examples

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
@examples(60)
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
@examples(60)
def test_the_box_around_the_l1_ball_is_its_support_along_the_axes(problem: Problem) -> None:
    _, center, lower, upper, radius = problem
    ball = L1Ball(center, radius, Box(lower, upper))
    eye = np.eye(len(center))
    np.testing.assert_allclose(ball.support(eye), ball.upper, atol=1e-12)
    np.testing.assert_allclose(-ball.support(-eye), ball.lower, atol=1e-12)


def norms(problem: Problem) -> list[Norm]:
    """All norms, without weights and with some."""
    rng, center = problem[0], problem[1]
    weights = rng.choice([0.1, 0.5, 1.0, 2.0, 7.0], len(center))
    return [kind(w) for kind in (L0, L1, L2, LInf) for w in (None, weights)]


def ball_of(norm: Norm, problem: Problem) -> Region:
    """A ball that reaches the box: exactly, hardly, or by far."""
    rng, center, lower, upper, _ = problem
    box = Box(lower, upper)
    nearest, furthest = norm.reach(center, box)
    radius = rng.choice([nearest, nearest + 1e-9, rng.uniform(nearest, furthest), furthest])
    if isinstance(norm, LInf):  # a box whose sides are rounded
        radius += 1e-12
    return norm.ball(center, float(radius), box)


def regions(problem: Problem) -> list[Region]:
    _, center, lower, upper, radius = problem
    box = Box(lower, upper)
    ball = L1Ball(center, radius, box)
    return [box, ball, *(ball_of(norm, problem) for norm in norms(problem))]


@given(problems())
@examples(40)
def test_samples_lie_inside(problem: Problem) -> None:
    rng = problem[0]
    for region in regions(problem):
        points = region.sample(rng, 200)
        assert points.shape == (200, len(region.lower))
        assert np.all(region.violation(points) <= 1e-12)
        assert np.all((region.lower - 1e-12 <= points) & (points <= region.upper + 1e-12))


@given(problems())
@examples(60)
def test_the_projection_is_inside_and_no_point_is_nearer(problem: Problem) -> None:
    rng, _, lower, _, _ = problem
    for region in regions(problem):
        points = rng.normal(size=(4, len(lower))) * 2
        projected = region.project(points)
        assert np.all(region.violation(projected) <= 1e-9)
        np.testing.assert_allclose(region.project(projected), projected, atol=1e-9)
        if isinstance(region, L0Ball):  # not convex; tested below
            inside = region.sample(rng, 4)
            np.testing.assert_array_equal(region.project(inside), inside)
            continue
        # The projection p of y on a convex set: no point x of it has (y - p)·(x - p) > 0.
        away = points - projected
        excess = region.support(away) - np.sum(away * projected, axis=1)
        loose = 1e-6 if isinstance(region, L2Ball) else 1e-8  # a ball that touches the box
        assert np.all(excess <= loose * (1 + np.abs(away).sum(axis=1)))
        inside = region.sample(rng, 4)
        np.testing.assert_allclose(region.project(inside), inside, atol=1e-9)


@given(problems())
@examples(60)
def test_every_sample_has_coordinates_in_the_linear_form(problem: Problem) -> None:
    rng = problem[0]
    for region in regions(problem):
        if isinstance(region, L2Ball):
            continue
        form = region.linear_form()
        for x in region.sample(rng, 10):
            v = form.coordinates(x)
            assert np.all((form.lower - 1e-12 <= v) & (v <= form.upper + 1e-12))
            assert np.all(form.rows @ v <= form.row_upper + 1e-12)
            np.testing.assert_allclose(form.offset + form.transform @ v, x, atol=1e-12)
        assert len(form.names) == len(set(form.names)) == len(form.cost)
        assert not form.cost.any()


@given(problems())
@examples(60)
def test_every_point_of_the_linear_form_is_of_the_region(problem: Problem) -> None:
    rng = problem[0]
    for region in regions(problem):
        if isinstance(region, (L0Ball, L2Ball)):
            continue
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


@given(problems())
@examples(40)
def test_the_distance_form_costs_the_distance(problem: Problem) -> None:
    rng, center, lower, upper, _ = problem
    box = Box(lower, upper)
    for norm in norms(problem):
        form = norm.distance_form(center, box)
        nearest, furthest = norm.reach(center, box)
        stay = np.where(rng.random((10, len(center))) < 0.5, center, box.sample(rng, 10))
        for x in box.project(stay):
            v = form.coordinates(x)
            distance = float(norm.distance(x, center))
            assert np.all((form.lower - 1e-12 <= v) & (v <= form.upper + 1e-12))
            assert np.all(form.rows @ v <= form.row_upper + 1e-12)
            np.testing.assert_allclose(form.offset + form.transform @ v, x, atol=1e-12)
            cost = form.cost @ v
            if form.quadratic is not None:
                cost += form.quadratic @ v**2
            assert cost == pytest.approx(distance**2 if norm.squared else distance, abs=1e-10)
            assert nearest - 1e-12 <= distance <= furthest + 1e-12
            if form.integer is not None:
                np.testing.assert_array_equal(v[form.integer], np.round(v[form.integer]))
        assert len(form.names) == len(set(form.names)) == len(form.cost)


@given(problems())
@examples(40)
def test_the_region_of_a_ball_is_its_norms_distance(problem: Problem) -> None:
    rng, center, lower, upper, _ = problem
    box = Box(lower, upper)
    for norm in norms(problem):
        nearest, furthest = norm.reach(center, box)
        radius = rng.uniform(nearest, furthest) + 1e-9
        ball = norm.ball(center, radius, box)
        x = np.where(rng.random((20, len(center))) < 0.5, center, box.sample(rng, 20))
        x = box.project(x)
        outside = norm.distance(x, center) > radius
        assert np.all(ball.violation(x)[outside] > 0)
        assert np.all(ball.violation(x)[~outside] <= 1e-12)


@given(problems())
@examples(60)
def test_no_sample_is_further_than_the_support(problem: Problem) -> None:
    rng, center = problem[0], problem[1]
    directions = np.vstack([rng.normal(size=(3, len(center))), np.eye(len(center))])
    for region in regions(problem):
        found = region.support(directions)
        assert np.all(region.sample(rng, 100) @ directions.T <= found + 1e-12)
        at = region.maximiser(directions)
        assert np.all(region.violation(at) <= 1e-12)
        assert np.all(np.sum(directions * at, axis=1) <= found + 1e-12)
        assert np.all((region.lower - 1e-12 <= at) & (at <= region.upper + 1e-12))


def support_by_patterns(ball: L2Ball, direction: np.ndarray) -> float:
    """The maximum over L2 ball and box: each input low, high, or free on the sphere."""
    size = np.abs(direction).max() or 1.0
    direction = direction / size
    weights = np.ones(len(direction)) if ball.weights is None else ball.weights
    low, high = ball.box.lower - ball.center, ball.box.upper - ball.center
    best = -np.inf
    for pattern in itertools.product((0, 1, 2), repeat=len(direction)):
        kind = np.array(pattern)
        fixed = np.where(kind == 0, low, np.where(kind == 1, high, 0.0))
        rate = np.where(kind == 2, direction**2 / weights, 0.0).sum()
        rest = ball.radius**2 - weights @ fixed**2
        if rest < -1e-12:
            continue
        scale = np.sqrt(max(rest, 0.0) / rate) if rate > 0 else 0.0
        s = np.where(kind == 2, scale * direction / weights, fixed)
        if np.all((low - 1e-12 <= s) & (s <= high + 1e-12)):
            best = max(best, direction @ (ball.center + s))
    return float(best * size)


@given(problems())
@examples(100)
def test_support_of_the_l2_ball_is_the_best_of_all_patterns(problem: Problem) -> None:
    rng, center = problem[0], problem[1]
    if len(center) > 4:
        return
    directions = np.vstack(
        [rng.normal(size=(3, len(center))), rng.integers(-1, 2, (2, len(center)))]
    )
    directions[0] *= 10.0 ** rng.integers(-200, 200)
    for norm in norms(problem):
        if not isinstance(norm, L2):
            continue
        ball = ball_of(norm, problem)
        assert isinstance(ball, L2Ball)
        found = ball.support(directions)
        at = ball.maximiser(directions)
        for direction, value, x in zip(directions, found, at, strict=True):
            truth = support_by_patterns(ball, direction)
            size = np.abs(direction).max()
            assert value >= truth - 1e-9 * size - 1e-300
            assert value <= truth + 1e-6 * size + 1e-300
            assert direction @ x >= truth - 1e-6 * size - 1e-300


@pytest.mark.parametrize("radius", [0.0, 1e-6, 0.5, 3.0, 12.0, 1000.0])
def test_support_of_a_large_l2_ball_meets_its_maximiser(radius: float) -> None:
    """Any point of the ball is below the support, any dual value above: they prove each other."""
    rng = np.random.default_rng(6)
    for n in (1, 63, 300):
        center = np.where(rng.random(n) < 0.5, np.round(rng.random(n)), rng.random(n))
        for offset in (0.0, 0.3):
            outside = center + offset * (rng.random(n) < 0.2) * rng.choice([-1, 1], n)
            for weights in (None, 10.0 ** rng.uniform(-2, 2, n)):
                norm, box = L2(weights), Box(0, 1).sized(n)
                ball = norm.ball(outside, radius + norm.reach(outside, box)[0], box)
                directions = np.vstack(
                    [
                        rng.normal(size=(3, n)),
                        rng.integers(-2, 3, (3, n)),
                        10.0 ** rng.uniform(-9, 9, (3, n)) * rng.choice([-1, 1], (3, n)),
                        np.zeros((1, n)),
                    ]
                )
                found, at = ball.support(directions), ball.maximiser(directions)
                assert np.all(ball.violation(at) <= 1e-12)
                reached = np.einsum("kn,kn->k", directions, at)
                size = np.abs(directions).sum(axis=1)
                assert np.all(reached <= found + 1e-14 * size)
                assert np.all(found <= reached + (1e-10 if radius else 1e-5) * size)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_an_unfinished_search_never_lowers_the_support(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(7)
    looser = 0.0
    for _ in range(40):
        box = Box(0, 1).sized(8)
        center, norm = rng.uniform(-1, 2, 8), L2(rng.uniform(0.1, 5, 8))
        ball = norm.ball(center, rng.uniform(*norm.reach(center, box)), box)
        directions = rng.normal(size=(5, 8))
        exact = ball.support(directions)
        with monkeypatch.context() as patch:
            patch.setattr(l2_ball, "STEPS", steps)
            early, at = ball.support(directions), ball.maximiser(directions)
        assert np.all(early >= exact - 1e-12)
        assert np.all(ball.violation(at) <= 1e-12)
        looser = max(looser, float(np.max(early - exact)))
    assert looser > 1e-3  # the test has met unfinished searches


def test_an_l2_ball_has_no_linear_form() -> None:
    with pytest.raises(InvalidInput, match="not a set of linear rows"):
        L2Ball(np.zeros(1), 1.0, Box([0.0], [1.0])).linear_form()


def changes_of(ball: L0Ball) -> list[np.ndarray]:
    """All sets of inputs that may change together."""
    n = len(ball.center)
    weights = np.ones(n) if ball.weights is None else ball.weights
    must = (ball.center < ball.box.lower) | (ball.center > ball.box.upper)
    chosen = [np.array(kept, dtype=bool) for kept in itertools.product((0, 1), repeat=n)]
    return [
        kept
        for kept in chosen
        if weights[kept].sum() <= ball.radius * (1 + 1e-12) and np.all(kept[must])
    ]


@given(problems())
@examples(100)
def test_the_l0_ball_is_the_union_of_its_boxes(problem: Problem) -> None:
    rng, center, lower, upper, _ = problem
    n = len(center)
    directions = np.vstack([rng.normal(size=(3, n)), np.eye(n), -np.eye(n)])
    points = rng.normal(size=(4, n)) * 2
    for norm in norms(problem):
        if not isinstance(norm, L0):
            continue
        ball = ball_of(norm, problem)
        assert isinstance(ball, L0Ball)
        parts = [
            Box(np.where(kept, lower, center), np.where(kept, upper, center))
            for kept in changes_of(ball)
        ]
        truth = np.max([part.support(directions) for part in parts], axis=0)
        found = ball.support(directions)
        at = np.sum(directions * ball.maximiser(directions), axis=1)
        projected = ball.project(points)
        apart = np.sum((points - projected) ** 2, axis=1)
        nearest = np.min([np.sum((points - p.project(points)) ** 2, axis=1) for p in parts], axis=0)
        assert np.all(ball.violation(projected) == 0)
        assert np.all(apart >= nearest - 1e-12)
        assert np.all(found >= truth - 1e-12)
        assert np.all(at <= truth + 1e-12)
        np.testing.assert_allclose(truth[3 : 3 + n], ball.upper, atol=1e-12)
        np.testing.assert_allclose(-truth[3 + n :], ball.lower, atol=1e-12)
        if norm.weights is None:
            np.testing.assert_allclose(found, truth, atol=1e-12)
            np.testing.assert_allclose(at, truth, atol=1e-12)
            np.testing.assert_allclose(apart, nearest, atol=1e-12)
        form = ball.linear_form()
        if not len(form.cost):
            continue
        for direction, best, bound in zip(directions[:3], truth, found, strict=False):
            cost = -(direction @ form.transform)
            arguments = {
                "constraints": LinearConstraint(form.rows.toarray(), ub=form.row_upper),
                "bounds": Bounds(form.lower, form.upper),
            }
            solved = milp(cost, integrality=form.integer, **arguments)
            assert solved.status == 0
            assert direction @ form.offset - solved.fun == pytest.approx(best, abs=1e-5)
            relaxed = milp(cost, **arguments)
            assert bound <= direction @ form.offset - relaxed.fun + 1e-5


@given(problems())
@examples(40)
def test_weights_scale_the_inputs_of_a_ball(problem: Problem) -> None:
    """A weighted L1 ball is a plain one in units of the weights; an L2 ball in their roots."""
    rng, center, lower, upper, _ = problem
    weights = rng.uniform(0.1, 5, len(center))
    directions = rng.normal(size=(4, len(center)))
    for kind, scale in ((L1, weights), (L2, np.sqrt(weights)), (LInf, weights)):
        box, scaled = Box(lower, upper), Box(lower * scale, upper * scale)
        nearest, furthest = kind(weights).reach(center, box)
        radius = rng.uniform(nearest, furthest) + 1e-9
        ball = kind(weights).ball(center, radius, box)
        plain = kind().ball(center * scale, radius, scaled)
        np.testing.assert_allclose(
            ball.support(directions), plain.support(directions / scale), atol=1e-9, rtol=1e-9
        )


def test_what_rounding_took_from_an_l1_ball_is_in_its_bounds() -> None:
    far = 2.0**44
    step = far * 2.0**-52
    center = np.array([-far, -step / 2 * (1 + 2.0**-20)])  # the distance of the box rounds up
    ball = L1Ball(center, far + 4 * step, Box([0.0, 0.0], [1.0, 1.0]))
    x = np.array([3.4 * step, 0.0])
    away = sum(abs(Fraction(a) - Fraction(b)) for a, b in zip(x, center, strict=True))
    assert away <= Fraction(ball.radius)
    assert ball.left < x[0] <= ball.support(np.eye(2))[0]
    assert x[0] <= ball.upper[0]
    net = Network.dense([[[1.0, 1.0]], [[1.0]]], [[0.0], [0.0]])
    for method in ("interval", "crown", "exact"):
        assert net(x)[0] <= bounds(net, ball, method=method).upper[net.output][0]
    assert activate(net, Neuron("logits", 0), ball).bound >= net(x)[0]


@pytest.mark.parametrize("kind", [L1Ball, L2Ball, L0Ball])
@pytest.mark.parametrize("radius", [np.inf, np.nan])
def test_a_ball_has_a_radius(kind: type[Region], radius: float) -> None:
    with pytest.raises(InvalidInput, match=f"radius|{radius}"):
        kind(np.zeros(2), radius, Box(-1, 1).sized(2), np.array([0.5, 0.5]))


class TestWeights:
    @pytest.mark.parametrize("kind", [L0, L1, L2, LInf])
    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            ([1.0, 0.0], r"weight of input 1 is 0\.0\. An input that moves for free"),
            ([-1.0, 1.0], r"weight of input 0 is -1\.0"),
            ([1.0, np.nan], "weight of input 1 is nan"),
            ([np.inf, 1.0], "weight of input 0 is inf"),
        ],
    )
    def test_nonsense_is_refused(self, kind: type[Norm], bad: list[float], message: str) -> None:
        with pytest.raises(InvalidInput, match=message):
            kind(np.array(bad))

    @pytest.mark.parametrize("kind", [L0, L1, L2, LInf])
    def test_weights_of_another_size_are_refused(self, kind: type[Norm]) -> None:
        norm, box, center = kind(np.ones(2)), Box(0, 1).sized(3), np.zeros(3)
        for ask in (
            lambda: norm.check(3),
            lambda: norm.distance(center, center),
            lambda: norm.ball(center, 1.0, box),
            lambda: norm.distance_form(center, box),
        ):
            with pytest.raises(InvalidInput, match="2 weights; there are 3 inputs"):
                ask()

    def test_a_norm_by_name_and_weights(self) -> None:
        norm = norm_named("l2", [[1, 2], [3, 4]])
        assert isinstance(norm, L2)
        np.testing.assert_array_equal(norm.weights, [1, 2, 3, 4])
        assert (str(norm), str(norm_named("linf"))) == ("weighted L2", "L∞")
        with pytest.raises(InvalidInput, match="carries its own weights"):
            norm_named(norm, [1.0])
        with pytest.raises(InvalidInput, match="not a single number"):
            norm_named("l1", 2.0)


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
        with pytest.raises(InvalidInput, match="region of 2 inputs; the network reads 3"):
            Box([0.0, 0.0], [1.0, 1.0]).sized(3)

    def test_two_boxes_that_do_not_meet(self) -> None:
        with pytest.raises(InvalidInput, match="empty"):
            Box([0.0], [1.0]).intersect(Box([2.0], [3.0]))

    @pytest.mark.parametrize("kind", [L0Ball, L1Ball, L2Ball])
    def test_a_ball_that_does_not_reach_the_box(self, kind: type[L1Ball]) -> None:
        with pytest.raises(InvalidInput, match=r"does not reach the box: it is 1\.0"):
            kind(np.array([2.0]), 0.5, Box([0.0], [1.0]))

    @pytest.mark.parametrize("kind", [L0Ball, L1Ball, L2Ball])
    @pytest.mark.parametrize("radius", [-1.0, np.nan])
    def test_a_ball_of_no_radius(self, kind: type[L1Ball], radius: float) -> None:
        with pytest.raises(InvalidInput, match="radius"):
            kind(np.array([0.5]), radius, Box([0.0], [1.0]))

    @pytest.mark.parametrize("norm", [L0(), L1(), L2(), LInf()])
    def test_a_centre_that_is_not_a_number(self, norm: Norm) -> None:
        with pytest.raises(InvalidInput):
            norm.ball(np.array([np.nan]), 1.0, Box([0.0], [1.0]))

    @pytest.mark.parametrize("kind", [L0Ball, L1Ball, L2Ball])
    def test_a_ball_and_a_box_of_two_sizes(self, kind: type[L1Ball]) -> None:
        with pytest.raises(InvalidInput, match="centre has shape"):
            kind(np.array([0.5]), 1.0, Box([0.0, 0.0], [1.0, 1.0]))

    def test_an_unknown_norm(self) -> None:
        with pytest.raises(InvalidInput, match="'l3'; known are l0, l1, l2, linf"):
            norm_named("l3")


def test_a_ball_of_radius_0_is_its_centre() -> None:
    center = np.array([0.2, 0.0])
    box = Box([0.0, 0.0], [1.0, 1.0])
    for norm in (L0(), L1(), L2(), LInf()):
        region = norm.ball(center, 0.0, box)
        np.testing.assert_array_equal(region.sample(np.random.default_rng(0), 3), [center] * 3)
        np.testing.assert_array_equal(region.project(np.ones((1, 2))), center[None])
        np.testing.assert_array_equal(region.support(np.eye(2)), center)
        if isinstance(norm, L2):
            continue
        form = region.linear_form()
        np.testing.assert_array_equal(
            form.offset + form.transform @ form.coordinates(center), center
        )
