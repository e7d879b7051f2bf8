"""A network that is a plain chain, packed into flat arrays for compiled code.

Layer 1 reads the *move* ``d = x - x0`` from a reference point; the last layer holds the linear
functions of the output that a search asks about, its *goals*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dualbound.bounds.layer_bounds import rounding
from dualbound.network.elementwise import Relu
from dualbound.network.graph import Network
from dualbound.network.linear import LinearMap
from dualbound.network.nodes import Affine
from dualbound.region import Region

MOST_WEIGHTS = 2**22
"""A layer with more weights than this, held densely, is not for a search over single neurons."""


class Chain(NamedTuple):
    """Affine maps with a rectifier between any two of them, flat.

    Attributes:
        sizes: neurons of every hidden layer, then the number of goals.
        starts: where each layer begins among all neurons; the goals come last.
        first: weights of layer 1, ``(sizes[0], n)``.
        weights: those of the later layers, row by row, layer by layer.
        offsets: where each layer's weights begin; -1 for layer 1.
        bias: one a neuron, then one a goal.
        magnitudes: of each neuron and goal, the sum of the magnitudes of its terms, at most.
        unit: relative error of sums, see `bounds.layer_bounds.rounding`.
    """

    sizes: np.ndarray
    starts: np.ndarray
    first: np.ndarray
    weights: np.ndarray
    offsets: np.ndarray
    bias: np.ndarray
    magnitudes: np.ndarray
    unit: float

    @classmethod
    def of(
        cls,
        weights: Sequence[Float[np.ndarray, "_ _"]],
        biases: Sequence[Float[np.ndarray, " _"]],
        magnitudes: Sequence[Float[np.ndarray, " _"]],
        unit: float,
    ) -> Chain:
        """Pack the maps of all layers, and then of the goals."""
        sizes = np.array([len(bias) for bias in biases], dtype=np.int64)
        lengths = [weight.size for weight in weights[1:]]
        return cls(
            sizes=sizes,
            starts=np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64),
            first=np.ascontiguousarray(weights[0], dtype=float),
            weights=np.concatenate([np.zeros(0), *(weight.reshape(-1) for weight in weights[1:])]),
            offsets=np.concatenate([[-1], np.cumsum([0, *lengths])[: len(lengths)]]).astype(
                np.int64
            ),
            bias=np.concatenate(biases).astype(float),
            magnitudes=np.concatenate(magnitudes),
            unit=unit,
        )

    @property
    def hidden(self) -> int:
        """How many neurons there are before the goals."""
        return int(self.starts[-1])

    def layer(self, k: int) -> slice:
        """Where layer ``k`` is among all neurons."""
        return slice(int(self.starts[k]), int(self.starts[k] + self.sizes[k]))

    def weight(self, k: int) -> Float[np.ndarray, "m p"]:
        """The weights into layer ``k`` (0 is the first)."""
        if k == 0:
            return self.first
        rows, columns = int(self.sizes[k]), int(self.sizes[k - 1])
        start = int(self.offsets[k])
        return self.weights[start : start + rows * columns].reshape(rows, columns)

    def values(self, move: Float[np.ndarray, " n"]) -> Float[np.ndarray, " h"]:
        """The pre-activations of all neurons at a move."""
        found = [self.first @ move + self.bias[self.layer(0)]]
        for k in range(1, len(self.sizes) - 1):
            found.append(self.weight(k) @ np.maximum(found[-1], 0.0) + self.bias[self.layer(k)])
        return np.concatenate(found)


def chain_of(
    network: Network,
    region: Region,
    reference: Float[np.ndarray, " n"],
    rows: Float[np.ndarray, "k m"],
    sides: Float[np.ndarray, " k"],
) -> Chain | None:
    """Pack a network whose goals are ``rows·output - sides``.

    Args:
        network: any.
        region: in which all rooms lie that the chain is used for.
        reference: a point of it.
        rows: of the goals, ``(k, m)``.
        sides: of the goals, ``(k,)``.

    Returns:
        The chain, or None if the graph branches, or a layer has too many weights. Without a
        rectifier it gets a layer of them that are active everywhere, so there is no kind of chain
        without neurons.
    """
    maps: list[_Map] = []
    pending = True  # whether an affine map is due before the next rectifier
    for before, node in zip(network.nodes, network.nodes[1:], strict=False):
        if node.reads != (before.name,):
            return None
        match node.op:
            case Affine((only,), bias):
                if math.prod(only.shape) > MOST_WEIGHTS:
                    return None
                if pending:
                    maps.append(_Map.of(only.toarray(), bias))
                else:
                    maps.append(maps.pop().then(only, bias))
                pending = False
            case Relu():
                if pending:
                    maps.append(_Map.of(np.eye(node.size), np.zeros(node.size)))
                pending = True
            case _:
                return None
    if network.nodes[-1].name != network.output:
        return None
    if pending:
        maps.append(_Map.of(np.eye(network.output_size), np.zeros(network.output_size)))
    if len(maps) == 1:
        shift = 2 * _magnitudes(maps, region, reference)[0][0]
        back = _Map.of(np.eye(len(shift)), -shift)
        maps = [maps[0]._replace(bias=maps[0].bias + shift, lift=maps[0].lift + shift), back]
    last = maps.pop()
    magnitudes, reach = _magnitudes(maps, region, reference)
    magnitudes.append(np.abs(rows) @ (last.spread @ reach + last.lift) + np.abs(sides))
    maps.append(
        last._replace(
            weight=rows @ last.weight,
            bias=rows @ last.bias - sides,
            terms=last.terms + rows.shape[1],
        )
    )
    biases = [maps[0].bias + maps[0].weight @ reference, *(one.bias for one in maps[1:])]
    # A bound is a sum over all neurons of sums over the inputs of each.
    terms = max(one.terms for one in maps) + 2 * sum(len(bias) for bias in biases)
    return Chain.of([one.weight for one in maps], biases, magnitudes, rounding(terms))


class _Map(NamedTuple):
    """One affine map, perhaps a product of several whose entries cancel.

    Attributes:
        weight: ``(m, n)``.
        bias: ``(m,)``.
        spread: the product of the magnitudes, ``(m, n)``.
        lift: likewise of the biases, ``(m,)``.
        terms: how many a sum has at most, those of the sums that are in it counted too.
    """

    weight: np.ndarray
    bias: np.ndarray
    spread: np.ndarray
    lift: np.ndarray
    terms: int

    @staticmethod
    def of(weight: Float[np.ndarray, "m n"], bias: Float[np.ndarray, " m"]) -> _Map:
        return _Map(weight, bias, np.abs(weight), np.abs(bias), weight.shape[1])

    def then(self, after: LinearMap, bias: Float[np.ndarray, " k"]) -> _Map:
        size = after.magnitude()
        return _Map(
            after.apply(self.weight.T).T,
            after.apply(self.bias[None])[0] + bias,
            size.apply(self.spread.T).T,
            size.apply(self.lift[None])[0] + np.abs(bias),
            self.terms + after.shape[1],
        )


def _magnitudes(
    maps: list[_Map], region: Region, reference: Float[np.ndarray, " n"]
) -> tuple[list[np.ndarray], Float[np.ndarray, " m"]]:
    """The magnitudes of the hidden layers, and what the last one reaches, by intervals."""
    reach = np.abs(reference) + np.maximum(region.upper - reference, reference - region.lower)
    low, high = region.lower, region.upper
    found = []
    for weight, bias, spread, lift, terms in maps:
        size = spread @ reach + lift
        plus, minus = np.maximum(weight, 0.0), np.minimum(weight, 0.0)
        slack = rounding(terms) * size
        low, high = plus @ low + minus @ high + bias, plus @ high + minus @ low + bias
        reach = np.maximum(np.abs(low), np.abs(high)) + slack
        low, high = np.maximum(low - slack, 0.0), np.maximum(high + slack, 0.0)
        found.append(size)
    return found, reach
