"""An ONNX file as far as one can know it before reading its operators.

Bytes become a checked protobuf; the input, the batch axis, the output that is the answer, the
nodes it depends on and a softmax at its end are found. The reader and the replay both start here,
so they always speak of the same tensors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.inliner
from onnx import external_data_helper

from dualbound.errors import InvalidModel

FLOATS: dict[int, str] = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.DOUBLE: "float64",
    onnx.TensorProto.FLOAT16: "float16",
    onnx.TensorProto.BFLOAT16: "bfloat16",
}
"""The floating-point types of ONNX tensors, and numpy's names for them."""

KEEPS_VALUES = {"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Dropout"}
"""Operators that may stand between a final softmax and the output."""

_OLDEST_OPSET = 7
_AGAIN = "Export the model again, or fetch the file again."


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """A checked ONNX file.

    Attributes:
        model: its bytes, with external data moved inside.
        proto: the same, parsed, functions inlined.
        input: the name of the only tensor that is fed.
        dtype: numpy's name of its type.
        shape: its shape, batch axis (if any) being 1.
        batched: whether the first axis is the batch axis.
        output: the name of the tensor that is the file's answer.
        nodes: those that the answer depends on, in order.
        softmax: a softmax that ends the model, if there is one.
        notes: what the user should know about how the file was taken.
    """

    model: bytes
    proto: onnx.ModelProto
    input: str
    dtype: str
    shape: tuple[int, ...]
    batched: bool
    output: str
    nodes: tuple[onnx.NodeProto, ...]
    softmax: onnx.NodeProto | None
    notes: tuple[str, ...]

    @property
    def opsets(self) -> dict[str, int]:
        """The version of each operator set that the file imports."""
        return {entry.domain: entry.version for entry in self.proto.opset_import}


def open_onnx(model: bytes, path: Path | None = None) -> OnnxFile:
    """Parse and check the bytes of an ONNX file.

    Args:
        model: the bytes of the file.
        path: where they came from; external data is looked for beside it.

    Raises:
        InvalidModel: not ONNX, damaged, or without exactly one input and one answer.
    """
    name = str(path) if path else "The model"
    try:
        return _open(model, path)
    except InvalidModel as error:
        raise InvalidModel(f"{name}: {error}") from error.__cause__
    except Exception as error:
        raise InvalidModel(f"{name}: the file is damaged: {first_line(error)} {_AGAIN}") from error


def _open(model: bytes, path: Path | None) -> OnnxFile:
    proto = _parse(model)
    notes: tuple[str, ...] = ()
    if _external(proto):
        _embed(proto, path)
        model = proto.SerializeToString(deterministic=True)
        notes = ("Weights in an external data file were moved into the model.",)
    _check(proto)
    _name_default_domain(proto)
    if proto.functions:
        proto = onnx.inliner.inline_local_functions(proto)
    fed = _only_input(proto.graph)
    shape, batched = _input_shape(fed)
    output = _answer(proto.graph)
    if not batched and _keeps_rows(proto.graph, output, shape):
        notes += (
            f"The first axis of the input {fed.name!r} is fixed at {shape[0]}, so that all "
            f"{shape[0]} rows together are read as one input. If they are a batch, export the "
            "model with a batch of 1.",
        )
    return OnnxFile(
        model,
        proto,
        fed.name,
        FLOATS[fed.type.tensor_type.elem_type],
        shape,
        batched,
        output,
        _ancestors(proto.graph.node, output),
        _final_softmax(proto.graph.node, output),
        notes,
    )


def _parse(model: bytes) -> onnx.ModelProto:
    if not model:
        raise InvalidModel(f"the file is empty. {_AGAIN}")
    try:
        proto = onnx.load_model_from_string(model)
    except Exception as error:
        raise InvalidModel(
            f"these {len(model)} bytes are not an ONNX model, or only part of one "
            f"({first_line(error)}) {_AGAIN}"
        ) from error
    if not proto.HasField("graph") or not proto.graph.output:
        raise InvalidModel(
            f"these {len(model)} bytes hold no ONNX graph with an output: "
            f"not an ONNX model, or only part of one. {_AGAIN}"
        )
    return proto


def _external(proto: onnx.ModelProto) -> list[str]:
    return [t.name for t in proto.graph.initializer if external_data_helper.uses_external_data(t)]


def _embed(proto: onnx.ModelProto, path: Path | None) -> None:
    """Move external data into the model, as far as its files are found."""
    names = _external(proto)
    try:
        if path is None:
            raise FileNotFoundError("the model has no folder")
        external_data_helper.load_external_data_for_model(proto, str(path.parent))
    except Exception as error:
        raise InvalidModel(
            f"weights are kept in an external data file that cannot be read "
            f"(first of {len(names)}: {names[0]!r}; {first_line(error)}) "
            "Put that file beside the model, or export with external_data=False."
        ) from error


