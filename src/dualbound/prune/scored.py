r"""The scored network: what a network answers at fixed inputs, as a function of its units' shifts.

A unit with score *s* has the value

.. math:: h = \max(Wx + b - (1 - s)\,u,\; 0)

with *u* at least what ``Wx + b`` can be: with score 1 it is what it was, with score 0 it is 0
(ElAraby, Wolf, Carvalho, *Identifying critical neurons in ANN architectures using mixed integer
programming*, 2020). Its bias is lowered by the shift ``(1 - s) u``, in which all is piecewise
linear. So the scored network is one more `Network`, its inputs what each unit lacks, ``1 - s``:
bounds, encodings and solvers take it as any other. (Were its inputs the shifts themselves, a score
would be ``1 - shift / u``, whose coefficient is 1e14 where *u* is but a rounding error.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from dualbound.bounds import Bounds, crown, interval
from dualbound.network import Affine, Elementwise, Input, Network, Node
from dualbound.network.linear import LinearMap, linear_map
from dualbound.prune.units import Layer
from dualbound.region import Box

SHIFTS = "shifts"

SMALL = 2000
"""Networks of more values than this have the shifts of their units from interval arithmetic."""


@dataclass(frozen=True, eq=False)
class Scored:
    """A network at some inputs, as a function of what each unit lacks: 1 less its score.

    Attributes:
        original: the network of the inputs.
        layers: whose units are scored.
        most: the shift of each unit that makes it 0 whatever the others' are, ``(units,)``.
        x: the inputs, flat.
    """

    original: Network
    layers: tuple[Layer, ...]
    most: Float[np.ndarray, " units"]
    x: Float[np.ndarray, "count n"]

    @property
    def count(self) -> int:
        """How many inputs there are."""
        return len(self.x)

    @cached_property
    def network(self) -> Network:
        """From what all units lack, layer after layer, to the outputs at each input in turn."""
        copies = [
            _Copy(self.original, self.layers, row, k, self.most) for k, row in enumerate(self.x)
        ]
        return _joined(copies, self.original, len(self.most))

    @cached_property
    def bounds(self) -> Bounds:
        """Of every node of that network, whatever the scores."""
        return crown(self.network, self.box)

    @property
    def box(self) -> Box:
        """Of what units lack; those that are never active lack nothing, so to say."""
        return Box(np.zeros(len(self.most)), (self.most > 0).astype(float))

    def scores(self, lacking: Float[np.ndarray, " units"]) -> Float[np.ndarray, " units"]:
        """A score for each unit, 0 for one that is never active."""
        return np.where(self.most > 0, 1 - lacking, 0.0)

    def lacking(self, scores: Float[np.ndarray, " units"]) -> Float[np.ndarray, " units"]:
        """The input of the network of these scores."""
        return np.where(self.most > 0, 1 - scores, 0.0)

    def shifts(self, scores: Float[np.ndarray, " units"]) -> Float[np.ndarray, " units"]:
        """What is subtracted from each unit's pre-activation."""
        return (1 - scores) * self.most

    def outputs(self, shifts: Float[np.ndarray, " units"]) -> Float[np.ndarray, "count m"]:
        """What the network answers at every input; all are computed at once."""
        values = dict(self._unscored)
        less = dict(zip((one.name for one in self.layers), self._split(shifts), strict=True))
        for node in self.original.nodes:
            if node.name in values:
                continue
            read = [values[name] for name in node.reads]
            match node.op:
                case Affine(maps, bias):
                    parts = [one.apply(value) for one, value in zip(maps, read, strict=True)]
                    values[node.name] = sum(parts[1:], start=parts[0]) + bias
                case Elementwise():
                    values[node.name] = node.op(read[0] - less.get(node.name, 0.0))
        return values[self.original.output]

    def _split(self, shifts: Float[np.ndarray, " units"]) -> list[np.ndarray]:
        """The shift of every value of each layer."""
        ends = np.cumsum([layer.units for layer in self.layers])
        parts = np.split(shifts, ends[:-1])
        return [np.repeat(one, layer.places) for one, layer in zip(parts, self.layers, strict=True)]

    @cached_property
    def _unscored(self) -> dict[str, np.ndarray]:
        """The values of the nodes that no shift reaches."""
        scored = {layer.name for layer in self.layers}
        values: dict[str, np.ndarray] = {}
        for node in self.original.nodes:
            if node.name in scored or not all(name in values for name in node.reads):
                continue
            part = self.original.up_to(node.name)
            values[node.name] = part.values(self.x)[node.name]
        return values


def scored(
    network: Network,
    layers: Sequence[Layer],
    x: Float[np.ndarray, "count n"],
    most: Float[np.ndarray, " units"] | None = None,
) -> Scored:
    """The scored network of some inputs.

    Args:
        network: any.
        layers: whose units are scored, in their order.
        x: inputs, flat.
        most: the shift of each unit that makes it 0; what these inputs need when not given.
    """
    layers = tuple(layers)
    if most is None:
        most = shifts_to_zero(network, layers, [Box(row, row) for row in x])
    return Scored(network, layers, most, x)


def shifts_to_zero(
    network: Network, layers: Sequence[Layer], boxes: Sequence[Box]
) -> Float[np.ndarray, " units"]:
    """For each unit a shift that makes it 0 at every input of some boxes, whatever the others' are.

    Bounds of a layer follow from those of the layers before it, so it is done layer by layer.
    """
    total = sum(layer.units for layer in layers)
    copy = _Copy(network, layers, None, 0, np.ones(total))
    most = np.zeros(total)
    for layer, start in zip(layers, _starts(layers), strict=True):
        ends = [copy.upper(network[layer.name].reads[0], box, most) for box in boxes]
        highest = np.max(ends, axis=0).reshape(layer.units, layer.places).max(axis=1)
        most[start : start + layer.units] = np.maximum(highest, 0.0)
    return most


