"""Verification, and nearest inputs, against the truth on tiny networks that branch."""

from __future__ import annotations

import os

import numpy as np
import pytest

from dualbound import Box, Targeted, nearest
from dualbound.bounds import crown
from dualbound.criterion import Case, OutputSet, Polyhedron, Property
from dualbound.limits import Limits
from dualbound.queries.verify import Outcome, verify
from dualbound.region import L1Ball
from dualbound.search import Bab, Engine, Milp
from tiny_graphs import Around, TinyGraph, depth, distance, random_graph

COUNT = int(os.environ.get("DUALBOUND_GRAPHS", "40"))
"""Networks of each test; 300 were run when this was written."""


CLEAR, CLOSE = 1e-4, 1e-7
"""A slack above the first must be found, one below minus the second must be refuted."""


def a_question(seed: int) -> tuple[TinyGraph, Around, list[tuple[np.ndarray, np.ndarray]]]:
    """A network, inputs, and one to three polyhedra whose depths are near 0."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    n = graph.inputs
    center = rng.uniform(0.2, 0.8, n).round(2)
    width = rng.uniform(0.05, 0.8, n)
    radius = float(rng.uniform(0.1, 1.0)) if seed % 4 == 3 else np.inf
    around = Around(np.maximum(center - width, -1), center + width, center, radius)
    outputs = graph.nodes[-1].size
    sets = []
    for _ in range(int(rng.integers(1, 4))):
        a = rng.normal(size=(int(rng.integers(1, 3)), outputs)).round(1)
        deepest = depth(graph, around, a, np.zeros(len(a)))
        sets.append((a, np.full(len(a), deepest + rng.choice([-0.3, -0.02, 0.02, 0.3]))))
    return graph, around, sets


def truth(graph: TinyGraph, around: Around, sets: list[tuple[np.ndarray, np.ndarray]]) -> float:
    return max(depth(graph, around, a, b) for a, b in sets)


@pytest.mark.parametrize("seed", range(COUNT))
@pytest.mark.parametrize("branching", ["phases", "inputs"])
def test_verify_is_right(seed: int, branching: str) -> None:
    graph, around, sets = a_question(seed)
    region = Box(around.lower, around.upper)
    if np.isfinite(around.radius):
        if branching == "inputs":
            pytest.skip("only boxes are halved")
        region = L1Ball(around.center, around.radius, region)
    criterion = OutputSet([Polyhedron(a, b) for a, b in sets])
    network = graph.network
    asked = Property((Case(region, criterion),), network.input_size, network.output_size)
    answer = verify(network, asked, engine=Bab(branching=branching), limits=Limits(seconds=20))
    deepest = truth(graph, around, sets)
    if answer.outcome is Outcome.HOLDS:
        assert deepest <= CLOSE
    if answer.outcome is Outcome.VIOLATED:
        assert answer.witness is not None
        assert deepest >= -CLOSE
        x = answer.witness.x.reshape(-1)
        assert region.violation(x[None])[0] == 0.0
        assert any(np.all(a @ graph(x) - b >= -1e-9) for a, b in sets)
    assert answer.bound >= deepest - CLOSE or answer.outcome is Outcome.HOLDS
    if deepest > CLEAR:
        assert answer.outcome is Outcome.VIOLATED
    if deepest < -CLEAR:
        assert answer.outcome is Outcome.HOLDS


@pytest.mark.parametrize("seed", range(COUNT // 2))
@pytest.mark.parametrize("norm", ["l1", "linf"])
@pytest.mark.parametrize("engine", [Milp(), Bab()], ids=str)
def test_nearest_is_right_on_networks_that_branch(seed: int, norm: str, engine: Engine) -> None:
    graph, around, _ = a_question(seed)
    network, box = graph.network, Box(around.lower, around.upper)
    label = int(np.argmax(network(around.center)))
    target = (label + 1) % network.output_size
    others = [j for j in range(network.output_size) if j != target]
    a = np.eye(network.output_size)[target] - np.eye(network.output_size)[others]
    margin = 0.05
    whole = Around(around.lower, around.upper, around.center)
    nearest_distance = distance(graph, whole, a, np.full(len(a), margin), norm)
    found = nearest(
        network,
        around.center,
        Targeted(target, margin=margin),
        norm=norm,
        region=box,
        gap=1e-6,
        engine=engine,
        limits=Limits(seconds=30),
    )
    if np.isinf(nearest_distance):
        assert found.value is None
        assert found.status.name == "INFEASIBLE"
    else:
        assert found.value == pytest.approx(nearest_distance, abs=2e-6)
        assert found.bound <= nearest_distance + 1e-6


@pytest.mark.parametrize("seed", range(COUNT))
def test_every_bound_holds_every_value(seed: int) -> None:
    import torch

    from dualbound.bounds.batched import Propagator, alpha_crown, rooms_of
    from dualbound.search.bab.refining import refined

    graph, around, _ = a_question(seed)
    network, region = graph.network, Box(around.lower, around.upper)
    if np.isfinite(around.radius):
        region = L1Ball(around.center, around.radius, region)
    points = region.sample(np.random.default_rng(seed), 500)
    values = network.values(points)
    for k, x in enumerate(points[:20]):
        np.testing.assert_allclose(values[network.output][k], graph(x), atol=1e-12)
    crown(network, region).check(network, points)
    exact, fast = Propagator(network), Propagator(network, dtype=torch.float32)
    rooms = rooms_of(region)
    plain = exact.crown(rooms)
    fast.rounding.settle_as(exact.rounding)
    better = alpha_crown(exact, rooms, known=plain, steps=10, fast=fast)
    from dualbound.limits import Clock

    best = refined(region, rooms, better, exact=exact, fast=fast, leaves=8, clock=Clock())
    single = fast.crown(rooms_of(region, dtype=torch.float32))
    for spans in (plain, better, best, single):
        for name, (low, high) in spans.items():
            slack = 1e-9 if low.dtype == torch.float64 else 1e-5
            assert np.all(values[name] >= low.numpy() - slack)
            assert np.all(values[name] <= high.numpy() + slack)
    for name in network.pre_activations:
        assert np.all(
            (best[name][1] - best[name][0] <= plain[name][1] - plain[name][0] + 1e-9).numpy()
        )
