"""The torch twin: the same function as a differentiable torch module of any dtype and device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualbound.network.elementwise import Elementwise
from dualbound.network.graph import Network
from dualbound.network.nodes import Affine, Input

if TYPE_CHECKING:
    import torch


def twin(
    network: Network, *, dtype: torch.dtype | None = None, device: torch.device | str = "cpu"
) -> torch.nn.Module:
    """A torch module that computes the network on flat inputs.

    Weights are buffers, not parameters: they move with ``.to(...)``, and gradients flow to the
    inputs only.

    Args:
        network: what to compute.
        dtype: of weights and inputs; float32 unless told.
        device: where the weights are.

    Returns:
        A module from ``(batch, n)`` to ``(batch, m)``, in evaluation mode.

    >>> import torch
    >>> net = Network.dense([[[1.0, -1.0]], [[2.0], [-2.0]]], [[0.5], [0.0, 1.0]])
    >>> twin(net)(torch.tensor([[3.0, 1.0]]))
    tensor([[ 5., -4.]])
    """
    import torch
    from torch import fx

    from dualbound.network.torch_linear import TORCH, torch_map

    kind = torch.float32 if dtype is None else dtype
    graph, buffers = fx.Graph(), torch.nn.Module()
    values: dict[str, fx.Node] = {}
    for k, node in enumerate(network.nodes):
        match node.op:
            case Input():
                values[node.name] = graph.placeholder("x")
            case Affine(maps, bias):
                buffers.register_buffer(f"bias{k}", torch.as_tensor(bias.copy()).to(device, kind))
                total = graph.get_attr(f"bias{k}")
                for part, (one, name) in enumerate(zip(maps, node.reads, strict=True)):
                    buffers.add_module(f"map{k}_{part}", torch_map(one, kind, device))
                    term = graph.call_module(f"map{k}_{part}", (values[name],))
                    total = graph.call_function(torch.add, (term, total))
                values[node.name] = total
            case Elementwise():
                function = TORCH[node.op.operator]
                values[node.name] = graph.call_function(function, (values[node.reads[0]],))
    graph.output(values[network.output])
    return fx.GraphModule(buffers, graph, "Twin").eval()
