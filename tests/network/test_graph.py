"""The graph and what it makes of its nodes."""

from __future__ import annotations

import numpy as np
import pytest

from dualbound.errors import InvalidModel
from dualbound.network import Affine, Input, Network, Node, Relu


def three_maps(scale: float = 1.0) -> list[Node]:
    rng = np.random.default_rng(0)

    def affine(m: int, n: int) -> Affine:
        return Affine(scale * rng.normal(size=(m, n)), rng.normal(size=m))

    return [
        Node("x", Input(), (), 3),
        Node("a", affine(4, 3), ("x",), 4),
        Node("r", Relu(), ("a",), 4),
        Node("b", affine(5, 4), ("r",), 5),
        Node("c", affine(4, 5), ("b",), 4),
        Node("s", Relu(), ("c",), 4),
        Node("y", affine(2, 4), ("s",), 2),
    ]


def test_affine_maps_in_a_row_are_one() -> None:
    nodes = three_maps()
    network = Network(tuple(nodes), (3,), "y")
    assert [node.name for node in network.nodes] == ["x", "a", "r", "c", "s", "y"]
    x = np.random.default_rng(1).normal(size=(50, 3))
    value = x
    for node in nodes[1:]:
        match node.op:
            case Affine(weight, bias):
                value = value @ weight.T + bias
            case Relu():
                value = np.maximum(value, 0)
    np.testing.assert_allclose(network(x), value, rtol=1e-12, atol=1e-12)


def test_a_map_that_others_read_too_is_folded_into_each() -> None:
    nodes = [*three_maps(), Node("z", Relu(), ("b",), 5)]
    assert "z" not in [node.name for node in Network(tuple(nodes), (3,), "y").nodes]
    kept = Network(tuple(nodes), (3,), "z")
    assert [node.name for node in kept.nodes] == ["x", "a", "r", "b", "z"]


def test_maps_whose_product_is_too_large() -> None:
    with pytest.raises(InvalidModel, match="'c' has weights that are not finite"):
        Network(tuple(three_maps(scale=1e200)), (3,), "y")
