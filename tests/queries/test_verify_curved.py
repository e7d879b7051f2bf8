"""Verification of networks with sigmoids and signs, against what a grid of inputs shows."""

from __future__ import annotations

import numpy as np
import pytest

from curved_networks import asked_about, grid, random_curved
from dualbound import (
    Box,
    Milp,
    Neuron,
    Status,
    Targeted,
    Untargeted,
    activate,
    bounds,
    nearest,
    perfect,
)
from dualbound.criterion import Case, OutputSet, Polyhedron, Property
from dualbound.errors import InvalidInput, InvalidModel
from dualbound.limits import Limits
from dualbound.network import Network, Relu, Sigmoid, Sign, pattern_at
from dualbound.network.nodes import Affine, Input, Node
from dualbound.queries.verify import Outcome, robustness, verify
from dualbound.search import Columns
from dualbound.search.bab import Bab


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("branching", ["phases", "inputs"])
@pytest.mark.parametrize("part", [0.9, 1.01, 1.3])
def test_verify_is_right(seed: int, branching: str, part: float) -> None:
    network, box = random_curved(seed)
    seen = network(grid(box))[:, 0]
    side = float(seen.min() + part * (seen.max() - seen.min()))
    asked = Property((Case(box, OutputSet([Polyhedron(np.eye(1), np.array([side]))])),), 2, 1)
    jumps = any(isinstance(op, Sign) for op in network.activations.values())
    clear = not jumps and (part == 0.9 or (part == 1.3 and branching == "inputs"))
    limits = Limits(seconds=10 if clear else 0.5)
    answer = verify(network, asked, engine=Bab(branching=branching), limits=limits)
    if answer.outcome is Outcome.HOLDS:
        assert seen.max() < side
    if answer.outcome is Outcome.VIOLATED:
        assert answer.witness is not None
        assert network(answer.witness.x)[0] >= side
    assert answer.outcome is Outcome.HOLDS or answer.bound >= seen.max() - side
    if jumps:
        return  # it may be constant
    if part == 0.9:
        assert answer.outcome is Outcome.VIOLATED
    if part == 1.3 and branching == "inputs":
        assert answer.outcome is Outcome.HOLDS


def wide(op: Sigmoid | Sign, n: int = 30) -> Network:
    """Many inputs, two layers of the activation, two outputs."""
    rng = np.random.default_rng(5)
    nodes = [Node("x", Input(), (), n)]
    for k, size in enumerate((12, 10)):
        weight = rng.normal(size=(size, nodes[-1].size)) * 6 / np.sqrt(nodes[-1].size)
        nodes.append(Node(f"a{k}", Affine(weight, np.zeros(size)), (nodes[-1].name,), size))
        nodes.append(Node(f"h{k}", op, (f"a{k}",), size))
    weight = rng.normal(size=(2, 10))
    nodes.append(Node("out", Affine(weight, np.zeros(2)), (nodes[-1].name,), 2))
    return Network(tuple(nodes), (n,), "out")


@pytest.mark.parametrize(
    ("eps", "outcome"),
    [(0.1, Outcome.HOLDS), (0.22, Outcome.HOLDS), (0.26, Outcome.HOLDS), (0.42, Outcome.VIOLATED)],
)
@pytest.mark.unchecked_shapes
def test_cutting_proves_what_bounds_alone_do_not(eps: float, outcome: Outcome) -> None:
    network = wide(Sigmoid())
    x = np.random.default_rng(1).uniform(0.3, 0.7, 30)
    answer = verify(network, robustness(network, x, eps))
    assert answer.outcome is outcome
    assert (answer.nodes > 0) == (eps in (0.22, 0.26))
    if outcome is Outcome.HOLDS:
        moves = np.random.default_rng(2).choice([-eps, eps], (500, 30))
        assert np.all(network(np.clip(x + moves, 0, 1)).argmax(1) == network(x).argmax())


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.unchecked_shapes
def test_nearest_by_balls(norm: str) -> None:
    network = wide(Sigmoid())
    x = np.random.default_rng(1).uniform(0.3, 0.7, 30)
    target = 1 - int(network(x).argmax())
    answer = nearest(network, x, Targeted(target), norm=norm, limits=Limits(seconds=4))
    assert answer.stats.engine == "bab"
    assert answer.witness is not None
    assert answer.value is not None
    assert network(answer.witness.x.reshape(-1)).argmax() == target
    assert 0.3 * answer.value <= answer.bound <= answer.value
    if norm == "linf":
        assert 0.26 <= answer.value <= 0.43


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.slow
def test_engines_agree_with_a_grid(seed: int) -> None:
    made = asked_about(seed)
    if made is None:
        pytest.skip("constant in the box")
    network, box, x = made
    points, margin = grid(box), 1e-3
    outputs = network(points)
    reached = points[outputs[:, 0] - outputs[:, 1] >= margin]
    assert len(reached)
    seen = np.abs(reached - x).max(1).min()
    for engine in (Bab(), Milp(), Milp(strategy="direct")):
        answer = nearest(
            network,
            x,
            Targeted(0, margin=margin),
            norm="linf",
            region=box,
            engine=engine,
            limits=Limits(seconds=60 if isinstance(engine, Bab) else 1),
        )
        assert answer.bound <= seen + 1e-6
        if answer.value is not None:
            assert answer.bound <= answer.value
        if isinstance(engine, Bab):
            assert answer.status is Status.OPTIMAL


