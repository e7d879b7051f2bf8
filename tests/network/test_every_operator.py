"""Every operator: its bounds hold, its program is the function, and what it cannot do is refused.

Each stands in small models, before a rectifier with affine maps around it: of the input, and of
values that are rectified themselves. The truth about them is that of all activation patterns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import onnx
import pytest
import test_onnx_moves
import test_onnx_operators
import test_onnx_pieces
import test_onnx_windows
import torch
from handmade_onnx import array, case, ints, number, run
from onnx import helper
from operator_questions import GOALS, Question, about_rectified_values, about_the_input
from test_onnx_moves import padded, sliced, split
from test_onnx_pieces import clip, reduction
from test_onnx_windows import conv, deconv, normal, pool

from dualbound.bounds import Bounds, crown, interval
from dualbound.bounds.batched import Propagator, Spans, alpha_crown, rooms_of
from dualbound.limits import Clock
from dualbound.milp import FORMULATIONS, Encoding, Program, encode_moderately
from dualbound.network.onnx_operators import OPERATORS as REGISTRY
from dualbound.solvers import Stop, solver_named

ROW, CUBE = [1, 4], [1, 2, 3]
SIGNAL, IMAGE, SQUARE = [1, 2, 3], [1, 1, 3, 3], [1, 2, 2, 2]


def together(name, op, nodes, shape, constants=None):
    """An operator of several tensors that all depend on ``x``."""
    return pytest.param(op, nodes, shape, constants or {}, 17, id=f"{op}-{name}")


def of_halves(op, *more, constants=None):
    """An operator of the two halves of a row."""
    nodes = [
        helper.make_node("Split", ["x"], ["a", "b"], axis=1),
        helper.make_node(op, ["a", "b", *more], ["y"]),
    ]
    return together("halves", op, nodes, ROW, constants)


def residual(op, reads):
    """An operator of a row and of what a layer makes of it."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Relu", ["z"], ["h"]),
        helper.make_node(op, reads, ["y"], **({"axis": 1} if op == "Concat" else {})),
    ]
    return together("residual", op, nodes, [1, 3], {"w": array(3, 3)})


def scaler(name, **attributes):
    node = helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", **attributes)
    return together(name, "Scaler", [node], [1, 3])


