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

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dualbound.bounds.batched.lines import Lines
from dualbound.bounds.batched.rooms import Boxes, Rooms, Span, Spans
from dualbound.network.elementwise import Elementwise, Relu
from dualbound.network.graph import Affine, Input, Network, Node
from dualbound.network.torch_linear import TORCH, TorchMap, torch_map

COMBINING = 12
"""Steps in which weights of rows are looked for."""


@dataclass(eq=False)
class Passed:
    """What a backward pass found.

    Attributes:
        start: the node that it started from.
        bound: for every row, proved: rounding is subtracted, ``(b, k)``.
        x: where the linear bound is smallest, ``(b, k, n)``.
        slope: of the linear bound, ``(b, k, n)``.
        through: by name of a rectifier, the coefficients of its values, ``(b, k, m)``.
    """

    start: str
    bound: Float[Tensor, "b k"]
    x: Float[Tensor, "b k n"]
    slope: Float[Tensor, "b k n"]
    through: dict[str, Tensor] = field(default_factory=dict)


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
    """A network on a device, ready to be bounded in batches.

    Args:
        network: of affine maps and rectifiers.
        dtype: of all computing. Rounding is accounted for in any, and costs more in ``float32``.
        device: any of torch.

    Attributes:
        unit: the largest error of a sum of its terms, relative to the sum of their magnitudes.
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
        self.maps: dict[str, list[TorchMap]] = {}
        self.sizes: dict[str, list[TorchMap]] = {}
        self.bias: dict[str, Tensor] = {}
        self.terms = network.input_size
        for node in network.nodes:
            if isinstance(node.op, Affine):
                self.maps[node.name] = [torch_map(one, dtype, device) for one in node.op.maps]
                self.sizes[node.name] = [one.magnitude() for one in self.maps[node.name]]
                self.bias[node.name] = self.tensor(node.op.bias)
                reads = sum(sum(one.shape) for one in node.op.maps)
                self.terms = max(self.terms, reads)
        self.unit = 4 * (self.terms + 16) * torch.finfo(dtype).eps / 2
        self._curved = {
            network[name].reads[0]
            for name, op in network.activations.items()
            if not isinstance(op, Relu)
        }
        self._reach: dict[str, Tensor] = {}
        self._settled: tuple[Tensor, ...] = ()
        self._ancestors: dict[str, tuple[Node, ...]] = {}

    def up_to(self, name: str) -> Propagator:
        """The same for the part of the network that ends in a node; the maps are shared."""
        part = copy.copy(self)
        part.network = self.network.up_to(name)
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
        """Bounds of an affine node by intervals, from those of the nodes that it reads."""
        bias = self.bias[name]
        low, high, size = bias, bias, bias.abs()
        for one, sizes, (under, over) in zip(self.maps[name], self.sizes[name], spans, strict=True):
            center, spread = one((under + over) / 2), sizes((over - under) / 2)
            low, high = low + center - spread, high + center + spread
            size = size + sizes(torch.maximum(under.abs(), over.abs()))
        return low - self.unit * size, high + self.unit * size

    def settle_as(self, other: Propagator) -> None:
        """Measure rounding by the magnitudes that another propagator was settled with."""
        self._reach = {name: size.to(self.dtype) for name, size in other._reach.items()}
        self._settled = tuple(end.to(self.dtype) for end in other._settled)

    def settle(self, spans: Spans) -> None:
        """Fix the magnitudes that rounding is measured by: those of these bounds of every node.

        All rooms that are passed later must lie within those of these spans; `crown` sees to that.
        """
        low, high = spans[self.network.input]
        self._settled = low.amin(0), high.amax(0)
        for node in self.network.nodes:
            if isinstance(node.op, Affine):
                total = self.bias[node.name].abs()
                for sizes, name in zip(self.sizes[node.name], node.reads, strict=True):
                    low, high = spans[name]
                    total = total + sizes(torch.maximum(low.abs(), high.abs()).amax(0))
                self._reach[node.name] = total
            elif isinstance(node.op, Elementwise):
                self._reach[node.name] = self._reach_of(node.reads[0], spans) + node.op.intercept
            else:
                low, high = spans[node.name]
                self._reach[node.name] = torch.maximum(low.abs(), high.abs()).amax(0)

    def weighing_errs(
        self,
        weight: Float[Tensor, "b k"],
        rows: Float[Tensor, "*b k m"],
        sides: Float[Tensor, "*b k"],
    ) -> Float[Tensor, " b"]:
        """By how much rounding may change rows and sides of the output that are weighted and added.

        Rows and sides may be the same for all of the batch.
        """
        sizes = rows.abs() @ self._reach[self.network.output] + sides.abs()
        return self.unit * (weight * sizes).sum(-1)

    def _settle_for(self, rooms: Rooms) -> None:
        """Settle anew, unless all of these rooms lie within those that were settled for."""
        if self._settled:
            (low, high), (least, most) = rooms.span(), self._settled
            if bool((low >= least).all()) and bool((high <= most).all()):
                return
        self.settle(self.interval(rooms))

    def _reach_of(self, name: str, spans: Spans) -> Tensor:
        low, high = spans[name]
        return torch.maximum(low.abs(), high.abs()).amax(0)

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
            rows: ``(b, k, m)``.
            rooms: ``b`` sets, or one.
            lines: of every rectifier before the node.
            slopes: of lower lines, ``(b or 1, k or 1, m)``, where not those of ``lines``.
            charges: by name of a rectifier, ``-s beta`` of each of its neurons, ``(b, k or 1, m)``.
            keep: whether to keep the coefficients, for `gradient`.
        """
        carried: dict[str, Tensor] = {start: rows}
        total = rows.new_zeros(rows.shape[:2])
        size = rows.new_zeros(rows.shape[:2])
        through: dict[str, Tensor] = {}
        x, slope = None, None
        for node in reversed(self.network.nodes):
            here = carried.pop(node.name, None)
            if here is None:
                continue
            match node.op:
                case Input():
                    x, slope = rooms.minimiser(here), here
                    total = total + (here * x).sum(-1)
                    size = size + here.abs() @ self._reach[node.name]
                    continue
                case Affine():
                    size = size + here.abs() @ self._reach[node.name]
                    total = total + here @ self.bias[node.name]
                    passed = [one.pull_back(here) for one in self.maps[node.name]]
                case Elementwise():
                    line = lines[node.name]
                    alpha = line.alpha[:, None]
                    if slopes is not None and node.name in slopes:
                        alpha = slopes[node.name]
                    plus = here.clamp(min=0)
                    minus = here - plus
                    size = size + (plus - minus) @ self._reach[node.name]
                    total = total + (minus * line.intercept[:, None]).sum(-1)
                    if line.floor is not None:
                        total = total + (plus * line.floor[:, None]).sum(-1)
                    passed = [plus * alpha + minus * line.slope[:, None]]
                    if charges is not None and node.name in charges:
                        passed[0] = passed[0] + charges[node.name]
                    if keep:
                        through[node.name] = here
            for name, part in zip(node.reads, passed, strict=True):
                carried[name] = carried[name] + part if name in carried else part
        if x is None or slope is None:
            x = rooms.span()[0][:, None].expand(*rows.shape[:2], -1)
            slope = torch.zeros_like(x)
        return Passed(start, believed(total - self.unit * size), x, slope, through)

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

    def combined(
        self, passed: Passed, bound: Float[Tensor, "b k"], chosen: Tensor, rooms: Rooms
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, "b c"]]:
        r"""What the linear bounds of some rows prove together: that one of them is positive.

        .. math:: \max_{\lambda \ge 0, \sum \lambda = 1} \min_x \sum_i \lambda_i (s_i^\top x + c_i)

        The weights are looked for by exponentiated gradients; any weights are valid.

        Args:
            passed: a backward pass of all rows.
            bound: of each row, constants that were added after the pass included.
            chosen: the rows.
            rooms: that were passed.

        Returns:
            The bound, and the weights of the rows that prove it.
        """
        slope, least = passed.slope[:, chosen], bound[:, chosen]
        constant = least - (slope * passed.x[:, chosen]).sum(-1)
        size = constant.abs() + slope.abs() @ self._reach[self.network.input]
        best, first = least.max(1)
        weights = torch.nn.functional.one_hot(first, least.shape[1]).to(least.dtype)
        scale = (least.amax(1) - least.amin(1)).clamp(min=1e-12)[:, None]
        logits = torch.zeros_like(least)
        for step in range(COMBINING):
            weight = torch.softmax(logits, 1)
            together = (weight[..., None] * slope).sum(1, keepdim=True)
            x = rooms.minimiser(together)
            value = (together * x).sum((1, 2)) + (weight * constant).sum(1)
            value = believed(value - self.unit * (weight * size).sum(1))
            weights = torch.where((value > best)[:, None], weight, weights)
            best = torch.maximum(best, value)
            rise = (slope * x).sum(-1) + constant
            logits = logits + (4 / (1 + step) ** 0.5) * rise / scale
        return best, weights

    def steepness(
        self, rows: Float[Tensor, "b k m"], lines: Mapping[str, Lines]
    ) -> Float[Tensor, "b k n"]:
        """How steep ``rows·output`` is along every input, at most, whatever open phases are.

        Not rounded outwards: it ranks inputs and proves nothing. Wang et al., *Formal security
        analysis of neural networks using symbolic intervals*, 2018, section 4.2.
        """
        carried = {self.network.output: (rows, torch.zeros_like(rows))}
        for node in reversed(self.network.nodes):
            here = carried.pop(node.name, None)
            if here is None:
                continue
            center, radius = here
            match node.op:
                case Input():
                    return center.abs() + radius
                case Affine():
                    passed = [
                        (one.pull_back(center), sizes.pull_back(radius))
                        for one, sizes in zip(
                            self.maps[node.name], self.sizes[node.name], strict=True
                        )
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
        return rows.new_zeros(*rows.shape[:2], self.network.input_size)

    def crown(self, rooms: Rooms, *, at_once: int = 2**22, output: bool = True) -> dict[str, Span]:
        """Bounds of every node, each from those before it.

        By intervals and, where they leave a phase open, by CROWN.

        Args:
            rooms: ``b`` sets of inputs.
            at_once: how many coefficients of one node are carried at a time.
            output: whether the output is bounded by more than intervals.
        """
        self._settle_for(rooms)
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
                    if not exact and (output or not is_output):
                        span = self.tightened(node.name, rooms, lines, span, at_once)
                    spans[node.name] = span
                case Elementwise():
                    lines[node.name] = Lines.of(spans[node.reads[0]], node.op)
                    spans[node.name] = passed_on(node.op, spans[node.reads[0]])
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
            both = torch.cat([rows, -rows]).expand(batch, -1, -1)
            bound = self.backward(name, both, rooms, lines).bound
            low[:, some] = torch.maximum(low[:, some], bound[:, : len(some)])
            high[:, some] = torch.minimum(high[:, some], -bound[:, len(some) :])
        return torch.minimum(low, high), torch.maximum(low, high)