def test_engines_that_need_phases_refuse_it() -> None:
    network = wide(Sigmoid())
    with pytest.raises(InvalidInput, match="columns knows plain chains"):
        nearest(network, np.full(30, 0.5), Targeted(0), engine=Columns())
    with pytest.raises(InvalidModel, match=r"'h0' is a Sigmoid.*rectifiers only"):
        pattern_at(network, np.full(30, 0.5))


def test_a_network_says_what_it_is_made_of() -> None:
    assert repr(wide(Sign())) == "Network(30-12-10-2, 22 Sign)"
    assert not wide(Sign()).is_piecewise_linear
    mixed = Network(
        (Node("x", Input(), (), 2), Node("h", Relu(), ("x",), 2), Node("s", Sigmoid(), ("h",), 2)),
        (2,),
        "s",
    )
    assert repr(mixed) == "Network(2-2-2-2, 2 ReLU, 2 Sigmoid)"


def test_perfect_and_activate_count_the_curve() -> None:
    weight = np.array([[5.49e-07, -6.87e-07], [7.15e-07, -1.052e-06]])
    nodes = (
        Node("x", Input(), (), 2),
        Node("a", Affine(weight, np.zeros(2)), ("x",), 2),
        Node("h", Sign(), ("a",), 2),
        Node("r", Relu(), ("h",), 2),
    )
    network, box = Network(nodes, (2,), "r"), Box([-1, -1], [1, 1])
    assert network(np.array([-1.0, -0.795])).tolist() == [0, 1]
    found = perfect(network, 1, box)
    assert found.bound <= 1e-6  # the loss of that point is 0
    square, box = random_curved(4, (2, 2))
    best = activate(square, Neuron("logits", 0), box, limits=Limits(seconds=5))
    assert best.bound >= square(grid(box)).max() - 1e-9


def test_exact_bounds_of_a_curve_are_refused() -> None:
    network, box = random_curved(0)
    with pytest.raises(InvalidInput, match="plain chains of affine maps and rectifiers"):
        bounds(network, box, method="exact")


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_balls_end_where_nothing_reaches_the_target(norm: str) -> None:
    net = Network.dense([[[1.0, 0.0], [0.0, 1.0]]], [[0.0, 0.0]])
    answer = nearest(net, [0.7, 0.2], Targeted(1, margin=5.0), norm=norm, engine=Bab())
    assert answer.status is Status.INFEASIBLE
    answer = nearest(net, [0.7, 0.2], Targeted(1), norm=norm, engine=Bab(), mask=[False, False])
    assert answer.status is Status.INFEASIBLE


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_balls_prove_of_the_smallest_distances(norm: str) -> None:
    network = wide(Sigmoid())
    x = np.random.default_rng(1).uniform(0.3, 0.7, 30)
    outputs = network(x)
    last = network["out"]
    assert isinstance(last.op, Affine)
    moved = last.op.bias - outputs + np.where(outputs == outputs.max(), 1e-5, 0.0)
    tied = Network(
        (*network.nodes[:-1], Node("out", Affine(last.op.maps, moved), last.reads, 2)), (30,), "out"
    )
    answer = nearest(
        tied, x, Targeted(1 - int(tied(x).argmax()), margin=1e-6), norm=norm, engine=Bab(),
        gap=0.5, limits=Limits(seconds=60),
    )  # fmt: skip
    assert answer.value is not None
    assert answer.value < 1e-3
    assert answer.bound >= 0.5 * answer.value


@pytest.mark.slow
def test_unions_on_curved_networks() -> None:
    network, box = random_curved(4)
    last = network["out"]
    assert isinstance(last.op, Affine)
    weight = np.vstack([last.op.weight, -last.op.weight, 0.5 * last.op.weight])
    three = Network(
        (
            *network.nodes[:-1],
            Node("out", Affine(weight, np.array([0.0, 0.3, 0.1])), last.reads, 3),
        ),
        (2,),
        "out",
    )
    x = (box.lower + box.upper) / 2
    for engine in (Bab(), Milp()):
        answer = nearest(
            three, x, Untargeted(), norm="linf", region=box, engine=engine, limits=Limits(seconds=2)
        )
        points = grid(box)
        other = three(points).argmax(1) != three(x).argmax()
        seen = np.abs(points - x).max(1)[other].min() if other.any() else np.inf
        assert answer.bound <= seen + 1e-9
