"""Lines around activations: never cut, close where they can be, whatever the interval."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from curved_networks import grid, random_curved
from dualbound.bounds import crown, interval
from dualbound.bounds.batched import Propagator, alpha_crown, rooms_of
from dualbound.bounds.envelopes import envelope, intercepts, pieces
from dualbound.network import Elementwise, Relu, Sigmoid, Sign

OPS = [Relu(), Sigmoid(), Sign()]
SCALES = (1e-12, 1e-6, 1e-3, 0.1, 1.0, 3.0, 10.0, 100.0, 1e6)


def intervals(scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Of all kinds: narrow, empty inside, from or to 0."""
    rng = np.random.default_rng(1)
    lower = rng.normal(size=1000) * scale
    width = np.abs(rng.normal(size=1000)) * scale * rng.choice([1, 1e-3, 0], size=1000)
    lower = np.where(rng.random(1000) < 0.1, 0.0, lower)
    upper = np.where(rng.random(1000) < 0.1, np.maximum(lower, 0.0), lower + width)
    return lower, upper


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.operator)
def test_an_activation_lies_between_its_lines(op: Elementwise, scale: float) -> None:
    lower, upper = intervals(scale)
    lines = envelope(op, lower, upper)
    err = 1e-15 * scale  # of a rectifier's lines, which callers charge
    for part in np.linspace(0, 1, 101):
        v = np.clip(lower + part * (upper - lower), lower, upper)
        assert np.all(lines.low_slope * v + lines.low <= op(v) + err)
        assert np.all(lines.high_slope * v + lines.high >= op(v) - err)
        if isinstance(op, Sign):
            assert np.all(np.abs(lines.low_slope * v + lines.low) <= 3.0 + err)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("op", OPS[1:], ids=lambda op: op.operator)
def test_any_slope_has_intercepts(op: Elementwise, scale: float) -> None:
    lower, upper = intervals(scale)
    slope = np.abs(np.random.default_rng(2).normal(size=1000)) * np.array(
        [0.0, 0.1, 0.3, 2.0, 1e-9] * 200
    )
    low, high = intercepts(op, slope, lower, upper)
    seen_low, seen_high = np.full(1000, np.inf), np.full(1000, -np.inf)
    for part in np.linspace(0, 1, 401):
        v = np.clip(lower + part * (upper - lower), lower, upper)
        seen_low = np.minimum(seen_low, op(v) - slope * v)
        seen_high = np.maximum(seen_high, op(v) - slope * v)
    assert np.all(low <= seen_low)
    assert np.all(high >= seen_high)
    if isinstance(op, Sigmoid) and scale <= 10:
        assert np.all(seen_low - low <= 1e-3)
        assert np.all(high - seen_high <= 1e-3)


def test_lines_are_close_on_narrow_intervals() -> None:
    v = np.linspace(-6, 6, 200)
    for width in (1.0, 0.1, 0.01):
        lines = envelope(Sigmoid(), v - width / 2, v + width / 2)
        gap = (lines.high_slope - lines.low_slope) * v + lines.high - lines.low
        assert np.all(gap <= 0.03 * width**2)


@pytest.mark.parametrize(
    "ends", [(-6, 6), (-100, 100), (1, 2), (-2, -1), (-1e9, 3), (0, 0), (2, 2), (0, 5), (-5, 0)]
)
@pytest.mark.parametrize("op", OPS[1:], ids=lambda op: op.operator)
@pytest.mark.parametrize("band", [0.05, 0.001])
def test_pieces_cover_an_interval(op: Elementwise, ends: tuple[float, float], band: float) -> None:
    found = pieces(op, float(ends[0]), float(ends[1]), band)
    assert (found[0][0], found[-1][1]) == ends
    for (_, end, *_), (start, *_) in pairwise(found):
        assert end == start
    for a, b, slope, low, high in found:
        assert high - low <= 2 * band
        v = np.linspace(a, b, 50)
        inside = v[1:-1] if isinstance(op, Sign) and a < b else v  # it jumps at an end
        assert np.all(slope * inside + low <= op(inside))
        assert np.all(slope * inside + high >= op(inside))


@pytest.mark.parametrize("seed", range(40))
def test_bounds_hold_on_curved_networks(seed: int) -> None:
    network, box = random_curved(seed)
    points = grid(box, 60)
    for method in (interval, crown):
        method(network, box).check(network, points)
    p, rooms = Propagator(network), rooms_of(box)
    for spans in (p.interval(rooms), p.crown(rooms), alpha_crown(p, rooms)):
        values = network.values(points)
        for name, (low, high) in spans.items():
            assert np.all(values[name] >= low.numpy()[0] - 1e-12)
            assert np.all(values[name] <= high.numpy()[0] + 1e-12)


@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_batched_bounds_are_those_of_numpy(seed: int) -> None:
    network, box = random_curved(seed)
    spans, bounds = Propagator(network).crown(rooms_of(box)), crown(network, box)
    assert float(spans["out"][1]) <= bounds.upper["out"][0] + 1e-9
    assert float(spans["out"][0]) >= bounds.lower["out"][0] - 1e-9