TABLE = [
    case("bias", "Gemm", ["x", "w", "c"], ROW, {"w": array(4, 3), "c": array(3)}, alpha=0.5),
    case("transposed", "Gemm", ["x", "w"], [2, 3], {"w": array(4, 2)}, transA=1, transB=1),
    case("right", "Gemm", ["w", "x", "c"], [2, 3], {"w": array(2, 2), "c": array(2, 1)}),
    case("added", "Gemm", ["a", "b", "x"], [2, 2], {"a": array(2, 3), "b": array(3, 2)}, beta=-2.0),
    case("right", "MatMul", ["x", "w"], ROW, {"w": array(4, 3)}),
    case("left", "MatMul", ["w", "x"], [3, 2], {"w": array(2, 3)}),
    case("stack", "MatMul", ["x", "w"], [2, 2, 2], {"w": array(2, 2, 2)}),
    case("vector", "MatMul", ["x", "w"], [3, 2], {"w": array(2)}),
    case("grows", "Add", ["x", "c"], [1, 3], {"c": array(2, 1)}),
    residual("Add", ["h", "x"]),
    case("left", "Sub", ["c", "x"], [1, 3], {"c": array(3)}),
    residual("Sub", ["x", "h"]),
    case("channels", "Mul", ["x", "c"], SQUARE, {"c": array(1, 2, 1, 1)}),
    case("grows", "Mul", ["c", "x"], [1, 3], {"c": array(2, 1)}),
    case("entries", "Div", ["x", "c"], [1, 3], {"c": array(3)}),
    case("number", "Div", ["x", "c"], ROW, {"c": number(-0.7)}),
    case("plain", "Neg", ["x"], ROW),
    case("several", "Sum", ["x", "c", "x"], [1, 3], {"c": array(2, 1)}),
    residual("Sum", ["z", "x", "h"]),
    case("plain", "Relu", ["x"], ROW),
    case("plain", "Identity", ["x"], ROW),
    case("plain", "Dropout", ["x"], ROW),
    case("double", "Cast", ["x"], ROW, makes=["d"], to=11,
         then=[helper.make_node("Cast", ["d"], ["y"], to=1)]),
    case("constant", "CastLike", ["x", "c"], ROW, {"c": array(1)}),
    case("plain", "Flatten", ["x"], CUBE),
    case("rest", "Reshape", ["x", "s"], CUBE, {"s": ints(3, -1)}),
    case("channels", "Transpose", ["x"], [1, 2, 1, 3], perm=[0, 3, 1, 2]),
    case("plain", "Squeeze", ["x"], [1, 2, 1, 3]),
    case("axes", "Unsqueeze", ["x", "a"], ROW, {"a": ints(-1, 0)}),
    scaler("number", offset=[0.5], scale=[2.0]),
    scaler("features", offset=[0.5, -0.2, 0.1], scale=[2.0, -0.5, 1.5]),

    conv("1d", [1, 1, 6], (2, 1, 3)),
    conv("1d-everything", SIGNAL, (4, 1, 2), group=2, pads=[3, 1], strides=[2], dilations=[2]),
    conv("2d", IMAGE, (2, 1, 2, 2), bias=False),
    conv("2d-pads", IMAGE, (2, 1, 3, 2), pads=[0, 1, 2, 0]),
    conv("2d-everything", SQUARE, (4, 1, 2, 2), group=2, pads=[1, 0, 2, 1], strides=[2, 1],
         dilations=[2, 1]),
    conv("depthwise", SQUARE, (2, 1, 2, 1), group=2),
    conv("same-lower", IMAGE, (1, 1, 2, 2), auto_pad="SAME_LOWER", strides=[2, 2]),
    conv("one-by-one", SQUARE, (3, 2, 1, 1)),
    deconv("1d", SIGNAL, (2, 2, 3), strides=[2], pads=[1, 2], output_padding=[1]),
    deconv("2d", SQUARE, (2, 1, 2, 2)),
    deconv("2d-everything", SQUARE, (2, 2, 2, 2), group=2, strides=[2, 1], dilations=[1, 2],
           pads=[0, 1, 1, 0], output_padding=[1, 0]),
    pool("1d", "MaxPool", [1, 1, 5], kernel_shape=[2], strides=[2], pads=[1, 0]),
    pool("2d", "MaxPool", [1, 1, 2, 3], kernel_shape=[2, 2]),
    pool("2d-pads", "MaxPool", [1, 1, 2, 2], kernel_shape=[2, 2], pads=[1, 0, 0, 1],
         strides=[2, 1]),
    pool("dilations", "MaxPool", IMAGE, kernel_shape=[2, 2], dilations=[2, 2]),
    pool("ceil", "MaxPool", [1, 2, 3], kernel_shape=[2], strides=[2], ceil_mode=1),
    pool("1d", "AveragePool", SIGNAL, kernel_shape=[2], strides=[2], pads=[1, 0]),
    pool("2d", "AveragePool", IMAGE, kernel_shape=[2, 2], pads=[1, 0, 0, 1]),
    pool("counted", "AveragePool", IMAGE, 19, kernel_shape=[2, 2], pads=[1, 0, 0, 1],
         strides=[2, 2], count_include_pad=1, ceil_mode=1),
    case("1d", "GlobalAveragePool", ["x"], SIGNAL),
    case("2d", "GlobalAveragePool", ["x"], SQUARE),
    case("1d", "GlobalMaxPool", ["x"], SIGNAL),
    case("2d", "GlobalMaxPool", ["x"], [1, 1, 2, 2]),
    normal("image", SQUARE),
    normal("features", [1, 3], epsilon=0.5),

    case("plain", "LeakyRelu", ["x"], ROW, alpha=0.3),
    case("falling", "LeakyRelu", ["x"], ROW, alpha=-0.5),
    case("above-one", "LeakyRelu", ["x"], ROW, alpha=1.5),
    case("channels", "PRelu", ["x", "a"], [1, 2, 1, 2], {"a": array(2, 1, 1)}),
    case("entries", "PRelu", ["x", "a"], ROW, {"a": array(4)}),
    case("plain", "Abs", ["x"], ROW),
    clip("both", -0.3, 0.4, shape=ROW),
    clip("low", -0.2, shape=ROW),
    clip("high", None, 0.2, shape=ROW),
    clip("crossed", 0.4, -0.3, shape=ROW),
    clip("attributes", 0.0, 0.4, 10, shape=ROW),
    case("steep", "HardSigmoid", ["x"], ROW, alpha=1.5, beta=0.5),
    case("falling", "HardSigmoid", ["x"], ROW, alpha=-2.0, beta=0.25),
    *(
        made
        for op in ("Max", "Min")
        for made in (
            of_halves(op),
            of_halves(op, "c", constants={"c": array(1, 2)}),
            case("constant", op, ["c", "x"], [1, 3], {"c": number(0.1)}),
            residual(op, ["x", "h"]),
        )
    ),
    *(
        made
        for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin")
        for made in (
            reduction("all", op, 13, shape=ROW),
            reduction("one", op, 18, [1], [1, 3, 2], keepdims=0),
        )
    ),

    case("constant", "Concat", ["x", "c"], [1, 3], {"c": array(1, 2)}, axis=1),
    residual("Concat", ["h", "x"]),
    sliced("backwards", [2], [0], [2], [-1], shape=CUBE),
    sliced("steps", [0], [5], [1], [2], shape=[1, 5]),
    split("sizes", 2, [1, 3], axis=1, shape=ROW),
    case("rows", "Gather", ["x", "i"], CUBE, {"i": ints(-1, 0, 2, 2)}, axis=2),
    case("plain", "GatherElements", ["x", "i"], [1, 3], {"i": ints(2, 2, -3).reshape(1, 3)},
         axis=1),
    case("plain", "GatherND", ["x", "i"], CUBE, {"i": ints(0, 1, 0, 0).reshape(2, 2)}),
    padded("value", [0, 1, 2, 0], value=0.7, shape=[1, 3]),
    padded("reflect", [0, 0, 1, 0, 0, 1], shape=CUBE, mode="reflect"),
    padded("edge", [0, 2, 0, 1], shape=[1, 3], mode="edge"),
    padded("wrap", [0, 1, 0, 2], 19, shape=[1, 3], mode="wrap"),
    padded("cut", [0, -1, 0, 1], shape=ROW),
    case("bigger", "Expand", ["x", "s"], [1, 3], {"s": ints(2, 2, 3)}),
    case("plain", "Tile", ["x", "r"], [1, 2, 2], {"r": ints(1, 2, 1)}),
    case("dcr", "DepthToSpace", ["x"], [1, 4, 1, 1], blocksize=2),
    case("crd", "DepthToSpace", ["x"], [1, 8, 1, 1], blocksize=2, mode="CRD"),
    case("plain", "SpaceToDepth", ["x"], SQUARE, blocksize=2),
    case("constant", "Where", ["m", "x", "c"], [1, 3],
         {"m": np.array([[True, False, True], [False, True, True]]), "c": number(0.3)}),
]  # fmt: skip

