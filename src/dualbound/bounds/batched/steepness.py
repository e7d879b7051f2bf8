"""How much each input matters."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from dualbound.bounds.batched.lines import Lines
from dualbound.bounds.batched.propagator import Propagator
from dualbound.network.elementwise import Elementwise, Relu
from dualbound.network.nodes import Affine, Input


def steepness(
    propagator: Propagator, rows: Float[Tensor, "b k m"], lines: Mapping[str, Lines]
) -> Float[Tensor, "b k n"]:
    """How steep ``rows·output`` is along every input, at most, whatever open phases are.

    Not rounded outwards: it ranks inputs and proves nothing. Wang et al., *Formal security
    analysis of neural networks using symbolic intervals*, 2018, section 4.2.
    """
    network = propagator.network
    carried = {network.output: (rows, torch.zeros_like(rows))}
    for node in reversed(network.nodes):
        here = carried.pop(node.name, None)
        if here is None:
            continue
        center, radius = here
        match node.op:
            case Input():
                return center.abs() + radius
            case Affine():
                maps, sizes = propagator.maps[node.name], propagator.rounding.sizes(node.name)
                passed = [
                    (one.pull_back(center), size.pull_back(radius))
                    for one, size in zip(maps, sizes, strict=True)
                ]
            case Relu():
                line = lines[node.name]
                open_ = line.unstable[:, None]
                low = torch.where(open_, (center - radius).clamp(max=0), center - radius)
                high = torch.where(open_, (center + radius).clamp(min=0), center + radius)
                on = (line.upper > 0)[:, None]
                passed = [
                    (torch.where(on, (low + high) / 2, 0), torch.where(on, (high - low) / 2, 0))
                ]
            case Elementwise():
                line = lines[node.name]
                most = torch.maximum(line.alpha, line.slope)[:, None] / 2
                passed = [(center * most, (center.abs() + 2 * radius) * most)]
        for name, (c, r) in zip(node.reads, passed, strict=True):
            before = carried.get(name)
            carried[name] = (c, r) if before is None else (before[0] + c, before[1] + r)
    return rows.new_zeros(*rows.shape[:2], network.input_size)
