"""Bounds of every method: sampled points inside, each within the one before, the last exact."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from brute_force import Allowed, Tiny, exact_bounds, random_tiny
from dualbound import Bounds, Box, L0Ball, L1Ball, Network, bounds, load, load_image
from dualbound.bounds import METHODS, crown, interval
from dualbound.errors import InvalidInput, SoundnessError, UnknownSolver
from dualbound.region import Region
from dualbound.tighten import Layerwise

NAMES = ("interval", "crown", "lp", "milp")
SAMPLES = 10_000


def network_of(tiny: Tiny) -> Network:
    return Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu)


def tiny_problem(seed: int) -> tuple[Tiny, Allowed, Region]:
    """A tiny network over a box, an L1 ball, or an L∞ ball; now and then the centre is outside."""
    rng = np.random.default_rng(seed)
    tiny = random_tiny(rng)
    n = tiny.inputs
    lower = rng.uniform(-1, 0, n)
    upper = lower + rng.uniform(0.2, 2, n)
    if seed % 3 == 0:
        return tiny, Allowed(lower, upper), Box(lower, upper)
    center = rng.uniform(lower - (seed % 2) * 0.2, upper)
    radius = float(np.abs(np.clip(center, lower, upper) - center).sum() + rng.uniform(0.2, 1.5))
    if seed % 3 == 1:
        ball = L1Ball(center, radius, Box(lower, upper))
        return tiny, Allowed(lower, upper, center, radius), ball
    low, high = np.maximum(lower, center - radius), np.minimum(upper, center + radius)
    return tiny, Allowed(low, high), Box(low, high)


@cache
def of_tiny(seed: int, method: str) -> Bounds:
    tiny, _, region = tiny_problem(seed)
    return bounds(network_of(tiny), region, method=method)


def assert_within(inner: Bounds, outer: Bounds, slack: float = 0.0) -> None:
    for name, low in outer.lower.items():
        assert np.all(inner.lower[name] >= low - slack)
        assert np.all(inner.upper[name] <= outer.upper[name] + slack)


@pytest.mark.parametrize("method", [*NAMES, "exact"])
@pytest.mark.parametrize("seed", range(12))
def test_sampled_points_of_tiny_networks_lie_inside(method: str, seed: int) -> None:
    tiny, _, region = tiny_problem(seed)
    points = region.sample(np.random.default_rng(seed), SAMPLES)
    of_tiny(seed, method).check(network_of(tiny), points)


@pytest.mark.parametrize("seed", range(12))
def test_each_method_is_within_the_one_before_it(seed: int) -> None:
    found = [of_tiny(seed, method) for method in NAMES]
    for outer, inner in pairwise(found):
        assert_within(inner, outer)


@pytest.mark.parametrize("method", ["milp", "exact"])
@pytest.mark.parametrize("seed", range(45))
def test_exact_bounds_are_the_true_ones(seed: int, method: str) -> None:
    tiny, allowed, _ = tiny_problem(seed)
    network, found = network_of(tiny), of_tiny(seed, method)
    affine = [node.name for node in network.nodes if node.name.startswith("affine")]
    for name, (low, high) in zip(affine, exact_bounds(tiny, allowed), strict=True):
        np.testing.assert_allclose(found.lower[name], low, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found.upper[name], high, rtol=1e-5, atol=1e-5)
        assert np.all(found.lower[name] <= low + 1e-9)
        assert np.all(found.upper[name] >= high - 1e-9)


@pytest.mark.parametrize("method", ["interval", "crown", "lp"])
@pytest.mark.parametrize("seed", range(12))
def test_no_method_cuts_into_the_true_range(method: str, seed: int) -> None:
    tiny, allowed, _ = tiny_problem(seed)
    found = of_tiny(seed, method)
    names = [f"affine{k}" for k in range(1, len(tiny.biases) + 1)]
    for name, (low, high) in zip(names, exact_bounds(tiny, allowed), strict=True):
        assert np.all(found.lower[name] <= low + 1e-9)
        assert np.all(found.upper[name] >= high - 1e-9)


@cache
def dnn2() -> tuple[Network, np.ndarray]:
    network = load("dnn2")
    return network, load_image("sample:3", network.input_shape).pixels.reshape(-1)


def mnist_region(kind: str) -> Region:
    center, box = dnn2()[1], Box(0, 1).sized(784)
    if kind == "l1":
        return L1Ball(center, 3.0, box)
    return box.intersect(Box(center - 0.05, center + 0.05))


@cache
def of_dnn2(kind: str, method: str) -> Bounds:
    network, region = dnn2()[0], mnist_region(kind)
    if method in METHODS:
        return METHODS[method](network, region)
    if method == "lp":
        return Layerwise("lp", only_unstable=True)(network, region)
    return Layerwise("milp", only_unstable=True, seconds_per_neuron=0.2)(
        network, region, of_dnn2(kind, "lp")
    )


@pytest.mark.parametrize("kind", ["l1", "linf"])
class TestAnMnistNetwork:
    @pytest.mark.parametrize("method", NAMES)
    @pytest.mark.slow
    def test_sampled_points_lie_inside(self, kind: str, method: str) -> None:
        region, rng = mnist_region(kind), np.random.default_rng(0)
        for _ in range(4):
            of_dnn2(kind, method).check(dnn2()[0], region.sample(rng, SAMPLES // 4))

    @pytest.mark.slow
    def test_so_do_the_points_furthest_along_every_weight(self, kind: str) -> None:
        network, region = dnn2()[0], mnist_region(kind)
        weight = network[network.pre_activations[0]].op.weight
        points = region.maximiser(np.vstack([weight, -weight]))
        for method in NAMES:
            of_dnn2(kind, method).check(network, points)

    def test_each_method_is_within_the_one_before_it(self, kind: str) -> None:
        found = [of_dnn2(kind, method) for method in NAMES]
        for outer, inner in pairwise(found):
            assert_within(inner, outer)
        counts = [each.unstable_count(dnn2()[0]) for each in found]
        assert counts == sorted(counts, reverse=True)
        assert counts[0] > counts[-1]


class TestCheck:
    net = Network.dense([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.5]])
    region = Box([-1.0], [1.0])

    @pytest.mark.parametrize("side", ["lower", "upper"])
    @pytest.mark.parametrize("name", ["affine1", "relu1", "affine2"])
    @pytest.mark.parametrize("method", ["interval", "crown"])
    def test_a_tampered_bound_is_named(self, side: str, name: str, method: str) -> None:
        found = METHODS[method](self.net, self.region)
        lower, upper = dict(found.lower), dict(found.upper)
        sides = {"lower": lower, "upper": upper}
        middle = self.net.values(np.array([[0.5]]))[name][0]
        sides[side][name] = middle + (0.1 if side == "lower" else -0.1)
        with pytest.raises(SoundnessError, match=rf"Node '{name}', neuron [01].*claimed bounds"):
            Bounds(lower, upper).check(self.net, np.array([[0.0], [0.5]]))

    @pytest.mark.parametrize("side", ["lower", "upper"])
    def test_a_bound_that_is_not_a_number_is_no_bound(self, side: str) -> None:
        found = interval(self.net, self.region)
        lower, upper = dict(found.lower), dict(found.upper)
        {"lower": lower, "upper": upper}[side]["affine2"] = np.array([np.nan])
        with pytest.raises(SoundnessError, match="affine2"):
            Bounds(lower, upper).check(self.net, np.array([[0.5]]))

    def test_methods_that_contradict_each_other(self) -> None:
        one = Bounds({"a": np.array([0.0, 1.0])}, {"a": np.array([1.0, 2.0])})
        other = Bounds({"a": np.array([0.0, -1.0])}, {"a": np.array([1.0, 0.9])})
        with pytest.raises(SoundnessError, match="Node 'a', neuron 1"):
            one.intersect(other)

    @pytest.mark.parametrize("side", ["lower", "upper"])
    def test_nothing_intersects_with_what_is_not_a_number(self, side: str) -> None:
        ends = {"lower": np.array([0.0]), "upper": np.array([1.0])}
        bad = {**ends, side: np.array([np.nan])}
        good = Bounds({"a": ends["lower"]}, {"a": ends["upper"]})
        with pytest.raises(SoundnessError, match="Node 'a', neuron 0"):
            good.intersect(Bounds({"a": bad["lower"]}, {"a": bad["upper"]}))

    def test_rounding_is_no_contradiction(self) -> None:
        one = Bounds({"a": np.array([0.0])}, {"a": np.array([1.0])})
        other = Bounds({"a": np.array([1.0 + 1e-9])}, {"a": np.array([2.0])})
        both = one.intersect(other)
        assert both.lower["a"][0] <= both.upper["a"][0]


def test_known_bounds_are_kept() -> None:
    tiny, _, region = tiny_problem(4)
    network, exact = network_of(tiny), of_tiny(4, "milp")
    for method in (interval, crown):
        assert_within(method(network, region, exact), exact)


def test_refusals() -> None:
    net = TestCheck.net
    with pytest.raises(InvalidInput, match="Unknown method 'magic'; known are interval"):
        bounds(net, Box([-1.0], [1.0]), method="magic")
    with pytest.raises(InvalidInput, match="region of 2 inputs; the network reads 1"):
        bounds(net, Box([-1.0, 0.0], [1.0, 1.0]))
    with pytest.raises(InvalidInput, match="at least 1 worker, found 0"):
        bounds(net, Box([-1.0], [1.0]), method="crown", workers=0)
    with pytest.raises(UnknownSolver, match="no solver 'magic'"):
        bounds(net, Box([-1.0], [1.0]), method="crown", solver="magic")


@pytest.mark.parametrize("method", ["lp", "milp", "exact"])
@pytest.mark.unchecked_shapes
def test_a_layer_that_a_limit_stopped_is_said_to_be_loose(method: str) -> None:
    network, center = dnn2()
    box = Box(0, 1).sized(network.input_size)
    stopped = bounds(network, box, method=method, seconds_per_neuron=1e-9)
    assert "logits" in stopped.loose
    small = Box(center, center)
    assert not bounds(network, small, method=method).loose


@pytest.mark.parametrize("method", ["interval", "crown", "exact"])
def test_a_range_too_large_for_float64(method: str) -> None:
    net = Network.dense([[[1e5], [-1e5]], [[1e5, 1e5]], [[1.0]]], [[0.0, 0.0], [0.5], [0.0]])
    with pytest.raises(InvalidInput, match="too large for float64"):
        bounds(net, Box([-1e305], [1e305]), method=method)
    large = bounds(net, Box([-1e200], [1e200]), method=method)  # products overflow, bounds do not
    assert large.upper["affine3"][0] >= 1e210


@pytest.mark.slow
def test_exact_bounds_of_a_trained_network_are_closed() -> None:
    """A relaxation's optimum is often the best point of a pattern that was climbed before."""
    part = load("dnn1").up_to("layer2")
    found = bounds(part, Box(0, 1).sized(part.input_size), method="exact", workers=2)
    assert not found.loose


@pytest.mark.parametrize("method", ["milp", "exact"])
def test_the_first_layer_over_a_weighted_l0_ball_is_said_to_be_loose(method: str) -> None:
    """No set of weights fills the radius: the fractional knapsack is above what is reached."""
    network = Network.dense([[[-1.0, 1.0, 1.0]], [[1.0]]], [[1.0], [0.0]])
    weights = np.array([0.87, 1.75, 2.64])
    ball = L0Ball(np.array([1.0, 0.9, 0.0]), 2.0, Box(0, 1).sized(3), weights)
    found = bounds(network, ball, method=method)
    assert found.upper["affine1"][0] > 1.9 + 1e-3
    assert "affine1" in found.loose
    assert "affine1" not in bounds(network, ball.box, method=method).loose
