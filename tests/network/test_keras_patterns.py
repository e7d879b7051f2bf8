"""Channels last, as tf2onnx writes Keras models: transposed around every convolution."""

from __future__ import annotations

import numpy as np
import pytest
from handmade_onnx import array, assert_agrees, build, ints, number
from onnx import TensorProto, helper

from dualbound.network import Affine, read_onnx, replay
from dualbound.network.linear import Convolution

FIRST, LAST = [0, 3, 1, 2], [0, 2, 3, 1]


def inward(read: str, made: str):
    return helper.make_node("Transpose", [read], [made], perm=FIRST)


def outward(read: str, made: str):
    return helper.make_node("Transpose", [read], [made], perm=LAST)


def flattened(read: str, made: str):
    """Keras' Flatten: a reshape to a shape computed from that of the input."""
    return [
        helper.make_node("Shape", [read], ["whole"]),
        helper.make_node("Cast", ["whole"], ["whole32"], to=TensorProto.INT32),
        helper.make_node("Slice", ["whole32", "zero", "one", "zero"], ["batch32"]),
        helper.make_node("Concat", ["batch32", "rest32"], ["shape32"], axis=0),
        helper.make_node("Cast", ["shape32"], ["shape"], to=TensorProto.INT64),
        helper.make_node("Reshape", [read, "shape"], [made]),
    ]


FLATTEN = {"zero": ints(0), "one": ints(1), "rest32": np.array([-1], np.int32)}


def sequential() -> bytes:
    """Convolutions with their biases added outside, pools, a dense layer and a softmax."""
    nodes = [
        inward("x", "x1"),
        helper.make_node("Conv", ["x1", "w1"], ["z1"], auto_pad="SAME_UPPER", strides=[2, 2],
                         kernel_shape=[3, 3]),
        outward("z1", "z2"),
        helper.make_node("Add", ["z2", "b1"], ["z3"]),
        helper.make_node("Relu", ["z3"], ["h1"]),
        inward("h1", "h2"),
        helper.make_node("MaxPool", ["h2"], ["p1"], kernel_shape=[2, 2], strides=[2, 2],
                         auto_pad="VALID"),
        helper.make_node("Conv", ["p1", "w2"], ["z4"], kernel_shape=[2, 2], auto_pad="VALID"),
        helper.make_node("LeakyRelu", ["z4"], ["h3"], alpha=0.3),
        outward("h3", "h4"),
        *flattened("h4", "flat"),
        helper.make_node("MatMul", ["flat", "w3"], ["z5"]),
        helper.make_node("Add", ["z5", "b3"], ["z6"]),
        helper.make_node("Softmax", ["z6"], ["y"], axis=-1),
    ]  # fmt: skip
    constants = FLATTEN | {
        "w1": array(4, 2, 3, 3), "b1": array(4), "w2": array(3, 4, 2, 2),
        "w3": array(6, 5), "b3": array(5),
    }  # fmt: skip
    return build(nodes, [None, 8, 12, 2], constants, opset=15)


def residual() -> bytes:
    """Sums and concatenations with the channels last, and a mean over the image at the end."""
    nodes = [
        inward("x", "x1"),
        helper.make_node("Conv", ["x1", "w1", "b1"], ["z1"], auto_pad="SAME_UPPER"),
        helper.make_node("Relu", ["z1"], ["h1"]),
        helper.make_node("Conv", ["h1", "w2"], ["z2"], auto_pad="SAME_LOWER"),
        outward("z2", "z3"),
        outward("h1", "h2"),
        helper.make_node("Add", ["z3", "h2"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["h3"]),
        helper.make_node("Concat", ["h3", "x"], ["cat"], axis=3),
        helper.make_node("Max", ["cat", "none"], ["up"]),
        helper.make_node("Min", ["up", "six"], ["six6"]),
        helper.make_node("ReduceMean", ["six6"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "w3"], ["y"]),
    ]
    constants = {
        "w1": array(3, 2, 3, 3), "b1": array(3), "w2": array(3, 3, 3, 2), "w3": array(5, 4),
        "none": number(0.0), "six": number(0.8),
    }  # fmt: skip
    return build(nodes, [None, 4, 5, 2], constants, opset=13)


def one_channel() -> bytes:
    """A transpose of a single channel is written as a reshape, and padding stands by itself."""
    nodes = [
        helper.make_node("Pad", ["x", "pads"], ["padded"]),
        helper.make_node("Reshape", ["padded", "nchw"], ["x1"]),
        helper.make_node("Conv", ["x1", "w1"], ["z1"], strides=[2, 2]),
        helper.make_node("BatchNormalization", ["z1", *"sbmv"], ["z2"], epsilon=0.001),
        helper.make_node("Relu", ["z2"], ["h1"]),
        helper.make_node("Conv", ["h1", "w2"], ["z3"], group=3),
        helper.make_node("GlobalAveragePool", ["z3"], ["mean"]),
        helper.make_node("Squeeze", ["mean", "axes"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["y"]),
    ]
    constants = {
        "pads": ints(0, 1, 1, 0, 0, 1, 1, 0), "nchw": ints(-1, 1, 7, 7), "axes": ints(2, 3),
        "w1": array(3, 1, 3, 3), "w2": array(6, 1, 2, 2), "w3": array(6, 2), "b3": array(2),
        "s": array(3), "b": array(3), "m": array(3), "v": array(3, seed=1) ** 2 + np.float32(0.1),
    }  # fmt: skip
    return build(nodes, [None, 5, 5, 1], constants, opset=13)


def signal() -> bytes:
    """A one-dimensional convolution is one of two dimensions, of height 1."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["x1"], perm=[0, 2, 1]),
        helper.make_node("Unsqueeze", ["x1", "axis"], ["x2"]),
        helper.make_node("Conv", ["x2", "w1", "b1"], ["z1"], auto_pad="SAME_UPPER",
                         strides=[1, 2], dilations=[1, 1]),
        helper.make_node("Squeeze", ["z1", "axis"], ["z2"]),
        helper.make_node("Transpose", ["z2"], ["z3"], perm=[0, 2, 1]),
        helper.make_node("Relu", ["z3"], ["h1"]),
        helper.make_node("ReduceMax", ["h1"], ["y"], axes=[1], keepdims=0),
    ]  # fmt: skip
    constants = {"axis": ints(2), "w1": array(4, 3, 1, 3), "b1": array(4)}
    return build(nodes, [None, 7, 3], constants, opset=15)


@pytest.mark.parametrize("make", [residual, one_channel, signal])
def test_is_what_onnxruntime_computes(make):
    assert_agrees(make())


def test_a_softmax_is_left_out():
    model = sequential()
    network = read_onnx(model)
    assert network.input_shape == (8, 12, 2)
    assert "Softmax" in network.source.notes[0]
    rng = np.random.default_rng(0)
    for x in rng.normal(size=(3, *network.input_shape)):
        np.testing.assert_allclose(replay(network, x).before_softmax, network(x), atol=1e-5)


@pytest.mark.parametrize(("make", "count"), [(sequential, 2), (residual, 2), (one_channel, 2)])
def test_convolutions_remain_convolutions(make, count):
    network = read_onnx(make())
    maps = [one for node in network.nodes if isinstance(node.op, Affine) for one in node.op.maps]
    assert sum(isinstance(one, Convolution) for one in maps) == count
