"""Piecewise-linear operators, written with rectifiers, are what onnxruntime computes."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from handmade_onnx import (
    array,
    assert_agrees,
    assert_refused,
    between_rectifiers,
    build,
    case,
    ints,
    number,
    refusal,
)
from onnx import helper

from dualbound.errors import InvalidModel, UnsupportedOperator
from dualbound.network import Network

CUBE, IMAGE = [1, 4, 3], [1, 2, 3, 3]
LARGEST = float(np.finfo(np.float32).max)


def clip(name, low=None, high=None, opset=17, shape=CUBE):
    """Attributes before operator set 11, inputs since."""
    if opset < 11:
        ends = {"min": low, "max": high}
        given = {key: value for key, value in ends.items() if value is not None}
        return case(name, "Clip", ["x"], shape, None, opset, **given)
    reads = ["x", "" if low is None else "low", "" if high is None else "high"]
    while not reads[-1]:
        reads.pop()
    ends = {"low": low, "high": high}
    given = {key: number(value) for key, value in ends.items() if value is not None}
    return case(name, "Clip", reads, shape, given, opset)


def reduction(name, op, opset, axes=None, shape=CUBE, **attributes):
    """Axes are an attribute, and later an input."""
    late = opset >= (13 if op == "ReduceSum" else 18)
    if late and axes is not None:
        return case(name, op, ["x", "a"], shape, {"a": ints(*axes)}, opset, **attributes)
    given = {} if axes is None else {"axes": axes}
    return case(name, op, ["x"], shape, None, opset, **given, **attributes)


CASES = [
    case("plain", "Relu", ["x"], CUBE),
    case("plain", "Sigmoid", ["x"], CUBE),
    case("plain", "Tanh", ["x"], CUBE),
    case("plain", "Sign", ["x"], CUBE),
    *(case("plain", "LeakyRelu", ["x"], CUBE, None, opset) for opset in (7, 17)),
    case("alpha", "LeakyRelu", ["x"], CUBE, alpha=0.3),
    case("alpha-zero", "LeakyRelu", ["x"], CUBE, alpha=0.0),
    case("alpha-one", "LeakyRelu", ["x"], CUBE, alpha=1.0),
    case("alpha-negative", "LeakyRelu", ["x"], CUBE, alpha=-0.5),
    case("alpha-above-one", "LeakyRelu", ["x"], CUBE, alpha=1.5),
    case("number", "PRelu", ["x", "a"], CUBE, {"a": array(1)}),
    case("steep", "PRelu", ["x", "a"], CUBE, {"a": np.float32([1e30, 0.5, -1e9])}),
    case("channels", "PRelu", ["x", "a"], IMAGE, {"a": array(2, 1, 1)}),
    case("entries", "PRelu", ["x", "a"], CUBE, {"a": array(4, 3)}),
    case("opset-7", "PRelu", ["x", "a"], IMAGE, {"a": array(2, 1, 1)}, 7),
    case("opset-9", "PRelu", ["x", "a"], CUBE, {"a": array(3)}, 9),
    *(case("plain", "Abs", ["x"], CUBE, None, opset) for opset in (7, 17)),
    *(
        made
        for opset in (7, 10, 11, 12, 13, 17)
        for made in (
            clip("both", -0.5, 0.7, opset),
            clip("low", -0.5, None, opset),
            clip("high", None, 0.7, opset),
            clip("none", None, None, opset),
        )
    ),
    clip("six", 0.0, 6.0),
    clip("crossed", 0.7, -0.5),
    clip("equal", 0.25, 0.25),
    clip("largest-numbers", -LARGEST, LARGEST),
    clip("lowest-number", -LARGEST, 0.5),
    clip("largest-number", -0.5, LARGEST),
    clip("largest-numbers-opset-10", -LARGEST, LARGEST, 10),
    clip("lowest-number-opset-10", -LARGEST, 0.5, 10),
    clip("wide", -1e20, 1e20),
    clip("beyond", 1e6, 1e7),
    clip("far-below", -1e7, -1e6),
    clip("infinite", -np.inf, np.inf),
    clip("infinite-below", -np.inf, 0.5),
    clip("infinite-above", -0.5, np.inf),
    clip("infinite-opset-10", -np.inf, np.inf, 10),
    *(case("plain", "HardSigmoid", ["x"], CUBE, None, opset) for opset in (7, 17, 22)),
    case("steep", "HardSigmoid", ["x"], CUBE, alpha=1.5, beta=0.25),
    case("falling", "HardSigmoid", ["x"], CUBE, alpha=-0.5, beta=0.25),
    *(
        made
        for op in ("Max", "Min")
        for made in (
            case("one", op, ["x"], CUBE),
            case("constant", op, ["x", "c"], CUBE, {"c": array(4, 3)}),
            case("constant-first", op, ["c", "x"], CUBE, {"c": array(3)}, 8),
            case("opset-7", op, ["c", "x"], [1, 3], {"c": array(1, 3)}, 7),
            case("itself", op, ["x", "x"], CUBE),
            case("number", op, ["x", "c"], CUBE, {"c": number(0.1)}),
            case("far-below", op, ["c", "x"], CUBE, {"c": number(-LARGEST)}),
            case("far-above", op, ["c", "x"], CUBE, {"c": number(LARGEST)}),
            case("several", op, ["c", "x", "d", "x", "e"], CUBE,
                 {"c": array(4, 1), "d": array(2, 1, 3), "e": number(0.0)}),
            case("constants-together", op, ["c", "d", "x"], CUBE,
                 {"c": array(3), "d": array(4, 1)}),
            case("grows", op, ["x", "c"], [1, 3], {"c": array(4, 1)}),
        )
    ),
    case("one", "Sum", ["x"], CUBE),
    case("constants", "Sum", ["c", "x", "d"], CUBE, {"c": array(3), "d": array(4, 1)}),
    case("several", "Sum", ["x", "c", "x", "x"], CUBE, {"c": array(2, 1, 3)}, 8),
    case("opset-7", "Sum", ["x", "c"], [1, 3], {"c": array(1, 3)}, 7),
    *(
        made
        for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin")
        for opset in (7, 11, 13, 17, 18, 20)
        for made in (
            reduction("all", op, opset),
            reduction("one", op, opset, [1]),
            reduction("negative", op, opset, [-1], keepdims=0),
            reduction("several", op, opset, [2, 1]),
            reduction("several-gone", op, opset, [0, 2], keepdims=0),
            reduction("of-size-one", op, opset, [0]),
        )
    ),
    *(
        reduction(name, op, 18, axes, noop_with_empty_axes=1, **more)
        for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin")
        for name, axes, more in (
            ("noop", None, {}),
            ("noop-empty", [], {}),
            ("noop-gone", [], {"keepdims": 0}),
            ("noop-not-empty", [1], {}),
        )
    ),
    reduction("empty", "ReduceSum", 13, []),
    reduction("image", "ReduceMax", 17, [2, 3], IMAGE),
    reduction("image", "ReduceMean", 18, [2, 3], IMAGE, keepdims=0),
]  # fmt: skip


@pytest.mark.parametrize(("op", "nodes", "shape", "constants", "opset"), CASES)
def test_operator_is_what_onnxruntime_computes(op, nodes, shape, constants, opset):
    assert_agrees(build(nodes, shape, constants, opset=opset))


@pytest.mark.parametrize(("op", "nodes", "shape", "constants", "opset"), CASES)
def test_operator_composes_between_rectifiers(op, nodes, shape, constants, opset):
    assert_agrees(build(between_rectifiers(nodes), shape, constants, opset=opset))


broken = partial(refusal, InvalidModel, shape=CUBE)
not_a = partial(refusal, UnsupportedOperator, shape=CUBE)

NAN = float("nan")
REFUSED = [
    broken("alpha is nan", "LeakyRelu", ["x"], alpha=NAN),
    broken("alpha is inf", "HardSigmoid", ["x"], alpha=float("inf")),
    broken("beta is nan", "HardSigmoid", ["x"], beta=NAN),
    broken("holds NaN or infinity", "PRelu", ["x", "a"], {"a": number(np.inf)}),
    broken("broadcast", "PRelu", ["x", "a"], {"a": array(4)}),
    not_a("its input 1 depends on the network's input", "PRelu", ["c", "x"], {"c": array(1, 4, 3)}),
    broken("expected two numbers", "Clip", ["x", "a"], {"a": array(3)}),
    broken("expected two numbers", "Clip", ["x", "a"], {"a": number(NAN)}),
    broken("expected two numbers", "Clip", ["x"], opset=10, max=NAN),
    not_a("its input 1 depends on the network's input", "Clip", ["x", "x"], shape=[]),
    *(
        made
        for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin")
        for made in (
            broken(r"axes \(3,\) do not exist", op, ["x", "a"], {"a": ints(3)}, opset=18),
            broken("named twice", op, ["x", "a"], {"a": ints(1, -2)}, opset=18),
            broken("named twice", op, ["x"], opset=11, axes=[0, 0]),
        )
    ),
    broken("its input 1 is missing", "Max", ["x", ""]),
    broken("broadcast", "Min", ["x", "c"], {"c": array(5)}),
    broken("broadcast", "Sum", ["x", "c"], {"c": array(5)}),
    *(
        not_a("only Sigmoid and Tanh are known", op, ["x"])
        for op in ("HardSwish", "Elu", "Softplus", "Exp", "Sqrt", "Erf")
    ),
    not_a("only Sigmoid and Tanh are known", "Pow", ["x", "c"], {"c": number(2.0)}),
    not_a("is not supported", "ReduceProd", ["x"]),
]  # fmt: skip


@pytest.mark.parametrize(("op", "model", "kind", "message"), REFUSED)
def test_refused(op, model, kind, message):
    assert_refused(op, model, kind, message)


def test_a_swish_in_two_operators_is_refused():
    nodes = [
        helper.make_node("HardSigmoid", ["x"], ["gate"]),
        helper.make_node("Mul", ["x", "gate"], ["y"], "culprit"),
    ]
    model = build(nodes, CUBE)
    assert_refused("Mul", model, UnsupportedOperator, "two tensors that both depend on the input")


def test_an_end_that_is_left_out_costs_no_rectifier():
    for end in (-LARGEST, -np.inf):
        nodes = [helper.make_node("Clip", ["x", "low", "high"], ["y"])]
        model = build(nodes, CUBE, {"low": number(end), "high": number(1.0)})
        assert len(assert_agrees(model).relus) == 1


def test_the_largest_of_many_takes_a_tree():
    network: Network = assert_agrees(build([helper.make_node("ReduceMax", ["x"], ["y"])], [1, 16]))
    assert [relu.size for relu in network.relus] == [8, 4, 2, 1]
    depth = {network.input: 0}
    for node in network.nodes[1:]:
        depth[node.name] = max(depth[name] for name in node.reads) + (node in network.relus)
    assert depth[network.output] == 4
