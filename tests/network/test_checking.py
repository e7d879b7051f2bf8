"""A check tells a network from what is not its file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from handmade_onnx import HALF, array, build, dense
from hypothesis import given
from onnx import helper
from random_graphs import PLANS, grown

from dualbound.errors import InvalidInput, InvalidModel
from dualbound.network import Network, Source, check, read_onnx, write_onnx
from examples import examples

SMALL = Network.dense([[[1.0, -1.0]], [[2.0], [-2.0]]], [[0.5], [0.0, 1.0]])


@examples(25)
@given(**PLANS)
def test_what_was_read_agrees(**plan):
    found = check(read_onnx(grown(**plan)), count=4)
    assert found.agrees
    assert found.points == 16


def test_a_network_without_a_file_agrees():
    assert check(SMALL).difference < 1e-6


def test_another_file_does_not_agree():
    liar = replace(read_onnx(dense(seed=0)), source=Source(dense(seed=1)))
    found = check(liar)
    assert not found.agrees
    assert found.difference > 0.01
    assert found.worst.shape == (4,)


@pytest.mark.parametrize(("change", "agrees"), [(1e-7, True), (1e-3, False)])
def test_what_rounding_explains(change, agrees):
    wrong = Network.dense([[[1.0 + change, -1.0]], [[2.0], [-2.0]]], [[0.5], [0.0, 1.0]])
    found = check(replace(SMALL, source=Source(write_onnx(wrong))))
    assert found.agrees is agrees


def test_steps_take_the_largest_outputs_apart():
    """The file differs only where the first output is far above the second, as none is at first."""

    def network(kink: float) -> Network:
        last = [[1.0, 0.0, kink], [0.0, 1.0, 0.0]]
        return Network.dense(
            [[[0.1, 0.0], [0.0, 0.1], [1.0, -1.0]], last], [[10, 10, -edge], [0, 0]]
        )

    drawn = np.random.default_rng(0)
    rows = np.concatenate([drawn.uniform(size=(24, 2)), drawn.normal(size=(24, 2))])
    edge = np.max(rows @ [1.0, -1.0])
    assert not check(replace(network(0.0), source=Source(write_onnx(network(9.0))))).agrees


def test_half_precision_is_coarse():
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = build([node], ["n", 3], {"w": array(3, 2).astype(np.float16)}, kind=HALF)
    found = check(read_onnx(model))
    assert 1e-4 < found.difference < found.tolerance == 2e-2


def test_an_answer_that_is_no_number_does_not_agree():
    nodes = [helper.make_node("Div", ["x", "zero"], ["y"])]
    infinite = build(nodes, ["n", 2], {"zero": np.zeros(1, np.float32)})
    found = check(replace(Network.dense([np.eye(2)], [np.zeros(2)]), source=Source(infinite)))
    assert found.difference == np.inf
    assert not found.agrees


def test_outputs_of_zero_everywhere_agree():
    found = check(Network.dense([np.zeros((2, 2))], [np.zeros(2)]))
    assert found.difference == 0.0


def test_the_same_seed_is_the_same_check():
    network = read_onnx(dense())
    assert check(network, seed=3).difference == check(network, seed=3).difference
    np.testing.assert_array_equal(check(network).worst, check(network).worst)


@pytest.mark.parametrize("count", [0, -1])
def test_no_inputs_are_no_check(count):
    with pytest.raises(InvalidInput, match=f"count is {count}; expected at least 1"):
        check(SMALL, count=count)


def test_a_file_that_cannot_be_run():
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    mixed = build([node], ["n", 2], {"w": np.ones((2, 2))})
    with pytest.raises(InvalidModel, match="onnxruntime cannot load the model"):
        check(read_onnx(mixed))
