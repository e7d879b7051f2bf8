"""Damaged and altered files end in a `ModelError`, or in a network that the runtime agrees with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from handmade_onnx import array, build, dense, ints, number
from onnx import helper, numpy_helper

from dualbound.errors import ModelError
from dualbound.network import read_onnx, replay

BLOCKS, SIZE = 8, 25
"""So many times so many files, of each model and each kind of damage: 2,000 in all."""


def normalised() -> bytes:
    """Shapes that come and go, and a softmax at the end."""
    rng = np.random.default_rng(5)
    nodes = [
        helper.make_node("Sub", ["x", "mean"], ["c"]),
        helper.make_node("Div", ["c", "std"], ["d"]),
        helper.make_node("Transpose", ["d"], ["t"], perm=[0, 2, 1]),
        helper.make_node("Reshape", ["t", "s"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["z"]),
        helper.make_node("Relu", ["z"], ["h"]),
        helper.make_node("Unsqueeze", ["h", "a"], ["u"]),
        helper.make_node("Squeeze", ["u", "a"], ["v"]),
        helper.make_node("Softmax", ["v"], ["y"], axis=1),
    ]
    constants = {
        "mean": np.float32([[0.1], [0.2]]),
        "std": np.float32([[0.3], [0.4]]),
        "s": np.array([0, -1]),
        "w": rng.normal(size=(6, 4)).astype(np.float32),
        "a": np.array([1]),
    }
    return build(nodes, ["n", 2, 3], constants)


def convolutional() -> bytes:
    """Convolutions of all kinds, normalised."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["z1"], pads=[1, 0, 1, 1], strides=[2, 1],
                         kernel_shape=[3, 2]),
        helper.make_node("BatchNormalization", ["z1", *"sbmv"], ["n1"], epsilon=1e-3),
        helper.make_node("LeakyRelu", ["n1"], ["h1"], alpha=0.1),
        helper.make_node("Conv", ["h1", "w2"], ["z2"], group=2, auto_pad="SAME_UPPER"),
        helper.make_node("Relu", ["z2"], ["h2"]),
        helper.make_node("ConvTranspose", ["h2", "w3"], ["z3"], strides=[2, 2],
                         output_padding=[1, 0], pads=[0, 1, 0, 0]),
        helper.make_node("GlobalAveragePool", ["z3"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]  # fmt: skip
    constants = {
        "w1": array(4, 2, 3, 2), "b1": array(4), "w2": array(2, 2, 2, 2), "w3": array(2, 3, 2, 2),
        "s": array(4), "b": array(4), "m": array(4), "v": array(4, seed=1) ** 2 + np.float32(0.1),
    }  # fmt: skip
    return build(nodes, ["n", 2, 5, 4], constants)


def residual() -> bytes:
    """Tensors that part and meet: sums, concatenations, parts, and the larger of two."""
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["z1"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["z1", "x"], ["s1"]),
        helper.make_node("Clip", ["s1", "low", "high"], ["h1"]),
        helper.make_node("Split", ["h1", "sizes"], ["a", "b"], axis=1),
        helper.make_node("Concat", ["b", "a", "x"], ["c"], axis=1),
        helper.make_node("Gather", ["c", "chosen"], ["g"], axis=1),
        helper.make_node("Slice", ["g", "starts", "ends", "axes", "steps"], ["d"]),
        helper.make_node("Where", ["mask", "d", "low"], ["e"]),
        helper.make_node("Pad", ["e", "pads", "high"], ["f"]),
        helper.make_node("Max", ["f", "low", "f"], ["i"]),
        helper.make_node("ReduceMax", ["i"], ["r"], axes=[2], keepdims=0),
        helper.make_node("Flatten", ["r"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w2", "b2"], ["y"], transB=1, alpha=0.5),
    ]
    constants = {
        "w1": array(3, 3, 3, 3), "low": number(-0.5), "high": number(0.75), "sizes": ints(1, 2),
        "chosen": ints(4, 0, -1), "starts": ints(-1), "ends": ints(-100), "axes": ints(3),
        "steps": ints(-2), "mask": np.array([True, False]), "pads": ints(0, 0, 1, 0, 0, 0, 0, 1),
        "w2": array(2, 9), "b2": array(2),
    }  # fmt: skip
    return build(nodes, ["n", 3, 3, 4], constants)


def pooling() -> bytes:
    """Pools of all kinds, and numbers that move."""
    nodes = [
        helper.make_node("MaxPool", ["x"], ["p1"], kernel_shape=[2, 3], pads=[1, 1, 0, 1],
                         strides=[1, 2]),
        helper.make_node("AveragePool", ["p1"], ["p2"], kernel_shape=[2, 2], strides=[2, 1],
                         ceil_mode=1, count_include_pad=1),
        helper.make_node("PRelu", ["p2", "slope"], ["h"]),
        helper.make_node("DepthToSpace", ["h"], ["d"], blocksize=2),
        helper.make_node("Tile", ["d", "repeats"], ["t"]),
        helper.make_node("ReduceMean", ["t"], ["m"], axes=[1]),
        helper.make_node("Expand", ["m", "shape"], ["e"]),
        helper.make_node("HardSigmoid", ["e"], ["s"], alpha=0.5),
        helper.make_node("Abs", ["s"], ["a"]),
        helper.make_node("GlobalMaxPool", ["a"], ["g"]),
        helper.make_node("Squeeze", ["g", "axes"], ["y"]),
    ]  # fmt: skip
    constants = {
        "slope": array(4, 1, 1), "repeats": ints(1, 2, 1, 1), "shape": ints(1, 3, 1, 1),
        "axes": ints(2, 3),
    }  # fmt: skip
    return build(nodes, ["n", 4, 4, 5], constants)


MODELS = {
    "dense": dense(),
    "normalised": normalised(),
    "convolutional": convolutional(),
    "residual": residual(),
    "pooling": pooling(),
}


def damaged(model: bytes, seed: int) -> bytes:
    """The model with some bytes changed, removed, repeated or cut off, differently each time."""
    rng = np.random.default_rng(seed)
    data = bytearray(model)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(data)))
        match rng.integers(6):
            case 0:
                del data[at:]
            case 1:
                del data[at : at + int(rng.integers(1, 9))]
            case 2:
                data[at:at] = data[at : at + int(rng.integers(1, 9))]
            case 3:
                data[at] ^= 1 << int(rng.integers(8))
            case _:
                data[at] = int(rng.integers(256))
        if not data:
            break
    return bytes(data)


