"""The replay asks the file itself, whatever the network says."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from handmade_onnx import DOUBLE, FLOAT, HALF, build, dense, run
from onnx import helper

from dualbound.errors import InvalidInput, InvalidModel
from dualbound.network import Network, Source, read_onnx, replay
from dualbound.network import replay as replay_function

W = np.array([[1.0, -2.0, 0.5], [0.25, 1.0, -1.0]])


def softmax_model(*, shown: bool = False) -> bytes:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Softmax", ["z"], ["p"]),
    ]
    return build(nodes, ["n", 2], {"w": W.astype(np.float32)}, outputs={"p": FLOAT})


def test_runs_the_exact_file():
    model = dense()
    network = read_onnx(model)
    x = np.array([0.1, -0.2, 0.3, 0.4])
    found = replay(network, x)
    np.testing.assert_array_equal(found.outputs, run(model, x))
    assert found.outputs.dtype == np.float64
    assert found.logits
    np.testing.assert_array_equal(found.before_softmax, found.outputs)


def test_the_file_is_believed_rather_than_the_network():
    network = read_onnx(dense(seed=0))
    liar = replace(network, source=Source(dense(seed=1)))
    x = np.ones(4)
    np.testing.assert_array_equal(replay(liar, x).outputs, run(dense(seed=1), x))
    assert np.max(np.abs(replay(liar, x).outputs - liar(x))) > 0.01


def test_batches_run_row_by_row():
    network = read_onnx(dense(sizes=(4, 3, 2)))
    rows = np.random.default_rng(0).normal(size=(5, 4))
    found = replay(network, rows)
    assert found.outputs.shape == (5, 2)
    for row, outputs in zip(rows, found.outputs, strict=True):
        np.testing.assert_array_equal(replay(network, row).outputs, outputs)


def test_an_image_is_fed_in_its_own_shape():
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("Flatten", ["t"], ["y"]),
    ]
    network = read_onnx(build(nodes, [None, 2, 2, 2]))
    image = np.arange(8.0).reshape(2, 2, 2)
    np.testing.assert_array_equal(replay(network, image).outputs, network(image))


def test_a_stripped_softmax_shows_probabilities_and_logits():
    network = read_onnx(softmax_model())
    x = np.array([0.5, -1.0])
    found = replay(network, x)
    assert not found.logits
    assert found.outputs.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(found.before_softmax, x @ W, rtol=1e-6)
    weights = np.exp(network(x))
    np.testing.assert_allclose(found.outputs, weights / weights.sum(), rtol=1e-6)


def test_logits_that_are_an_output_already():
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Cast", ["z"], ["zz"], to=FLOAT),
        helper.make_node("Softmax", ["zz"], ["p"]),
        helper.make_node("Identity", ["p"], ["q"]),
        helper.make_node("ArgMax", ["zz"], ["label"]),
    ]
    outputs = {"label": 7, "q": FLOAT}
    network = read_onnx(build(nodes, ["n", 2], {"w": W.astype(np.float32)}, outputs=outputs))
    x = np.array([0.5, -1.0])
    np.testing.assert_allclose(replay(network, x).before_softmax, network(x), rtol=1e-6)


@pytest.mark.parametrize(("kind", "tolerance"), [(DOUBLE, 1e-14), (FLOAT, 1e-6), (HALF, 1e-2)])
def test_the_input_has_the_precision_of_the_file(kind, tolerance):
    weight = W.astype(helper.tensor_dtype_to_np_dtype(kind))
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    network = read_onnx(build([node], ["n", 2], {"w": weight}, kind=kind))
    x = np.array([1 / 3, 0.1])
    np.testing.assert_allclose(replay(network, x).outputs, network(x), rtol=tolerance)


def test_a_network_without_a_file_is_written_first():
    network = Network.dense([W.T], [np.zeros(3)])
    found = replay(network, [1 / 3, 0.1])
    np.testing.assert_allclose(found.outputs, network([1 / 3, 0.1]), rtol=1e-6)
    assert found.logits


def test_a_part_of_a_network_does_not_claim_the_file():
    network = read_onnx(dense())
    part = network.up_to("h0")
    x = np.ones(4)
    np.testing.assert_allclose(replay(part, x).outputs, part(x), rtol=1e-5)
    assert network.up_to(network.output) is network


def test_sessions_are_kept_as_long_as_the_network(monkeypatch):
    import onnxruntime

    started = []
    session = onnxruntime.InferenceSession

    def counting(*args, **kwargs):
        started.append(args)
        return session(*args, **kwargs)

    monkeypatch.setattr(onnxruntime, "InferenceSession", counting)
    network = read_onnx(dense())
    for _ in range(3):
        replay_function(network, np.ones(4))
    assert len(started) == 1
    gone = weakref.ref(network)
    del network
    gc.collect()
    assert gone() is None


def test_an_input_of_another_size():
    with pytest.raises(InvalidInput, match="3 values"):
        replay(read_onnx(dense()), np.ones(3))


def test_a_file_that_the_runtime_refuses():
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    mixed = build([node], ["n", 2], {"w": W})
    with pytest.raises(InvalidModel, match="onnxruntime cannot load the model"):
        replay(read_onnx(mixed), np.ones(2))


def test_a_file_of_another_network():
    network = replace(read_onnx(dense(sizes=(4, 3, 2))), source=Source(dense(sizes=(4, 3, 5))))
    with pytest.raises(InvalidModel, match="finds 5 outputs where the network has 2"):
        replay(network, np.ones(4))
    other = replace(network, source=Source(dense(sizes=(3, 3, 2))))
    with pytest.raises(InvalidModel, match=r"cannot .*run the model"):
        replay(other, np.ones(4))
