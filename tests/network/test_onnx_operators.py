"""Every operator, in its forms, is the function that onnxruntime computes."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import test_onnx_moves
import test_onnx_pieces
import test_onnx_windows
from handmade_onnx import (
    DOUBLE,
    FLOAT,
    HALF,
    array,
    assert_agrees,
    assert_refused,
    between_rectifiers,
    build,
    case,
    ints,
    refusal,
)
from onnx import TensorProto, helper

from dualbound.errors import InvalidModel, UnsupportedOperator
from dualbound.network import read_onnx
from dualbound.network.onnx_operators import OPERATORS

SHIFT = {"c": array(3)}
CASES = [
    case("plain", "Gemm", ["x", "w"], [1, 3], {"w": array(3, 4)}),
    case("bias", "Gemm", ["x", "w", "c"], [1, 3], {"w": array(3, 4), "c": array(4)}),
    case("bias-number", "Gemm", ["x", "w", "c"], [1, 3], {"w": array(3, 4), "c": array()}),
    case("alpha-beta", "Gemm", ["x", "w", "c"], [1, 3], {"w": array(3, 4), "c": array(1, 4)},
         alpha=0.5, beta=-2.0),
    case("transB", "Gemm", ["x", "w"], [1, 3], {"w": array(4, 3)}, transB=1),
    case("transA", "Gemm", ["x", "w"], [1, 3], {"w": array(1, 4)}, transA=1),
    case("transA-transB", "Gemm", ["x", "w"], [2, 3], {"w": array(4, 2)}, transA=1, transB=1),
    case("variable-right", "Gemm", ["w", "x", "c"], [2, 3], {"w": array(4, 2), "c": array(4, 1)}),
    case("variable-right-transB", "Gemm", ["w", "x"], [2, 3], {"w": array(4, 3)}, transB=1),
    case("variable-bias", "Gemm", ["a", "b", "x"], [2, 3], {"a": array(2, 4), "b": array(4, 3)},
         beta=3.0),
    case("opset-9", "Gemm", ["x", "w", "c"], [1, 3], {"w": array(3, 4), "c": array(4)}, 9),
    case("right", "MatMul", ["x", "w"], [1, 3], {"w": array(3, 4)}),
    case("left", "MatMul", ["w", "x"], [3, 2], {"w": array(4, 3)}),
    case("rank-3", "MatMul", ["x", "w"], [1, 5, 3], {"w": array(3, 4)}),
    case("left-rank-3", "MatMul", ["w", "x"], [1, 3, 5], {"w": array(4, 3)}),
    case("stack", "MatMul", ["x", "w"], [2, 5, 3], {"w": array(2, 3, 4)}),
    case("left-stack", "MatMul", ["w", "x"], [2, 3, 5], {"w": array(2, 4, 3)}),
    case("stack-grows", "MatMul", ["x", "w"], [1, 5, 3], {"w": array(6, 2, 3, 4)}),
    case("vector-right", "MatMul", ["x", "w"], [1, 3], {"w": array(3)}),
    case("vector-left", "MatMul", ["w", "x"], [3, 2], {"w": array(3)}),
    case("variable-vector", "MatMul", ["x", "w"], [3], {"w": array(3, 2)}),
    case("variable-vector-right", "MatMul", ["w", "x"], [3], {"w": array(2, 3)}),
    case("variable-vector-stack", "MatMul", ["x", "w"], [3], {"w": array(5, 3, 2)}),
    case("two-vectors", "MatMul", ["x", "w"], [3], {"w": array(3)}),
    case("right", "Add", ["x", "c"], [1, 3], SHIFT),
    case("left", "Add", ["c", "x"], [1, 3], SHIFT),
    case("grows", "Add", ["x", "c"], [1, 3], {"c": array(4, 1)}),
    case("grows-rank", "Add", ["c", "x"], [1, 3], {"c": array(2, 1, 3)}),
    case("same-source", "Add", ["x", "x"], [1, 3]),
    case("right", "Sub", ["x", "c"], [1, 3], SHIFT),
    case("left", "Sub", ["c", "x"], [1, 3], SHIFT),
    case("same-source", "Sub", ["x", "x"], [1, 3]),
    case("grows", "Sub", ["c", "x"], [1, 3], {"c": array(4, 1)}),
    case("right", "Mul", ["x", "c"], [1, 2, 3], SHIFT),
    case("left", "Mul", ["c", "x"], [1, 3], SHIFT),
    case("channels", "Mul", ["x", "c"], [1, 3, 2, 2], {"c": array(1, 3, 1, 1)}),
    case("grows", "Mul", ["x", "c"], [1, 3], {"c": array(4, 1)}),
    case("right", "Div", ["x", "c"], [1, 3], SHIFT),
    case("number", "Div", ["x", "c"], [1, 3], {"c": np.array(255.0, np.float32)}),
    case("plain", "Neg", ["x"], [1, 3]),
    case("plain", "Relu", ["x"], [1, 2, 3]),
    case("plain", "Identity", ["x"], [1, 3]),
    case("plain", "Dropout", ["x"], [1, 3]),
    case("ratio", "Dropout", ["x", "r"], [1, 3], {"r": np.array(0.5, np.float32)}),
    case("false", "Dropout", ["x", "r", "t"], [1, 3],
         {"r": np.array(0.5, np.float32), "t": np.array(False)}),
    case("opset-9", "Dropout", ["x"], [1, 3], None, 9, ratio=0.5),
    case("float", "Cast", ["x"], [1, 3], to=FLOAT),
    case("constant", "CastLike", ["x", "c"], [1, 3], {"c": array(1)}),
    case("itself", "CastLike", ["x", "x"], [1, 3], None, 19),
    case("of-a-constant", "CastLike", ["c", "x"], [1, 3], {"c": array(3).astype(np.float64)},
         makes=["d"], then=[helper.make_node("Add", ["d", "x"], ["y"])]),
    case("plain", "Flatten", ["x"], [1, 2, 3]),
    case("axis-0", "Flatten", ["x"], [1, 2, 3], axis=0),
    case("axis-3", "Flatten", ["x"], [1, 2, 3], axis=3),
    case("axis-negative", "Flatten", ["x"], [1, 2, 3], None, 13, axis=-1),
    case("given", "Reshape", ["x", "s"], [1, 2, 3], {"s": ints(1, 6)}),
    case("rest", "Reshape", ["x", "s"], [1, 2, 3], {"s": ints(3, -1)}),
    case("kept", "Reshape", ["x", "s"], [1, 2, 3], {"s": ints(0, -1)}),
    case("allowzero", "Reshape", ["x", "s"], [1, 2, 3], {"s": ints(-1, 6)}, allowzero=1),
    case("opset-8", "Reshape", ["x", "s"], [1, 2, 3], {"s": ints(-1)}, 8),
    case("default", "Transpose", ["x"], [1, 2, 3]),
    case("perm", "Transpose", ["x"], [1, 2, 3], perm=[0, 2, 1]),
    case("perm-4", "Transpose", ["x"], [1, 2, 3, 4], perm=[0, 3, 1, 2]),
    case("all", "Squeeze", ["x"], [1, 2, 1, 3]),
    case("axes", "Squeeze", ["x", "a"], [1, 2, 1, 3], {"a": ints(-2)}),
    case("attribute", "Squeeze", ["x"], [1, 2, 1, 3], None, 11, axes=[0, 2]),
    case("axes", "Unsqueeze", ["x", "a"], [1, 2], {"a": ints(-1, 0)}),
    case("attribute", "Unsqueeze", ["x"], [1, 2], None, 11, axes=[1, 2]),
]  # fmt: skip


@pytest.mark.parametrize(("op", "nodes", "shape", "constants", "opset"), CASES)
def test_operator_is_what_onnxruntime_computes(op, nodes, shape, constants, opset):
    assert_agrees(build(nodes, shape, constants, opset=opset))


@pytest.mark.parametrize(("op", "nodes", "shape", "constants", "opset"), CASES)
def test_operator_composes_between_rectifiers(op, nodes, shape, constants, opset):
    assert_agrees(build(between_rectifiers(nodes), shape, constants, opset=opset))


def test_every_operator_has_a_case():
    others = [test_onnx_moves.CASES, test_onnx_pieces.CASES, test_onnx_windows.CASES]
    tested = {case.values[0] for cases in (CASES, *others) for case in cases} | {"Scaler"}
    assert tested == {name for _, name in OPERATORS}


@pytest.mark.parametrize("count", [1, 3])
def test_scaler(count):
    offset, scale = [0.5, 1.5, -2.0][:count], [2.0, 0.25, 3.0][:count]
    node = helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=offset, scale=scale)
    assert_agrees(build([node], [None, 3]))


@pytest.mark.parametrize(("kind", "tolerance"), [(DOUBLE, 1e-12), (HALF, 1e-2)])
def test_other_precisions(kind, tolerance):
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Relu", ["z"], ["h"]),
        helper.make_node("Add", ["h", "c"], ["y"]),
    ]
    constants = {"w": array(3, 4).astype(dtype), "c": array(4).astype(dtype)}
    assert_agrees(build(nodes, ["n", 3], constants, kind=kind), tolerance=tolerance)


def test_cast_to_double():
    nodes = [
        helper.make_node("Cast", ["x"], ["d"], to=DOUBLE),
        helper.make_node("MatMul", ["d", "w"], ["y"]),
    ]
    constants = {"w": array(3, 4).astype(np.float64)}
    assert_agrees(build(nodes, ["n", 3], constants, outputs={"y": DOUBLE}))


broken = partial(refusal, InvalidModel, shape=[1, 3])
not_a = partial(refusal, UnsupportedOperator, shape=[1, 3])
BOTH = "two tensors that both depend on the input"

REFUSED = [
    broken("cannot be multiplied", "Gemm", ["x", "w"], {"w": array(5, 4)}),
    broken("broadcast", "Gemm", ["x", "w", "c"], {"w": array(3, 4), "c": array(7)}),
    broken(r"\(2, 4\) does not fit", "Gemm", ["x", "w", "c"], {"w": array(3, 4), "c": array(2, 4)}),
    broken("not those of two matrices", "Gemm", ["x", "w"], {"w": array(3, 4, 1)}),
    broken("attribute alpha is nan", "Gemm", ["x", "w"], {"w": array(3, 4)}, alpha=float("nan")),
    broken("attribute beta is inf", "Gemm", ["x", "w", "c"], {"w": array(3, 4), "c": array(4)},
           beta=float("inf")),
    broken(r"\(1, 3\) and \(4, 3\) cannot be multiplied", "MatMul", ["x", "w"],
           {"w": array(4, 3)}),
    broken("cannot be multiplied", "MatMul", ["x", "w"], {"w": array()}),
    *(broken("broadcast", op, ["x", "c"], {"c": array(4)}) for op in ("Add", "Sub", "Mul", "Div")),
    broken("divides by zero", "Div", ["x", "c"], {"c": np.zeros(3, np.float32)}),
    broken(r"\(1, 3\) \(3 numbers\) cannot become", "Reshape", ["x", "s"], {"s": ints(2, 2)}),
    broken("cannot become", "Reshape", ["x", "s"], {"s": ints(2, -1)}),
    broken("cannot become", "Reshape", ["x", "s"], {"s": ints(-1, -1)}),
    broken("cannot become", "Reshape", ["x", "s"], {"s": ints(0, 3)}, allowzero=1),
    broken("axis 5 does not exist", "Flatten", ["x"], axis=5),
    broken("do not all have size 1", "Squeeze", ["x", "a"], {"a": ints(1)}),
    broken("do not exist", "Unsqueeze", ["x", "a"], {"a": ints(7)}),
    broken("named twice", "Unsqueeze", ["x", "a"], {"a": ints(0, 0)}),
    broken("cannot be read", "Transpose", ["x"], perm=[0, 2]),
    broken("repeated axis", "Transpose", ["x"], perm=[1, 1]),
    broken("attribute scale holds inf", "Scaler", ["x"], domain="ai.onnx.ml",
           scale=[1.0, float("inf"), 1.0]),
    broken("2 offsets and 1 scales for 3 features", "Scaler", ["x"], domain="ai.onnx.ml",
           offset=[1.0, 2.0], scale=[1.0]),
    not_a(BOTH, "Mul", ["x", "x"]),
    not_a(BOTH, "MatMul", ["x", "x"], shape=[3, 3]),
    not_a("divides by a tensor that depends", "Div", ["c", "x"], {"c": array(3)}),
    *(
        not_a("a type that is not floating-point", "Cast", ["x"], opset=19, to=kind)
        for kind in (TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT8E4M3FN)
    ),
    not_a("a type that is not floating-point", "CastLike", ["x", "c"], {"c": ints(1)}),
    not_a("training mode", "Dropout", ["x", "r", "t"],
          {"r": np.array(0.5, np.float32), "t": np.array(True)}),
    not_a("is not supported", "Softplus", ["x"]),
]  # fmt: skip


@pytest.mark.parametrize(("op", "model", "kind", "message"), REFUSED)
def test_refused(op, model, kind, message):
    assert_refused(op, model, kind, message)


def test_a_product_of_rectified_values_is_refused():
    nodes = [
        helper.make_node("Relu", ["x"], ["h"]),
        helper.make_node("Mul", ["h", "x"], ["y"], "culprit"),
    ]
    assert_refused("Mul", build(nodes, [1, 3]), UnsupportedOperator, BOTH)


def test_an_unnamed_node_is_named_by_its_output():
    with pytest.raises(UnsupportedOperator, match=r"Round \(node 'y'\)"):
        read_onnx(build([helper.make_node("Round", ["x"], ["y"])], [1, 3]))


def test_an_optional_output_is_refused():
    nodes = [
        helper.make_node("Dropout", ["x"], ["y", "mask"]),
        helper.make_node("Cast", ["mask"], ["z"], to=FLOAT),
    ]
    with pytest.raises(UnsupportedOperator, match="optional output"):
        read_onnx(build(nodes, [1, 3]))


def test_an_operator_of_another_domain_is_named_with_it():
    node = helper.make_node("Imputer", ["x"], ["y"], domain="ai.onnx.ml",
                            imputed_value_floats=[0.0])  # fmt: skip
    with pytest.raises(UnsupportedOperator, match=r"ai\.onnx\.ml\.Imputer"):
        read_onnx(build([node], [1, 3]))