def altered(model: bytes, seed: int) -> bytes:
    """The model with some attribute, constant, input or operator changed: valid protobuf."""
    rng = np.random.default_rng(seed)
    proto = onnx.load_model_from_string(model)
    for _ in range(rng.integers(1, 4)):
        node = proto.graph.node[rng.integers(len(proto.graph.node))]
        match rng.integers(8):
            case 0 | 1 | 2 if node.attribute:
                _alter_attribute(node, rng)
            case 3 | 4 | 5:
                _alter_constant(proto.graph, rng)
            case 6:
                names = [name for other in proto.graph.node for name in other.input]
                node.input[rng.integers(len(node.input))] = str(rng.choice([*names, ""]))
            case _:
                node.op_type = str(rng.choice([other.op_type for other in proto.graph.node]))
    if rng.random() < 0.2:
        proto.opset_import[0].version = int(rng.integers(7, 22))
    return proto.SerializeToString()


def _other(number: int, rng: np.random.Generator) -> int:
    if rng.random() < 0.1:
        return int(rng.choice([2**31, 2**40, -(2**62)]))
    return int(rng.choice([number + 1, number - 1, -number, 0, 1, 2, 3, 7]))


def _alter_attribute(node: onnx.NodeProto, rng: np.random.Generator) -> None:
    k = rng.integers(len(node.attribute))
    attribute = node.attribute[k]
    if rng.random() < 0.15:
        del node.attribute[k]
    elif attribute.ints:
        at = rng.integers(len(attribute.ints))
        attribute.ints[at] = _other(attribute.ints[at], rng)
        if rng.random() < 0.1:
            attribute.ints.append(1)
    elif attribute.type == onnx.AttributeProto.INT:
        attribute.i = _other(attribute.i, rng)
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = float(rng.choice([0.0, -1.0, 1.0, 3.5, 1e30, np.nan, np.inf]))


def _alter_constant(graph: onnx.GraphProto, rng: np.random.Generator) -> None:
    tensor = graph.initializer[rng.integers(len(graph.initializer))]
    values = np.array(numpy_helper.to_array(tensor))
    if rng.random() < 0.2 and values.ndim:
        values = values[..., :-1]
    elif values.dtype == np.int64 and values.size:
        at = rng.integers(values.size)
        values.reshape(-1)[at] = _other(int(values.reshape(-1)[at]), rng)
    elif values.dtype == np.float32 and values.size:
        values.reshape(-1)[rng.integers(values.size)] = rng.choice([0.0, -2.0, 1e30, np.nan])
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def assert_refused_or_right(model: bytes, seed: int) -> bool:
    """Read what may be a model, and compare; whether there was something to compare."""
    try:
        network = read_onnx(model)
    except ModelError:
        return False
    x = np.random.default_rng(seed).normal(size=network.input_size)
    with np.errstate(all="ignore"):
        values = network.values(x[None].astype(np.float32))
    try:
        found = replay(network, x)
    except ModelError:
        return False
    largest = max(np.max(np.abs(value), initial=1.0) for value in values.values())
    if largest < 1e30:
        np.testing.assert_allclose(
            found.before_softmax, values[network.output][0], atol=1e-5 * largest
        )
    return True


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("change", [damaged, altered])
@pytest.mark.parametrize("block", range(BLOCKS))
def test_damage_is_refused_or_harmless(
    name: str, change: Callable[[bytes, int], bytes], block: int
) -> None:
    for seed in range(SIZE * block, SIZE * (block + 1)):
        assert_refused_or_right(change(MODELS[name], seed), seed)


@pytest.mark.parametrize("name", MODELS)
def test_without_damage_it_is_right(name: str) -> None:
    assert assert_refused_or_right(MODELS[name], 0)
