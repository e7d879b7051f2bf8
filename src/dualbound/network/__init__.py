"""Networks: the graph, its readers and writer, its torch twin, and the replay of the file."""

from dualbound.network.graph import (
    Affine,
    Input,
    Network,
    Node,
    Op,
    Pattern,
    Relu,
    Source,
    fold,
    maps_on_pattern,
    pattern_at,
)
from dualbound.network.loading import load
from dualbound.network.onnx_reader import read_onnx
from dualbound.network.onnx_writer import write_onnx

__all__ = [
    "Affine",
    "Input",
    "Network",
    "Node",
    "Op",
    "Pattern",
    "Relu",
    "Source",
    "fold",
    "load",
    "maps_on_pattern",
    "pattern_at",
    "read_onnx",
    "write_onnx",
]
