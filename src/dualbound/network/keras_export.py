"""A Keras model on the torch backend as ONNX, its nodes and tensors named after the layers.

Such a model is a torch module, so torch's own exporter writes it. What the exporter calls a node
says nothing to who built the model; the scopes that it notes do, once it knows the layers.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import onnx
import torch

from dualbound.network.torch_reader import exported, without_traces

if TYPE_CHECKING:
    import keras

_LAYER = re.compile(r"layers\.(\d+)")


def export_keras(model: keras.Model, shape: tuple[int, ...]) -> bytes:
    """The bytes of torch's ONNX export of a model for a batch of one.

    Args:
        model: built, on the torch backend.
        shape: of one input, without the batch axis.

    Raises:
        InvalidModel: torch cannot export the model for this shape.
    """
    layers = list(_layers(model))
    proto = exported(_Named(model, layers), shape, f"Keras model, a {type(model).__name__},")
    _name_after([layer.name for layer in layers], proto.graph)
    return without_traces(proto)


def uneven_averages(model: bytes) -> list[str]:
    """The average pools of an export that read copies of the border.

    Where the padding is not as wide before as after, Keras pads so with torch. Its other backends
    take the mean of what is inside.
    """
    graph = onnx.load_model_from_string(model).graph
    copying = {
        node.output[0]
        for node in graph.node
        for attribute in node.attribute
        if node.op_type == "Pad" and attribute.name == "mode" and attribute.s == b"edge"
    }
    pools = (node for node in graph.node if node.op_type == "AveragePool")
    return [node.name for node in pools if node.input[0] in copying]


class _Named(torch.nn.Module):
    """A model that the exporter sees with its layers: Keras does not register them with torch."""

    def __init__(self, model: keras.Model, layers: Sequence[Any]) -> None:
        super().__init__()
        self.model = model
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the model answers."""
        return self.model(x, training=False)


def _layers(model: Any) -> Iterator[Any]:
    """The layers of a model, those of models inside it included."""
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _layers(layer)


def _name_after(layers: Sequence[str], graph: onnx.GraphProto) -> None:
    """Put the names of the layers before those of nodes and tensors."""
    names: dict[str, str] = {}
    for node in graph.node:
        within = "".join(f"{layers[k]}/" for k in _scopes(node) if k < len(layers))
        node.name = within + node.name.removeprefix("node_")
        names.update({name: within + name for name in node.output if name})
    for tensor in graph.initializer:
        found = _LAYER.match(tensor.name)
        if found:
            names[tensor.name] = f"{layers[int(found[1])]}/{tensor.name}"
            tensor.name = names[tensor.name]
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)


def _scopes(node: onnx.NodeProto) -> Iterator[int]:
    """The positions of the layers that a node lies in, from outside in."""
    for entry in node.metadata_props:
        if entry.key == "pkg.torch.onnx.name_scopes":
            for scope in ast.literal_eval(entry.value):
                found = _LAYER.fullmatch(scope)
                if found:
                    yield int(found[1])
