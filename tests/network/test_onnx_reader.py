"""Structure: batch axis, outputs, final softmax, constants, names, and files that are damaged."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from handmade_onnx import DOUBLE, FLOAT, assert_agrees, build, dense
from onnx import TensorProto, helper, numpy_helper

from dualbound.errors import InvalidModel, UnsupportedOperator
from dualbound.network import Affine, Input, Relu, read_onnx

RNG = np.random.default_rng(2)
RELU = helper.make_node("Relu", ["x"], ["y"])


def array(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def edited(model: bytes, edit) -> bytes:
    proto = onnx.load_model_from_string(model)
    edit(proto)
    return proto.SerializeToString()


class TestInput:
    @pytest.mark.parametrize(
        ("shape", "seen"),
        [
            (["n", 4], (4,)),
            ([None, 4], (4,)),
            ([1, 4], (4,)),
            ([1, 1, 2, 2], (1, 2, 2)),
            ([4], (4,)),
            ([3, 4], (3, 4)),
            ([1], (1,)),
            ([], ()),
        ],
    )
    def test_the_batch_axis_is_the_first_of_several_if_dynamic_or_one(self, shape, seen):
        assert assert_agrees(build([RELU], shape)).input_shape == seen

    def test_rows_that_may_be_a_batch_are_noted(self):
        answer = helper.make_tensor_value_info("y", FLOAT, [3, 4])
        model = edited(build([RELU], [3, 4]), lambda m: m.graph.output[0].CopyFrom(answer))
        (note,) = read_onnx(model).source.notes
        assert "fixed at 3" in note
        assert "a batch of 1" in note

    def test_a_negative_batch_size_counts_as_dynamic(self):
        assert read_onnx(build([RELU], [-1, 4])).input_shape == (4,)

    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            (["n", "width"], r"axis 1 \('width'\) of the input 'x' has no fixed size"),
            (["n", 3, None], "axis 2 of the input 'x' has no fixed size"),
            (["n"], r"axis 0 \('n'\) of the input 'x' has no fixed size"),
        ],
    )
    def test_another_dynamic_axis_is_named(self, shape, message):
        with pytest.raises(InvalidModel, match=message):
            read_onnx(build([RELU], shape))

    def test_an_input_without_a_shape(self):
        def forget(proto):
            proto.graph.input[0].type.tensor_type.ClearField("shape")

        with pytest.raises(InvalidModel, match="shape"):
            read_onnx(edited(build([RELU], [1, 4]), forget))

    def test_several_inputs_are_named(self):
        def another(proto):
            proto.graph.input.append(helper.make_tensor_value_info("z", FLOAT, [1]))

        with pytest.raises(InvalidModel, match=r"has 2 \('x', 'z'\)"):
            read_onnx(edited(build([RELU], [1, 4]), another))

    def test_an_input_of_integers(self):
        node = helper.make_node("Cast", ["x"], ["y"], to=FLOAT)
        with pytest.raises(InvalidModel, match="'x' is uint8; expected a floating-point tensor"):
            read_onnx(build([node], [1, 4], kind=TensorProto.UINT8, outputs={"y": FLOAT}))

    def test_an_input_too_large_to_hold(self):
        with pytest.raises(InvalidModel, match=r"shape \(1, 68719476736\): it needs 68719476736"):
            read_onnx(build([RELU], [1, 2**36]))

    def test_an_affine_map_of_a_large_input_stays_sparse(self):
        nodes = [helper.make_node("Neg", ["x"], ["z"]), helper.make_node("Relu", ["z"], ["y"])]
        network = read_onnx(build(nodes, [1, 20_000]))
        assert network["z"].op.parameters == 2 * 20_000

    def test_an_affine_map_too_large_to_be_held(self):
        nodes = [
            helper.make_node("MatMul", ["x", "w"], ["narrow"]),
            helper.make_node("MatMul", ["narrow", "v"], ["wide"], "culprit"),
        ]
        constants = {"w": array(2**14, 1), "v": array(1, 2**14)}
        with pytest.raises(InvalidModel, match=r"MatMul \(node 'culprit'\).* needs 268435456"):
            read_onnx(build(nodes, [1, 2**14], constants))

    def test_initialisers_may_be_listed_as_inputs(self):
        assert_agrees(dense(listed=True))


class TestOutput:
    def test_the_only_floating_point_output_is_taken(self):
        nodes = [
            helper.make_node("MatMul", ["x", "w"], ["scores"]),
            helper.make_node("ArgMax", ["scores"], ["label"], axis=1),
        ]
        outputs = {"label": TensorProto.INT64, "scores": FLOAT}
        model = build(nodes, ["n", 3], {"w": array(3, 4)}, outputs=outputs)
        assert assert_agrees(model, output=1).output == "scores"

    def test_only_its_ancestors_are_read(self):
        nodes = [RELU, helper.make_node("Sigmoid", ["x"], ["unused"])]
        assert_agrees(build(nodes, [1, 3], outputs={"y": FLOAT}))

    def test_several_floating_point_outputs_are_named(self):
        nodes = [RELU, helper.make_node("Neg", ["x"], ["z"])]
        with pytest.raises(
            InvalidModel, match=r"2 among its outputs 'y' \(float\), 'z' \(double\)"
        ):
            read_onnx(build(nodes, [1, 3], outputs={"y": FLOAT, "z": DOUBLE}))

    def test_no_floating_point_output(self):
        nodes = [helper.make_node("ArgMax", ["x"], ["label"])]
        with pytest.raises(InvalidModel, match=r"0 among its outputs 'label' \(int64\)"):
            read_onnx(build(nodes, [1, 3], outputs={"label": TensorProto.INT64}))

    def test_an_output_that_does_not_depend_on_the_input(self):
        nodes = [helper.make_node("Relu", ["w"], ["y"])]
        with pytest.raises(InvalidModel, match="'y' does not depend on the input"):
            read_onnx(build(nodes, [1, 3], {"w": array(3)}))

    def test_the_input_itself_may_be_the_output(self):
        network = assert_agrees(build([helper.make_node("Identity", ["x"], ["y"])], [1, 3]))
        assert len(network.nodes) == 1


class TestSoftmax:
    def model(self, shape, op="Softmax", opset=17, after=(), **attributes):
        nodes = [
            helper.make_node("Relu", ["x"], ["logits"]),
            helper.make_node(op, ["logits"], ["p"], "soft", **attributes),
        ]
        tensor = "p"
        for k, name in enumerate(after):
            options = {"to": DOUBLE} if name == "Cast" else {}
            nodes.append(helper.make_node(name, [tensor], [f"t{k}"], **options))
            tensor = f"t{k}"
        kind = DOUBLE if "Cast" in after else FLOAT
        return build(nodes, shape, opset=opset, outputs={tensor: kind})

    @pytest.mark.parametrize(
        "model",
        [
            ([1, 3], "Softmax"),
            ([1, 3], "LogSoftmax"),
            (["n", 3], "Softmax", 9),
            ([1, 2, 3], "Softmax", 9),
            ([3], "Softmax", 17, ("Identity", "Cast", "Flatten")),
        ],
    )
    def test_is_left_out_at_the_end_and_noted(self, model):
        network = read_onnx(self.model(*model))
        assert network.output == "logits"
        (note,) = network.source.notes
        assert note == (
            f"{model[1]} (node 'soft') at the end was left out: "
            "the outputs are the logits before it."
        )
        x = RNG.normal(size=network.input_size)
        np.testing.assert_array_equal(network(x), np.maximum(x, 0))

    @pytest.mark.parametrize(
        ("shape", "opset", "attributes"),
        [
            ([1, 3], 17, {"axis": 0}),
            ([1, 2, 3], 17, {"axis": -1}),
            ([1, 2, 3], 9, {"axis": 2}),
            ([2, 3], 17, {"axis": 1}),
            ([1, 1], 17, {"axis": 1}),
        ],
    )
    def test_over_another_axis_is_refused(self, shape, opset, attributes):
        with pytest.raises(UnsupportedOperator, match="it is not one softmax over all values"):
            read_onnx(self.model(shape, opset=opset, **attributes))

    def test_in_the_middle_is_refused(self):
        with pytest.raises(UnsupportedOperator, match=r"Softmax \(node 'soft'\) is not supported"):
            read_onnx(self.model([1, 3], after=("Relu",)))

    def test_only_the_last_of_two_is_left_out(self):
        with pytest.raises(UnsupportedOperator, match=r"Softmax \(node 'soft'\) is not supported"):
            read_onnx(self.model([1, 3], after=("Softmax",)))


class TestConstants:
    def test_a_reshape_to_a_computed_shape_as_tf2onnx_writes_it(self):
        nodes = [
            helper.make_node("Shape", ["x"], ["whole"]),
            helper.make_node("Cast", ["whole"], ["whole32"], to=TensorProto.INT32),
            helper.make_node("Slice", ["whole32", "zero", "one", "zero"], ["batch32"]),
            helper.make_node("Cast", ["batch32"], ["batch"], to=TensorProto.INT64),
            helper.make_node("Concat", ["batch", "rest"], ["shape"], axis=0),
            helper.make_node("Transpose", ["x"], ["hwc"], perm=[0, 2, 3, 1]),
            helper.make_node("Reshape", ["hwc", "shape"], ["flat"]),
            helper.make_node("MatMul", ["flat", "w"], ["z"]),
            helper.make_node("Add", ["z", "b"], ["a"]),
            helper.make_node("Relu", ["a"], ["h"]),
            helper.make_node("MatMul", ["h", "v"], ["y"]),
        ]
        constants = {
            "zero": np.array([0]),
            "one": np.array([1]),
            "rest": np.array([12]),
            "w": array(12, 5),
            "b": array(5),
            "v": array(5, 2),
        }
        network = assert_agrees(build(nodes, ["n", 3, 2, 2], constants))
        assert [type(node.op) for node in network.nodes] == [Input, Affine, Relu, Affine]
        assert [node.name for node in network.nodes] == ["x", "a", "h", "y"]

    def test_constant_nodes_and_arithmetic_on_weights(self):
        nodes = [
            helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(array(3, 2))),
            helper.make_node("Constant", [], ["two"], value_float=2.0),
            helper.make_node("Mul", ["w", "two"], ["ww"]),
            helper.make_node("ReduceL2", ["ww"], ["norm"], axes=[0], keepdims=1),
            helper.make_node("Div", ["ww", "norm"], ["unit"]),
            helper.make_node("MatMul", ["x", "unit"], ["y"]),
        ]
        assert_agrees(build(nodes, [1, 3]))

    def test_constant_of_shape(self):
        value = numpy_helper.from_array(np.array([0.5], np.float32))
        nodes = [
            helper.make_node("Shape", ["x"], ["s"]),
            helper.make_node("ConstantOfShape", ["s"], ["c"], value=value),
            helper.make_node("Sub", ["c", "x"], ["y"]),
        ]
        assert_agrees(build(nodes, [None, 3]))

    def test_a_constant_too_large_to_hold(self):
        nodes = [
            helper.make_node("ConstantOfShape", ["s"], ["c"]),
            helper.make_node("Add", ["c", "x"], ["y"]),
        ]
        with pytest.raises(InvalidModel, match="it needs 1099511627776 numbers"):
            read_onnx(build(nodes, [1, 1], {"s": np.array([2**20, 2**20])}))

    def test_a_random_constant_is_refused(self):
        nodes = [
            helper.make_node("RandomNormal", [], ["c"], "dice", shape=[3]),
            helper.make_node("Add", ["c", "x"], ["y"]),
        ]
        with pytest.raises(UnsupportedOperator, match=r"RandomNormal \(node 'dice'\).*random"):
            read_onnx(build(nodes, [1, 3]))

    def test_a_shape_that_depends_on_the_input_is_refused(self):
        nodes = [
            helper.make_node("Relu", ["x"], ["h"]),
            helper.make_node("Squeeze", ["x"], ["v"]),
            helper.make_node("Reshape", ["h", "x"], ["y"]),
        ]
        model = build(nodes, [1, 3], outputs={"y": FLOAT})
        with pytest.raises(UnsupportedOperator, match="its input 1 depends on the network's input"):
            read_onnx(model)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_weights_that_are_not_finite_are_named(self, bad):
        weight = array(3, 2)
        weight[1, 1] = bad
        node = helper.make_node("MatMul", ["x", "kernel"], ["y"], "dense")
        with pytest.raises(InvalidModel, match=r"'kernel', which MatMul \(node 'dense'\) reads"):
            read_onnx(build([node], [1, 3], {"kernel": weight}))


class TestGraph:
    def test_affine_maps_are_folded_and_keep_their_names(self):
        names = [node.name for node in read_onnx(dense(sizes=(4, 3, 3, 2))).nodes]
        assert names == ["x", "z0", "h0", "z1", "h1", "z2"]

    def test_a_tensor_read_by_two_rectifiers_is_one_node(self):
        nodes = [
            helper.make_node("Neg", ["x"], ["z"]),
            helper.make_node("Relu", ["z"], ["a"]),
            helper.make_node("Relu", ["a"], ["y"]),
        ]
        assert [n.name for n in assert_agrees(build(nodes, [1, 3])).nodes] == ["x", "z", "a", "y"]

    def test_the_default_domain_by_its_long_name(self):
        def name(proto):
            proto.opset_import[0].domain = "ai.onnx"

        network = assert_agrees(edited(dense(), name))
        assert len(network.relus) == 1

    def test_local_functions_are_inlined(self):
        imports = [helper.make_opsetid("", 17)]
        body = [helper.make_node("Neg", ["a"], ["n"]), helper.make_node("Relu", ["n"], ["b"])]
        function = helper.make_function("mine", "NegRelu", ["a"], ["b"], body, imports)

        def add(proto):
            proto.functions.append(function)
            proto.opset_import.append(helper.make_opsetid("mine", 1))

        node = helper.make_node("NegRelu", ["x"], ["y"], domain="mine")
        assert_agrees(edited(build([node], [1, 3]), add))

    def test_the_source_is_the_file(self, tmp_path):
        model = dense()
        network = read_onnx(model, tmp_path / "net.onnx")
        assert network.source.model == model
        assert network.source.path == tmp_path / "net.onnx"
        assert network.source.notes == ()


class TestDamage:
    def test_an_empty_file(self):
        with pytest.raises(InvalidModel, match="the file is empty"):
            read_onnx(b"")

    @pytest.mark.parametrize(
        "data", [b"hello, world", b"\x00" * 50, b"<html></html>", b"PK\x03\x04"]
    )
    def test_not_an_onnx_file(self, data):
        with pytest.raises(InvalidModel, match=f"{len(data)} bytes .*not an ONNX model"):
            read_onnx(data)

    def test_a_truncated_file(self):
        model = dense()
        for end in range(1, len(model), 7):
            with pytest.raises(InvalidModel):
                read_onnx(model[:end])
        with pytest.raises(InvalidModel, match="not an ONNX model, or only part of one"):
            read_onnx(model[: len(model) // 2])

    def test_the_path_is_in_the_message(self, tmp_path):
        with pytest.raises(InvalidModel, match=r"broken\.onnx: the file is empty"):
            read_onnx(b"", tmp_path / "broken.onnx")

    def test_a_tensor_that_does_not_hold_what_it_says(self):
        def shorten(proto):
            proto.graph.initializer[0].raw_data = proto.graph.initializer[0].raw_data[:-4]

        with pytest.raises(InvalidModel, match="w0"):
            read_onnx(edited(dense(), shorten))

    def test_a_tensor_that_nobody_makes(self):
        node = helper.make_node("Add", ["x", "ghost"], ["y"])
        with pytest.raises(InvalidModel, match="ghost"):
            read_onnx(build([node], [1, 3]))

    def test_an_operator_that_onnx_does_not_know(self):
        node = helper.make_node("Rleu", ["x"], ["y"])
        with pytest.raises(InvalidModel, match=r"onnx refuses the model: .*Rleu"):
            read_onnx(build([node], [1, 3]))

    def test_an_old_operator_set(self):
        with pytest.raises(InvalidModel, match="operator set 6; 7 or newer"):
            read_onnx(build([RELU], [1, 3], opset=6))

    def test_sparse_initialisers(self):
        def add(proto):
            values = numpy_helper.from_array(np.ones(1, np.float32), "s")
            indices = numpy_helper.from_array(np.zeros(1, np.int64), "i")
            proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [3]))

        with pytest.raises(InvalidModel, match="sparse initialisers"):
            read_onnx(edited(build([RELU], [1, 3]), add))


class TestExternalData:
    @pytest.fixture
    def path(self, tmp_path):
        proto = onnx.load_model_from_string(dense())
        path = tmp_path / "net.onnx"
        onnx.save_model(
            proto, path, save_as_external_data=True, location="net.data", size_threshold=0
        )
        return path

    def test_is_moved_into_the_model_and_noted(self, path):
        network = read_onnx(path.read_bytes(), path)
        assert network.source.notes == (
            "Weights in an external data file were moved into the model.",
        )
        assert_agrees(network.source.model, network)

    def test_missing(self, path):
        (path.parent / "net.data").unlink()
        with pytest.raises(InvalidModel, match=r"external data file that cannot be read .*'w0'"):
            read_onnx(path.read_bytes(), path)

    def test_of_bytes_without_a_folder(self, path):
        with pytest.raises(InvalidModel, match="the model has no folder"):
            read_onnx(path.read_bytes())