CURVED = [case("plain", op, ["x"], ROW) for op in ("Sigmoid", "Tanh", "Sign")]
"""Operators without activation patterns."""

OPERATORS = {entry.id: entry.values for entry in [*TABLE, *CURVED]}
"""By operator and form: the operator, its nodes, the shape that they read, constants, opset."""
PIECEWISE_LINEAR = [entry.id for entry in TABLE]
PLACES: dict[str, Callable[..., Question]] = {
    "input": about_the_input,
    "rectified": about_rectified_values,
}

of_every_operator = pytest.mark.parametrize("name", OPERATORS)
of_all_with_patterns = pytest.mark.parametrize("name", PIECEWISE_LINEAR)
in_both_places = pytest.mark.parametrize("place", PLACES)


@cache
def asked(name: str, place: str) -> Question:
    _, *model = OPERATORS[name]
    return PLACES[place](*model)


@of_all_with_patterns
@in_both_places
def test_the_truth_is_what_onnxruntime_computes(name: str, place: str) -> None:
    question = asked(name, place)
    for x in question.points[:3]:
        np.testing.assert_allclose(question.plain(x), run(question.model, x), atol=1e-5)


def batched(spans: Spans) -> Bounds:
    """Of the one box that there is."""
    sides = [{name: span[k][0].double().numpy() for name, span in spans.items()} for k in (0, 1)]
    return Bounds(*sides)


