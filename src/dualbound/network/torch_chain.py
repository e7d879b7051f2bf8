"""A chain of layers in an ONNX file becomes trainable torch layers, one for one.

`dualbound.network.torch_twin` computes any network, with weights that stay as they are. This is for
training on, or cutting, a network that is known by its file alone: the layers are torch's own, so
what is exported afterwards has the operators that the file had.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import onnx
from onnx import numpy_helper

from dualbound.errors import InvalidModel, UnsupportedOperator
from dualbound.network.graph import Network
from dualbound.network.onnx_constants import evaluate_constant
from dualbound.network.onnx_file import OnnxFile, open_onnx
from dualbound.network.onnx_writer import write_onnx

if TYPE_CHECKING:
    import torch
    from torch import nn

_SAME = {"Identity", "Cast", "Dropout", "Squeeze", "Unsqueeze"}
_CLOSE = 1e-3


@dataclass(frozen=True, eq=False)
class TorchChain:
    """A network as torch layers.

    Attributes:
        module: on inputs with a batch axis before the network's input shape; float32, in evaluation
            mode, its weights parameters.
        rectifiers: by the name of the network's node, which layer of the module is it.
        shape: of one input.
    """

    module: nn.Sequential
    rectifiers: dict[str, int]
    shape: tuple[int, ...]


def chain(network: Network) -> TorchChain:
    """The layers of a network's file as torch's.

    Args:
        network: whose file is a chain of ``Conv``, ``Gemm`` or ``MatMul``, ``Add``,
            ``BatchNormalization``, ``Relu``, ``MaxPool``, ``AveragePool``, ``GlobalAveragePool``
            (or a ``ReduceMean`` over space), ``Flatten`` and ``Reshape``; a network without a file
            is a chain of what it is made of.

    Raises:
        UnsupportedOperator: another operator, or a branch; the node is named.
        InvalidModel: the layers do not compute what the network does.

    >>> from dualbound import Network
    >>> net = Network.dense([[[1.0, -1.0]], [[2.0], [-2.0]]], [[0.5], [0.0, 1.0]])
    >>> made = chain(net)
    >>> print(made.module, made.rectifiers)
    Sequential(
      (0): Linear(in_features=2, out_features=1, bias=True)
      (1): ReLU()
      (2): Linear(in_features=1, out_features=2, bias=True)
    ) {'relu1': 1}
    """
    model = write_onnx(network) if network.source is None else network.source.model
    made = _Reading(open_onnx(model), network.input_shape).chain()
    _check(made, network)
    return made


def _check(made: TorchChain, network: Network) -> None:
    import torch

    x = np.random.default_rng(0).random((3, *made.shape), dtype=np.float32)
    with torch.no_grad():
        here = made.module(torch.from_numpy(x)).numpy()
    there = network(x.reshape(3, -1).astype(float))
    if here.shape != there.shape or np.abs(here - there).max() > _CLOSE * (1 + np.abs(there).max()):
        raise InvalidModel(
            "Torch layers that were made of the network's file do not answer as the network does: "
            "its operators are used in a way that is not known here."
        )


class _Reading:
    """One pass over the nodes of a file."""

    def __init__(self, file: OnnxFile, shape: tuple[int, ...]) -> None:
        self.file, self.shape = file, shape
        self.layers: list[nn.Module] = []
        self.rectifiers: dict[str, int] = {}
        self.constants = {
            one.name: numpy_helper.to_array(one) for one in file.proto.graph.initializer
        }
        self.now = file.input  # the tensor that the layers so far make

    def chain(self) -> TorchChain:
        import torch
        from torch import nn

        self.value = torch.zeros((1, *self.shape))
        for node in self.file.nodes:
            if self.file.softmax is not None and node.output[0] == self.file.softmax.output[0]:
                self.now = node.output[0]
                continue
            if self._is_constant(node):
                continue
            self._read(node)
            self.now = node.output[0]
        module = nn.Sequential(*self.layers).float().eval()
        return TorchChain(module, self.rectifiers, self.shape)

    def _is_constant(self, node: onnx.NodeProto) -> bool:
        """Evaluate a node that no input reaches."""
        if not all(name in self.constants for name in node.input if name):
            return False
        given = [self.constants[name] for name in node.input if name]
        made = evaluate_constant(node, given, self.file.opsets)
        values = made if isinstance(made, tuple) else (made,)
        self.constants.update(zip(node.output, map(np.asarray, values), strict=False))
        return True

    def _read(self, node: onnx.NodeProto) -> None:
        read = [name for name in node.input if name and name not in self.constants]
        if read != [self.now]:
            self._refuse(
                node,
                f"it reads {read or 'nothing'}, expected {self.now!r} alone: only chains of layers "
                "are known",
            )
        attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        kind = node.op_type
        try:
            layers = self._layers(node, kind, attributes)
        except (ValueError, IndexError, KeyError, RuntimeError) as error:
            raise InvalidModel(f"{kind} (node {_label(node)!r}) cannot be read: {error}") from error
        for layer in layers:
            self._append(layer)
        if kind == "Relu":
            self.rectifiers[node.output[0]] = len(self.layers) - 1

    def _append(self, layer: nn.Module) -> None:
        import torch

        with torch.no_grad():
            self.value = layer.eval()(self.value)
        self.layers.append(layer)

    def _layers(
        self, node: onnx.NodeProto, kind: str, attributes: dict[str, Any]
    ) -> list[nn.Module]:
        """The layers of one node."""
        from torch import nn

        match kind:
            case "Relu":
                return [nn.ReLU()]
            case "Gemm" | "MatMul":
                return [self._linear(node, attributes)]
            case "Conv":
                return self._convolution(node, attributes)
            case "BatchNormalization":
                return [self._batch_norm(node, attributes)]
            case "MaxPool" | "AveragePool":
                return self._pool(node, kind, attributes)
            case "GlobalAveragePool":
                return [nn.AdaptiveAvgPool2d(1)]
            case "ReduceMean":
                return self._mean(node, attributes)
            case "Add":
                self._add_bias(node)
                return []
            case "Flatten" | "Reshape":
                return self._reshaped(node, kind, attributes)
            case _ if kind in _SAME:
                return self._reshaped(node, kind, attributes) if "squeeze" in kind.lower() else []
            case _:
                self._refuse(node, "no layer of torch is made of it")

    def _constant(self, node: onnx.NodeProto, position: int) -> torch.Tensor | None:
        import torch

        if position >= len(node.input) or not node.input[position]:
            return None
        if node.input[position] not in self.constants:
            self._refuse(node, f"its input {position} is no constant")
        return torch.from_numpy(np.array(self.constants[node.input[position]], dtype=np.float32))

    def _linear(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> nn.Module:
        if node.input[0] != self.now or attributes.get("transA"):
            self._refuse(node, "its matrix comes first")
        weight = self._constant(node, 1)
        assert weight is not None  # noqa: S101  # the operator has two inputs
        if not attributes.get("transB"):
            weight = weight.T
        weight = attributes.get("alpha", 1.0) * weight
        bias = self._constant(node, 2)
        if bias is not None:
            bias = attributes.get("beta", 1.0) * bias.reshape(-1).expand(len(weight))
        if self.value.ndim != 2 or self.value.shape[1] != weight.shape[1]:
            raise ValueError(
                f"a matrix of shape {tuple(weight.shape)} does not fit what it reads, of shape "
                f"{tuple(self.value.shape[1:])}"
            )
        return linear(weight, bias)

    def _convolution(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> list[nn.Module]:
        from torch import nn

        kernel = self._constant(node, 1)
        assert kernel is not None  # noqa: S101  # the operator has two inputs
        if kernel.ndim != 4:
            self._refuse(node, "it is a convolution over other than two axes of space")
        layers, pads = self._padding(node, attributes, 0.0)
        conv = nn.Conv2d(
            kernel.shape[1] * int(attributes.get("group", 1)),
            kernel.shape[0],
            tuple(kernel.shape[2:]),  # type: ignore[arg-type]
            tuple(attributes.get("strides", (1, 1))),
            pads,
            tuple(attributes.get("dilations", (1, 1))),
            int(attributes.get("group", 1)),
        )
        _set(conv, kernel, self._constant(node, 2))
        return [*layers, conv]

    def _padding(
        self, node: onnx.NodeProto, attributes: dict[str, Any], with_: float
    ) -> tuple[list[nn.Module], tuple[int, int]]:
        """What pads, and how much is left for the layer itself to pad on either side."""
        from torch import nn

        if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            self._refuse(node, "its auto_pad leaves the pads open: export explicit pads")
        top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
        if (top, left) == (bottom, right):
            return [], (top, left)
        return [nn.ConstantPad2d((left, right, top, bottom), with_)], (0, 0)

    def _batch_norm(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> nn.Module:
        import torch
        from torch import nn

        scale, bias, mean, variance = (self._constant(node, k) for k in range(1, 5))
        assert scale is not None  # noqa: S101  # the operator has five inputs
        made = (nn.BatchNorm2d if self.value.ndim == 4 else nn.BatchNorm1d)(
            len(scale), eps=float(attributes.get("epsilon", 1e-5))
        )
        with torch.no_grad():
            for target, given in (
                (made.weight, scale), (made.bias, bias), (made.running_mean, mean),
                (made.running_var, variance),
            ):  # fmt: skip
                # The operator has five inputs, and a layer as made here has all four tensors.
                assert target is not None and given is not None  # noqa: S101, PT018
                target.copy_(given)
        return made

    def _pool(self, node: onnx.NodeProto, kind: str, attributes: dict[str, Any]) -> list[nn.Module]:
        from torch import nn

        sizes = tuple(attributes["kernel_shape"])
        if len(sizes) != 2 or set(attributes.get("dilations", (1, 1))) != {1}:
            self._refuse(node, "it is no plain pool over two axes of space")
        strides, up = tuple(attributes.get("strides", (1, 1))), bool(attributes.get("ceil_mode"))
        pads = tuple(attributes.get("pads", (0, 0, 0, 0)))
        if kind == "MaxPool":
            layers, inner = self._padding(node, attributes, -math.inf)
            return [*layers, nn.MaxPool2d(sizes, strides, inner, ceil_mode=up)]
        if any(pads) and (pads[:2] != pads[2:] or up):
            self._refuse(node, f"it is a mean with pads {pads}")
        counts = bool(attributes.get("count_include_pad"))
        return [nn.AvgPool2d(sizes, strides, pads[:2], up, counts)]

    def _mean(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> list[nn.Module]:
        """The mean over space, as exporters write a global average pool."""
        from torch import nn

        given = attributes.get("axes")
        if given is None and len(node.input) > 1:
            given = self.constants[node.input[1]]
        axes = sorted(int(k) % self.value.ndim for k in (() if given is None else given))
        if self.value.ndim != 4 or axes != [2, 3]:
            self._refuse(node, "it is no mean over the two axes of space")
        flat = [] if attributes.get("keepdims", 1) else [nn.Flatten()]
        return [nn.AdaptiveAvgPool2d(1), *flat]

    def _add_bias(self, node: onnx.NodeProto) -> None:
        """A constant that is added to a layer's outputs becomes its bias."""
        import torch
        from torch import nn

        constant = self._constant(node, 1 if node.input[0] == self.now else 0)
        last = self.layers[-1] if self.layers else None
        if constant is None or not isinstance(last, nn.Linear | nn.Conv2d):
            self._refuse(node, "it adds a constant to what is no layer's output")
        axes = self.value.ndim - 1
        try:
            full = constant.expand(1, *self.value.shape[1:])[0]
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        each = full.reshape(len(full), -1)
        if axes > 1 and not torch.equal(each, each[:, :1].expand_as(each)):
            self._refuse(node, "it adds another number at every place")
        with torch.no_grad():
            before = torch.zeros(len(full)) if last.bias is None else last.bias
            last.bias = nn.Parameter(before + each[:, 0])
            self.value = last(self._before_last())

    def _before_last(self) -> torch.Tensor:
        import torch

        value = torch.zeros((1, *self.shape))
        with torch.no_grad():
            for layer in self.layers[:-1]:
                value = layer(value)
        return value

    def _reshaped(
        self, node: onnx.NodeProto, kind: str, attributes: dict[str, Any]
    ) -> list[nn.Module]:
        """A new shape of the same numbers in the same order."""
        from torch import nn

        here = tuple(self.value.shape[1:])
        if kind == "Flatten":
            if attributes.get("axis", 1) != 1:
                self._refuse(node, "it flattens across inputs")
            there: tuple[int, ...] = (math.prod(here),)
        elif kind == "Reshape":
            wanted = [int(n) for n in self.constants[node.input[1]]]
            wanted = [here[k - 1] if n == 0 and k else n for k, n in enumerate(wanted)][1:]
            rest = -math.prod(n for n in wanted if n != -1)
            there = tuple(math.prod(here) // -rest if n == -1 else n for n in wanted)
        else:
            self._refuse(node, "it adds or drops an axis")
        if math.prod(there) != math.prod(here):
            self._refuse(node, f"it mixes inputs: shape {here} becomes {there}")
        if there == here:
            return []
        return [nn.Flatten()] if len(there) == 1 else [nn.Flatten(), nn.Unflatten(1, there)]

    def _refuse(self, node: onnx.NodeProto, why: str) -> NoReturn:
        raise UnsupportedOperator(
            f"The operator {node.op_type} (node {_label(node)!r}) cannot become a layer of a chain "
            f"that can be trained: {why}."
        )


def _label(node: onnx.NodeProto) -> str:
    return node.name or node.output[0]


def linear(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    """A linear layer with these weights; without a bias it gets one of zeros."""
    from torch import nn

    made = nn.Linear(weight.shape[1], weight.shape[0])
    _set(made, weight, bias)
    return made


def _set(layer: nn.Linear | nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
    import torch

    with torch.no_grad():
        layer.weight.copy_(weight)
        assert layer.bias is not None  # noqa: S101  # both are made with one
        layer.bias.copy_(torch.zeros(len(weight)) if bias is None else bias)
