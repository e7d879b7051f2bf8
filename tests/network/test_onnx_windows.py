"""Convolutions, pooling and batch normalisation are what onnxruntime computes."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx
import pytest
from handmade_onnx import (
    array,
    assert_agrees,
    assert_refused,
    between_rectifiers,
    build,
    case,
    ints,
    refusal,
)
from onnx import helper
from onnx.reference import ReferenceEvaluator

from dualbound.errors import InvalidModel, UnsupportedOperator
from dualbound.network import Affine, Input, Relu, read_onnx
from dualbound.network.linear import Convolution, Sparse

IMAGE, SIGNAL = [1, 2, 7, 6], [1, 2, 9]
WINDOW = {"kernel_shape": [3, 2]}


def conv(name, shape=IMAGE, kernel=(4, 2, 3, 3), bias=True, opset=17, **attributes):
    constants = {"w": array(*kernel)} | ({"b": array(kernel[0])} if bias else {})
    return case(name, "Conv", ["x", *constants], shape, constants, opset, **attributes)


def deconv(name, shape=IMAGE, kernel=(2, 3, 3, 3), bias=True, opset=17, **attributes):
    filters = kernel[1] * attributes.get("group", 1)
    constants = {"w": array(*kernel)} | ({"b": array(filters)} if bias else {})
    return case(name, "ConvTranspose", ["x", *constants], shape, constants, opset, **attributes)


def pool(name, op, shape=IMAGE, opset=17, **attributes):
    return case(name, op, ["x"], shape, None, opset, **(WINDOW | attributes))


def normal(name, shape, opset=17, **attributes):
    channels = shape[1]
    constants = {
        "s": array(channels),
        "b": array(channels, seed=1),
        "m": array(channels, seed=2),
        "v": array(channels, seed=3) ** 2 + np.float32(0.1),
    }
    return case(name, "BatchNormalization", ["x", *"sbmv"], shape, constants, opset, **attributes)


CASES = [
    conv("plain"),
    conv("no-bias", bias=False),
    conv("opset-7", opset=7),
    conv("opset-11", opset=11),
    conv("opset-22", opset=22),
    conv("shape-named", kernel_shape=[3, 3]),
    conv("pads", pads=[1, 1, 1, 1]),
    conv("pads-asymmetric", pads=[0, 1, 2, 3]),
    conv("pads-wider-than-the-window", pads=[4, 5, 3, 4]),
    conv("strides", strides=[2, 3]),
    conv("strides-pads", strides=[2, 2], pads=[1, 0, 1, 1]),
    conv("dilations", dilations=[2, 1]),
    conv("dilations-strides-pads", dilations=[2, 3], strides=[2, 1], pads=[2, 3, 1, 3]),
    conv("groups", kernel=(4, 1, 3, 3), group=2),
    conv("groups-depthwise", shape=[1, 3, 5, 5], kernel=(6, 1, 2, 3), group=3, pads=[1, 1, 0, 1]),
    conv("groups-two-channels", shape=[1, 4, 5, 5], kernel=(6, 2, 2, 2), group=2, strides=[2, 2]),
    conv("one-by-one", kernel=(5, 2, 1, 1)),
    conv("one-by-one-strides", kernel=(5, 2, 1, 1), strides=[3, 2]),
    conv("whole", kernel=(3, 2, 7, 6)),
    conv("window-not-square", kernel=(3, 2, 1, 4), pads=[0, 2, 0, 1]),
    conv("valid", auto_pad="VALID", strides=[2, 2]),
    conv("same-upper", auto_pad="SAME_UPPER"),
    conv("same-lower", auto_pad="SAME_LOWER"),
    conv("same-upper-strides", auto_pad="SAME_UPPER", strides=[2, 3]),
    conv("same-lower-strides", auto_pad="SAME_LOWER", strides=[2, 3]),
    conv("same-upper-even", auto_pad="SAME_UPPER", kernel=(3, 2, 2, 4)),
    conv("same-lower-even", auto_pad="SAME_LOWER", kernel=(3, 2, 2, 4)),
    conv("same-upper-wide-strides", auto_pad="SAME_UPPER", kernel=(3, 2, 2, 2), strides=[4, 3]),
    conv("notset", auto_pad="NOTSET", pads=[1, 0, 0, 1]),
    conv("dynamic-batch", shape=["n", 2, 5, 5]),
    conv("1d", SIGNAL, (3, 2, 4)),
    conv("1d-everything", SIGNAL, (4, 1, 3), group=2, pads=[3, 1], strides=[2], dilations=[2]),
    conv("1d-same", SIGNAL, (3, 2, 4), auto_pad="SAME_UPPER", strides=[2]),
    conv("1d-no-bias", SIGNAL, (3, 2, 4), bias=False),
    deconv("plain"),
    deconv("no-bias", bias=False),
    deconv("opset-7", opset=7),
    deconv("opset-22", opset=22),
    deconv("strides", strides=[2, 3]),
    deconv("pads", pads=[1, 0, 2, 1]),
    deconv("output-padding", strides=[2, 3], output_padding=[1, 2]),
    deconv("everything", strides=[3, 2], output_padding=[2, 1], pads=[1, 2, 0, 1],
           dilations=[2, 1]),
    deconv("dilations", dilations=[1, 3]),
    deconv("groups", shape=[1, 4, 3, 3], kernel=(4, 3, 2, 2), group=2),
    deconv("groups-everything", shape=[1, 4, 3, 4], kernel=(4, 2, 3, 2), group=4, strides=[2, 2],
           pads=[1, 1, 1, 0], output_padding=[1, 0]),
    deconv("valid", auto_pad="VALID", strides=[2, 2]),
    deconv("1d", SIGNAL, (2, 3, 4), strides=[2], pads=[1, 2], output_padding=[1]),
    *(
        made
        for op in ("MaxPool", "AveragePool")
        for made in (
            pool("plain", op),
            pool("opset-7", op, opset=7),
            pool("opset-10", op, opset=10, ceil_mode=1, strides=[2, 2]),
            pool("opset-11", op, opset=11, ceil_mode=1, strides=[2, 2]),
            pool("opset-22", op, opset=22),
            pool("strides", op, strides=[3, 2]),
            pool("strides-wider-than-the-window", op, strides=[4, 3]),
            pool("pads", op, pads=[1, 1, 2, 0]),
            pool("pads-strides", op, pads=[2, 1, 1, 1], strides=[2, 2]),
            pool("ceil", op, ceil_mode=1, strides=[2, 4]),
            pool("ceil-pads", op, ceil_mode=1, strides=[3, 3], pads=[1, 1, 1, 1]),
            pool("ceil-would-start-in-the-padding", op, [1, 1, 4, 4], kernel_shape=[2, 2],
                 strides=[3, 3], pads=[0, 0, 1, 1], ceil_mode=1),
            pool("same-upper", op, auto_pad="SAME_UPPER", strides=[2, 2]),
            pool("same-lower", op, auto_pad="SAME_LOWER", strides=[2, 2]),
            pool("same-even", op, auto_pad="SAME_UPPER", kernel_shape=[4, 2]),
            pool("valid", op, auto_pad="VALID", strides=[2, 2]),
            pool("whole", op, kernel_shape=[7, 6]),
            pool("one-by-one", op, kernel_shape=[1, 1], strides=[2, 2]),
            pool("1d", op, SIGNAL, kernel_shape=[3], strides=[2], pads=[1, 2]),
            pool("1d-ceil", op, SIGNAL, kernel_shape=[4], strides=[3], ceil_mode=1),
        )
    ),
    pool("dilations", "MaxPool", dilations=[2, 3]),
    pool("dilations-opset-10", "MaxPool", opset=10, dilations=[2, 3]),
    pool("dilations-everything", "MaxPool", dilations=[3, 2], strides=[2, 1], pads=[1, 1, 2, 1],
         ceil_mode=1),
    pool("storage-order", "MaxPool", storage_order=1),
    pool("dilations", "AveragePool", opset=19, dilations=[2, 3]),
    pool("dilations-pads", "AveragePool", opset=19, dilations=[2, 3], pads=[1, 1, 2, 1]),
    pool("dilations-counted", "AveragePool", opset=19, dilations=[2, 3], pads=[1, 1, 2, 1],
         count_include_pad=1),
    pool("counted", "AveragePool", count_include_pad=1, pads=[1, 1, 2, 0]),
    pool("counted-opset-7", "AveragePool", opset=7, count_include_pad=1, pads=[1, 1, 2, 0]),
    pool("counted-strides", "AveragePool", count_include_pad=1, pads=[2, 1, 1, 1], strides=[2, 2]),
    pool("counted-ceil", "AveragePool", opset=19, count_include_pad=1, pads=[1, 1, 1, 1],
         strides=[3, 3], ceil_mode=1),
    pool("counted-ceil-beyond", "AveragePool", [1, 1, 6, 6], opset=19, count_include_pad=1,
         kernel_shape=[3, 3], pads=[1, 1, 0, 0], strides=[2, 2], ceil_mode=1),
    pool("counted-same", "AveragePool", count_include_pad=1, auto_pad="SAME_UPPER"),
    pool("counted-1d", "AveragePool", SIGNAL, kernel_shape=[3], pads=[2, 1], count_include_pad=1),
    *(
        case(f"rank-{len(shape)}", op, ["x"], shape, None, opset)
        for op in ("GlobalAveragePool", "GlobalMaxPool")
        for shape in (IMAGE, SIGNAL)
        for opset in (7, 17, 22)
    ),
    case("one-by-one", "GlobalMaxPool", ["x"], [1, 3, 1, 1]),
    *(normal("image", IMAGE, opset) for opset in (7, 9, 14, 17)),
    normal("signal", SIGNAL),
    normal("features", [1, 5]),
    normal("one-channel", [1, 1, 3, 3]),
    normal("epsilon", IMAGE, epsilon=0.5),
    normal("momentum", IMAGE, 9, momentum=0.5),
    normal("spatial", IMAGE, 7, spatial=1),
]  # fmt: skip


@pytest.mark.parametrize(("op", "nodes", "shape", "constants", "opset"), CASES)
def test_operator_is_what_onnxruntime_computes(op, nodes, shape, constants, opset):
    assert_agrees(build(nodes, shape, constants, opset=opset))


@pytest.mark.parametrize(("op", "nodes", "shape", "constants", "opset"), CASES)
def test_operator_composes_between_rectifiers(op, nodes, shape, constants, opset):
    assert_agrees(build(between_rectifiers(nodes), shape, constants, opset=opset))


KERNEL, BACK = {"w": array(4, 2, 3, 3)}, {"w": array(2, 3, 3, 3)}
NORMAL = {"s": array(2), "b": array(2), "m": array(2), "v": np.ones(2, np.float32)}


def not_a(message, op, shape=IMAGE, constants=None, kind=UnsupportedOperator, **more):
    usual = {"Conv": KERNEL, "ConvTranspose": BACK, "BatchNormalization": NORMAL}
    constants = usual.get(op, {}) if constants is None else constants
    more = WINDOW | more if op in ("MaxPool", "AveragePool") else more
    return refusal(kind, message, op, ["x", *constants], constants, shape=shape, **more)


broken = partial(not_a, kind=InvalidModel)

REFUSED = [
    *(
        made
        for op in ("Conv", "ConvTranspose", "MaxPool", "AveragePool")
        for made in (
            not_a("expected one image", op, [1, 2, 4, 4, 4]),
            not_a("expected one image", op, [2, 2, 4, 4]),
            not_a("expected one image", op, [1, 2]),
            broken("strides is .*; expected 2 numbers", op, strides=[2]),
            broken(r"pads is \(1, 1\); expected 4 numbers", op, pads=[1, 1]),
            broken(r"pads is \(0, -1, 0, 0\); expected 4 numbers, none", op, pads=[0, -1, 0, 0]),
        )
    ),
    not_a("auto_pad=SAME_UPPER with dilations", "Conv", auto_pad="SAME_UPPER", dilations=[1, 2]),
    not_a("auto_pad=SAME_LOWER with dilations", "MaxPool", auto_pad="SAME_LOWER", dilations=[2, 2]),
    not_a("auto_pad=SAME_UPPER with dilations", "AveragePool", opset=19, auto_pad="SAME_UPPER",
          dilations=[2, 1]),
    *(
        broken("auto_pad is 'SOMEHOW'", op, auto_pad="SOMEHOW")
        for op in ("Conv", "MaxPool", "AveragePool")
    ),
    not_a("export explicit pads", "ConvTranspose", auto_pad="SOMEHOW"),
    broken("not all positive", "Conv", strides=[0, 1]),
    broken("not all positive", "MaxPool", dilations=[1, -1]),
    broken("not all positive", "ConvTranspose", strides=[0, 1]),
    broken("the groups .* below 1", "Conv", group=0),
    broken("4 filters do not make 3 groups", "Conv", group=3),
    broken("reads 4 channels, the tensor has 2", "Conv", group=2),
    broken("does not make", "ConvTranspose", constants={"w": array(3, 2, 2, 2)}),
    broken(r"kernel_shape is \(2, 2\), its kernel \(3, 3\)", "Conv", kernel_shape=[2, 2]),
    broken(r"kernel_shape is \(2, 2\), its kernel \(3, 3\)", "ConvTranspose", kernel_shape=[2, 2]),
    broken("does not slide over space", "Conv", SIGNAL),
    broken("does not fit space", "ConvTranspose", SIGNAL),
    broken("does not slide over space", "MaxPool", SIGNAL),
    broken("does not fit into space", "Conv", [1, 2, 2, 2]),
    broken("does not fit into space", "AveragePool", [1, 2, 2, 2]),
    broken("one number for each channel", "Conv", constants=KERNEL | {"b": array(1)}),
    broken("one number for each channel", "Conv",
           constants={"w": array(1, 2, 3, 3), "b": array(5)}),
    broken("one number for each channel", "ConvTranspose", constants=BACK | {"b": array(2)}),
    broken("it needs .* numbers; at most", "Conv", pads=[2**40, 0, 0, 0]),
    broken("it needs .* numbers; at most", "ConvTranspose", strides=[2**20, 2**20]),
    broken("it needs .* numbers; at most", "MaxPool", kernel_shape=[2, 2**35], pads=[0, 2**34] * 2),
    not_a("output_padding", "ConvTranspose", output_padding=[0, 1]),
    not_a("export explicit pads", "ConvTranspose", auto_pad="SAME_UPPER"),
    not_a("export explicit pads", "ConvTranspose", output_shape=[9, 8]),
    not_a("nothing but padding", "MaxPool", [1, 1, 1, 1], kernel_shape=[2, 2], pads=[1] * 4,
          dilations=[2, 2]),
    broken("as wide as its window", "AveragePool", pads=[0, 2, 0, 0]),
    not_a("expected one image", "GlobalAveragePool", [1, 2, 4, 4, 4]),
    not_a("expected one image", "GlobalMaxPool", [1, 2]),
    not_a("training mode", "BatchNormalization", training_mode=1, makes=["y", "mean", "var"]),
    not_a("training mode", "BatchNormalization", opset=9, makes=["y", *"1234"]),
    not_a("spatial=0", "BatchNormalization", opset=7, spatial=0),
    broken("a variance is not positive", "BatchNormalization",
           constants=NORMAL | {"v": np.float32([1, -1])}),
    broken("one number for each channel", "BatchNormalization",
           constants=NORMAL | {"m": array(1)}),
    broken("one number for each channel", "BatchNormalization", [1, 1, 3, 3]),
    broken("has no axis of channels", "BatchNormalization", [2]),
    broken("epsilon is nan", "BatchNormalization", epsilon=float("nan")),
]  # fmt: skip


@pytest.mark.parametrize(("op", "model", "kind", "message"), REFUSED)
def test_refused(op, model, kind, message):
    assert_refused(op, model, kind, message)


def test_a_kernel_that_depends_on_the_input_is_refused():
    nodes = [
        helper.make_node("Relu", ["x"], ["h"]),
        helper.make_node("Conv", ["x", "h"], ["y"], "culprit"),
    ]
    model = build(nodes, [1, 1, 3, 3])
    assert_refused("Conv", model, UnsupportedOperator, "its input 1 depends on the network's input")


def test_the_positions_of_the_largest_are_refused():
    nodes = [
        helper.make_node("MaxPool", ["x"], ["y", "where"], kernel_shape=[2, 2]),
        helper.make_node("Cast", ["where"], ["z"], "culprit", to=1),
    ]
    assert_refused("Cast", build(nodes, IMAGE), UnsupportedOperator, "optional output")


def test_zeros_padded_before_a_largest_of_count_in_it():
    """As the standard has it; onnxruntime's optimiser forgets them (its issue 24737)."""
    nodes = [
        helper.make_node("Pad", ["x", "pads"], ["padded"]),
        helper.make_node("MaxPool", ["padded"], ["y"], kernel_shape=[2, 2]),
    ]
    model = build(nodes, [1, 1, 3, 3], {"pads": ints(0, 0, 1, 0, 0, 0, 0, 1)})
    x = -np.random.default_rng(0).random((1, 1, 3, 3)).astype(np.float32)
    [expected] = ReferenceEvaluator(onnx.load_model_from_string(model)).run(None, {"x": x})
    np.testing.assert_allclose(read_onnx(model)(x[0]), expected.reshape(-1), rtol=1e-6)