def batched_in_float32(question: Question) -> Bounds:
    fast = Propagator(question.network, dtype=torch.float32)
    return batched(fast.crown(rooms_of(question.box, dtype=torch.float32)))


METHODS: dict[str, Callable[[Question], Bounds]] = {
    "interval": lambda asked: interval(asked.network, asked.box),
    "crown": lambda asked: crown(asked.network, asked.box),
    "batched-interval": lambda asked: batched(
        Propagator(asked.network).interval(rooms_of(asked.box))
    ),
    "batched-crown": lambda asked: batched(Propagator(asked.network).crown(rooms_of(asked.box))),
    "batched-crown-float32": batched_in_float32,
    "alpha-crown": lambda asked: batched(
        alpha_crown(Propagator(asked.network), rooms_of(asked.box), steps=5)
    ),
}


@of_every_operator
@in_both_places
def test_every_bound_holds_every_value(name: str, place: str) -> None:
    question = asked(name, place)
    network = question.network
    reached = network.values(question.points)
    for method, bounds in METHODS.items():
        found, slack = bounds(question), 2e-6 if method.endswith("float32") else 1e-12
        assert set(found.lower) == set(found.upper) == set(reached), method
        for node, values in reached.items():
            low, high = found.lower[node], found.upper[node]
            assert np.all(low - slack <= values.min(0)), (method, node)
            assert np.all(high + slack >= values.max(0)), (method, node)
        if name in PIECEWISE_LINEAR:
            most = np.array([found.upper[network.output][0], -found.lower[network.output][1]])
            assert np.all(most >= question.greatest - max(slack, 1e-8)), method


@of_all_with_patterns
def test_something_is_left_to_relax(name: str) -> None:
    question = asked(name, "input")
    found = crown(question.network, question.box)
    assert found.unstable(question.network.relus[-1].reads[0]).any()
    reached = question.network(question.points) @ GOALS.T
    assert np.all(reached.max(0) <= question.greatest + 1e-8)


@cache
def encoded(name: str, place: str, formulation: str) -> tuple[Encoding, Program]:
    question = asked(name, place)
    form = FORMULATIONS[formulation]
    region, bounds = question.box.linear_form(), interval(question.network, question.box)
    encoding = encode_moderately(question.network, region, bounds, formulation=form)
    return encoding, encoding.builder.build()


def greatest(encoding: Encoding, program: Program, goals: np.ndarray) -> list[float]:
    """Of every row of goals times the outputs, by a program of the network."""
    if program.has_indicators:
        pytest.importorskip("pyscipopt", reason="no solver with conditional rows is installed")
    session = solver_named("scip" if program.has_indicators else "highs").open(program)
    outputs = encoding.values[encoding.network.output]
    costs = np.stack([outputs.costs(j, program.shape[1]) for j in range(goals.shape[1])])
    found = []
    for goal in goals:
        solution = session.solve(Clock(), cost=-goal @ costs)
        assert solution.stop is Stop.OPTIMAL
        assert solution.value is not None
        found.append(goal @ outputs.constant - solution.value)
    return found


