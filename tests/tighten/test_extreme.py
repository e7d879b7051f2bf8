"""One extreme by the phase tree: value, point and bound against the truth."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from brute_force import Tiny, greatest_output, random_tiny
from dualbound import Box, L1Ball, L2Ball, Network
from dualbound.bounds import crown
from dualbound.limits import Clock, Limits
from dualbound.phases import narrowing, tree
from dualbound.region import Region
from dualbound.search.optimum import inside
from dualbound.tighten import extreme as module
from dualbound.tighten.ascent import ascend_and_climb, climb
from dualbound.tighten.extreme import Extreme, extreme


def asked(
    tiny: Tiny, region: Region, direction: np.ndarray, clock: Clock | None = None, **options: object
) -> Extreme:
    network = Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu)
    start = region.sample(np.random.default_rng(0), 1)
    bounds = crown(network, region)
    return extreme(network, region, bounds, direction, clock or Clock(), start, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("gap", [0.2, 1e-6])
@pytest.mark.parametrize("seed", range(6))
def test_both_ends_enclose_the_truth(seed: int, gap: float, threads: int) -> None:
    rng = np.random.default_rng(seed)
    tiny = random_tiny(rng)
    low, high = -np.ones(tiny.inputs), np.ones(tiny.inputs)
    direction = rng.normal(size=tiny.outputs)
    told: list[tuple[float, float, int]] = []
    found = asked(
        tiny,
        Box(low, high),
        direction,
        gap=gap,
        threads=threads,
        tell=lambda *now: told.append(now),
    )
    exact = greatest_output(tiny, direction, low, high)
    assert found.closed
    assert found.value == pytest.approx(direction @ tiny(found.x))
    assert found.value <= exact + 1e-9
    assert found.bound >= exact - 1e-9
    assert found.bound - found.value <= gap * max(1, abs(found.value)) + 1e-9
    assert all(value <= exact + 1e-9 <= bound + 2e-9 for value, bound, _ in told)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("pays", [0.0, 0.15])
@pytest.mark.parametrize("seed", range(30))
def test_trees_planted_anew_prove_the_same(
    seed: int, pays: float, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tiny trees without dives, so that neurons are narrowed before one ends."""
    monkeypatch.setattr(module, "PATIENCE", 1)
    monkeypatch.setattr(module, "ENOUGH", 1)
    monkeypatch.setattr(module, "NEARLY", 0.0)
    monkeypatch.setattr(narrowing, "PAYS", pays)
    monkeypatch.setattr(tree, "TOO_LARGE", 0)
    rng = np.random.default_rng(seed)
    sizes = [3, 4, 4, 3, 1] if seed % 2 else [2, 5, 5, 1]
    weights = [rng.normal(size=(b, a)) for a, b in pairwise(sizes)]
    tiny = Tiny(weights, [0.3 * rng.normal(size=b) for b in sizes[1:]])
    low, high = -np.ones(tiny.inputs), np.ones(tiny.inputs)
    found = asked(tiny, Box(low, high), np.ones(1), threads=threads)
    exact = greatest_output(tiny, np.ones(1), low, high)
    assert found.closed
    assert exact - 1e-9 <= found.bound <= found.value + 1e-6 * max(1, abs(found.value)) + 1e-9
    assert found.value == pytest.approx(exact, abs=2e-6, rel=2e-6)


def test_without_rectifiers_it_is_exact() -> None:
    line = Tiny([np.array([[1.0, -2.0]])], [np.array([0.5])])
    found = asked(line, L1Ball(np.zeros(2), 0.5, Box(-np.ones(2), np.ones(2))), np.ones(1))
    assert (found.value, found.closed, found.nodes) == (1.5, True, 0)
    assert found.bound == pytest.approx(1.5, abs=1e-12)
    assert found.bound >= 1.5
    np.testing.assert_array_equal(found.x, [0.0, -0.5])


def test_a_clock_that_has_stopped_leaves_a_bound_that_holds() -> None:
    rng = np.random.default_rng(3)
    sizes = [4, 6, 6, 1]
    tiny = Tiny(
        [rng.normal(size=(m, n)) for n, m in pairwise(sizes)],
        [rng.normal(size=m) for m in sizes[1:]],
    )
    clock, box = Clock(Limits(60)), Box(-np.ones(4), np.ones(4))
    clock.interrupt()
    found = asked(tiny, box, np.ones(1), clock)
    points = box.sample(rng, 5000)
    best = max(float(tiny(point)[0]) for point in points)
    assert not found.closed
    assert best <= found.bound < np.inf


class TestAscents:
    @pytest.mark.parametrize("kind", ["box", "l1", "l2"])
    def test_stay_in_the_region_and_never_fall(self, kind: str) -> None:
        rng = np.random.default_rng(0)
        tiny = random_tiny(rng)
        n = tiny.inputs
        network = Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu)
        box = Box(np.zeros(n), np.ones(n))
        region: Region = {
            "box": box,
            "l1": L1Ball(np.full(n, 0.4), 0.5, box),
            "l2": L2Ball(np.full(n, 0.4), 0.5, box),
        }[kind]
        direction = rng.normal(size=tiny.outputs)
        starts = region.sample(rng, 40)
        before = network(starts) @ direction
        for walk in (climb, ascend_and_climb):
            values, points = walk(network, region, direction, starts)
            np.testing.assert_allclose(values, network(points) @ direction, atol=1e-12)
            assert values.max() >= before.max() - 1e-6
            assert region.violation(points).max() <= 1e-6
        goal = network(starts[:1])[0]
        values, points = ascend_and_climb(network, region, direction**2, starts, around=goal)
        losses = (network(points) - goal) ** 2 @ direction**2
        np.testing.assert_allclose(values, -losses, atol=1e-12)
        assert losses.min() <= 1e-6  # one start is there already


@pytest.mark.parametrize("seed", range(20))
def test_points_are_moved_exactly_inside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 40))
    box = Box(rng.uniform(-1, 0, n), rng.uniform(0, 1, n))
    center = rng.uniform(box.lower, box.upper)
    for region in (
        box,
        L1Ball(center, float(rng.uniform(0.01, 1)), box),
        L2Ball(center, float(rng.uniform(0.01, 1)), box, rng.uniform(0.1, 3, n)),
    ):
        for point in rng.normal(size=(20, n)):
            x = inside(region, point)
            assert x is not None
            assert region.violation(x[None])[0] == 0.0
            assert np.abs(x - region.project(point[None])[0]).max() <= 1e-7
