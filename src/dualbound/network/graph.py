"""The network: an immutable directed acyclic graph of named nodes, evaluated in float64.

Every node's value is a *flat* vector; reshape and flatten change no number and no order, so they
vanish when a file is read. What is left are affine maps, of one node's value or the sum of
several, and functions of one number, above all the rectifier; affine maps in a row are folded into
one where that is no larger.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from dualbound.errors import InvalidInput, InvalidModel
from dualbound.network.elementwise import Elementwise, Relu
from dualbound.network.folding import folded
from dualbound.network.nodes import Affine, Input, Node, check_sizes


@dataclass(frozen=True)
class Source:
    """Where a network came from: the exact ONNX bytes that replays run on, and what was noted.

    Attributes:
        model: the ONNX file as given (or as written by the exporter, for a torch module).
        path: the file, if there was one.
        notes: what the reader did that the user should know, such as a stripped softmax.
        softmax: whether a softmax at the model's end was left out, so that its own answers are
            probabilities.
    """

    model: bytes = field(repr=False)
    path: Path | None = None
    notes: tuple[str, ...] = ()
    softmax: bool = False

    @cached_property
    def sha256(self) -> str:
        """Hash of the ONNX bytes, for the record in every answer."""
        return hashlib.sha256(self.model).hexdigest()


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network as a graph in topological order, ending in logits.

    Affine maps in a row are folded into one where that is no larger, and nodes that the output does
    not depend on are dropped.

    Attributes:
        nodes: the first is the `Input`; each reads only earlier ones.
        input_shape: as the user sees it, without the batch axis.
        output: the name of the node whose value is the answer.
        source: the file behind it, if any.

    Raises:
        InvalidModel: the graph is not in order, or sizes do not fit, or a weight is not finite.

    >>> net = Network.dense([[[1.0, -1.0]], [[2.0], [-2.0]]], [[0.5], [0.0, 1.0]])
    >>> net
    Network(2-1-2, 1 ReLU)
    >>> net([3.0, 1.0])
    array([ 5., -4.])
    """

    nodes: tuple[Node, ...]
    input_shape: tuple[int, ...]
    output: str
    source: Source | None = None

    def __post_init__(self) -> None:
        seen: dict[str, int] = {}
        for node in self.nodes:
            if node.name in seen:
                raise InvalidModel(f"Two nodes are named {node.name!r}.")
            for name in node.reads:
                if name not in seen:
                    raise InvalidModel(f"Node {node.name!r} reads {name!r}, not one before it.")
            check_sizes(node, [seen[name] for name in node.reads])
            seen[node.name] = node.size
        if not self.nodes or not isinstance(self.nodes[0].op, Input):
            raise InvalidModel("The first node of a network must be its input.")
        if self.nodes[0].size != math.prod(self.input_shape):
            raise InvalidModel(
                f"Input shape {self.input_shape} does not hold {self.nodes[0].size} values."
            )
        if self.output not in seen:
            raise InvalidModel(f"The output {self.output!r} is not a node of the network.")
        object.__setattr__(self, "nodes", folded(self.nodes, self.output))

    @classmethod
    def dense(
        cls,
        weights: Iterable[np.ndarray | list[list[float]]],
        biases: Iterable[np.ndarray | list[float]],
        *,
        input_shape: tuple[int, ...] | None = None,
        final_relu: bool = False,
    ) -> Network:
        """A plain chain of affine maps with a rectifier after each but the last."""
        matrices = [np.array(weight, dtype=float) for weight in weights]
        vectors = [np.array(bias, dtype=float) for bias in biases]
        if not matrices or len(matrices) != len(vectors) or any(w.ndim != 2 for w in matrices):
            raise InvalidModel(
                "A dense network needs at least one weight matrix, and a bias for each: found "
                f"{len(matrices)} of one and {len(vectors)} of the other."
            )
        pairs = list(zip(matrices, vectors, strict=True))
        nodes = [Node("input", Input(), (), pairs[0][0].shape[1])]
        for k, (weight, bias) in enumerate(pairs, start=1):
            nodes.append(Node(f"affine{k}", Affine(weight, bias), (nodes[-1].name,), len(bias)))
            if k < len(pairs) or final_relu:
                nodes.append(Node(f"relu{k}", Relu(), (nodes[-1].name,), len(bias)))
        return cls(tuple(nodes), input_shape or (nodes[0].size,), nodes[-1].name)

    def __repr__(self) -> str:
        hidden = [self[name].size for name in self.activations]
        sizes = "-".join(map(str, [self.input_size, *hidden, self.output_size]))
        neurons: dict[str, int] = {}
        for name, op in self.activations.items():
            kind = "ReLU" if isinstance(op, Relu) else op.operator
            neurons[kind] = neurons.get(kind, 0) + self[name].size
        counts = ", ".join(f"{count} {kind}" for kind, count in neurons.items() if count)
        return f"Network({sizes}, {counts or '0 ReLU'})"

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @property
    def input(self) -> str:
        """The name of the input node."""
        return self.nodes[0].name

    @property
    def input_size(self) -> int:
        """How many numbers the network reads."""
        return self.nodes[0].size

    @property
    def output_size(self) -> int:
        """How many numbers the network answers with."""
        return self[self.output].size

    @property
    def lacks_softmax(self) -> bool:
        """Whether the model behind it ends in a softmax, which the network leaves out."""
        return self.source is not None and self.source.softmax

    @cached_property
    def relus(self) -> tuple[Node, ...]:
        """The rectifier nodes in topological order."""
        return tuple(node for node in self.nodes if isinstance(node.op, Relu))

    @cached_property
    def activations(self) -> dict[str, Elementwise]:
        """The elementwise nodes by name, rectifiers and others, in topological order."""
        return {node.name: node.op for node in self.nodes if isinstance(node.op, Elementwise)}

    @property
    def is_piecewise_linear(self) -> bool:
        """Whether all activations are rectifiers."""
        return len(self.relus) == len(self.activations)

    @cached_property
    def pre_activations(self) -> tuple[str, ...]:
        """The nodes that some activation reads, in topological order."""
        read = {self[name].reads[0] for name in self.activations}
        return tuple(node.name for node in self.nodes if node.name in read)

    def flatten(self, x: ArrayLike) -> Float[np.ndarray, "batch n"]:
        """Inputs as rows of float64, whatever of the accepted shapes they came in.

        Accepted: ``(n,)``, the input shape, and either with a batch axis before it.

        Raises:
            InvalidInput: no numbers, another shape, or a value that is not finite.
        """
        try:
            array = np.asarray(x, dtype=float)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"The input is no array of numbers: {error}.") from error
        n, shape = self.input_size, self.input_shape
        if array.shape not in ((n,), shape) and array.shape[1:] not in ((n,), shape):
            raise InvalidInput(
                f"The input has shape {array.shape} ({array.size} values); the network reads "
                f"{shape} ({n} values), with or without a batch axis before it."
            )
        if not np.all(np.isfinite(array)):
            bad = int(np.argmin(np.isfinite(array.reshape(-1))))
            raise InvalidInput(
                f"The input is not finite: value {array.reshape(-1)[bad]} at flat position {bad}."
            )
        return array.reshape(-1, n)

    def one_input(self, x: ArrayLike) -> Float[np.ndarray, " n"]:
        """A single input, flat, in float64.

        Raises:
            InvalidInput: it does not fit, is not finite, or is a batch.
        """
        rows = self.flatten(x)
        if len(rows) != 1:
            raise InvalidInput(f"Expected one input, found a batch of {len(rows)}.")
        return rows[0]

    def values(self, x: Float[np.ndarray, "batch n"]) -> dict[str, Float[np.ndarray, "batch _"]]:
        """The value of every node at every row of ``x``, in float64."""
        found: dict[str, np.ndarray] = {}
        for node in self.nodes:
            match node.op:
                case Input():
                    found[node.name] = np.asarray(x, dtype=float)
                case Affine(maps, bias):
                    parts = [
                        one.apply(found[name]) for one, name in zip(maps, node.reads, strict=True)
                    ]
                    found[node.name] = sum(parts[1:], start=parts[0]) + bias
                case Elementwise():
                    found[node.name] = node.op(found[node.reads[0]])
        return found

    def __call__(self, x: ArrayLike) -> Float[np.ndarray, "*batch m"]:
        """The outputs at one input, ``(m,)``, or at a batch of them, ``(batch, m)``.

        Raises:
            InvalidInput: ``x`` does not fit, or is so large that float64 cannot hold an output.
        """
        rows = self.flatten(x)
        with np.errstate(over="ignore", invalid="ignore"):
            outputs = self.values(rows)[self.output]
        check_finite(outputs, "in float64")
        single = np.shape(x) in ((self.input_size,), self.input_shape)
        return outputs[0] if single else outputs

    def up_to(self, name: str) -> Network:
        """The part of the network that ends in the node ``name``; no file answers as it does."""
        if name == self.output:
            return self
        return replace(self, output=name, source=None)


def check_finite(outputs: Float[np.ndarray, "*batch m"], where: str) -> None:
    """Refuse outputs that are no numbers: no label follows from them.

    Raises:
        InvalidInput: there is one.
    """
    if not np.all(np.isfinite(outputs)):
        bad = np.argwhere(~np.isfinite(outputs))[0]
        raise InvalidInput(
            f"Output {bad[-1]} of the network is {outputs[tuple(bad)]} {where}: the input, or a "
            "weight, is too large to be computed with. Scale them down."
        )
