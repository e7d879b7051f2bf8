"""Operators that move numbers about are what onnxruntime computes."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from handmade_onnx import (
    FLOAT,
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
from dualbound.network import read_onnx

CUBE, IMAGE = [1, 4, 5], [1, 2, 4, 3]


def sliced(name, starts, ends, axes=None, steps=None, opset=17, shape=CUBE):
    given = {"starts": starts, "ends": ends, "axes": axes, "steps": steps}
    constants = {key: ints(*value) for key, value in given.items() if value is not None}
    reads = ["x", *(key if given[key] is not None else "" for key in given)]
    while not reads[-1]:
        reads.pop()
    return case(name, "Slice", reads, shape, constants, opset)


def split(name, count, sizes=None, opset=17, shape=CUBE, **attributes):
    """The parts, joined again in another order with their signs changed."""
    parts = [f"part{k}" for k in range(count)]
    then = [helper.make_node("Neg", [part], [f"-{part}"]) for part in parts]
    turned = [f"-{part}" for part in reversed(parts)]
    axis = attributes.get("axis", 0)
    then.append(helper.make_node("Concat", turned, ["y"], axis=axis))
    constants = {} if sizes is None else {"sizes": ints(*sizes)}
    reads = ["x", *constants]
    return case(name, "Split", reads, shape, constants, opset, then=then, makes=parts, **attributes)


def padded(name, pads, opset=17, value=None, axes=None, shape=IMAGE, **attributes):
    if opset < 11:
        extra = {} if value is None else {"value": value}
        return case(name, "Pad", ["x"], shape, None, opset, pads=pads, **extra, **attributes)
    constants, reads = {"pads": ints(*pads)}, ["x", "pads"]
    if value is not None or axes is not None:
        reads.append("" if value is None else "value")
    if value is not None:
        constants["value"] = number(value)
    if axes is not None:
        constants["axes"] = ints(*axes)
        reads.append("axes")
    return case(name, "Pad", reads, shape, constants, opset, **attributes)


CASES = [
    case("axis-1", "Concat", ["x", "c"], [1, 2, 3], {"c": array(1, 4, 3)}, axis=1),
    case("axis-negative", "Concat", ["c", "x"], [1, 2, 3], {"c": array(1, 2, 2)}, axis=-1),
    case("several", "Concat", ["x", "c", "x", "d"], [1, 2, 3],
         {"c": array(1, 1, 3), "d": array(1, 3, 3)}, axis=1),
    case("one", "Concat", ["x"], [1, 2, 3], axis=1),
    case("axis-0", "Concat", ["x", "x"], [1, 3], axis=0),
    case("nothing", "Concat", ["x", "c"], [1, 3], {"c": array(1, 0)}, axis=1),
    case("axis-2", "Concat", ["x", "c"], [1, 2, 3], {"c": array(1, 2, 1)}, 7, axis=2),
    sliced("plain", [1], [3], [1]),
    sliced("no-axes", [0, 1], [1, 4]),
    sliced("steps", [0], [5], [2], [2]),
    sliced("backwards", [4], [0], [2], [-2]),
    sliced("reversed", [-1], [-(2**31)], [2], [-1]),
    sliced("negative", [-3], [-1], [-1]),
    sliced("several", [3, 0], [-10, 4], [1, 2], [-2, 3]),
    sliced("past-the-end", [1], [2**63 - 1], [1]),
    sliced("opset-10", [4, 1], [0, 3], [2, 1], [-1, 1], 10),
    sliced("no-axes-but-steps", [0, 3, 0], [1, 0, 5], None, [1, -1, 2], 13),
    case("attributes", "Slice", ["x"], CUBE, None, 9, starts=[1, 0], ends=[4, -1], axes=[2, 1]),
    case("attributes-no-axes", "Slice", ["x"], CUBE, None, 9, starts=[0, 1], ends=[1, 1000]),
    split("attribute", 2, None, 11, axis=1, split=[1, 3]),
    split("attribute-none", 2, None, 11, axis=1),
    split("opset-7", 3, None, 7, axis=2, split=[2, 2, 1]),
    split("input", 3, [1, 0, 3], 13, axis=1),
    split("input-17", 2, [2, 2], axis=-2),
    split("equal", 4, axis=1),
    split("outputs-even", 2, None, 18, axis=1, num_outputs=2),
    split("outputs-uneven", 3, None, 18, axis=2, num_outputs=3),
    split("input-18", 2, [4, 1], 18, axis=2),
    split("axis-0", 2, [1, 2], shape=[3, 2]),
    case("rows", "Gather", ["x", "i"], CUBE, {"i": ints(2, 0, -1)}, axis=1),
    case("matrix", "Gather", ["x", "i"], CUBE, {"i": ints(2, 0, 4, 4).reshape(2, 2)}, axis=2),
    case("number", "Gather", ["x", "i"], CUBE, {"i": np.array(3)}, axis=1),
    case("axis-0", "Gather", ["x", "i"], [3, 2], {"i": ints(1, 1, 2)}),
    case("int32", "Gather", ["x", "i"], CUBE, {"i": np.array([0, 3], np.int32)}, 7, axis=-1),
    case("plain", "GatherElements", ["x", "i"], [1, 3],
         {"i": ints(2, 2, -3).reshape(1, 3)}, axis=1),
    case("axis-0", "GatherElements", ["x", "i"], [3, 2], {"i": ints(2, 0).reshape(1, 2)}, 11),
    case("many", "GatherElements", ["x", "i"], [1, 70],
         {"i": ints(69, 0, -1, 3, 3).reshape(1, 5)}, axis=1),
    case("plain", "GatherND", ["x", "i"], CUBE, {"i": ints(0, 2, 0, 1).reshape(2, 2)}),
    case("batch", "GatherND", ["x", "i"], [1, 4, 2], {"i": ints(3, 0).reshape(1, 2, 1)},
         batch_dims=1),
    *(
        made
        for opset in (9, 11, 13, 18, 21)
        for made in (
            padded("zeros", [0, 0, 1, 2, 0, 1, 0, 3], opset),
            padded("value", [0, 0, 1, 0, 0, 0, 2, 1], opset, 1.5),
            padded("reflect", [0, 0, 2, 1, 0, 0, 3, 2], opset, mode="reflect"),
            padded("edge", [0, 1, 2, 0, 0, 0, 1, 4], opset, mode="edge"),
            padded("nothing", [0] * 8, opset, 2.0),
        )
    ),
    padded("opset-7", [0, 0, 1, 0, 0, 0, 2, 1], 7, -0.5),
    padded("constant-named", [0, 0, 1, 1, 0, 0, 1, 1], mode="constant"),
    padded("axes", [1, 2, 0, 1], 18, 0.5, [2, -1]),
    padded("axes-no-value", [1, 2], 18, None, [1]),
    padded("wrap", [0, 0, 2, 1, 0, 0, 3, 2], 19, mode="wrap"),
    padded("cut", [0, 0, -1, 0, 0, 0, 2, -1]),
    padded("cut-and-value", [0, -1, 1, 0, 0, 0, -2, 1], 18, 2.5),
    case("bigger", "Expand", ["x", "s"], [1, 3], {"s": ints(2, 4, 3)}),
    case("ones", "Expand", ["x", "s"], [1, 2, 3], {"s": ints(1, 1)}, 8),
    case("inner", "Expand", ["x", "s"], [1, 3, 1], {"s": ints(1, 3, 4)}, 13),
    case("plain", "Tile", ["x", "r"], [1, 2, 3], {"r": ints(1, 2, 3)}),
    case("opset-7", "Tile", ["x", "r"], [1, 3], {"r": ints(3, 1)}, 7),
    *(
        case(f"{name}", "DepthToSpace", ["x"], [1, 12, 2, 3], None, opset, blocksize=2, **mode)
        for opset in (11, 13)
        for name, mode in (("plain", {}), ("dcr", {"mode": "DCR"}), ("crd", {"mode": "CRD"}))
    ),
    case("opset-7", "DepthToSpace", ["x"], [1, 9, 1, 2], None, 7, blocksize=3),
    case("plain", "SpaceToDepth", ["x"], [1, 2, 4, 6], blocksize=2),
    case("opset-7", "SpaceToDepth", ["x"], [1, 1, 3, 6], None, 7, blocksize=3),
    case("constant", "Where", ["m", "x", "c"], [1, 3],
         {"m": np.array([True, False, True]), "c": array(3)}),
    case("constant-first", "Where", ["m", "c", "x"], [1, 3],
         {"m": np.array([[True], [False]]), "c": array(1)}, 9),
    case("both", "Where", ["m", "x", "x"], [2, 2], {"m": np.array([[True, False]])}),
    case("grows", "Where", ["m", "x", "c"], [1, 3],
         {"m": np.array([[[True]], [[False]]]), "c": array(4, 1)}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "nodes", "shape", "constants", "opset"), CASES)
def test_operator_is_what_onnxruntime_computes(op, nodes, shape, constants, opset):
    assert_agrees(build(nodes, shape, constants, opset=opset))


@pytest.mark.parametrize(("op", "nodes", "shape", "constants", "opset"), CASES)
def test_operator_composes_between_rectifiers(op, nodes, shape, constants, opset):
    assert_agrees(build(between_rectifiers(nodes), shape, constants, opset=opset))


broken = partial(refusal, InvalidModel, shape=CUBE)
not_a = partial(refusal, UnsupportedOperator, shape=CUBE)

FAR = ints(0, 2**40, 0, 0, 0, 0)
REFUSED = [
    broken("must match exactly", "Concat", ["x", "c"], {"c": array(1, 3, 4)}, axis=1),
    broken("out of bounds", "Concat", ["x", "x"], axis=3),
    broken("step cannot be zero", "Slice", ["x", "a", "b", "a", "a"], {"a": ints(0), "b": ints(2)}),
    broken("out of range", "Slice", ["x", "a", "b", "c"],
           {"a": ints(0), "b": ints(2), "c": ints(5)}),
    not_a("its input 1 depends on the network's input", "Slice", ["x", "x", "b"], {"b": ints(2)},
          shape=[1]),
    broken(r"sizes \(1, 1\) do not make an axis of 4", "Split", ["x", "s"], {"s": ints(1, 1)},
           makes=["y", "z"], axis=1),
    broken(r"2 parts of sizes \(4,\)", "Split", ["x", "s"], {"s": ints(4)}, makes=["y", "z"],
           axis=1),
    broken(r"sizes \(5, -1\)", "Split", ["x", "s"], {"s": ints(5, -1)}, makes=["y", "z"], axis=1),
    broken("does not fall into 3 equal parts", "Split", ["x"], makes=["y", "z", "w"], axis=1),
    broken(r"axes \(3,\) do not exist", "Split", ["x"], makes=["y", "z"], axis=3),
    not_a("one of its outputs has no name", "Split", ["x"], makes=["y", ""], axis=1),
    broken("out of bounds", "Gather", ["x", "i"], {"i": ints(4)}, axis=1),
    broken("it needs 268435456 numbers", "Gather", ["x", "i"], {"i": np.zeros(2**14, np.int64)},
           shape=[1, 2**14]),
    broken("out of bounds", "GatherElements", ["x", "i"], {"i": np.full((1, 1, 5), 4)}, axis=1),
    broken(r"indices of shape \(1, 2, 1\)", "GatherElements", ["x", "i"],
           {"i": ints(0, 0).reshape(1, 2, 1)}, axis=1),
    broken("out of bounds", "GatherND", ["x", "i"], {"i": ints(0, 4).reshape(1, 2)}),
    broken("out of range", "GatherND", ["x", "i"], {"i": ints(0, 0).reshape(1, 2)}, batch_dims=5),
    *(
        broken(r"axes \(3,\) do not exist", op, ["x", "i"], {"i": ints(0).reshape(1, 1, 1)}, axis=3)
        for op in ("Gather", "GatherElements")
    ),
    broken("too wide to reflect", "Pad", ["x", "p"], {"p": ints(0, 4, 0, 0, 0, 0)}, mode="reflect"),
    broken("too wide to wrap", "Pad", ["x", "p"], {"p": ints(0, 5, 0, 0, 0, 0)}, opset=19,
           mode="wrap"),
    *(
        not_a(f"with mode=constant only, not {mode}", "Pad", ["x", "p"],
              {"p": ints(0, -1, 0, 0, 2, 0)}, opset=19, mode=mode)
        for mode in ("reflect", "edge", "wrap")
    ),
    broken("mode 'somehow' is not supported", "Pad", ["x", "p"], {"p": ints(0, 1, 0, 0, 0, 0)},
           mode="somehow"),
    broken("expected two numbers for each of 3 axes", "Pad", ["x", "p"], {"p": ints(0, 1)}),
    broken("expected two numbers for each of 1 axes", "Pad", ["x", "p", "", "a"],
           {"p": ints(0, 1, 1, 0), "a": ints(1)}, opset=18),
    broken("named twice", "Pad", ["x", "p", "", "a"], {"p": ints(0, 1, 1, 0), "a": ints(1, -2)},
           opset=18),
    broken("holds NaN or infinity", "Pad", ["x", "p", "v"],
           {"p": ints(0, 1, 0, 0, 0, 0), "v": number(np.inf)}),
    not_a("its input 2 depends on the network's input", "Pad", ["x", "p", "x"],
          {"p": ints(1, 0)}, shape=[1]),
    broken("value is inf", "Pad", ["x"], opset=9, pads=[0, 1, 0, 0, 0, 0], value=float("inf")),
    broken("it needs .* numbers; at most", "Pad", ["x", "p"], {"p": FAR}),
    broken("it needs .* numbers; at most", "Tile", ["x", "r"], {"r": ints(1, 2**30, 1)}),
    broken("it repeats 3 axes 1 times", "Tile", ["x", "r"], {"r": ints(1)}),
    broken("it needs .* numbers; at most", "Expand", ["x", "s"], {"s": ints(2**30, 1, 1)}),
    broken("broadcast", "Expand", ["x", "s"], {"s": ints(2, 5)}),
    broken("known are DCR and CRD", "DepthToSpace", ["x"], shape=[1, 8, 2, 2], blocksize=2,
           mode="ABC"),
    broken("cannot reshape", "DepthToSpace", ["x"], shape=[1, 3, 2, 2], blocksize=2),
    broken("cannot reshape", "SpaceToDepth", ["x"], shape=[1, 2, 3, 2], blocksize=2),
    broken("cannot be read", "DepthToSpace", ["x"], shape=[1, 4, 2, 2], blocksize=0),
    broken("Unexpected shape", "SpaceToDepth", ["x"], shape=[1, 2, 2], blocksize=2),
    broken("cannot be broadcast", "Where", ["m", "x", "c"], {"m": np.array([True]), "c": array(4)}),
    not_a("its input 0 depends on the network's input", "Where", ["x", "x", "x"]),
]  # fmt: skip


@pytest.mark.parametrize(("op", "model", "kind", "message"), REFUSED)
def test_refused(op, model, kind, message):
    assert_refused(op, model, kind, message)


def test_a_choice_that_depends_on_the_input_is_refused():
    nodes = [
        helper.make_node("Cast", ["x"], ["m"], "culprit", to=9),
        helper.make_node("Where", ["m", "x", "c"], ["y"]),
    ]
    model = build(nodes, [1, 3], {"c": array(3)}, outputs={"y": FLOAT})
    assert_refused("Cast", model, UnsupportedOperator, "a type that is not floating-point")


def test_an_output_without_numbers_is_refused():
    node = helper.make_node("Slice", ["x", "a", "a"], ["y"])
    with pytest.raises(InvalidModel, match=r"output 'y' of shape \(0, 4, 5\) holds no numbers"):
        read_onnx(build([node], CUBE, {"a": ints(0)}))
