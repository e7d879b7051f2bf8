"""What is written is a valid file, the same bytes each time, and the same function when read."""

from __future__ import annotations

import gzip
import math
from itertools import pairwise

import numpy as np
import onnx
import pytest
import scipy.sparse as sp
from handmade_onnx import assert_agrees
from hypothesis import given
from hypothesis import strategies as st

from dualbound.errors import InvalidInput, InvalidModel, OutputError
from dualbound.network import Affine, Input, Network, Node, Relu, load, read_onnx, write_onnx
from dualbound.network.linear import Dense, Sparse, linear_map

PLANS = {
    "shape": st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple),
    "widths": st.lists(st.integers(1, 5), min_size=1, max_size=4),
    "final_relu": st.booleans(),
    "seed": st.integers(0, 2**32),
}
"""What a random network is made from."""


def planned(shape: tuple[int, ...], widths: list[int], final_relu: bool, seed: int) -> Network:
    """A dense chain with an input of one to three axes."""
    rng = np.random.default_rng(seed)
    pairs = list(pairwise([math.prod(shape), *widths]))
    return Network.dense(
        [rng.normal(size=(m, n)) for n, m in pairs],
        [rng.normal(size=m) for _, m in pairs],
        input_shape=shape,
        final_relu=final_relu,
    )


@given(**PLANS)
def test_float64_round_trip_is_the_same_network(**plan):
    network = planned(**plan)
    again = read_onnx(write_onnx(network, dtype="float64"))
    assert [(n.name, n.reads, n.size) for n in again.nodes] == [
        (n.name, n.reads, n.size) for n in network.nodes
    ]
    assert (again.input_shape, again.output) == (network.input_shape, network.output)
    for one, other in zip(again.nodes, network.nodes, strict=True):
        if isinstance(one.op, Affine):
            np.testing.assert_array_equal(one.op.weight, other.op.weight)
            np.testing.assert_array_equal(one.op.bias, other.op.bias)


@given(**PLANS)
def test_float32_round_trip_is_the_same_function_and_the_file_computes_it(**plan):
    network = planned(**plan)
    model = write_onnx(network)
    again = assert_agrees(model, tolerance=1e-4)
    x = np.linspace(-1, 1, network.input_size)
    np.testing.assert_allclose(again(x), network(x), rtol=1e-4, atol=1e-4)
    assert write_onnx(network) == model
    assert write_onnx(again) == model


def test_the_file_is_plain_and_old_enough_for_every_runtime():
    proto = onnx.load_model_from_string(write_onnx(Network.dense([np.eye(2)], [np.ones(2)])))
    onnx.checker.check_model(proto, full_check=True)
    assert proto.opset_import[0].version <= 18
    assert proto.ir_version <= 8
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_network_that_is_its_input():
    network = Network((Node("output", Input(), (), 4),), (2, 2), "output")
    again = assert_agrees(write_onnx(network))
    np.testing.assert_array_equal(again([1, 2, 3, 4]), [1, 2, 3, 4])


def test_an_input_without_axes():
    network = Network((Node("x", Input(), (), 1), Node("y", Relu(), ("x",), 1)), (), "y")
    assert assert_agrees(write_onnx(network)).input_shape == (1,)


def test_branches_and_awkward_names():
    weight = np.array([[1.0, -1.0], [2.0, 0.5]])
    network = Network(
        (
            Node("flat", Input(), (), 2),
            Node("a.weight", Affine(weight, np.zeros(2)), ("flat",), 2),
            Node("a", Affine(2 * weight, np.ones(2)), ("flat",), 2),
            Node("r", Relu(), ("a",), 2),
        ),
        (1, 2),
        "r",
    )
    x = np.array([0.3, 0.4])
    again = assert_agrees(write_onnx(network, dtype=np.float64))
    np.testing.assert_allclose(again(x), network(x), rtol=1e-12)


def scattered(seed: int) -> sp.csr_array:
    """A large matrix with no entry, or a few, in every row."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(150), rng.integers(0, 5, size=150))
    columns = np.concatenate([rng.choice(200, n, replace=False) for n in np.bincount(rows)])
    return sp.csr_array((rng.normal(size=len(rows)), (rows, columns)), shape=(150, 200))


@pytest.mark.parametrize("bias", [0.0, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sparse_matrix_is_written_by_its_entries(dtype, bias):
    one, other = linear_map(scattered(1)), linear_map(scattered(2))
    nodes = (
        Node("x", Input(), (), 200),
        Node("a", Affine(one, np.full(150, bias)), ("x",), 150),
        Node("r", Relu(), ("a",), 150),
        Node("y", Affine((Dense(np.eye(150)), other), np.full(150, bias)), ("r", "x"), 150),
    )
    network = Network(nodes, (200,), "y")
    model = write_onnx(network, dtype=dtype)
    assert len(model) < 3 * 8 * 150 * 150
    again = assert_agrees(model)
    x = np.random.default_rng(0).normal(size=(3, 200))
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(again(x), network(x), rtol=tolerance, atol=tolerance)
    assert [type(m) for m in again["a"].op.maps] == [Sparse]
    assert again["a"].op.maps[0].entries == one.entries


def test_a_sparse_matrix_without_entries():
    nodes = (
        Node("x", Input(), (), 200),
        Node("y", Affine(Sparse(sp.csr_array((150, 200))), np.arange(150.0)), ("x",), 150),
    )
    network = Network(nodes, (200,), "y")
    np.testing.assert_array_equal(assert_agrees(write_onnx(network))(np.ones(200)), np.arange(150))


def test_more_weights_than_a_file_can_hold(monkeypatch):
    monkeypatch.setattr("dualbound.network.onnx_writer._MOST_BYTES", 23)
    with pytest.raises(InvalidModel, match="needs 24 bytes for its weights"):
        write_onnx(Network.dense([np.eye(2)], [np.ones(2)]))


@pytest.mark.parametrize("name", ["net.onnx", "net.onnx.gz"])
def test_written_to_a_file(tmp_path, name):
    network = Network.dense([np.eye(2)], [np.ones(2)])
    model = write_onnx(network, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    assert (gzip.decompress(data) if name.endswith("gz") else data) == model
    again = load(tmp_path / name)
    np.testing.assert_array_equal(again([1.0, 2.0]), [2.0, 3.0])
    assert (again.source.model, again.source.path) == (model, tmp_path / name)
    write_onnx(network, tmp_path / name)
    assert (tmp_path / name).read_bytes() == data


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match=r"nowhere/net\.onnx cannot be written: No such file"):
        write_onnx(Network.dense([np.eye(2)], [np.ones(2)]), tmp_path / "nowhere/net.onnx")


@pytest.mark.parametrize("dtype", ["float16", "int32"])
def test_another_dtype(dtype):
    with pytest.raises(InvalidInput, match="expected float32 or float64"):
        write_onnx(Network.dense([np.eye(2)], [np.ones(2)]), dtype=dtype)


def test_weights_too_large_for_float32():
    network = Network.dense([1e300 * np.eye(2)], [np.ones(2)])
    with pytest.raises(InvalidModel, match="'affine1' has weights too large for float32"):
        write_onnx(network)
    assert write_onnx(network, dtype="float64")
