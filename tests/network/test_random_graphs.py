"""Random models: one function, whoever evaluates it, and one gradient."""

from __future__ import annotations

import numpy as np
import torch
from handmade_onnx import run
from hypothesis import given
from random_graphs import PLANS, grown

from dualbound.network import (
    Network,
    maps_on_pattern,
    pattern_at,
    read_onnx,
    twin,
    write_onnx,
)
from dualbound.network.gradients import pulled_back
from examples import examples

FEW = examples(30)


def points(network: Network, count: int = 3) -> np.ndarray:
    return np.random.default_rng(7).normal(size=(count, network.input_size))


def largest(network: Network, x: np.ndarray) -> float:
    """The largest number met on the way, which float32 errors are in proportion to."""
    return max(1.0, *(np.max(np.abs(value), initial=0) for value in network.values(x).values()))


@examples(100)
@given(**PLANS)
def test_the_network_is_what_onnxruntime_computes(**plan):
    model = grown(**plan)
    network = read_onnx(model)
    rows = points(network)
    for x, y in zip(rows, network(rows), strict=True):
        np.testing.assert_allclose(y, run(model, x), rtol=1e-5, atol=1e-5 * largest(network, rows))


@FEW
@given(**PLANS)
def test_written_in_float64_and_read_again_it_is_the_same_function(**plan):
    network = read_onnx(grown(**plan))
    again = read_onnx(write_onnx(network, dtype="float64"))
    rows = points(network)
    np.testing.assert_allclose(again(rows), network(rows), rtol=1e-12, atol=1e-12)
    assert (again.input_shape, again.output_size) == (network.input_shape, network.output_size)


@FEW
@given(**PLANS)
def test_what_is_written_in_float32_is_what_onnxruntime_computes(**plan):
    network = read_onnx(grown(**plan))
    model = write_onnx(network)
    rows = points(network)
    for x, y in zip(rows, network(rows), strict=True):
        np.testing.assert_allclose(y, run(model, x), rtol=1e-5, atol=1e-5 * largest(network, rows))
    assert write_onnx(network) == model


@FEW
@given(**PLANS)
def test_the_float64_twin_is_the_network(**plan):
    network = read_onnx(grown(**plan))
    rows = points(network)
    outputs = twin(network, dtype=torch.float64)(torch.from_numpy(rows))
    np.testing.assert_allclose(outputs.numpy(), network(rows), rtol=1e-12, atol=1e-12)


@FEW
@given(**PLANS)
def test_the_map_of_its_pattern_is_the_network_around_a_point(**plan):
    network = read_onnx(grown(**plan))
    [x] = points(network, 1)
    weight, bias = maps_on_pattern(network, pattern_at(network, x))[network.output]
    np.testing.assert_allclose(weight @ x + bias, network(x), rtol=1e-10, atol=1e-10)
    module = twin(network, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(module, torch.from_numpy(x[None]))
    np.testing.assert_allclose(jacobian[0, :, 0].numpy(), weight, rtol=1e-9, atol=1e-10)


@FEW
@given(**PLANS)
def test_the_gradient_is_that_of_small_differences(**plan):
    network = read_onnx(grown(**plan))
    rows = points(network, 4)
    rng = np.random.default_rng(8)
    slope = rng.normal(size=(len(rows), network.output_size))
    gradients = pulled_back(network, network.values(rows), slope)
    step = 1e-6 * rng.normal(size=rows.shape)
    for x, c, gradient, h in zip(rows, slope, gradients, step, strict=True):
        before, after = pattern_at(network, x), pattern_at(network, x + h)
        if all(np.array_equal(after[name], active) for name, active in before.items()):
            difference = c @ (network(x + h) - network(x))
            np.testing.assert_allclose(difference, gradient @ h, rtol=1e-6, atol=1e-12)


@FEW
@given(**PLANS)
def test_pulling_back_is_the_transpose_of_applying(**plan):
    network = read_onnx(grown(**plan))
    rng = np.random.default_rng(9)
    for node in network.nodes:
        for one in getattr(node.op, "maps", ()):
            m, n = one.shape
            v, c = rng.normal(size=(2, n)), rng.normal(size=(2, m))
            np.testing.assert_allclose(
                np.sum(one.apply(v) * c, 1), np.sum(v * one.pull_back(c), 1), rtol=1e-9, atol=1e-9
            )
            np.testing.assert_allclose(one.apply(v), v @ one.toarray().T, rtol=1e-9, atol=1e-9)
            np.testing.assert_array_equal(one.magnitude().toarray(), np.abs(one.toarray()))
