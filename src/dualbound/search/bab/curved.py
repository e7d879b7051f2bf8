r"""What a tree does with activations that are no rectifiers: it cuts the interval that they read.

Over a part :math:`[l, u]` of the interval the lines around the activation are closer together, and
every multiplier :math:`\gamma` gives a bound that knows of the part:

.. math:: \min_x \{g(x) : l \le v(x) \le u\} \ge
    \min_x (g(x) + \gamma v(x)) - \max_{l \le t \le u} \gamma t
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dualbound.bounds.batched import Lines, Propagator, Span, Spans, passed_on
from dualbound.network.elementwise import Elementwise, Relu
from dualbound.network.graph import Network
from dualbound.network.nodes import Affine
from dualbound.network.torch_linear import TORCH

NARROW = 1e-7
"""An interval narrower than this is cut no more."""


class Curved:
    """The activations of a network that are no rectifiers, all their neurons in one row.

    Args:
        network: any.
        spans: bounds of every node over the whole region, in float64.

    Attributes:
        size: how many neurons there are, ``s``.
        low, high: the root's intervals, ``(1, s)``.
    """

    def __init__(self, network: Network, spans: Spans) -> None:
        self._network = network
        self._ops = {
            name: op for name, op in network.activations.items() if not isinstance(op, Relu)
        }
        self._pre = {name: network[name].reads[0] for name in self._ops}
        self._part: dict[str, slice] = {}
        self.size = 0
        for name in self._ops:
            self._part[name] = slice(self.size, self.size + network[name].size)
            self.size += network[name].size
        ends = [spans[pre] for pre in self._pre.values()]
        like = spans[network.input][0]
        nothing = like.new_zeros(1, 0)
        self.low = torch.cat([nothing, *(low[:1] for low, _ in ends)], 1)
        self.high = torch.cat([nothing, *(high[:1] for _, high in ends)], 1)

    def narrowed(
        self,
        p: Propagator,
        spans: Spans,
        phases: Mapping[str, tuple[Tensor, Tensor]],
        low: Float[Tensor, "b s"],
        high: Float[Tensor, "b s"],
    ) -> tuple[dict[str, Span], Bool[Tensor, " b"]]:
        """Bounds of every node of the network over parts of the region, by intervals.

        Args:
            p: in the type that is believed.
            spans: over the whole region.
            phases: by name of a rectifier, where its neurons are decided active and inactive.
            low: where the parts begin.
            high: where they end.

        Returns:
            The bounds, and which parts are proved to be empty.
        """
        found: dict[str, Span] = {}
        empty = torch.zeros(len(low), dtype=torch.bool, device=low.device)
        for node in self._network.nodes:
            if isinstance(node.op, Elementwise):
                least, most = found[node.reads[0]]
                if node.name in phases:
                    active, inactive = phases[node.name]
                    least = torch.where(active, least.clamp(min=0), least)
                    most = torch.where(inactive, most.clamp(max=0), most)
                else:
                    part = self._part[node.name]
                    least = torch.maximum(least, low[:, part])
                    most = torch.minimum(most, high[:, part])
                empty = empty | (least > most).any(1)
                found[node.reads[0]] = torch.minimum(least, most), torch.maximum(least, most)
                found[node.name] = passed_on(node.op, found[node.reads[0]])
                continue
            least, most = (end.expand(len(low), -1) for end in spans[node.name])
            if isinstance(node.op, Affine):
                under, over = p.mapped(node.name, [found[name] for name in node.reads])
                least, most = torch.maximum(least, under), torch.minimum(most, over)
                empty = empty | (least > most).any(1)
                least, most = torch.minimum(least, most), torch.maximum(least, most)
            found[node.name] = least, most
        return found, empty

    def ends(self, spans: Spans) -> Span:
        """What the activations read, of bounds of every node, in a row."""
        both = [spans[pre] for pre in self._pre.values()]
        return torch.cat([low for low, _ in both], 1), torch.cat([high for _, high in both], 1)

    def charges(self, p: Propagator, gamma: Float[Tensor, "b s"]) -> dict[str, Tensor]:
        """Multipliers by name of the activation, as `Propagator.backward` takes them."""
        return {name: gamma[:, None, part].to(p.dtype) for name, part in self._part.items()}

    @staticmethod
    def constant(
        p: Propagator, gamma: Tensor, low: Float[Tensor, "b s"], high: Float[Tensor, "b s"]
    ) -> Float[Tensor, " b"]:
        """What multipliers take off a bound, rounding included."""
        gamma, low, high = (part.to(p.dtype) for part in (gamma, low, high))
        taken = (gamma.clamp(min=0) * high + gamma.clamp(max=0) * low).sum(1)
        size = (gamma.abs() * torch.maximum(low.abs(), high.abs())).sum(1)
        return taken + p.rounding.unit * size

    @staticmethod
    def rise(gamma: Tensor, value: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """What a bound gains with a multiplier, given what the neurons read at its minimiser."""
        above, below = value - high, value - low
        unsigned = above.clamp(min=0) + below.clamp(max=0)
        return torch.where(gamma > 0, above, torch.where(gamma < 0, below, unsigned))

    def gathered(self, values: Mapping[str, Tensor], like: Tensor) -> Float[Tensor, "b s"]:
        """Of a value for each neuron, those of these activations, in a row."""
        count = len(like)
        parts = [
            values[name][:, 0].expand(count, -1)
            if name in values
            else like.new_zeros(count, part.stop - part.start)
            for name, part in self._part.items()
        ]
        return torch.cat([like.new_zeros(count, 0), *parts], 1)

    def cost(
        self,
        through: Float[Tensor, "b s"],
        value: Float[Tensor, "b s"],
        lines: Mapping[str, Lines],
        low: Float[Tensor, "b s"],
        high: Float[Tensor, "b s"],
    ) -> Float[Tensor, "b s"]:
        """What the distance of each neuron's lines may cost; below 0 where it is cut no more."""
        costs = [through.new_zeros(len(through), 0)]
        for name, op in self._ops.items():
            line, part = lines[name], self._part[name]
            assert line.floor is not None  # noqa: S101  # no rectifier
            c = through[:, part]
            least, most = low[:, part], high[:, part]
            v = torch.minimum(torch.maximum(value[:, part], least), most)
            f = TORCH[op.operator](v)
            upper = line.slope * v + line.intercept - f
            lower = f - line.alpha * v - line.floor
            cost = torch.where(c < 0, -c * upper, c * lower).clamp(min=0)
            middle = (least + most) / 2
            gap = (line.slope - line.alpha) * middle + line.intercept - line.floor
            cost = cost + 0.1 * gap.clamp(min=0) * c.abs()
            costs.append(torch.where(most - least > NARROW, cost, -1.0))
        return torch.cat(costs, 1)
