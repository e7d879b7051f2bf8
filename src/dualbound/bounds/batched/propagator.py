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
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dualbound.bounds.batched.lines import Lines
from dualbound.bounds.batched.rooms import Boxes, Rooms, Span, Spans, products
from dualbound.network.elementwise import Elementwise, Relu
from dualbound.network.graph import Network
from dualbound.network.linear import Convolution, Dense, LinearMap
from dualbound.network.nodes import Affine, Input, Node
from dualbound.network.torch_linear import TORCH, TorchMap, torch_map

COMBINING = 12
"""Steps in which weights of rows are looked for."""

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


def _least_of(one: LinearMap) -> float:
    """The smallest magnitude of an entry that is not 0."""
    match one:
        case Dense(entries):
            return _least(entries)
        case Convolution():
            return _least(one.kernel)
        case _:
            return _least(one.tocsr().data)


def _least(entries: np.ndarray) -> float:
    sizes = np.abs(entries[entries != 0])
    return float(sizes.min()) if sizes.size else np.inf


def _most(span: Span) -> Float[Tensor, " m"]:
    """The largest magnitude of each number in any set."""
    low, high = span
    return torch.maximum(low.abs(), high.abs()).amax(0)


class Propagator:
    r"""A network on a device, ready to be bounded in batches.

    Args:
        network: of affine maps and rectifiers.
        dtype: of all computing. Rounding is accounted for in any, and costs more in ``float32``.
        device: any of torch.

    Attributes:
        charged: what is subtracted for an error of u; 0 in its place charges nothing.
        unit: more than the error of a sum of as many terms as any here has, relative to the sum
            of their magnitudes.

    **Rounding.** With u half of the type's epsilon, n products are added up, in any order, within
    :math:`\gamma_n = n u / (1 - n u)` of the sum of their magnitudes (Higham, *Accuracy and
    stability of numerical algorithms*, 2002, section 3.1). A pass backwards keeps, for all inputs x
    of the rooms and v(x) the exact values of the nodes,

    .. math:: \text{rows} \cdot v_{\text{start}} \ge \text{total} + \sum c_j \cdot v_j - E

    over the nodes j whose coefficients c are carried, as computed. With :math:`R_j \ge |v_j|` it
    adds to E, where *more* is `_more`:

    - at an affine node :math:`W v + b` of m numbers, where a column adds up n products,
      :math:`u |c| \cdot ((n + more) |W| R + (m + more) |b|)`: n + 1 for :math:`c W` with W rounded
      to the type, m + 1 for :math:`c \cdot b`;
    - at the input, of n numbers, :math:`u (n + more) |c| \cdot R`, likewise; what a
      region that is no box supports costs ``unit`` beside;
    - at an activation with q intercepts, :math:`u (q + more)` times the sum of the magnitudes of
      what they add. Intercepts and new coefficients are each off by 5 u of themselves at most: a
      product, and the lines, see `Lines.of`, in another type perhaps. The coefficients are charged
      at the node that they come to, for its charge is at least :math:`u\, more\, |c| \cdot |v|`.
      They are charged here where that is not enough: multipliers or coefficients of other readers
      may cancel them, or another activation takes them (`_kept_apart`).

    *More* holds these 5, an addition for each reader of a node, one to the total for each node, and
    11 to spare. The charge is doubled, which pays for its own rounding and for :math:`1 / (1 - n
    u)` while n u is below 1/16; above that it is infinite. What is below the smallest normal number
    may be off by that number, *tiny*: every product by tiny, times R where it is a coefficient
    (`_lost`), and every weight, bias and intercept, for which R, |b| and, where weights are so
    small, :math:`|W| R` are larger by tiny / u.

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
        self.maps: dict[str, list[TorchMap]] = {}
        self.sizes: dict[str, list[TorchMap]] = {}
        self.bias: dict[str, Tensor] = {}
        self.terms = network.input_size
        self._least: dict[str, float] = {}
        self._forwards: dict[str, int] = {}
        for node in network.nodes:
            if isinstance(node.op, Affine):
                self.maps[node.name] = [torch_map(one, dtype, device) for one in node.op.maps]
                self.sizes[node.name] = [one.magnitude() for one in self.maps[node.name]]
                self.bias[node.name] = self.tensor(node.op.bias)
                self._least[node.name] = min([_least(node.op.bias), *map(_least_of, node.op.maps)])
                row = max((one.terms[0] for one in self.maps[node.name]), default=0)
                self._forwards[node.name] = row + 2 * len(node.reads) + 10
                reads = sum(sum(one.shape) for one in node.op.maps)
                self.terms = max(self.terms, reads)
        info = torch.finfo(dtype)
        self._u, self._tiny = info.eps / 2, info.tiny
        self.unit = self._unit_of(0)
        readers = Counter(name for node in network.nodes for name in node.reads)
        self._more = len(network.nodes) + max(readers.values(), default=0) + 16
        self.charged = 2 * self._u if (self.terms + self._more) * self._u < 1 / 16 else np.inf
        self._bias_errs = {
            name: (bias.numel() + self._more) * (bias.abs() + self._tiny / self._u)
            for name, bias in self.bias.items()
        }
        self._kept_apart = {
            name for name, count in readers.items() if count > 1 or name in network.activations
        }
        self._curved = {
            network[name].reads[0]
            for name, op in network.activations.items()
            if not isinstance(op, Relu)
        }
        self._reach: dict[str, Tensor] = {}
        self._sums: dict[str, Tensor] = {}
        self._errs: dict[str, Tensor] = {}
        self._lost: Tensor | float = 0.0
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
        """Bounds of an affine node by intervals, from those of the nodes that it reads.

        Rounding is charged as `Propagator` says, for the sum of a row: ``n`` products, two sums for
        each part and some. What may be lost below the smallest normal number is charged where a
        product can be so small.
        """
        bias, tiny = self.bias[name], self._tiny
        low, high, size = bias, bias, bias.abs()
        faint = self._least[name] < tiny
        lost: Tensor | float = 4 * tiny if faint else 0.0
        for one, sizes, (under, over) in zip(self.maps[name], self.sizes[name], spans, strict=True):
            most = torch.maximum(under.abs(), over.abs())
            center = one((under + over) / 2)
            spread, reach = sizes(torch.stack([(over - under) / 2, most]))
            low, high = low + center - spread, high + center + spread
            size = size + reach
            least = float(torch.where(most > 0, most, torch.inf).amin())
            if faint or min(self._least[name], 1.0) * least * self._u < tiny:
                ones = sizes(torch.ones_like(most[:1]))
                lost = lost + 4 * tiny * (one.terms[0] + most.sum(1, keepdim=True) + ones)
        terms = self._forwards[name]
        charged = min(self.charged, 2 * self._u) if terms * self._u < 1 / 16 else np.inf
        charge = charged * terms * size + lost
        return low - charge, high + charge

    def settle_as(self, other: Propagator) -> None:
        """Measure rounding by the magnitudes that another propagator was settled with."""
        self._begin(other._settled if other.dtype == self.dtype else ())
        for node in self.network.nodes:
            if node.name in other._reach:
                self._measure(node.name, other._reach[node.name].to(self.dtype))
                self._settle(node)

    def settle(self, spans: Spans) -> None:
        """Fix the magnitudes that rounding is measured by: those of these bounds of every node.

        They may be any that hold, CROWN's too: only values at inputs of the rooms count, whatever
        lines a pass is given. All rooms that are passed later must lie within those of these spans;
        `crown` sees to that.
        """
        self._begin(spans[self.network.input])
        for node in self.network.nodes:
            self._measure(node.name, _most(spans[node.name]))
            self._settle(node)

    def unsettle(self) -> None:
        """Forget all magnitudes: the next `crown` measures anew."""
        self._begin(())

    def _begin(self, rooms: tuple[Tensor, ...]) -> None:
        """Forget what was settled, for other rooms."""
        self._settled = rooms
        self._reach, self._sums, self._errs, self._lost = {}, {}, {}, 0.0

    def _measure(self, name: str, most: Float[Tensor, " m"]) -> None:
        """Fix the magnitudes of a node; a little is added for what is below normal numbers."""
        self._reach[name] = most + 4 * self._tiny / self._u
        self._sums[name] = self._reach[name].sum()

    def _settle(self, node: Node) -> None:
        """Fix what a node is charged, by the magnitudes of those that it reads."""
        match node.op:
            case Input():
                lost: Tensor | float = node.size
                self._errs[node.name] = (node.size + self._more) * self._reach[node.name]
            case Affine():
                lost, total = node.size, self._bias_errs[node.name]
                for sizes, name in zip(self.sizes[node.name], node.reads, strict=True):
                    terms = sizes.terms[1]
                    here = sizes(self._reach[name][None])[0]
                    if self._least[node.name] < self._tiny:
                        here = here + self._tiny / self._u * self._sums[name]
                    total = total + (terms + self._more) * here
                    lost = lost + terms * self._sums[name]
                self._errs[node.name] = total
            case Elementwise():
                lost = node.size + self._sums[node.reads[0]]
        self._lost = self._lost + 4 * self._tiny * lost

    def _unit_of(self, count: int) -> float:
        """As ``unit``, for sums of so many terms too."""
        return 4 * (max(self.terms, count) + 16) * self._u

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
        return self._unit_of(weight.shape[1]) * (weight * sizes).sum(-1)

    def _holds_for(self, rooms: Rooms) -> bool:
        """Whether what was settled holds for these rooms: each lies in one that was settled for."""
        if not self._settled:
            return False
        (low, high), (least, most) = rooms.span(), self._settled
        if len(least) not in (1, len(low)):
            return False
        return bool((low >= least).all()) and bool((high <= most).all())

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
        carried: dict[str, Tensor] = {start: rows}
        total = rows.new_zeros(1, 1)
        size = rows.new_zeros(1, 1)
        through: dict[str, Tensor] = {}
        slope = None
        if isinstance(self.network[start].op, Elementwise):
            size = size + self._more * (rows.abs() @ self._reach[start])
        for node in reversed(self.network.nodes):
            here = carried.pop(node.name, None)
            if here is None:
                continue
            match node.op:
                case Input():
                    slope = here
                    size = size + here.abs() @ self._errs[node.name]
                    total = total + rooms.minimum(here)
                    if not isinstance(rooms, Boxes):
                        more = self.unit / (2 * self._u)
                        size = size + more * (here.abs() @ self._reach[node.name])
                    continue
                case Affine():
                    size = size + here.abs() @ self._errs[node.name]
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
                        size = torch.sub(size, added, alpha=line.most_open + self._more)
                    else:
                        added = added + products(plus, line.floor)
                        sizes = products(here.abs(), line.intercept.abs() + line.floor.abs())
                        size = size + (2 * node.size + self._more) * sizes
                    total = total + added
                    part = plus * alpha
                    if len(part) < len(line.slope):
                        part = part.expand(len(line.slope), -1, -1).clone()
                    part.addcmul_(minus, line.slope[:, None])
                    if node.reads[0] in self._kept_apart:
                        size = size + self._more * (part.abs() @ self._reach[node.reads[0]])
                    if charges is not None and node.name in charges:
                        charge = charges[node.name]
                        size = size + self._more * (charge.abs() @ self._reach[node.reads[0]])
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
        bound = believed(total - (self.charged * size + self._lost))
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
        unit = self._unit_of(least.shape[1])
        best, first = least.max(1)
        weights = torch.nn.functional.one_hot(first, least.shape[1]).to(least.dtype)
        scale = (least.amax(1) - least.amin(1)).clamp(min=1e-12)[:, None]
        logits = torch.zeros_like(least)
        for step in range(COMBINING):
            weight = torch.softmax(logits, 1)
            together = (weight[..., None] * slope).sum(1, keepdim=True)
            x = rooms.minimiser(together)
            value = (together * x).sum((1, 2)) + (weight * constant).sum(1)
            value = believed(value - unit * (weight * size).sum(1))
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

    def crown(
        self, rooms: Rooms, *, at_once: int | None = None, output: bool = True
    ) -> dict[str, Span]:
        """Bounds of every node, each from those before it.

        By intervals and, where they leave a phase open, by CROWN. Unless these rooms lie within
        those that were settled for, it settles for them as it goes: a pass asks for the magnitudes
        of nodes before the one that it starts from, whose bounds are there.

        Args:
            rooms: ``b`` sets of inputs.
            at_once: how many coefficients of one node are carried at a time; by the device when
                not given.
            output: whether the output is bounded by more than intervals.
        """
        if at_once is None:
            is_cpu = torch.device(self.device).type == "cpu"
            at_once = AT_ONCE if is_cpu else AT_ONCE_ELSEWHERE
        settles = not self._holds_for(rooms)
        if settles:
            self._begin(rooms.span())
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
                        self._settle(node)
                    if not exact and (output or not is_output):
                        span = self.tightened(node.name, rooms, lines, span, at_once)
                    spans[node.name] = span
                case Elementwise():
                    lines[node.name] = Lines.of(spans[node.reads[0]], node.op)
                    spans[node.name] = passed_on(node.op, spans[node.reads[0]])
            if settles:
                self._measure(node.name, _most(spans[node.name]))
                if not isinstance(node.op, Affine):
                    self._settle(node)
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