def kinds(network):
    """Of the maps of every affine node, by its name."""
    return {
        node.name: [type(one) for one in node.op.maps]
        for node in network.nodes
        if isinstance(node.op, Affine)
    }


def test_a_convolution_remains_one_through_normalisation_and_bias():
    constants = {"w": array(4, 2, 3, 3), "c": array(4, 1, 1)} | {
        key: array(4, seed=k) ** 2 for k, key in enumerate("sbmv")
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["z"]),
        helper.make_node("Add", ["z", "c"], ["shifted"]),
        helper.make_node("BatchNormalization", ["shifted", *"sbmv"], ["normal"]),
        helper.make_node("Relu", ["normal"], ["y"]),
    ]
    network = assert_agrees(build(nodes, IMAGE, constants))
    assert [type(node.op) for node in network.nodes] == [Input, Affine, Relu]
    assert kinds(network) == {"normal": [Convolution]}


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("MaxPool", {"kernel_shape": [2, 2]}),
        ("AveragePool", {"kernel_shape": [2, 2]}),
        ("Transpose", {"perm": [0, 2, 3, 1]}),
        ("LeakyRelu", {}),
        ("GlobalAveragePool", {}),
    ],
)
def test_what_is_done_to_a_convolution_leaves_it_one(op, attributes):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["z"]),
        helper.make_node(op, ["z"], ["p"], **attributes),
        helper.make_node("Relu", ["p"], ["y"]),
    ]
    network = assert_agrees(build(nodes, IMAGE, KERNEL))
    assert kinds(network)["z"] == [Convolution]
    assert sum(maps.count(Convolution) for maps in kinds(network).values()) == 1


def test_a_residual_sum_reads_both_of_its_terms():
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["z"], pads=[1] * 4),
        helper.make_node("Relu", ["z"], ["h"]),
        helper.make_node("Conv", ["h", "v"], ["r"], pads=[1] * 4),
        helper.make_node("Add", ["r", "z"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["y"]),
    ]
    network = assert_agrees(build(nodes, IMAGE, KERNEL | {"v": array(4, 4, 3, 3)}))
    assert network["sum"].reads == ("h", "z")
    assert kinds(network) == {"z": [Convolution], "sum": [Convolution, Sparse]}
