"""Points found in neighbourhoods, against the truth."""

from __future__ import annotations

import numpy as np
import pytest

from brute_force import Tiny, greatest_output, random_tiny
from dualbound import Box, L1Ball, Network
from dualbound.bounds import crown
from dualbound.limits import Clock, Limits
from dualbound.phases import chain_of, neighbourhood, reference_of, room_of
from dualbound.phases.neighbourhood import climb_by_trees
from dualbound.region import Region


def reached(
    tiny: Tiny, region: Region, direction: np.ndarray, start: np.ndarray, clock: Clock | None = None
) -> tuple[float, np.ndarray]:
    network = Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu)
    bounds, reference = crown(network, region), reference_of(region)
    chain = chain_of(network, region, reference, direction[None], np.zeros(1))
    assert chain is not None
    names = [relu.reads[0] for relu in network.relus]

    def value(point: np.ndarray) -> tuple[float, np.ndarray]:
        point = region.project(point[None])[0]
        return float(direction @ network(point)), point

    return climb_by_trees(
        chain,
        room_of(region, reference),
        np.concatenate([bounds.lower[name] for name in names]),
        np.concatenate([bounds.upper[name] for name in names]),
        reference,
        start,
        value,
        clock or Clock(),
        np.random.default_rng(0),
    )


@pytest.mark.parametrize("seed", range(20))
def test_with_every_neuron_free_the_best_point_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tiny = random_tiny(rng)
    if sum(len(bias) for bias in tiny.biases) > neighbourhood.FREE:
        pytest.skip("more neurons than are free in a neighbourhood")
    low, high = -np.ones(tiny.inputs), np.ones(tiny.inputs)
    direction = rng.normal(size=tiny.outputs)
    value, point = reached(tiny, Box(low, high), direction, rng.uniform(low, high))
    assert value == pytest.approx(direction @ tiny(point))
    assert value == pytest.approx(greatest_output(tiny, direction, low, high), rel=2e-6, abs=2e-6)


@pytest.mark.parametrize("free", [1, 3])
@pytest.mark.parametrize("kind", ["box", "ball"])
@pytest.mark.parametrize("seed", range(10))
def test_with_few_free_it_is_never_worse_and_never_too_good(
    seed: int, kind: str, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbourhood, "FREE", free)
    rng = np.random.default_rng(seed)
    tiny = random_tiny(rng)
    low, high = -np.ones(tiny.inputs), np.ones(tiny.inputs)
    box = Box(low, high)
    region = box if kind == "box" else L1Ball(np.zeros(tiny.inputs), 0.5, box)
    direction, start = rng.normal(size=tiny.outputs), region.sample(rng, 1)[0]
    value, point = reached(tiny, region, direction, start)
    assert value == pytest.approx(direction @ tiny(point))
    assert (
        direction @ tiny(start) - 1e-12
        <= value
        <= greatest_output(tiny, direction, low, high) + 1e-9
    )
    assert region.violation(point[None])[0] <= 1e-9


def test_a_clock_that_has_stopped_leaves_the_start() -> None:
    rng = np.random.default_rng(1)
    tiny = random_tiny(rng)
    clock, box = Clock(Limits(60)), Box(-np.ones(tiny.inputs), np.ones(tiny.inputs))
    clock.interrupt()
    start = box.sample(rng, 1)[0]
    _, point = reached(tiny, box, np.ones(tiny.outputs), start, clock)
    np.testing.assert_array_equal(point, start)
