"""Small ONNX models built by hand, and the question whether a network agrees with one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from dualbound.errors import ModelError, UnsupportedOperator
from dualbound.network import Network, read_onnx

FLOAT, DOUBLE, HALF = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16


def build(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int | str],
    constants: Mapping[str, np.ndarray] | None = None,
    *,
    opset: int = 17,
    kind: int = FLOAT,
    outputs: Mapping[str, int] | None = None,
    listed: bool = False,
) -> bytes:
    """A model from input ``x`` to the last node's output (or ``outputs`` with their types)."""
    tensors = [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()]
    inputs = [helper.make_tensor_value_info("x", kind, shape)]
    if listed:
        inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
    named = outputs or {nodes[-1].output[0]: kind}
    graph = helper.make_graph(
        nodes,
        "g",
        inputs,
        [helper.make_tensor_value_info(name, k, None) for name, k in named.items()],
        tensors,
    )
    sets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=sets, ir_version=8).SerializeToString()


def dense(seed: int = 0, sizes: Sequence[int] = (4, 3, 2), **options: object) -> bytes:
    """A plain Gemm-Relu-Gemm model."""
    rng = np.random.default_rng(seed)
    nodes, constants, tensor = [], {}, "x"
    for k, (n, m) in enumerate(pairwise(sizes)):
        constants[f"w{k}"] = rng.normal(size=(m, n)).astype(np.float32)
        constants[f"b{k}"] = rng.normal(size=m).astype(np.float32)
        nodes.append(
            helper.make_node("Gemm", [tensor, f"w{k}", f"b{k}"], [f"z{k}"], f"gemm{k}", transB=1)
        )
        tensor = f"z{k}"
        if k < len(sizes) - 2:
            nodes.append(helper.make_node("Relu", [tensor], [f"h{k}"], f"relu{k}"))
            tensor = f"h{k}"
    return build(nodes, ["batch", sizes[0]], constants, **options)  # type: ignore[arg-type]


@lru_cache(maxsize=4)
def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(model: bytes, x: np.ndarray, output: int = 0) -> np.ndarray:
    """The runtime's flat answer to one flat input, dynamic axes taken as 1."""
    runtime = session(model)
    fed = runtime.get_inputs()[0]
    dtype = {"tensor(float)": np.float32, "tensor(double)": np.float64}.get(fed.type, np.float16)
    shape = [size if isinstance(size, int) else 1 for size in fed.shape]
    answer = runtime.run(None, {fed.name: x.reshape(shape).astype(dtype)})[output]
    return np.asarray(answer, dtype=float).reshape(-1)


def assert_agrees(
    model: bytes, network: Network | None = None, *, output: int = 0, tolerance: float = 1e-5
) -> Network:
    """The network read from the model is the function that onnxruntime computes."""
    network = read_onnx(model) if network is None else network
    rng = np.random.default_rng(7)
    for _ in range(3):
        x = rng.normal(size=network.input_size)
        np.testing.assert_allclose(
            network(x), run(model, x, output), rtol=tolerance, atol=tolerance
        )
    return network


def array(*shape: int, seed: int = 0) -> np.ndarray:
    """Random weights, the same for a shape and a seed."""
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def ints(*numbers: int) -> np.ndarray:
    """A list of sizes or axes."""
    return np.array(numbers, dtype=np.int64)


def number(value: float) -> np.ndarray:
    """A tensor without axes."""
    return np.array(value, dtype=np.float32)


def case(
    name: str,
    op: str,
    reads: Sequence[str],
    shape: Sequence[int | str],
    constants: Mapping[str, np.ndarray] | None = None,
    opset: int = 17,
    *,
    then: Sequence[onnx.NodeProto] = (),
    makes: Sequence[str] = ("y",),
    **attributes: object,
) -> object:
    """A parameter of a test: an operator in one of its forms, applied to ``x`` of some shape.

    An operator that makes several tensors is followed by nodes that make one of them.
    """
    node = helper.make_node(op, reads, makes, "node", **attributes)
    label = f"{op}-{name}-{opset}" if opset != 17 else f"{op}-{name}"
    return pytest.param(op, [node, *then], shape, constants or {}, opset, id=label)


def reading(tensor: str, nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The nodes with this tensor in place of ``x``."""
    read = []
    for node in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [tensor if name == "x" else name for name in node.input]
        read.append(copy)
    return read


def between_rectifiers(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The nodes after one rectifier and before another."""
    relu = helper.make_node("Relu", ["x"], ["rectified"])
    end = helper.make_node("Relu", [nodes[-1].output[0]], ["end"])
    return [relu, *reading("rectified", nodes), end]


def refusal(
    kind: type[ModelError],
    message: str,
    op: str,
    reads: Sequence[str],
    constants: Mapping[str, np.ndarray] | None = None,
    *,
    shape: Sequence[int | str],
    opset: int = 17,
    makes: Sequence[str] = ("y",),
    domain: str = "",
    **attributes: object,
) -> object:
    """A parameter of a test: a model that is refused, and what is said of it."""
    node = helper.make_node(op, reads, makes, "culprit", domain=domain, **attributes)
    model = build([node], shape, constants, opset=opset, outputs={makes[0]: FLOAT})
    return pytest.param(op, model, kind, message, id=f"{op}-{message}")


def assert_refused(op: str, model: bytes, kind: type[ModelError], message: str) -> None:
    """The model is refused with its operator and node named."""
    with pytest.raises(kind, match=message) as caught:
        read_onnx(model)
    assert f"{op} (node 'culprit')" in str(caught.value)
    if kind is UnsupportedOperator:
        assert "Supported: Abs, Add, AveragePool" in str(caught.value)
        assert "Gemm" in str(caught.value)
        assert "Softmax and LogSoftmax at the end" in str(caught.value)