def _check(proto: onnx.ModelProto) -> None:
    """Let onnx itself check operators, attributes, names and order."""
    for entry in proto.opset_import:
        if entry.domain in ("", "ai.onnx") and entry.version < _OLDEST_OPSET:
            raise InvalidModel(
                f"it uses operator set {entry.version}; {_OLDEST_OPSET} or newer is read. "
                "Convert it with onnx.version_converter."
            )
    if proto.graph.sparse_initializer:
        raise InvalidModel("it holds sparse initialisers; write them as dense ones.")
    try:
        onnx.checker.check_model(_with_output_shapes(proto))
    except Exception as error:
        raise InvalidModel(f"onnx refuses the model: {first_line(error)} {_AGAIN}") from error


def _name_default_domain(proto: onnx.ModelProto) -> None:
    """Call the default domain by its empty name, as the nodes do."""
    for entry in proto.opset_import:
        if entry.domain == "ai.onnx":
            entry.domain = ""


def _with_output_shapes(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with a shape, any shape, on each output: the checker wants one, runtimes do not."""
    if all(value.type.tensor_type.HasField("shape") for value in proto.graph.output):
        return proto
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for value in copy.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.SetInParent()
    return copy


def _only_input(graph: onnx.GraphProto) -> onnx.ValueInfoProto:
    constants = {tensor.name for tensor in graph.initializer}
    fed = [value for value in graph.input if value.name not in constants]
    if len(fed) != 1:
        names = ", ".join(repr(value.name) for value in fed) or "none"
        raise InvalidModel(f"a network has exactly one input; this model has {len(fed)} ({names}).")
    kind = fed[0].type
    if not kind.HasField("tensor_type") or kind.tensor_type.elem_type not in FLOATS:
        raise InvalidModel(
            f"the input {fed[0].name!r} is {_kind(fed[0])}; expected a floating-point tensor."
        )
    return fed[0]


def _input_shape(fed: onnx.ValueInfoProto) -> tuple[tuple[int, ...], bool]:
    """The input's shape with a batch axis of 1, and whether it has that axis."""
    if not fed.type.tensor_type.HasField("shape"):
        raise InvalidModel(f"the input {fed.name!r} declares no shape; export it with one.")
    axes = fed.type.tensor_type.shape.dim
    sizes = [axis.dim_value if axis.dim_value > 0 else None for axis in axes]
    batched = len(sizes) >= 2 and sizes[0] in (None, 1)
    if batched:
        sizes[0] = 1
    for position, (axis, size) in enumerate(zip(axes, sizes, strict=True)):
        if size is None:
            called = f" ({axis.dim_param!r})" if axis.dim_param else ""
            raise InvalidModel(
                f"axis {position}{called} of the input {fed.name!r} has no fixed size; only the "
                "first of several axes, the batch axis, may vary. Export it with a fixed shape."
            )
    return tuple(size for size in sizes if size is not None), batched


def _answer(graph: onnx.GraphProto) -> str:
    """The output to take: the only one, or the only one of floating-point numbers."""
    outputs = list(graph.output)
    zipmap = {name for node in graph.node if node.op_type == "ZipMap" for name in node.output}
    if any(value.name in zipmap for value in outputs):
        raise InvalidModel(
            "its probabilities leave through a ZipMap, as a list of dictionaries; export it with "
            'convert_sklearn(..., options={"zipmap": False}).'
        )
    numbers = [value for value in outputs if _is_float(value)]
    if len(numbers) == 1:
        return numbers[0].name
    names = ", ".join(f"{value.name!r} ({_kind(value)})" for value in outputs)
    raise InvalidModel(
        f"a network has exactly one output of floating-point numbers; this model has "
        f"{len(numbers)} among its outputs {names}. Export it with the logits alone."
    )


def _keeps_rows(graph: onnx.GraphProto, output: str, shape: tuple[int, ...]) -> bool:
    """Whether the answer is declared to have as many rows as the input: these may be a batch."""
    (answer,) = (value for value in graph.output if value.name == output)
    axes = answer.type.tensor_type.shape.dim
    return len(shape) >= 2 and len(axes) >= 2 and axes[0].dim_value == shape[0]


def _is_float(value: onnx.ValueInfoProto) -> bool:
    return value.type.HasField("tensor_type") and value.type.tensor_type.elem_type in FLOATS


def _kind(value: onnx.ValueInfoProto) -> str:
    if not value.type.HasField("tensor_type"):
        return f"a {(value.type.WhichOneof('value') or 'thing of no type').removesuffix('_type')}"
    number = value.type.tensor_type.elem_type
    return onnx.TensorProto.DataType.Name(number).lower()


def _ancestors(nodes: Iterable[onnx.NodeProto], output: str) -> tuple[onnx.NodeProto, ...]:
    wanted, found = {output}, []
    for node in reversed(list(nodes)):
        if wanted.intersection(node.output):
            found.append(node)
            wanted.update(node.input)
    return tuple(reversed(found))


def _final_softmax(nodes: Iterable[onnx.NodeProto], output: str) -> onnx.NodeProto | None:
    """The softmax whose value, perhaps in another shape, is the output."""
    makers = {name: node for node in nodes for name in node.output}
    while output in makers and makers[output].op_type in KEEPS_VALUES:
        output = makers[output].input[0]
    node = makers.get(output)
    return node if node is not None and node.op_type in ("Softmax", "LogSoftmax") else None


def first_line(error: Exception) -> str:
    """What a foreign error says first, as one sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".") + "."