MIXED = np.array([1.0, 0.7])
"""A sum of both outputs."""

in_every_form = pytest.mark.parametrize("formulation", sorted(FORMULATIONS))


@of_all_with_patterns
@in_both_places
@in_every_form
def test_a_fixed_input_leaves_its_program_one_value(
    name: str, place: str, formulation: str
) -> None:
    x = asked(name, place).points[0]
    encoding, program = encoded(name, place, formulation)
    lower, upper = program.lower.copy(), program.upper.copy()
    lower[encoding.input_columns] = upper[encoding.input_columns] = x
    fixed = replace(program, lower=lower, upper=upper)
    outputs = MIXED @ asked(name, place).plain(x)
    assert greatest(encoding, fixed, np.stack([MIXED, -MIXED])) == pytest.approx(
        [outputs, -outputs], abs=1e-6
    )


@of_all_with_patterns
@in_both_places
@in_every_form
def test_the_greatest_value_of_the_program_is_that_of_all_patterns(
    name: str, place: str, formulation: str
) -> None:
    found = greatest(*encoded(name, place, formulation), GOALS)
    assert found == pytest.approx(asked(name, place).greatest.tolist(), abs=1e-6)


def test_every_operator_is_in_the_table() -> None:
    assert {op for op, *_ in OPERATORS.values()} == {name for _, name in REGISTRY}


FILES = (test_onnx_operators, test_onnx_pieces, test_onnx_moves, test_onnx_windows)
REFUSED = [
    (entry.values[0], onnx.load_model_from_string(entry.values[1]).graph.node)
    for file in FILES
    for entry in file.REFUSED
]
"""Operators in models that are refused, with all nodes of these."""

TAKES_ALL = {"Abs", "Identity", "Neg", "Relu", "Sigmoid", "Sign", "Tanh"}
"""Operators that any tensor fits and that have no attributes."""

OF_NO_EFFECT = {
    ("Cast", "round_mode"),
    ("Cast", "saturate"),
    ("CastLike", "round_mode"),
    ("CastLike", "saturate"),
    ("Dropout", "seed"),
}
"""Attributes for types that are refused, and for training."""

IN_NO_RUNTIME = {("SpaceToDepth", "mode")}
"""Attributes of operator sets that onnxruntime does not know yet."""


def test_every_operator_is_refused_where_it_does_not_fit() -> None:
    assert {op for op, _ in REFUSED} | TAKES_ALL >= {name for _, name in REGISTRY}


@pytest.mark.slow
def test_every_attribute_is_tried() -> None:
    tried = [entry.values[1] for file in FILES for entry in file.CASES]
    tried += [nodes for _, nodes, *_ in OPERATORS.values()] + [nodes for _, nodes in REFUSED]
    seen = {(node.op_type, one.name) for nodes in tried for node in nodes for one in node.attribute}
    known = {
        (schema.name, attribute)
        for schema in onnx.defs.get_all_schemas_with_history()
        if (schema.domain, schema.name) in REGISTRY and is_read(schema)
        for attribute in schema.attributes
    }
    assert known <= seen | OF_NO_EFFECT | IN_NO_RUNTIME


@cache
def versions() -> dict[tuple[str, str], list[int]]:
    """Of every operator, by domain and name."""
    found: dict[tuple[str, str], list[int]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        found.setdefault((schema.domain, schema.name), []).append(schema.since_version)
    return found


def is_read(schema: onnx.defs.OpSchema) -> bool:
    """Whether a version of an operator is one of a set that the reader takes: 7 or newer."""
    seven = [version for version in versions()[schema.domain, schema.name] if version <= 7]
    oldest = max(seven, default=7)
    return schema.since_version >= oldest
