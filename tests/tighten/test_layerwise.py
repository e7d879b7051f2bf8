"""Tightening by programs: processes, limits, and solvers that lie."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from brute_force import Allowed, Tiny, exact_bounds
from dualbound import Bounds, Box, Limits, Network, Scip
from dualbound.bounds import crown
from dualbound.errors import InvalidInput, SoundnessError, UnknownSolver
from dualbound.limits import Clock
from dualbound.solvers import Fake, Solution, Stop
from dualbound.tighten import Layerwise

REGION = Box(-np.ones(3), np.ones(3))


def tiny(seed: int = 0, sizes: tuple[int, ...] = (3, 4, 4, 2)) -> Tiny:
    rng = np.random.default_rng(seed)
    pairs = list(pairwise(sizes))
    return Tiny([rng.normal(size=(m, n)) for n, m in pairs], [rng.normal(size=m) for _, m in pairs])


def network_of(small: Tiny) -> Network:
    return Network.dense(small.weights, small.biases)


def assert_contains_exact(found: Bounds, small: Tiny) -> None:
    exact = exact_bounds(small, Allowed(REGION.lower, REGION.upper))
    for k, (low, high) in enumerate(exact, start=1):
        assert np.all(found.lower[f"affine{k}"] <= low + 1e-9)
        assert np.all(found.upper[f"affine{k}"] >= high - 1e-9)


def assert_equal(one: Bounds, other: Bounds) -> None:
    assert set(one.lower) == set(other.lower)
    for name in one.lower:
        np.testing.assert_allclose(one.lower[name], other.lower[name], atol=1e-6)
        np.testing.assert_allclose(one.upper[name], other.upper[name], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lp", "milp", "exact"])
def test_two_processes_find_what_one_finds(method: str) -> None:
    network = network_of(tiny())
    alone = Layerwise(method, workers=1)(network, REGION)
    assert_equal(Layerwise(method, workers=2)(network, REGION), alone)


@pytest.mark.parametrize("seed", range(4))
def test_two_solvers_find_the_same(seed: int) -> None:
    pytest.importorskip("pyscipopt")
    network = network_of(tiny(seed))
    by_scip = Layerwise("milp", solver=Scip())(network, REGION)
    assert_equal(by_scip, Layerwise("milp")(network, REGION))


@pytest.mark.parametrize("seed", range(6))
def test_only_unstable_leaves_the_others_alone_and_decides_as_many(seed: int) -> None:
    network = network_of(tiny(seed))
    every, some = (
        Layerwise("milp", only_unstable=choice)(network, REGION) for choice in (False, True)
    )
    assert some.unstable_count(network) == every.unstable_count(network)
    assert_contains_exact(some, tiny(seed))
    start = crown(network, REGION)
    for name in network.pre_activations:
        stable = ~start.unstable(name)
        assert np.all(some.lower[name][stable] >= start.lower[name][stable])


@pytest.mark.parametrize("seconds", [1e-6, 1e-3])
@pytest.mark.parametrize("method", ["lp", "milp", "exact"])
@pytest.mark.parametrize("seed", range(3))
def test_a_limit_for_each_neuron_only_weakens(method: str, seconds: float, seed: int) -> None:
    network = network_of(tiny(seed))
    limited = Layerwise(method, seconds_per_neuron=seconds)(network, REGION)
    assert_contains_exact(limited, tiny(seed))
    start = crown(network, REGION)
    for name, low in start.lower.items():
        assert np.all(limited.lower[name] >= low - 1e-12)
        assert np.all(limited.upper[name] <= start.upper[name] + 1e-12)


@pytest.mark.parametrize("method", ["milp", "exact"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_clock_that_has_stopped_leaves_the_direct_bounds(workers: int, method: str) -> None:
    network, clock = network_of(tiny()), Clock(Limits(60))
    clock.interrupt()
    found = Layerwise(method, workers=workers)(network, REGION, clock=clock)
    assert_equal(found, crown(network, REGION))


@pytest.mark.parametrize("method", ["milp", "exact"])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interruption_in_the_middle_keeps_what_is_proved(workers: int, method: str) -> None:
    small, clock, seen = tiny(), Clock(), []

    def stop(name: str, bounds: Bounds) -> None:
        seen.append(name)
        clock.interrupt()

    found = Layerwise(method, workers=workers)(
        network_of(small), REGION, clock=clock, on_layer=stop
    )
    assert seen == ["affine2"]
    assert_contains_exact(found, small)


def test_layers_are_told_in_order_with_their_bounds() -> None:
    seen: list[tuple[str, Bounds]] = []
    found = Layerwise("lp")(
        network_of(tiny()), REGION, on_layer=lambda name, bounds: seen.append((name, bounds))
    )
    assert [name for name, _ in seen] == ["affine2", "affine3"]
    np.testing.assert_array_equal(seen[-1][1].lower["affine3"], found.lower["affine3"])


def scripted(
    stop: Stop, bound: float | None, duals: np.ndarray | None = None, count: int = 100
) -> Fake:
    return Fake([Solution(stop, None, None, bound, duals, 0, 0, 0.0, "scripted")] * count)


class TestSolversThatGiveUp:
    @pytest.mark.parametrize("method", ["lp", "milp"])
    @pytest.mark.parametrize(
        "stop", [Stop.TIME_LIMIT, Stop.FAILED, Stop.UNBOUNDED, Stop.INTERRUPTED, Stop.OTHER_LIMIT]
    )
    def test_no_bound_leaves_the_direct_one(self, method: str, stop: Stop) -> None:
        network = network_of(tiny())
        found = Layerwise(method, solver=scripted(stop, None))(network, REGION)
        assert_equal(found, crown(network, REGION))

    def test_a_weak_bound_never_widens(self) -> None:
        network = network_of(tiny())
        found = Layerwise("milp", solver=scripted(Stop.TIME_LIMIT, -1e6))(network, REGION)
        assert_equal(found, crown(network, REGION))


class TestSolversThatLie:
    def test_a_maximum_below_a_known_minimum_is_fatal(self) -> None:
        network = network_of(tiny())
        with pytest.raises(SoundnessError, match="Node 'affine2'"):
            Layerwise("milp", solver=scripted(Stop.OPTIMAL, 1e3))(network, REGION)

    def test_so_is_the_claim_that_a_region_with_points_has_none(self) -> None:
        network = network_of(tiny())
        with pytest.raises(SoundnessError, match="Node 'affine2'"):
            Layerwise("milp", solver=scripted(Stop.INFEASIBLE, np.inf))(network, REGION)
        with pytest.raises(SoundnessError, match="Node 'affine2'"):
            Layerwise("lp", solver=scripted(Stop.INFEASIBLE, None))(network, REGION)

    @pytest.mark.parametrize("scale", [0.0, 0.1, 10.0, 1e6])
    def test_multipliers_of_any_kind_only_weaken_lp_bounds(self, scale: float) -> None:
        small = tiny()
        network = network_of(small)
        rng = np.random.default_rng(1)
        only_first = network.up_to("affine2")
        probe = scripted(Stop.FAILED, None)
        Layerwise("lp", solver=probe)(only_first, REGION)
        rows = probe.calls[0].program.shape[0]
        liar = Fake(
            [
                Solution(Stop.OPTIMAL, None, None, 1e9, y, 0, 0, 0.0, "scripted")
                for y in rng.normal(size=(100, rows)) * scale
            ]
        )
        found = Layerwise("lp", solver=liar)(only_first, REGION)
        exact = exact_bounds(small, Allowed(REGION.lower, REGION.upper))[1]
        assert np.all(found.lower["affine2"] <= exact[0] + 1e-9)
        assert np.all(found.upper["affine2"] >= exact[1] - 1e-9)


class TestRefusals:
    @pytest.mark.unchecked_shapes  # the checker would refuse it first
    def test_an_unknown_method(self) -> None:
        with pytest.raises(InvalidInput, match="sdp"):
            Layerwise("sdp")  # type: ignore[arg-type]

    def test_no_workers(self) -> None:
        with pytest.raises(InvalidInput, match="at least 1 worker, found 0"):
            Layerwise("lp", workers=0)

    @pytest.mark.parametrize("seconds", [0.0, -1.0, np.nan])
    def test_no_time(self, seconds: float) -> None:
        with pytest.raises(InvalidInput, match="greater than 0 seconds"):
            Layerwise("lp", seconds_per_neuron=seconds)

    def test_an_unknown_solver(self) -> None:
        with pytest.raises(UnknownSolver, match="'magic'"):
            Layerwise("lp", solver="magic")
