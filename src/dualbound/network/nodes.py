"""Nodes of a network: what they do, and to the values of which others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidModel
from dualbound.network.elementwise import Elementwise
from dualbound.network.linear import LinearMap, linear_map


@dataclass(frozen=True)
class Input:
    """The network's input; reads nothing."""


@dataclass(frozen=True, eq=False)
class Affine:
    """``sum of W_k v_k + b`` over the values read, ``W[j, i]`` from column i of one to row j here.

    Args:
        maps: one for each value read, in their order; a matrix or a map stands for a single one.
        bias: ``(m,)``.
    """

    maps: tuple[LinearMap, ...]
    bias: Float[np.ndarray, " m"]

    def __init__(
        self,
        maps: Float[np.ndarray, "m n"] | LinearMap | tuple[LinearMap, ...],
        bias: Float[np.ndarray, " m"],
    ) -> None:
        if isinstance(maps, np.ndarray):
            maps = linear_map(maps)
        object.__setattr__(self, "maps", (maps,) if isinstance(maps, LinearMap) else maps)
        object.__setattr__(self, "bias", bias)

    @cached_property
    def weight(self) -> Float[np.ndarray, "m n"]:
        """The dense matrix of a map of a single value.

        Raises:
            ValueError: it reads several, or the matrix is too large.
        """
        [only] = self.maps
        return only.toarray()

    @cached_property
    def magnitudes(self) -> tuple[LinearMap, ...]:
        """The maps with the magnitudes of their entries."""
        return tuple(one.magnitude() for one in self.maps)

    @property
    def parameters(self) -> int:
        """How many numbers it is made of."""
        return sum(one.parameters for one in self.maps) + self.bias.size

    @property
    def terms(self) -> int:
        """How many products a value is the sum of, at most."""
        return sum(one.shape[1] for one in self.maps)


Op = Input | Affine | Elementwise
"""What a node does; what an elementwise one reads is its pre-activation."""


@dataclass(frozen=True, eq=False)
class Node:
    """A named value of the graph: an operation applied to the nodes it reads.

    Attributes:
        name: unique in its network.
        op: what is done.
        reads: names of the nodes whose values it is done to.
        size: length of the value.
    """

    name: str
    op: Op
    reads: tuple[str, ...]
    size: int


def check_sizes(node: Node, read: list[int]) -> None:
    """Refuse a node that cannot read values of these sizes, or whose weights are not finite.

    Raises:
        InvalidModel: it is one.
    """
    match node.op:
        case Input():
            fits = not read
        case Affine(maps, bias):
            if not (all(one.is_finite() for one in maps) and np.all(np.isfinite(bias))):
                raise InvalidModel(f"Node {node.name!r} has weights that are not finite.")
            shapes = [one.shape for one in maps]
            fits = shapes == [(node.size, size) for size in read] and bias.shape == (node.size,)
            fits = fits and bool(read)
        case Elementwise():
            fits = read == [node.size]
    if not fits:
        raise InvalidModel(f"Node {node.name!r} of size {node.size} cannot read sizes {read}.")
