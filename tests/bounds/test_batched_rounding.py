"""Rounding is charged in full: bounds in floating point beside exact rational arithmetic."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor

from dualbound import Network
from dualbound.bounds.batched import Boxes, Lines, Propagator, ascended, lines_of
from dualbound.network.elementwise import Relu
from dualbound.network.linear import Convolution, Dense, LinearMap, Sparse
from dualbound.network.nodes import Affine, Node
from dualbound.network.torch_linear import torch_map
from tiny_graphs import random_graph

TYPES = (torch.float32, torch.float64)
SPREADS = (0, 3, 8)
"""Weights are of 10 to the power of minus so much to plus so much."""


def scattered(entries: np.ndarray, rng: np.random.Generator, spread: int) -> np.ndarray:
    return entries * 10.0 ** rng.uniform(-spread, spread, entries.shape)


def nasty(one: LinearMap, rng: np.random.Generator, spread: int) -> LinearMap:
    match one:
        case Dense(matrix):
            return Dense(scattered(matrix, rng, spread))
        case Convolution():
            return replace(one, kernel=scattered(one.kernel, rng, spread))
        case _:
            rows = one.tocsr()
            data = scattered(rows.data, rng, spread)
            return Sparse(sp.csr_array((data, rows.indices, rows.indptr), rows.shape))


def nasty_network(rng: np.random.Generator, spread: int) -> tuple[Network, np.ndarray]:
    """A network, and an input at which half of all sums cancel but for rounding."""
    network = random_graph(rng).network
    x = scattered(rng.normal(size=network.input_size), rng, spread)
    values = {network.input: x}
    nodes: list[Node] = []
    for node in network.nodes:
        if isinstance(node.op, Affine):
            maps = tuple(nasty(one, rng, spread) for one in node.op.maps)
            parts = zip(maps, node.reads, strict=True)
            total = sum(one.apply(values[name][None])[0] for one, name in parts)
            cancels = rng.random(node.size) < 0.5
            bias = np.where(cancels, -total, scattered(node.op.bias, rng, spread))
            node = replace(node, op=Affine(maps, bias))
            values[node.name] = total + bias
        elif isinstance(node.op, Relu):
            values[node.name] = np.maximum(values[node.reads[0]], 0.0)
        nodes.append(node)
    return Network(tuple(nodes), network.input_shape, network.output), x


def exactly(network: Network, x: np.ndarray) -> dict[str, list[Fraction]]:
    """The value of every node."""
    values = {network.input: [Fraction(float(v)) for v in x]}
    for node in network.nodes[1:]:
        if isinstance(node.op, Affine):
            found = [Fraction(float(v)) for v in node.op.bias]
            for one, name in zip(node.op.maps, node.reads, strict=True):
                rows, columns = (matrix := one.toarray()).nonzero()
                for i, j in zip(rows, columns, strict=True):
                    found[i] += Fraction(float(matrix[i, j])) * values[name][j]
        else:
            found = [max(v, Fraction(0)) for v in values[node.reads[0]]]
        values[node.name] = found
    return values


def points(low: np.ndarray, high: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Some corners of a box, and some points inside."""
    if (low == high).all():
        return [low]
    ends = itertools.islice(itertools.product(*zip(low, high, strict=True)), 4)
    inside = [np.clip(low + t * (high - low), low, high) for t in rng.random((3, low.size))]
    return [*(np.array(end) for end in ends), *inside]


def weighed(row: Tensor, values: list[Fraction]) -> Fraction:
    return sum((Fraction(float(c)) * v for c, v in zip(row, values, strict=True)), Fraction(0))


def is_below(bound: float, value: Fraction) -> bool:
    return bound == -np.inf or Fraction(bound) <= value


