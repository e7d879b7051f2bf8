"""An operator between affine maps and rectifiers, over a box of inputs, and the truth about it."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx
from handmade_onnx import build, ints, reading, run
from onnx import helper

from dualbound import Box
from dualbound.network import Affine, Network, Relu, read_onnx
from dualbound.network.gradients import pulled_back
from dualbound.network.linear import Convolution
from tiny_graphs import Around, TinyGraph, convolution_matrix, highest

PLANE = 2
"""How many inputs a question has whose operator reads rectified values."""


@dataclass(frozen=True, eq=False)
class Question:
    """A model, and the box of inputs that is asked about.

    Attributes:
        model: an ONNX file that ends in a rectifier with an affine map of two outputs after it.
        box: small, and around an input where that rectifier is about to change its phases.
    """

    model: bytes
    box: Box

    @cached_property
    def network(self) -> Network:
        return read_onnx(self.model)

    @cached_property
    def plain(self) -> TinyGraph:
        """The network with a matrix for every map, those of convolutions filled place by place."""
        graph = TinyGraph(self.network.input_size)
        place = {self.network.input: 0}
        for node in self.network.nodes[1:]:
            match node.op:
                case Affine(maps, bias):
                    read = zip(node.reads, maps, strict=True)
                    parts = [(place[name], one, matrix_of(one)) for name, one in read]
                    place[node.name] = graph.affine(parts, bias)
                case Relu():
                    place[node.name] = graph.relu(place[node.reads[0]])
        assert place[self.network.output] == graph.last
        return graph

    @cached_property
    def greatest(self) -> np.ndarray:
        """The largest value of ``GOALS @ outputs`` over the box, by all activation patterns."""
        box = Around(self.box.lower, self.box.upper, (self.box.lower + self.box.upper) / 2)
        return highest(self.plain, box, GOALS)

    @cached_property
    def points(self) -> np.ndarray:
        """Inputs: random ones, corners, and those that a search for every extreme comes through."""
        rng = np.random.default_rng(0)
        low, high = self.box.lower, self.box.upper
        some = np.vstack([rng.uniform(low, high, (200, low.size)), corners(self.box, rng)])
        climbed = [self._climbed(node.name, some) for node in self.network.nodes[1:]]
        return np.vstack([some, *climbed])

    def _climbed(self, name: str, start: np.ndarray) -> np.ndarray:
        """Where steps along the signs of the gradient lead, for each value of a node and sense."""
        part, width = self.network.up_to(name), self.box.upper - self.box.lower
        senses = np.vstack([np.eye(part.output_size), -np.eye(part.output_size)])
        best = np.argmax(part(start) @ senses.T, axis=0)
        x = start[best]
        values = part.values(x)
        for step in (0.4, 0.2, 0.1, 0.05):
            slope = pulled_back(part, values, senses)
            moved = self.box.project(x + step * width * np.sign(slope))
            better = np.sum((part(moved) - values[name]) * senses, 1) > 0
            x = np.where(better[:, None], moved, x)
            values = part.values(x)
        return x


GOALS = np.array([[1.0, 0.0], [0.0, -1.0]])
"""The first output is made large, the second small."""


def matrix_of(one: object) -> np.ndarray:
    return convolution_matrix(one) if isinstance(one, Convolution) else one.toarray()


def corners(box: Box, rng: np.random.Generator) -> np.ndarray:
    """All of a small box, some of another one."""
    n = box.lower.size
    upper = (
        np.array([*itertools.product([False, True], repeat=n)])
        if n <= 8
        else rng.random((256, n)) < 0.5
    )
    return np.where(upper, box.upper, box.lower)


def about_the_input(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int],
    constants: Mapping[str, np.ndarray],
    opset: int,
) -> Question:
    """The operator, an affine map, a rectifier, an affine map."""
    rng = np.random.default_rng(zlib.crc32(nodes[0].SerializeToString()))
    center = rng.normal(size=math.prod(shape)) * 0.5
    return _asked(nodes, shape, constants, opset, center, rng)


def about_rectified_values(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int],
    constants: Mapping[str, np.ndarray],
    opset: int,
) -> Question:
    """The same of what a rectifier made, of two inputs: some values are open, some are not."""
    rng = np.random.default_rng(zlib.crc32(nodes[0].SerializeToString()) + 1)
    size, center = math.prod(shape), rng.normal(size=PLANE)
    weight = rng.normal(size=(size, PLANE)).astype(np.float32)
    bias = 0.6 * rng.normal(size=size) - weight @ center
    front = [
        helper.make_node("Gemm", ["x", "front.weight", "front.bias"], ["front.z"], transB=1),
        helper.make_node("Relu", ["front.z"], ["front.h"]),
        helper.make_node("Reshape", ["front.h", "front.shape"], ["front"]),
    ]
    given = {
        "front.weight": weight,
        "front.bias": bias.astype(np.float32),
        "front.shape": ints(*shape),
    }
    inner = reading("front", nodes)
    return _asked([*front, *inner], [1, PLANE], {**constants, **given}, opset, center, rng)


def _asked(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int],
    constants: Mapping[str, np.ndarray],
    opset: int,
    center: np.ndarray,
    rng: np.random.Generator,
) -> Question:
    """What these nodes make, with three rectifiers after it whose lines pass near the centre."""
    middle = run(build(nodes, shape, constants, opset=opset), center)
    weight = rng.normal(size=(3, middle.size)) / math.sqrt(middle.size)
    given = {
        "back.shape": ints(1, -1),
        "back.weight": weight.astype(np.float32),
        "back.bias": (0.05 * rng.normal(size=3) - weight @ middle).astype(np.float32),
        "end.weight": rng.normal(size=(2, 3)).astype(np.float32),
        "end.bias": rng.normal(size=2).astype(np.float32),
    }
    back = [
        helper.make_node("Reshape", [nodes[-1].output[0], "back.shape"], ["back"]),
        helper.make_node("Gemm", ["back", "back.weight", "back.bias"], ["back.z"], transB=1),
        helper.make_node("Relu", ["back.z"], ["back.h"]),
        helper.make_node("Gemm", ["back.h", "end.weight", "end.bias"], ["end"], transB=1),
    ]
    radius = rng.uniform(0.2, 0.6, size=center.size)
    model = build([*nodes, *back], shape, {**constants, **given}, opset=opset)
    return Question(model, Box(center - radius, center + radius))
