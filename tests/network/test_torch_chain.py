"""Chains of layers from ONNX files: the same answers, the same operators, and clear refusals."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from dualbound.errors import InvalidModel, UnsupportedOperator
from dualbound.learn.architecture import Architecture
from dualbound.learn.saving import to_onnx
from dualbound.network import read_onnx, read_torch
from dualbound.network.torch_chain import chain
from dualbound.queries.models import load

ARCHITECTURES = [
    ("784-5-10", (1, 28, 28)),
    ("784-5-10-relu", (1, 28, 28)),
    ("4c3-bn-m2-a2-8c3p1-m2-d0.2-16-bn-d0.5-10", (1, 28, 28)),
    ("cnn-small", (3, 32, 32)),
]


@pytest.mark.parametrize(("architecture", "shape"), ARCHITECTURES)
@pytest.mark.slow
def test_a_trained_network_comes_back_layer_by_layer(
    architecture: str, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    module = Architecture.of(architecture).build(shape, classes=10).eval()
    network = read_onnx(to_onnx(module, shape))
    made = chain(network)
    x = np.random.default_rng(1).random((4, *shape), dtype=np.float32)
    with torch.no_grad():
        assert np.allclose(made.module(torch.from_numpy(x)), network(x), atol=1e-4)
    rectifiers = [k for k, layer in enumerate(made.module) if isinstance(layer, nn.ReLU)]
    assert list(made.rectifiers.values()) == rectifiers
    assert set(made.rectifiers) <= {node.name for node in network.relus}
    again = onnx.load_model_from_string(to_onnx(made.module, shape))
    before = onnx.load_model_from_string(network.source.model)
    kinds = [
        [node.op_type for node in one.graph.node if node.op_type not in ("Reshape", "Flatten")]
        for one in (before, again)
    ]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize("name", ["dnn1", "mlp-50-20"])
def test_embedded_networks(name: str) -> None:
    network = load(name)
    made = chain(network)
    x = np.random.default_rng(0).random((3, *network.input_shape), dtype=np.float32)
    with torch.no_grad():
        assert np.allclose(made.module(torch.from_numpy(x)), network(x), atol=1e-3)


def test_strides_pads_dilations_and_groups() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), (2, 1), (1, 0), dilation=(1, 2), groups=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    ).eval()  # fmt: skip
    network = read_torch(module, (2, 7, 6))
    x = np.random.default_rng(0).random((2, 2, 7, 6), dtype=np.float32)
    with torch.no_grad():
        assert np.allclose(chain(network).module(torch.from_numpy(x)), network(x), atol=1e-5)


def file_of(*nodes: onnx.NodeProto, constants: dict[str, np.ndarray]) -> bytes:
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(one.astype(np.float32), name) for name, one in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def test_a_matrix_product_and_a_sum_are_one_layer() -> None:
    model = file_of(
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("Add", ["p", "b"], ["y"]),
        constants={"w": np.array([[1.0, 2.0], [3.0, 4.0]]), "b": np.array([0.5, -0.5])},
    )
    made = chain(read_onnx(model))
    [layer] = made.module
    assert isinstance(layer, nn.Linear)
    assert torch.equal(layer.weight, torch.tensor([[1.0, 3.0], [2.0, 4.0]]))
    assert torch.equal(layer.bias, torch.tensor([0.5, -0.5]))


def test_a_branch_and_an_unknown_operator_are_named() -> None:
    branch = file_of(
        helper.make_node("Relu", ["x"], ["r"], "rectified"),
        helper.make_node("Add", ["r", "x"], ["y"], "both"),
        constants={},
    )
    with pytest.raises(UnsupportedOperator, match=r"Add \(node 'both'\).*only chains"):
        chain(read_onnx(branch))
    leaky = file_of(helper.make_node("LeakyRelu", ["x"], ["y"], "leaky"), constants={})
    with pytest.raises(UnsupportedOperator, match=r"LeakyRelu \(node 'leaky'\)"):
        chain(read_onnx(leaky))
    shifted = file_of(
        helper.make_node("Add", ["x", "b"], ["y"], "shift"), constants={"b": np.ones(2)}
    )
    with pytest.raises(UnsupportedOperator, match="no layer's output"):
        chain(read_onnx(shifted))


def test_layers_that_answer_otherwise_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualbound.network.torch_chain._CLOSE", -1.0)
    with pytest.raises(InvalidModel, match="do not answer as the network does"):
        chain(load("dnn1"))
