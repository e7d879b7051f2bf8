"""Networks become ONNX files: a Gemm or a Conv for every linear map, a Relu for every rectifier.

A large matrix with few entries in every row is written as those: gathered, multiplied, summed.
"""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from jaxtyping import Float
from onnx import helper, numpy_helper

from dualbound.errors import InvalidInput, InvalidModel
from dualbound.files import write_whole
from dualbound.network.elementwise import Elementwise
from dualbound.network.graph import Network
from dualbound.network.linear import Convolution, LinearMap, Sparse
from dualbound.network.nodes import Affine, Input, Node

_FEW = 8  # a matrix with more columns than so many times its longest row is written by entries
_MOST_BYTES = 2**31 - 2**20
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
        InvalidModel: a weight that float32 cannot hold, or more of them than a file can.
        OutputError: the file cannot be written.

    >>> net = Network.dense([[[1.0, -1.0]], [[2.0], [-2.0]]], [[0.5], [0.0, 1.0]])
    >>> proto = onnx.load_model_from_string(write_onnx(net))
    >>> [node.op_type for node in proto.graph.node]
    ['Gemm', 'Relu', 'Gemm']
    """
    kind = np.dtype(dtype)
    if kind not in _TYPES:
        raise InvalidInput(f"dtype is {kind}; expected float32 or float64.")
    proto = _model(network, kind)
    size = sum(len(tensor.raw_data) for tensor in proto.graph.initializer)
    if size > _MOST_BYTES:
        raise InvalidModel(
            f"The network needs {size} bytes for its weights; an ONNX file holds 2 GiB at most."
        )
    model = proto.SerializeToString(deterministic=True)
    if path is not None:
        _write(model, Path(path))
    return model


def _model(network: Network, kind: np.dtype[np.floating]) -> onnx.ModelProto:
    taken = {node.name for node in network.nodes}
    entry = network.input
    shape = network.input_shape or (1,)
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    if len(shape) > 1:
        entry = _unused("flat", taken)
        nodes.append(helper.make_node("Flatten", [network.input], [entry], entry, axis=1))
    for node in network.nodes:
        reads = [entry if name == network.input else name for name in node.reads]
        match node.op:
            case Input():
                continue
            case Affine(maps, bias):
                writing = _Writing(node, kind, taken, nodes, constants)
                terms = [
                    writing.term(one, name, bias if k == 0 else None, len(maps) == 1)
                    for k, (one, name) in enumerate(zip(maps, reads, strict=True))
                ]
                if len(terms) > 1:
                    nodes.append(helper.make_node("Sum", terms, [node.name], node.name))
            case Elementwise():
                nodes.append(helper.make_node(node.op.operator, reads, [node.name], node.name))
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


@dataclass(frozen=True)
class _Writing:
    """One affine node on its way into a file: where its nodes and constants go."""

    node: Node
    kind: np.dtype[np.floating]
    taken: set[str]
    nodes: list[onnx.NodeProto]
    constants: list[onnx.TensorProto]

    def term(
        self, one: LinearMap, read: str, bias: Float[np.ndarray, " m"] | None, alone: bool
    ) -> str:
        """Write one map of one value, with the bias if it is given; the tensor that it makes."""
        name = self.node.name if alone else _unused(f"{self.node.name}.term", self.taken)
        if isinstance(one, Convolution):
            self._convolution(one, read, bias, name)
            return name
        if isinstance(one, Sparse) and _FEW * _most_in_a_row(one) < one.shape[1]:
            self._gathered(one, read, bias, name)
            return name
        given = [self._constant("weight", one.toarray())]
        if bias is not None:
            given.append(self._constant("bias", bias))
        self._write("Gemm", [read, *given], name, transB=1)
        return name

    def _convolution(
        self, one: Convolution, read: str, bias: Float[np.ndarray, " m"] | None, name: str
    ) -> None:
        """The flat value in the shape of an image, convolved, and flat again.

        A bias that is not one number a filter is added after.
        """
        shape = self._constant("shape", np.array([-1, one.channels, *one.space]))
        image = self._between("image")
        self._write("Reshape", [read, shape], image)
        before, after = zip(*one.pads, strict=True)
        settings = {
            "strides": one.strides,
            "dilations": one.dilations,
            "pads": (*before, *after),
            "group": one.groups,
        }
        given = [self._constant("kernel", one.kernel)]
        each = None if bias is None else bias.reshape(one.filters, -1)
        if each is not None and np.all(each == each[:, :1]):
            given.append(self._constant("bias", each[:, 0]))
            each = None
        convolved = self._between("convolved")
        self._write("Conv", [image, *given], convolved, **settings)
        flat = name if each is None else self._between("flat")
        self._write("Flatten", [convolved], flat, axis=1)
        if each is not None:
            self._write("Add", [flat, self._constant("bias", each.reshape(-1))], name)

    def _gathered(
        self, one: Sparse, read: str, bias: Float[np.ndarray, " m"] | None, name: str
    ) -> None:
        """As many entries of every row as the longest has; shorter ones repeat with weight 0."""
        matrix, width = one.matrix, max(_most_in_a_row(one), 1)
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        places = np.arange(matrix.nnz) - matrix.indptr[rows]
        chosen = np.zeros((matrix.shape[0], width), dtype=np.int64)
        values = np.zeros(chosen.shape)
        chosen[rows, places], values[rows, places] = matrix.indices, matrix.data
        empty = np.arange(width) >= np.diff(matrix.indptr)[:, None]
        chosen = np.where(empty, chosen[:, :1], chosen)
        entries, products = self._between("entries"), self._between("products")
        self._write("Gather", [read, self._constant("columns", chosen)], entries, axis=1)
        self._write("Mul", [entries, self._constant("weight", values)], products)
        summed = name if bias is None else self._between("sum")
        axes = self._constant("axes", np.array([2]))
        self._write("ReduceSum", [products, axes], summed, keepdims=0)
        if bias is not None:
            self._write("Add", [summed, self._constant("bias", bias)], name)

    def _between(self, what: str) -> str:
        return _unused(f"{self.node.name}.{what}", self.taken)

    def _write(self, operator: str, reads: list[str], name: str, **settings: Any) -> None:
        self.nodes.append(helper.make_node(operator, reads, [name], name, **settings))

    def _constant(self, part: str, values: np.ndarray) -> str:
        name = self._between(part)
        if values.dtype.kind == "f":
            values = _rounded(self.node, values, self.kind)
        self.constants.append(numpy_helper.from_array(values, name))
        return name


def _most_in_a_row(one: Sparse) -> int:
    """How many entries the row with the most of them has."""
    return int(np.max(np.diff(one.matrix.indptr), initial=0))


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