def lowered(
    network: Network, layers: Sequence[Layer], shifts: Float[np.ndarray, " units"]
) -> Network:
    """The network of the inputs again, with every unit's bias lowered by its shift."""
    at = dict(zip((layer.name for layer in layers), _starts(layers), strict=True))
    by_pre = {network[layer.name].reads[0]: layer for layer in layers}
    nodes = []
    for node in network.nodes:
        op = node.op
        if node.name in by_pre and isinstance(op, Affine):
            layer = by_pre[node.name]
            start = at[layer.name]
            less = np.repeat(shifts[start : start + layer.units], layer.places)
            node = replace(node, op=Affine(op.maps, op.bias - less))
        nodes.append(node)
    return Network(tuple(nodes), network.input_shape, network.output)


def _starts(layers: Sequence[Layer]) -> list[int]:
    """Where each layer's units begin among all."""
    return [0, *np.cumsum([layer.units for layer in layers])[:-1].tolist()]


class _Copy:
    """A network of shifts at one input; or of an input, followed by the shifts, if none is given.

    Shifts are in the units that are given. Where the input is given, a node is a constant until a
    shift has its say.
    """

    def __init__(
        self,
        network: Network,
        layers: Sequence[Layer],
        x: Float[np.ndarray, " n"] | None,
        index: int,
        unit: Float[np.ndarray, " units"],
    ) -> None:
        total = sum(layer.units for layer in layers)
        self.index, self.unit = index, unit
        self.before = 0 if x is not None else network.input_size
        self.total = self.before + total
        self.nodes: list[Node] = [Node(SHIFTS, Input(), (), self.total)]
        self.constants: dict[str, np.ndarray] = {}
        starts = {
            layer.name: self.before + start
            for layer, start in zip(layers, _starts(layers), strict=True)
        }
        by_name = {layer.name: layer for layer in layers}
        for node in network.nodes:
            match node.op:
                case Input() if x is not None:
                    self.constants[node.name] = x
                case Input():
                    chosen = linear_map(sp.eye_array(node.size, self.total, format="csr"))
                    op = Affine(chosen, np.zeros(node.size))
                    self._add(node.name, op, (SHIFTS,), node.size)
                case Affine(maps, bias):
                    self._affine(node, maps, bias)
                case Elementwise():
                    self._rectified(node, by_name.get(node.name), starts.get(node.name, 0))

    def name(self, node: str) -> str:
        """Of this copy's node."""
        return f"{node} of {self.index}"

    def _add(self, name: str, op: Affine | Elementwise, reads: tuple[str, ...], size: int) -> None:
        self.nodes.append(Node(self.name(name), op, reads, size))

    def _affine(
        self, node: Node, maps: tuple[LinearMap, ...], bias: Float[np.ndarray, " m"]
    ) -> None:
        left = []
        for one, name in zip(maps, node.reads, strict=True):
            if name in self.constants:
                bias = one.apply(self.constants[name][None])[0] + bias
            else:
                left.append((one, self.name(name)))
        if left:
            parts, reads = zip(*left, strict=True)
            self._add(node.name, Affine(parts, bias), reads, node.size)
        else:
            self.constants[node.name] = bias

    def _rectified(self, node: Node, layer: Layer | None, start: int) -> None:
        op, pre = node.op, node.reads[0]
        assert isinstance(op, Elementwise)  # noqa: S101  # the caller has matched it
        if layer is None:
            if pre in self.constants:
                self.constants[node.name] = op(self.constants[pre])
            else:
                self._add(node.name, op, (self.name(pre),), node.size)
            return
        rows = np.arange(node.size)
        columns = start + layer.of_values()
        entries = (-self.unit[columns - self.before], (rows, columns))
        shift = linear_map(sp.csr_array(entries, shape=(node.size, self.total)))
        lowered = f"{pre} shifted for {node.name}"
        if pre in self.constants:
            self._add(lowered, Affine((shift,), self.constants[pre]), (SHIFTS,), node.size)
        else:
            same = linear_map(sp.csr_array(sp.eye_array(node.size, format="csr")))
            maps = (same, shift)
            reads = (self.name(pre), SHIFTS)
            self._add(lowered, Affine(maps, np.zeros(node.size)), reads, node.size)
        self._add(node.name, op, (self.name(lowered),), node.size)

    def upper(
        self, pre: str, box: Box, most: Float[np.ndarray, " units"]
    ) -> Float[np.ndarray, " k"]:
        """The most that a pre-activation can be over a box of inputs, before its own shift."""
        part = Network(tuple(self.nodes), (self.total,), self.name(pre))
        lower = np.concatenate([box.lower, np.zeros(len(most))])
        both = Box(lower, np.concatenate([box.upper, most]))
        method = crown if sum(node.size for node in part.nodes) <= SMALL else interval
        return method(part, both).upper[self.name(pre)]


def _joined(copies: Sequence[_Copy], network: Network, total: int) -> Network:
    """All copies as one network, their outputs one after another."""
    size = network[network.output].size
    nodes = [Node(SHIFTS, Input(), (), total)]
    for copy in copies:
        nodes += copy.nodes[1:]
    rows = np.arange(size)
    placed = tuple(
        linear_map(
            sp.csr_array((np.ones(size), (k * size + rows, rows)), shape=(size * len(copies), size))
        )
        for k in range(len(copies))
    )
    reads = tuple(copy.name(network.output) for copy in copies)
    nodes.append(
        Node("all", Affine(placed, np.zeros(size * len(copies))), reads, size * len(copies))
    )
    return Network(tuple(nodes), (total,), "all")
