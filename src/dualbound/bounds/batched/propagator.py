r"""Linear bounds in batches, in torch: CROWN with slopes and multipliers that can be improved.

One backward pass bounds :math:`\min_x c^\top v(x)` from below, for many rows ``c`` over many sets
of inputs at once. An unstable rectifier lies between its upper line and a lower line of any slope
:math:`\alpha \in [0, 1]`; a neuron whose phase is decided, :math:`s v \ge 0` with s = 1 where
active and -1 where not, may be charged :math:`\beta \ge 0` for it:

.. math:: \min_x \{c^\top v(x) : s v_j \ge 0\} \ge \max_{\alpha, \beta}
    \min_x \left(a(\alpha, \beta)^\top x + d(\alpha, \beta)\right)

The bound is concave neither in all slopes at once nor smooth, but every slope in [0, 1] and every
multiplier of at least 0 gives a valid one. Its gradient costs one pass forwards: at the minimiser x
of the right-hand side, with every rectifier replaced by the line that it was given, the derivative
by a slope is the coefficient times the pre-activation there, and that by a multiplier is :math:`-s
v_j` (Danskin's theorem). Zhang et al., *Efficient neural network robustness certification with
general activation functions*, 2018; Xu et al., *Fast and complete*, 2021 (slopes); Wang et al.,
*Beta-CROWN*, 2021 (multipliers).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dualbound.bounds.batched.lines import Lines
from dualbound.bounds.batched.rooms import Boxes, Rooms, Span, products
from dualbound.bounds.batched.rounding import Rounding
from dualbound.network.elementwise import Elementwise, Relu
from dualbound.network.graph import Network
from dualbound.network.nodes import Affine, Input, Node
from dualbound.network.torch_linear import TORCH, TorchMap, torch_map

AT_ONCE = 2**19
"""How many coefficients of one node are carried at a time, at most: few enough for a cache."""

AT_ONCE_ELSEWHERE = 2**22
"""The same on a device that is no CPU."""


@dataclass(eq=False)
class Passed:
    """What a backward pass found.

    Attributes:
        start: the node that it started from.
        bound: for every row, proved: rounding is subtracted, ``(b, k)``.
        value: the same as it was computed, nothing subtracted: to compare, not to believe.
        slope: of the linear bound, ``(b, k, n)``.
        rooms: that were passed.
        through: by name of a rectifier, the coefficients of its values, ``(b, k, m)``.
    """

    start: str
    bound: Float[Tensor, "b k"]
    value: Float[Tensor, "b k"]
    slope: Float[Tensor, "b k n"]
    rooms: Rooms
    through: dict[str, Tensor] = field(default_factory=dict)

    @cached_property
    def x(self) -> Float[Tensor, "b k n"]:
        """Where the linear bound is smallest."""
        return self.rooms.minimiser(self.slope)


def believed(bound: Tensor) -> Tensor:
    """Lower bounds, of which those that are no numbers prove nothing.

    >>> believed(torch.tensor([1.0, torch.nan, torch.inf]))
    tensor([1., -inf, -inf])
    """
    return torch.where(torch.isfinite(bound), bound, -torch.inf)


def passed_on(op: Elementwise, span: Span) -> Span:
    """Bounds of an activation, from those of what it reads."""
    low, high = (TORCH[op.operator](end) for end in span)
    err = op.err * torch.finfo(low.dtype).eps / torch.finfo(torch.float64).eps
    return low - err, high + err


class Propagator:
    r"""A network on a device, ready to be bounded in batches.

    Args:
        network: of affine maps and rectifiers.
        dtype: of all computing. Rounding is accounted for in any, and costs more in ``float32``.
        device: any of torch.

    Attributes:
        maps: of every affine node, as torch applies them.
        bias: of every affine node.
        rounding: what a pass is charged for it.

    **Trusts** convolutions to be sums of products, not made by transforms of Fourier or Winograd.
    """

    def __init__(
        self,
        network: Network,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        self.network = network
        self.dtype = dtype
        self.device = device
        ops = {node.name: node.op for node in network.nodes if isinstance(node.op, Affine)}
        self.maps: dict[str, list[TorchMap]] = {
            name: [torch_map(one, dtype, device) for one in op.maps] for name, op in ops.items()
        }
        self.bias: dict[str, Tensor] = {name: self.tensor(op.bias) for name, op in ops.items()}
        self.rounding = Rounding(network, self.maps, self.bias, dtype)
        self._curved = {
            network[name].reads[0]
            for name, op in network.activations.items()
            if not isinstance(op, Relu)
        }
        self._ancestors: dict[str, tuple[Node, ...]] = {}

    def up_to(self, name: str) -> Propagator:
        """The same for the part of the network that ends in a node; the maps are shared."""
        part = copy.copy(self)
        part.network = self.network.up_to(name)
        part.rounding = self.rounding.up_to(part.network)
        part._ancestors = {}
        return part

    def tensor(self, values: object) -> Tensor:
        """Numbers in the type and on the device of this propagator."""
        if not isinstance(values, Tensor):
            values = torch.tensor(np.asarray(values))
        return values.to(self.device, self.dtype)

    def outputs(self, x: Float[Tensor, "b n"]) -> Float[Tensor, "b m"]:
        """What the network answers."""
        values: dict[str, Tensor] = {self.network.input: x}
        for node in self.network.nodes:
            match node.op:
                case Affine():
                    values[node.name] = self._sum(node, values)
                case Elementwise():
                    values[node.name] = TORCH[node.op.operator](values[node.reads[0]])
        return values[self.network.output]

    def _sum(self, node: Node, values: Mapping[str, Tensor]) -> Tensor:
        """The value of an affine node, from those of the nodes that it reads."""
        parts = [
            one(values[name]) for one, name in zip(self.maps[node.name], node.reads, strict=True)
        ]
        return sum(parts[1:], start=parts[0]) + self.bias[node.name]

    def interval(self, rooms: Rooms) -> dict[str, Span]:
        """Bounds of every node by interval arithmetic, rounding included."""
        spans: dict[str, Span] = {self.network.input: rooms.span()}
        for node in self.network.nodes:
            match node.op:
                case Input():
                    continue
                case Affine():
                    spans[node.name] = self.mapped(node.name, [spans[name] for name in node.reads])
                case Elementwise():
                    spans[node.name] = passed_on(node.op, spans[node.reads[0]])
        return spans

    def mapped(self, name: str, spans: list[Span]) -> Span:
        """Bounds of an affine node by intervals, from those of the nodes that it reads.

        Rounding is charged for the sum of a row.
        """
        bias = self.bias[name]
        low, high, size, mosts = bias, bias, bias.abs(), []
        maps = zip(self.maps[name], self.rounding.sizes(name), spans, strict=True)
        for one, sizes, (under, over) in maps:
            most = torch.maximum(under.abs(), over.abs())
            center = one((under + over) / 2)
            spread, reach = sizes(torch.stack([(over - under) / 2, most]))
            low, high = low + center - spread, high + center + spread
            size = size + reach
            mosts.append(most)
        charge = self.rounding.forwards(name, size, mosts)
        return low - charge, high + charge

    def backward(
        self,
        start: str,
        rows: Float[Tensor, "b k m"],
        rooms: Rooms,
        lines: Mapping[str, Lines],
        *,
        slopes: Mapping[str, Tensor] | None = None,
        charges: Mapping[str, Tensor] | None = None,
        keep: bool = False,
    ) -> Passed:
        """A lower bound of ``rows · value of a node`` over each set of inputs.

        Args:
            start: the node.
            rows: ``(b or 1, k, m)``.
            rooms: ``b`` sets, or one.
            lines: of every rectifier before the node.
            slopes: of lower lines, ``(b or 1, k or 1, m)``, where not those of ``lines``.
            charges: by name of a rectifier, ``-s beta`` of each of its neurons, ``(b, k or 1, m)``.
            keep: whether to keep the coefficients, for `gradient`.
        """
        rounding = self.rounding
        more, reach = rounding.more, rounding.reach
        carried: dict[str, Tensor] = {start: rows}
        total = rows.new_zeros(1, 1)
        size = rows.new_zeros(1, 1)
        through: dict[str, Tensor] = {}
        slope = None
        if isinstance(self.network[start].op, Elementwise):
            size = size + more * (rows.abs() @ reach[start])
        for node in reversed(self.network.nodes):
            here = carried.pop(node.name, None)
            if here is None:
                continue
            match node.op:
                case Input():
                    slope = here
                    size = size + here.abs() @ rounding.errs[node.name]
                    total = total + rooms.minimum(here)
                    if not isinstance(rooms, Boxes):
                        supported = rounding.unit / (2 * rounding.u)
                        size = size + supported * (here.abs() @ reach[node.name])
                    continue
                case Affine():
                    size = size + here.abs() @ rounding.errs[node.name]
                    total = total + here @ self.bias[node.name]
                    passed = [one.pull_back(here) for one in self.maps[node.name]]
                case Elementwise():
                    line = lines[node.name]
                    alpha = line.alpha[:, None]
                    if slopes is not None and node.name in slopes:
                        alpha = slopes[node.name]
                    plus, minus = here.clamp(min=0), here.clamp(max=0)
                    added = products(minus, line.intercept)
                    if line.floor is None:
                        size = torch.sub(size, added, alpha=line.most_open + more)
                    else:
                        added = added + products(plus, line.floor)
                        sizes = products(here.abs(), line.intercept.abs() + line.floor.abs())
                        size = size + (2 * node.size + more) * sizes
                    total = total + added
                    part = plus * alpha
                    if len(part) < len(line.slope):
                        part = part.expand(len(line.slope), -1, -1).clone()
                    part.addcmul_(minus, line.slope[:, None])
                    if node.reads[0] in rounding.kept_apart:
                        size = size + more * (part.abs() @ reach[node.reads[0]])
                    if charges is not None and node.name in charges:
                        charge = charges[node.name]
                        size = size + more * (charge.abs() @ reach[node.reads[0]])
                        part = part + charge
                    passed = [part]
                    if keep:
                        through[node.name] = here
            for name, part in zip(node.reads, passed, strict=True):
                carried[name] = carried[name] + part if name in carried else part
        if slope is None:
            slope = rows.new_zeros(len(rooms.span()[0]), 1, self.network.input_size)
        batch, count = max(map(len, (total, rows, slope))), rows.shape[1]
        total, slope = total.expand(batch, count), slope.expand(batch, count, -1)
        bound = believed(total - (rounding.charged * size + rounding.lost))
        return Passed(start, bound, total, slope, rooms, through)

    def gradient(
        self,
        passed: Passed,
        lines: Mapping[str, Lines],
        slopes: Mapping[str, Tensor] | None = None,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """What a bound depends on its slopes, charges and rows by.

        Each rectifier is replaced by the line that the pass gave it, and the network evaluated at
        the minimiser of the pass.

        Returns:
            The pre-activations of every rectifier ``(b, k, m)``, and the value of the node that the
            pass started from.
        """
        values: dict[str, Tensor] = {self.network.input: passed.x}
        found: dict[str, Tensor] = {}
        for node in self._before(passed.start):
            match node.op:
                case Affine():
                    values[node.name] = self._sum(node, values)
                case Elementwise():
                    line, v = lines[node.name], values[node.reads[0]]
                    alpha = line.alpha[:, None]
                    if slopes is not None and node.name in slopes:
                        alpha = slopes[node.name]
                    upper = v * line.slope[:, None] + line.intercept[:, None]
                    found[node.name] = v
                    lower = v * alpha
                    if line.floor is not None:
                        lower = lower + line.floor[:, None]
                    values[node.name] = torch.where(passed.through[node.name] < 0, upper, lower)
        return found, values[passed.start]

    def _before(self, start: str) -> tuple[Node, ...]:
        """A node, after all that it depends on."""
        if start not in self._ancestors:
            self._ancestors[start] = self.network.up_to(start).nodes
        return self._ancestors[start]

    def crown(self, rooms: Rooms, *, output: bool = True) -> dict[str, Span]:
        """Bounds of every node, each from those before it.

        By intervals and, where they leave a phase open, by CROWN. Unless these rooms lie within
        those that were settled for, it settles for them as it goes: a pass asks for the magnitudes
        of nodes before the one that it starts from, whose bounds are there.

        Args:
            rooms: ``b`` sets of inputs.
            output: whether the output is bounded by more than intervals.
        """
        is_cpu = torch.device(self.device).type == "cpu"
        at_once = AT_ONCE if is_cpu else AT_ONCE_ELSEWHERE
        rounding = self.rounding
        settles = not rounding.holds_for(rooms)
        if settles:
            rounding.begin(rooms.span())
        spans: dict[str, Span] = {}
        lines: dict[str, Lines] = {}
        for node in self.network.nodes:
            match node.op:
                case Input():
                    spans[node.name] = rooms.span()
                case Affine():
                    span = self.mapped(node.name, [spans[name] for name in node.reads])
                    is_output = node.name == self.network.output
                    exact = node.reads == (self.network.input,) and isinstance(rooms, Boxes)
                    if settles:
                        rounding.settle_node(node)
                    if not exact and (output or not is_output):
                        span = self.tightened(node.name, rooms, lines, span, at_once)
                    spans[node.name] = span
                case Elementwise():
                    lines[node.name] = Lines.of(spans[node.reads[0]], node.op)
                    spans[node.name] = passed_on(node.op, spans[node.reads[0]])
            if settles:
                rounding.measure(node.name, spans[node.name])
                if not isinstance(node.op, Affine):
                    rounding.settle_node(node)
        return spans

    def open_at(
        self, name: str, low: Float[Tensor, "b m"], high: Float[Tensor, "b m"]
    ) -> Bool[Tensor, " m"]:
        """Which neurons of a node are worth better bounds in some set.

        Those of open phase; all of the output, and of what is read by another than a rectifier.
        """
        if name == self.network.output or name in self._curved:
            return torch.ones(low.shape[1], dtype=torch.bool, device=low.device)
        return ((low < 0) & (high > 0)).any(0)

    def tightened(
        self, name: str, rooms: Rooms, lines: Mapping[str, Lines], span: Span, at_once: int
    ) -> Span:
        """The bounds of one node, improved by backward passes wherever that is worth it."""
        low, high = (end.clone() for end in span)
        batch, size = low.shape
        chosen = self.open_at(name, low, high).nonzero()[:, 0]
        widest = max(node.size for node in self.network.nodes)
        for some in torch.split(chosen, max(at_once // (2 * batch * widest), 1)):
            rows = torch.zeros(len(some), size, dtype=self.dtype, device=self.device)
            rows[torch.arange(len(some)), some] = 1.0
            both = torch.cat([rows, -rows])[None]
            bound = self.backward(name, both, rooms, lines).bound
            low[:, some] = torch.maximum(low[:, some], bound[:, : len(some)])
            high[:, some] = torch.minimum(high[:, some], -bound[:, len(some) :])
        return torch.minimum(low, high), torch.maximum(low, high)