@pytest.mark.unchecked_shapes
@pytest.mark.parametrize("width", [0.0, 1e-6, 0.5])
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("dtype", TYPES)
def test_no_bound_is_above_the_exact_value(dtype: torch.dtype, spread: int, width: float) -> None:
    missed = 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        network, x = nasty_network(rng, spread)
        low, high = x - width * np.abs(x), x + width * np.abs(x)
        p = Propagator(network, dtype=dtype)
        rooms = Boxes(p.tensor(low)[None], p.tensor(high)[None])
        truth = [exactly(network, at) for at in points(low, high, rng)]
        spans = p.crown(rooms)
        for name, (under, over) in [*spans.items(), *p.interval(rooms).items()]:
            if name == network.input:
                continue
            for values in truth:
                for j, value in enumerate(values[name]):
                    assert is_below(float(under[0, j]), value)
                    assert is_below(-float(over[0, j]), -value)
        lines = lines_of(network, spans)
        rows = p.tensor(scattered(rng.normal(size=(1, 3, network.output_size)), rng, spread))
        slopes, charges = {}, {}
        for name, line in lines.items():
            slope = torch.as_tensor(rng.random(line.alpha.shape)).to(dtype)
            slopes[name] = torch.where(line.unstable, slope, line.alpha)[:, None]
            [pre] = network[name].reads
            signs = [
                float(all(v[pre][j] >= 0 for v in truth) - all(v[pre][j] <= 0 for v in truth))
                for j in range(network[name].size)
            ]
            sizes = scattered(rng.random(len(signs)), rng, spread)
            charges[name] = -p.tensor(np.array(signs) * sizes)[None, None]
        for more in ({}, {"slopes": slopes}, {"slopes": slopes, "charges": charges}):
            found = p.backward(network.output, rows, rooms, lines, **more)
            for k, row in enumerate(rows[0]):
                least = min(weighed(row, values[network.output]) for values in truth)
                assert is_below(float(found.bound[0, k]), least)
                missed += not is_below(float(found.value[0, k]), least)
    assert missed or width > 0, "what is not charged is never too large: the test sees nothing"


@pytest.mark.parametrize("seed", range(60))
def test_terms_are_no_fewer_than_products(seed: int) -> None:
    rng = np.random.default_rng(seed)
    window = rng.integers(1, 5, 2)
    kernel = rng.normal(size=(4, 2, *window))
    one = Convolution(
        kernel,
        (7, 6),
        tuple(int(s) for s in rng.integers(1, 5, 2)),
        tuple(int(d) for d in rng.integers(1, 3, 2)),
        ((3, 3), (3, 3)),
        int(rng.integers(1, 3)),
    )
    entries = one.toarray() != 0
    rows, columns = entries.sum(1).max(), entries.sum(0).max()
    row, column = torch_map(one, torch.float64).terms
    assert row >= rows
    assert column >= columns
    for same in (Dense(one.toarray()), Sparse(one.tocsr())):
        row, column = torch_map(same, torch.float64).terms
        assert row >= rows
        assert column >= columns


def test_slopes_are_found_by_values_where_another_pass_proves() -> None:
    rng = np.random.default_rng(3)
    network = Network.dense(
        [rng.normal(size=(8, 3)), rng.normal(size=(8, 8)), rng.normal(size=(1, 8))],
        [rng.normal(size=8), rng.normal(size=8), rng.normal(size=1)],
    )
    p, fast = Propagator(network), Propagator(network, dtype=torch.float32)
    rooms = Boxes(p.tensor([[-0.5] * 3]), p.tensor([[0.5] * 3]))
    lines = lines_of(network, p.crown(rooms))
    fast.rounding.settle_as(p.rounding)
    fast.rounding.charged = 1e9
    rows = p.tensor([[[1.0]]])
    plain = p.backward(network.output, rows, rooms, lines).bound
    assert ascended(p, network.output, rows, rooms, lines, 20, fast=fast) > plain + 0.01


@pytest.mark.parametrize("dtype", TYPES)
def test_upper_lines_are_as_close_as_the_charge_says(dtype: torch.dtype) -> None:
    rng, info = np.random.default_rng(0), torch.finfo(dtype)
    most = 37 if dtype == torch.float32 else 300
    low, high = (
        torch.as_tensor(sign * 10.0 ** rng.uniform(-most, most, (1, 500))).to(dtype)
        for sign in (-1.0, 1.0)
    )
    lines = Lines.of((low, high))
    u, tiny = Fraction(info.eps) / 2, Fraction(info.tiny)
    for j in range(500):
        ends = [Fraction(float(end[0, j])) for end in (low, high)]
        slope, intercept = (Fraction(float(part[0, j])) for part in (lines.slope, lines.intercept))
        for v in (*ends, Fraction(0)):
            err = 4 * u * (slope * abs(v) + intercept) + 4 * tiny
            assert slope * v + intercept >= max(v, Fraction(0)) - err


def test_what_was_settled_for_two_boxes_is_not_believed_between_them() -> None:
    # max(x, 0) - 2 max(x - 5, 0) is small in both boxes and large between them.
    network = Network.dense([[[1.0], [1.0]], [[1.0, -2.0]]], [[0.0, -5.0], [0.0]])
    p = Propagator(network)
    ends = [p.tensor([[0.0], [9.5]]), p.tensor([[0.5], [10.0]])]
    p.crown(Boxes(*ends))
    between = Boxes(p.tensor([[4.0], [5.0]]), p.tensor([[5.0], [6.0]]))
    fresh = Propagator(network).crown(between)[network.output]
    again = p.crown(between)[network.output]
    assert all(torch.equal(*pair) for pair in zip(again, fresh, strict=True))
