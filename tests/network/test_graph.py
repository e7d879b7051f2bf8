"""The graph and what it makes of its nodes."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from dualbound.errors import InvalidModel
from dualbound.network import Affine, Input, Network, Node, Relu
from dualbound.network.linear import Convolution, Dense, Sparse, composed


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
            case Affine() as op:
                value = value @ op.weight.T + op.bias
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


class TestFolding:
    def test_two_dense_maps_are_always_one(self) -> None:
        wide = composed(Dense(np.ones((9, 1))), Dense(np.ones((1, 9))))
        assert isinstance(wide, Dense)
        np.testing.assert_array_equal(wide.matrix, np.ones((9, 9)))

    def test_two_dense_maps_are_two_where_no_memory_would_hold_one(self) -> None:
        narrow, wide = np.ones((1, 2**14)), np.ones((2**14, 1))
        nodes = (
            Node("x", Input(), (), 2**14),
            Node("narrow", Affine(narrow, np.zeros(1)), ("x",), 1),
            Node("wide", Affine(wide, np.zeros(2**14)), ("narrow",), 2**14),
        )
        network = Network(nodes, (2**14,), "wide")
        assert [node.name for node in network.nodes] == ["x", "narrow", "wide"]
        np.testing.assert_array_equal(network(np.ones(2**14)), 2.0**14)

    @pytest.mark.parametrize(
        "before", [Dense(np.ones((4, 3))), Sparse(sp.csr_array(np.ones((4, 3))))]
    )
    def test_a_sparse_map_is_composed_where_that_is_no_larger(self, before) -> None:
        swap = Sparse(sp.csr_array(np.eye(4)[[2, 0, 1, 3]]))
        together = composed(swap, before)
        np.testing.assert_array_equal(together.toarray(), swap.toarray() @ before.toarray())

    def test_a_sparse_map_is_kept_where_its_product_is_larger(self) -> None:
        repeat = Sparse(sp.csr_array(np.ones((200, 1))))
        assert composed(repeat, Dense(np.ones((1, 200)))) is None
        assert composed(Sparse(sp.csr_array(np.ones((3, 1)))), Dense(np.ones((1, 2)))) is None

    def test_a_convolution_is_kept(self) -> None:
        one = Convolution(np.ones((1, 1, 1)), (4,), (1,), (1,), ((0, 0),))
        assert composed(one, Dense(np.eye(4))) is None
        assert composed(Dense(np.eye(4)), one) is None

    def test_terms_that_meet_in_one_node_are_added(self) -> None:
        rng = np.random.default_rng(2)
        a, b, c = rng.normal(size=(3, 2, 2))
        nodes = (
            Node("x", Input(), (), 2),
            Node("a", Affine(a, np.ones(2)), ("x",), 2),
            Node("r", Relu(), ("a",), 2),
            Node("b", Affine(b, np.ones(2)), ("r",), 2),
            Node("y", Affine((Dense(c), Dense(a), Dense(b)), np.zeros(2)), ("b", "r", "a"), 2),
        )
        network = Network(nodes, (2,), "y")
        assert network["y"].reads == ("r", "x")
        x = rng.normal(size=(5, 2))
        z = x @ a.T + 1
        r = np.maximum(z, 0)
        np.testing.assert_allclose(network(x), (r @ b.T + 1) @ c.T + r @ a.T + z @ b.T, rtol=1e-12)
