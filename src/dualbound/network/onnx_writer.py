"""Networks become ONNX files: a Gemm for every affine map, a Relu for every rectifier."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import onnx
from jaxtyping import Float
from onnx import helper, numpy_helper

from dualbound.errors import InvalidInput, InvalidModel
from dualbound.files import write_whole
from dualbound.network.graph import Affine, Input, Network, Node, Relu

_OPSET = 17
_IR_VERSION = 8
_TYPES = {
    np.dtype(np.float32): onnx.TensorProto.FLOAT,
    np.dtype(np.float64): onnx.TensorProto.DOUBLE,
}


def write_onnx(
    network: Network,
    path: str | os.PathLike[str] | None = None,
    *,
    dtype: type[np.floating] | str = np.float32,
) -> bytes:
    """Write a network as ONNX (operator set 17), the same bytes each time.

    The batch axis is dynamic, tensors are named after the network's nodes, and an input of more
    than one axis is flattened first.

    Args:
        network: what to write.
        path: where to write it, if anywhere; compressed if it ends in ``.gz``.
        dtype: ``float32``, which rounds the weights, or ``float64``, which keeps them.

    Returns:
        The bytes of the (uncompressed) file.

    Raises:
        InvalidInput: another dtype.
        InvalidModel: a weight that float32 cannot hold.
        OutputError: the file cannot be written.

    >>> net = Network.dense([[[1.0, -1.0]], [[2.0], [-2.0]]], [[0.5], [0.0, 1.0]])
    >>> proto = onnx.load_model_from_string(write_onnx(net))
    >>> [node.op_type for node in proto.graph.node]
    ['Gemm', 'Relu', 'Gemm']
    """
    kind = np.dtype(dtype)
    if kind not in _TYPES:
        raise InvalidInput(f"dtype is {kind}; expected float32 or float64.")
    model = _model(network, kind).SerializeToString(deterministic=True)
    if path is not None:
        _write(model, Path(path))
    return model


def _model(network: Network, kind: np.dtype[np.floating]) -> onnx.ModelProto:
    taken = {node.name for node in network.nodes}
    entry = network.input
    shape = network.input_shape or (1,)
    nodes, constants = [], []
    if len(shape) > 1:
        entry = _unused("flat", taken)
        nodes.append(helper.make_node("Flatten", [network.input], [entry], entry, axis=1))
    for node in network.nodes:
        reads = [entry if name == network.input else name for name in node.reads]
        match node.op:
            case Input():
                continue
            case Affine(weight, bias):
                names = [_unused(f"{node.name}.{part}", taken) for part in ("weight", "bias")]
                for name, values in zip(names, (weight, bias), strict=True):
                    constants.append(numpy_helper.from_array(_rounded(node, values, kind), name))
                nodes.append(
                    helper.make_node("Gemm", reads + names, [node.name], node.name, transB=1)
                )
            case Relu():
                nodes.append(helper.make_node("Relu", reads, [node.name], node.name))
    output = network.output
    if output == network.input:
        output = _unused("output", taken)
        nodes.append(helper.make_node("Identity", [entry], [output], output))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(network.input, _TYPES[kind], ["batch", *shape])],
        [helper.make_tensor_value_info(output, _TYPES[kind], ["batch", network.output_size])],
        constants,
    )
    opset = [helper.make_opsetid("", _OPSET)]
    return helper.make_model(
        graph, producer_name="dualbound", opset_imports=opset, ir_version=_IR_VERSION
    )


def _rounded(
    node: Node, values: Float[np.ndarray, "..."], kind: np.dtype[np.floating]
) -> Float[np.ndarray, "..."]:
    with np.errstate(over="ignore"):
        rounded = np.ascontiguousarray(values, dtype=kind)
    if not np.all(np.isfinite(rounded)):
        raise InvalidModel(
            f"Node {node.name!r} has weights too large for {kind}; write it with dtype='float64'."
        )
    return rounded


def _unused(name: str, taken: set[str]) -> str:
    """The name, made unique by underscores, and taken from now on."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _write(model: bytes, path: Path) -> None:
    data = gzip.compress(model, mtime=0) if path.suffix.lower() == ".gz" else model
    write_whole(path, data)
