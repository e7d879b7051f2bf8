"""ONNX files become networks: affine operators compose into matrices, rectifiers become nodes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NoReturn

import numpy as np
import onnx
from onnx import numpy_helper

from dualbound.errors import InvalidModel, ModelError, UnsupportedOperator
from dualbound.network import onnx_moves, onnx_pieces, onnx_windows  # noqa: F401  # they register
from dualbound.network.elementwise import Elementwise
from dualbound.network.graph import Network, Source
from dualbound.network.linear import Sparse, linear_map
from dualbound.network.nodes import Affine, Input, Node
from dualbound.network.onnx_constants import evaluate_constant, is_deterministic
from dualbound.network.onnx_file import OnnxFile, first_line, open_onnx
from dualbound.network.onnx_operators import OPERATORS, Call, Graph, is_over_all_classes
from dualbound.network.tensors import NotAffine, Operand, Variable, variable

_SMOOTH = {
    *("Softplus", "Softsign", "Elu", "Selu", "Celu", "Gelu", "Mish", "Swish"),
    *("Erf", "Exp", "Log", "Sqrt", "Pow", "Sin", "Cos", "Atan", "Softmax", "LogSoftmax"),
    "HardSwish",
}
_SHAPE_ONLY = {"Shape", "Size"}
_MAY_BE_INFINITE = {"Clip"}
_KEEPS_CONVOLUTIONS = {
    *("Add", "Sub", "Sum", "Neg", "Mul", "Div", "BatchNormalization", "Relu"),
    *("Identity", "Cast", "CastLike", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze"),
}
_SUPPORTED = ", ".join(sorted({name for _, name in OPERATORS}))


def read_onnx(model: bytes, path: Path | None = None) -> Network:
    """Read a network from the bytes of an ONNX file.

    The batch axis (the first of several, if it is dynamic or 1) becomes 1 and is dropped. Shapes
    are static then, so shape arithmetic and everything else without the input in it is evaluated.
    Affine operators are composed; what stands between two rectifiers becomes one affine node. Other
    piecewise-linear operators are written with rectifiers. A softmax at the end is left out, which
    changes no order of the classes, and noted.

    Args:
        model: the file's bytes.
        path: where they came from, kept for the record; external data is found beside it.

    Returns:
        The network, its nodes named after the file's tensors, with the file as its source.

    Raises:
        InvalidModel: the bytes are not ONNX, are damaged, or contradict themselves.
        UnsupportedOperator: the answer depends on an operator that is not piecewise linear, or
            not known here.

    >>> from dualbound.network.onnx_writer import write_onnx
    >>> net = Network.dense([[[1.0, -1.0]], [[2.0], [-2.0]]], [[0.5], [0.0, 1.0]])
    >>> read_onnx(write_onnx(net))([3.0, 1.0])
    array([ 5., -4.])
    """
    file = open_onnx(model, path)
    name = str(path) if path else "The model"
    try:
        with np.errstate(all="ignore"):
            return _Reading(file).network(path)
    except ModelError as error:
        raise type(error)(f"{name}: {error}") from error.__cause__


class _Reading(Graph):
    """One pass over a file's nodes: tensors by name, and the network's nodes so far."""

    def __init__(self, file: OnnxFile) -> None:
        self.file = file
        self.tensors: dict[str, Operand] = {"": np.zeros(0)}
        self.nodes = {file.input: Node(file.input, Input(), (), math.prod(file.shape))}
        self.made: dict[int, tuple[Variable, str]] = {}
        self.reading = ""
        self.notes = list(file.notes)

    def network(self, path: Path | None) -> Network:
        """The network of the whole file."""
        file = self.file
        try:
            self.tensors[file.input] = variable(file.input, file.shape)
        except ValueError as error:
            raise InvalidModel(
                f"the input {file.input!r} of shape {file.shape}: {error}."
            ) from error
        self._read_initialisers()
        for node in file.nodes:
            self._read(node)
        output = self._node(file.output)
        return Network(
            tuple(self.nodes.values()),
            file.shape[1:] if file.batched else file.shape,
            output,
            Source(file.model, path, tuple(self.notes), file.softmax is not None),
        )

    def _read_initialisers(self) -> None:
        wanted = {name for node in self.file.nodes for name in node.input} | {self.file.output}
        for tensor in self.file.proto.graph.initializer:
            if tensor.name in wanted:
                try:
                    self.tensors[tensor.name] = numpy_helper.to_array(tensor)
                except Exception as error:
                    raise InvalidModel(
                        f"the initialiser {tensor.name!r} of shape {list(tensor.dims)} does not "
                        f"hold what it says: {first_line(error)} Export the model again."
                    ) from error

    def _read(self, node: onnx.NodeProto) -> None:
        """Read one ONNX node; its outputs become known tensors."""
        try:
            made = self._value(node)
            values = made if isinstance(made, tuple) else (made,)
            self.tensors.update(zip(node.output, values, strict=False))
        except NotAffine as finding:
            self._refuse(node, str(finding))
        except ModelError:
            raise
        except Exception as error:
            raise InvalidModel(f"{_called(node)} cannot be read: {first_line(error)}") from error

    def _value(self, node: onnx.NodeProto) -> Operand | tuple[Operand, ...]:
        operands = [self._operand(node, name) for name in node.input]
        if node.op_type in _SHAPE_ONLY:
            operands = [np.zeros(x.shape) if isinstance(x, Variable) else x for x in operands]
        constants = [x for x in operands if not isinstance(x, Variable)]
        if len(constants) == len(operands):
            if not is_deterministic(node):
                self._refuse(node, "its result is random or depends on control flow")
            return evaluate_constant(node, constants, self.file.opsets)
        _check_finite(node, operands)
        self.reading = node.output[0]
        call = Call(tuple(operands), _attributes(node), node, self.file.opsets, self)
        if self.file.softmax is not None and node.output[0] == self.file.softmax.output[0]:
            return self._without_softmax(node, call)
        if (node.domain, node.op_type) not in OPERATORS:
            self._refuse(node, "")
        return OPERATORS[node.domain, node.op_type](call)

    def _operand(self, node: onnx.NodeProto, name: str) -> Operand | None:
        if not name:
            return None
        if name not in self.tensors:
            self._refuse(node, f"it reads {name!r}, an optional output that is not supported")
        x = self.tensors[name]
        if not isinstance(x, Variable) or not x.is_convolved:
            return x
        if node.op_type not in _KEEPS_CONVOLUTIONS or id(x) in self.made:
            # What is done to a convolution is done to its value then, so that it remains one.
            self.tensors[name] = self.as_node(x)
        return self.tensors[name]

    def _without_softmax(self, node: onnx.NodeProto, call: Call) -> Operand:
        logits = call[0]
        if not is_over_all_classes(logits.shape, call):
            self._refuse(node, f"it is not one softmax over all values of shape {logits.shape}")
        self.notes.append(
            f"{_called(node)} at the end was left out: the outputs are the logits before it."
        )
        return logits

    def _node(self, name: str) -> str:
        """The network node whose value is this tensor, made if there is none yet."""
        tensor = self.tensors[name]
        if isinstance(tensor, np.ndarray):
            raise InvalidModel(f"the output {name!r} does not depend on the input.")
        if not tensor.size:
            raise InvalidModel(f"the output {name!r} of shape {tensor.shape} holds no numbers.")
        try:
            return self._named(tensor, name)
        except ValueError as error:
            raise InvalidModel(f"the output {name!r} is too large: {error}.") from error

    def _named(self, tensor: Variable, name: str) -> str:
        """The node of a tensor; if one is made, it gets this name, or one like it."""
        known = tensor.node
        if known is not None:
            return known
        key = id(tensor)
        if key not in self.made:
            name = self._unused(name)
            maps = tuple(
                linear_map(one.matrix) if isinstance(one, Sparse) else one
                for one in tensor.maps.values()
            )
            self.nodes[name] = Node(
                name, Affine(maps, tensor.bias), tuple(tensor.maps), tensor.size
            )
            self.made[key] = tensor, name
        return self.made[key][1]

    def _unused(self, name: str) -> str:
        """The name, made unique among the nodes by a number."""
        found, count = name, 1
        while found in self.nodes:
            count += 1
            found = f"{name}~{count}"
        return found

    def as_node(self, x: Variable) -> Variable:
        """See `Graph.as_node`."""
        return variable(self._named(x, self._tensor_name(x)), x.shape)

    def applied(self, op: Elementwise, x: Variable) -> Variable:
        """See `Graph.applied`."""
        read = self._named(x, self._tensor_name(x))
        name = self._unused(self.reading)
        self.nodes[name] = Node(name, op, (read,), x.size)
        return variable(name, x.shape)

    def _tensor_name(self, x: Variable) -> str:
        """What the file calls a tensor; of one that it does not know, where it is needed."""
        known = (name for name, tensor in self.tensors.items() if tensor is x)
        return next(known, f"{self.reading}~before")

    def _refuse(self, node: onnx.NodeProto, why: str) -> NoReturn:
        """Name the operator, the node, and what is supported."""
        kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        message = f"the operator {kind} (node {_label(node)!r}) is not supported"
        message += f" here: {why}." if why else "."
        if node.op_type in _SMOOTH:
            message += (
                " Of functions that are not piecewise linear, only Sigmoid and Tanh are known "
                "(and of Softmax, one at the end)."
            )
        raise UnsupportedOperator(
            f"{message} Supported: {_SUPPORTED}; Softmax and LogSoftmax at the end."
        )


def _attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def _check_finite(node: onnx.NodeProto, operands: list[Operand | None]) -> None:
    if node.op_type in _MAY_BE_INFINITE:
        return
    for name, operand in zip(node.input, operands, strict=True):
        if isinstance(operand, np.ndarray) and not np.all(np.isfinite(operand.astype(float))):
            raise InvalidModel(
                f"the tensor {name!r}, which {_called(node)} reads, holds NaN or infinity. "
                "Train or export the model again."
            )


def _label(node: onnx.NodeProto) -> str:
    return node.name or node.output[0]


def _called(node: onnx.NodeProto) -> str:
    return f"{node.op_type} (node {_label(node)!r})"
