"""Batched bounds: the same as the plain ones, no looser than a linear program, in any type."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

import dualbound
from dualbound import Box, L1Ball, L2Ball, Network
from dualbound.bounds import crown
from dualbound.bounds.batched import (
    Boxes,
    Lines,
    Passed,
    Propagator,
    alpha_crown,
    ascended,
    combined,
    rooms_of,
    steepness,
)
from dualbound.bounds.crown import maximum
from dualbound.network.linear import Convolution
from dualbound.tighten import Layerwise
from tiny_graphs import random_graph


def a_network(seed: int) -> tuple[Network, Box]:
    rng = np.random.default_rng(seed)
    sizes = [4, 6, 5, 3]
    net = Network.dense(
        [rng.normal(size=(b, a)) for a, b in pairwise(sizes)],
        [rng.normal(size=b) for b in sizes[1:]],
    )
    center = rng.uniform(0, 1, 4)
    return net, Box(center - 0.3, center + 0.3)


@pytest.mark.parametrize("seed", range(20))
def test_a_pass_proves_what_the_plain_crown_proves(seed: int) -> None:
    network, region = a_network(seed)
    p = Propagator(network)
    plain, rooms = crown(network, region), rooms_of(region)
    p.rounding.settle(p.interval(rooms))
    ends = {
        name: (p.tensor(plain.lower[name])[None], p.tensor(plain.upper[name])[None])
        for name in plain.lower
    }
    lines = {relu.name: Lines.of(ends[relu.reads[0]]) for relu in network.relus}
    rows = np.random.default_rng(seed).normal(size=(5, network.output_size))
    found = p.backward(network.output, p.tensor(rows)[None], rooms, lines).bound[0]
    expected = -maximum(network, region, plain, network.output, -rows)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("ball", [L1Ball, L2Ball])
def test_balls_end_in_their_own_support_function(ball: type) -> None:
    network, box = a_network(3)
    region = ball((box.lower + box.upper) / 2, 0.25, box)
    first = network.pre_activations[0]
    low, high = Propagator(network).interval(rooms_of(region))[first]
    spans = Propagator(network.up_to(first)).crown(rooms_of(region))
    plain = crown(network, region)
    np.testing.assert_allclose(spans[first][0][0], plain.lower[first], atol=1e-9)
    np.testing.assert_allclose(spans[first][1][0], plain.upper[first], atol=1e-9)
    assert torch.all(low <= spans[first][0])
    assert torch.all(high >= spans[first][1])


@pytest.mark.parametrize("seed", range(10))
def test_many_boxes_at_once_are_bounded_as_one_by_one(seed: int) -> None:
    network, region = a_network(seed)
    rng = np.random.default_rng(seed)
    lower = region.lower + rng.uniform(0, 0.2, (7, 4))
    upper = lower + rng.uniform(0, 0.3, (7, 4))
    p = Propagator(network)
    p.rounding.settle(p.interval(Boxes(torch.as_tensor(lower), torch.as_tensor(upper))))
    low, high = p.crown(Boxes(torch.as_tensor(lower), torch.as_tensor(upper)))[network.output]
    for k in range(7):
        box = Boxes(torch.as_tensor(lower[k : k + 1]), torch.as_tensor(upper[k : k + 1]))
        one_low, one_high = p.crown(box)[network.output]
        # Together, a neuron that is open in another box is bounded here too: never looser.
        assert torch.all(low[k] >= one_low[0] - 1e-9)
        assert torch.all(high[k] <= one_high[0] + 1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_alpha_crown_is_within_a_hundredth_of_the_linear_program(seed: int) -> None:
    network, region = a_network(seed)
    spans = alpha_crown(Propagator(network), rooms_of(region), steps=60)
    program = Layerwise("lp")(network, region)
    for name in network.pre_activations[1:]:
        low, high = (end[0].numpy() for end in spans[name])
        open_ = (program.lower[name] < 0) & (program.upper[name] > 0)
        width = program.upper[name] - program.lower[name]
        assert np.all((high - low)[open_] <= 1.01 * width[open_] + 1e-9)


def test_float32_accounts_for_its_own_rounding() -> None:
    network, region = a_network(5)
    single = Propagator(network, dtype=torch.float32)
    exact = Propagator(network)
    for name, (low, high) in single.crown(rooms_of(region, dtype=torch.float32)).items():
        wide_low, wide_high = exact.interval(rooms_of(region))[name]
        points = torch.as_tensor(region.sample(np.random.default_rng(0), 2000))
        value = network.values(points.numpy())[name]
        assert np.all(value >= low[0].numpy() - 1e-6)
        assert np.all(value <= high[0].numpy() + 1e-6)
        assert torch.all(low[0].double() >= wide_low[0] - 1e-2)
        assert torch.all(high[0].double() <= wide_high[0] + 1e-2)


@pytest.mark.parametrize("seed", range(10))
def test_the_gradient_is_that_of_the_bound(seed: int) -> None:
    network, region = a_network(seed)
    p, rooms = Propagator(network), rooms_of(region)
    spans = p.crown(rooms)
    lines = {relu.name: Lines.of(spans[relu.reads[0]]) for relu in network.relus}
    rows = torch.as_tensor(np.random.default_rng(seed).normal(size=(1, 2, network.output_size)))
    slopes = {
        name: torch.where(line.unstable, 0.4, line.alpha)[:, None].expand(1, 2, -1).clone()
        for name, line in lines.items()
    }

    def passed(slopes: dict[str, torch.Tensor]) -> Passed:
        return p.backward(network.output, rows, rooms, lines, slopes=slopes, keep=True)

    base = passed(slopes)
    values, _ = p.gradient(base, lines, slopes)
    for name, line in lines.items():
        for j in line.unstable[0].nonzero()[:, 0].tolist():
            moved = {key: slope.clone() for key, slope in slopes.items()}
            moved[name][..., j] += 1e-7
            rise = (passed(moved).bound - base.bound)[0] / 1e-7
            expected = base.through[name][0, :, j].clamp(min=0) * values[name][0, :, j]
            np.testing.assert_allclose(rise, expected, atol=1e-4)


@pytest.mark.parametrize("seed", range(20))
def test_the_steepness_is_no_less_than_any_gradient(seed: int) -> None:
    network = random_graph(np.random.default_rng(seed)).network
    region = Box(0, 1).sized(network.input_size)
    p = Propagator(network)
    spans = p.crown(rooms_of(region))
    lines = {relu.name: Lines.of(spans[relu.reads[0]]) for relu in network.relus}
    row = torch.zeros(1, 1, network.output_size, dtype=torch.float64)
    row[..., 0] = 1.0
    steep = steepness(p, row, lines)[0, 0].numpy()
    points = region.sample(np.random.default_rng(seed), 200)
    from dualbound.network.gradients import slopes

    _, gradients = slopes(network, points, row[0, 0].numpy())
    assert np.all(np.abs(gradients) <= steep + 1e-9)


def test_rows_together_prove_more_than_each_alone() -> None:
    # x >= 0.1 and -x >= 0.1 exclude each other, but over [-1, 1] each can be met.
    network = Network.dense([[[1.0]]], [[0.0]])
    p = Propagator(network)
    rooms = Boxes(torch.tensor([[-1.0]]).double(), torch.tensor([[1.0]]).double())
    p.rounding.settle(p.interval(rooms))
    rows = torch.tensor([[[-1.0], [1.0]]]).double()
    found = p.backward(network.output, rows, rooms, {})
    bound = found.bound + 0.1
    best, weights = combined(found, bound, torch.tensor([0, 1]), p.rounding)
    assert float(bound.max()) < 0
    assert float(best) == pytest.approx(0.1, abs=1e-6)
    assert weights.sum() == pytest.approx(1.0)


@pytest.mark.slow
def test_a_convolution_is_never_made_a_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Convolution) -> None:
        raise AssertionError("a matrix was made")

    monkeypatch.setattr(Convolution, "_as_csr", refuse)
    net = dualbound.load(_a_convolutional_module(), input_shape=(1, 8, 8))
    p = Propagator(net)
    low, high = p.crown(rooms_of(Box(0, 1).sized(64)))[net.output]
    assert torch.all(low <= high)


def _a_convolutional_module() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(48, 4),
    )


def test_ascent_only_improves() -> None:
    network, region = a_network(1)
    p, rooms = Propagator(network), rooms_of(region)
    spans = p.crown(rooms)
    lines = {relu.name: Lines.of(spans[relu.reads[0]]) for relu in network.relus}
    rows = torch.eye(network.output_size, dtype=torch.float64)[None]
    plain = p.backward(network.output, rows, rooms, lines).bound
    assert torch.all(ascended(p, network.output, rows, rooms, lines, 20) >= plain)


def test_rounding_is_measured_anew_for_a_wider_room() -> None:
    network, region = a_network(2)
    wide = Box(region.lower - 1e6, region.upper + 1e6)
    used, fresh = Propagator(network), Propagator(network)
    used.crown(rooms_of(region))
    expected = fresh.crown(rooms_of(wide))[network.output]
    again = used.crown(rooms_of(wide))[network.output]
    assert torch.equal(again[0], expected[0])
    assert torch.equal(again[1], expected[1])
