"""Networks: the graph, its readers and writer, its torch twin, replay and check of the file."""

from dualbound.network.checking import Check, check
from dualbound.network.elementwise import Elementwise, Relu, Sigmoid, Sign
from dualbound.network.gradients import slopes
from dualbound.network.graph import Network, Source
from dualbound.network.keras_reader import read_keras
from dualbound.network.loading import load
from dualbound.network.nnet_reader import read_nnet
from dualbound.network.nodes import Affine, Input, Node, Op
from dualbound.network.onnx_reader import read_onnx
from dualbound.network.onnx_writer import write_onnx
from dualbound.network.patterns import Pattern, maps_on_pattern, pattern_at
from dualbound.network.replay import Replay, Replayer, replay
from dualbound.network.torch_reader import read_torch
from dualbound.network.torch_twin import twin

__all__ = [
    "Affine",
    "Check",
    "Elementwise",
    "Input",
    "Network",
    "Node",
    "Op",
    "Pattern",
    "Relu",
    "Replay",
    "Replayer",
    "Sigmoid",
    "Sign",
    "Source",
    "check",
    "load",
    "maps_on_pattern",
    "pattern_at",
    "read_keras",
    "read_nnet",
    "read_onnx",
    "read_torch",
    "replay",
    "slopes",
    "twin",
    "write_onnx",
]
