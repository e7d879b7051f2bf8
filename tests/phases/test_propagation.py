"""The compiled arithmetic against the slow twin, brute force and sampled points."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import scipy.sparse as sp

from dualbound import Box, L0Ball, L1Ball, L2Ball, Network
from dualbound.bounds import crown
from dualbound.errors import InvalidInput
from dualbound.limits import Clock
from dualbound.network import Affine, Input, Node, Relu
from dualbound.network.linear import Sparse
from dualbound.phases import chain_of, propagation, reference_of, room_of
from dualbound.phases.relaxation import Multipliers, Relaxation
from dualbound.phases.tree import PhaseTree
from dualbound.region import Region
from phases.random_chains import Case, triangle_optimum, true_maximum


@pytest.mark.parametrize("seed", range(200))
def test_the_support_function_is_that_of_the_region(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    box = Box(-rng.uniform(0, 1, n) * (rng.random(n) < 0.7), rng.uniform(0, 1, n))
    budget, weights = float(rng.choice([0.0, 0.3, 2.0, 100.0])), rng.uniform(0.5, 2, n)
    region: Region = box
    if seed % 5:
        kind = (L0Ball, L1Ball, L2Ball)[seed % 3]
        region = kind(np.zeros(n), budget, box, weights if seed % 2 else None)
    direction = rng.normal(size=n) * (rng.random(n) < 0.8)
    if seed % 7 == 0:
        direction = np.round(direction)  # ties
    room = room_of(region, np.zeros(n))
    found = propagation.support(direction, room, np.zeros(n), np.zeros(n))
    assert found == pytest.approx(float(region.support(direction[None])[0]), abs=1e-11, rel=1e-11)


@pytest.mark.parametrize("seed", range(40))
def test_propagation_is_crown(seed: int) -> None:
    case = Case(seed)
    slow = crown(case.network, case.region)
    names = [relu.reads[0] for relu in case.network.relus]
    low = np.concatenate([slow.lower[name] for name in names])
    high = np.concatenate([slow.upper[name] for name in names])
    open_ = (low < 0) & (high > 0)
    np.testing.assert_allclose(case.low[open_], low[open_], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(case.high[open_], high[open_], rtol=1e-9, atol=1e-9)
    assert np.array_equal(open_, (case.low < 0) & (case.high > 0))
    neurons, goals = case.points()
    assert np.all(neurons >= case.low)
    assert np.all(neurons <= case.high)
    bound = propagation.goal_bound(case.chain, case.room, case.low, case.high, case.work)
    assert goals.max() <= bound


@pytest.mark.parametrize("seed", range(60))
def test_any_multipliers_give_a_valid_bound(seed: int) -> None:
    case = Case(seed)
    neurons, goals = case.points()
    for scale in (0.0, 0.1, 1.0, 1e6):
        rho = case.rng.dirichlet(np.ones(2))
        pi = scale * case.rng.normal(size=case.chain.hidden)
        assert goals.max() <= case.lagrangian(rho, pi, 0.0, -1, 0.0)
        least = float(np.quantile(goals, 0.7))
        at, sign = int(case.rng.integers(case.chain.hidden)), case.rng.choice([-1.0, 1.0])
        bound = case.lagrangian(scale * rho, pi, least, at, sign)
        assert np.max(sign * neurons[goals >= least, at]) <= bound
        assert case.lagrangian(scale * rho, pi, least, -1, 0.0) >= 0  # the region is not empty


@pytest.mark.parametrize("seed", range(60))
def test_the_relaxation_is_the_linear_program(seed: int) -> None:
    case = Case(seed)
    found = Relaxation(case.chain, case.room, -1e6).solve(case.low, case.high, precision=0.0)
    assert found.most == pytest.approx(triangle_optimum(case), rel=1e-5, abs=1e-5)
    assert case.points()[1].max() <= found.most
    assert found.move is not None
    if not isinstance(case.region, L0Ball):  # of which the room is only the convex hull
        assert float(case.region.violation((case.reference + found.move)[None])[0]) <= 1e-6


@pytest.mark.parametrize("seed", range(40))
def test_tightened_bounds_hold_wherever_the_goals_do_and_below_a_split(seed: int) -> None:
    case = Case(seed)
    neurons, goals = case.points()
    least = float(np.quantile(goals, 0.5))
    low, high, found = case.low.copy(), case.high.copy(), Multipliers.none(case.chain)
    inside = goals >= least
    assert Relaxation(case.chain, case.room, least).tighten(low, high, found)
    assert np.all(low >= case.low)
    assert np.all(high <= case.high)
    assert np.all(neurons[inside] >= low)
    assert np.all(neurons[inside] <= high)
    layer_of = np.repeat(np.arange(len(case.chain.sizes) - 1), case.chain.sizes[:-1])
    for at in np.flatnonzero((low < 0) & (high > 0)):
        for active in (False, True):
            below, above = low.copy(), high.copy()
            (below if active else above)[at] = 0.0
            part = inside & ((neurons[:, at] >= 0) if active else (neurons[:, at] <= 0))
            left = propagation.inherit(
                case.chain, case.room, below, above, found.goals, found.neurons, found.moves,
                least, int(layer_of[at]), np.zeros(len(low)), case.work,
            )  # fmt: skip
            assert left or not part.any()
            if left:
                assert np.all(neurons[part] >= below)
                assert np.all(neurons[part] <= above)


@pytest.mark.parametrize("seed", range(40))
def test_what_moves_contribute_is_kept_with_the_multipliers_and_evaluated_anew(seed: int) -> None:
    case = Case(seed)
    low, high, found = case.low.copy(), case.high.copy(), Multipliers.none(case.chain)
    least = float(np.quantile(case.points()[1], 0.5))
    assert Relaxation(case.chain, case.room, least).tighten(low, high, found)
    smaller = case.room._replace(
        up=case.room.up / 2, down=case.room.down / 2, budget=case.room.budget / 2
    )
    direction = np.zeros(len(case.reference))
    for room in (case.room, smaller):
        anew = found.moves.copy()
        propagation.move_anew(case.chain, room, found.neurons, anew, direction, case.work)
        assert np.all((anew <= found.moves) | np.isclose(anew, found.moves, rtol=1e-12))
        for at, side in np.argwhere(np.isfinite(anew)):
            pi = found.neurons[at, side]
            alone = propagation.moved(case.chain, room, pi, direction, case.work)
            assert anew[at, side] == alone
            if room is case.room:
                assert anew[at, side] == found.moves[at, side]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("seed", range(20))
def test_a_tree_excludes_what_is_not_reached_and_nothing_else(seed: int, threads: int) -> None:
    case = Case(seed)
    reached = float(case.points(20_000)[1].max())
    above = PhaseTree(case.chain, case.room, Clock(), least=reached - 1e-3, threads=threads)
    assert not above.run()
    assert above.most >= reached - 1e-3
    assert not above.excludes(case.room)
    far = PhaseTree(case.chain, case.room, Clock(), least=true_maximum(case) + 1e-6)
    assert far.run()
    assert far.most == -np.inf
    assert far.excludes(case.room)


@pytest.mark.unchecked_shapes
def test_a_stopped_tree_goes_on_where_it_was() -> None:
    most = 0
    for case in (c for c in map(Case, range(40)) if ((c.low < 0) & (c.high > 0)).sum() > 4):
        truth = true_maximum(case)
        tree = PhaseTree(case.chain, case.room, Clock(), least=truth + 1e-9, dives=False)
        rounds = 0
        while not tree.run(nodes=1) and rounds < 100:
            assert truth <= tree.most
            rounds += 1
        assert tree.nodes >= rounds
        most = max(most, rounds)
    assert most > 1


def test_a_tree_does_not_go_on_in_a_larger_room() -> None:
    case = Case(0)
    tree = PhaseTree(case.chain, case.room, Clock())
    tree.shrink(case.room)
    with pytest.raises(ValueError, match="smaller room"):
        tree.shrink(case.room._replace(up=case.room.up + 1))


def test_an_error_in_a_callback_reaches_the_caller() -> None:
    def fail(move: np.ndarray) -> None:
        raise InvalidInput("from the callback")

    case = Case(1)
    tree = PhaseTree(case.chain, case.room, Clock(), least=-1e6, on_point=fail, threads=2)
    with pytest.raises(InvalidInput, match="from the callback"):
        tree.run()


@pytest.mark.parametrize("threads", [1, 2])
def test_nobody_goes_on_after_an_error_of_whoever_watches(threads: int) -> None:
    def fail() -> None:
        raise InvalidInput("from the watcher")

    case = Case(1)
    before = set(threading.enumerate())
    tree = PhaseTree(
        case.chain, case.room, Clock(), least=-1e6, on_node=fail, threads=threads,
        on_point=lambda _: time.sleep(0.2),
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="from the watcher"):
        tree.run()
    assert set(threading.enumerate()) <= before


def test_moves_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidInput, match="from its start"):
        room_of(L1Ball(np.zeros(2), 1.0, Box([-1, -1], [1, 1])), np.ones(2))


def test_bounds_can_be_handed_in() -> None:
    case = Case(2)
    names = [relu.reads[0] for relu in case.network.relus]
    assert sum(case.network[name].size for name in names) == case.chain.hidden
    least = true_maximum(case) - 1e-3
    assert not PhaseTree(case.chain, case.room, Clock(), least=least).run()
    above = case.high + 1.0  # where no value is
    tree = PhaseTree(case.chain, case.room, Clock(), least=least, low=above, high=above + 1.0)
    assert tree.run()
    assert tree.nodes == 0


@pytest.mark.parametrize("seed", range(20))
def test_what_is_halted_ends_at_once_and_proves_nothing_false(seed: int) -> None:
    case = Case(seed)
    neurons, goals = case.points()
    least = float(np.quantile(goals, 0.5))
    low, high, known = case.low.copy(), case.high.copy(), Multipliers.none(case.chain)
    halted = Relaxation(case.chain, case.room, least, halt=np.ones(1, dtype=bool))
    before = halted.solves
    assert halted.tighten(low, high, known)
    assert halted.solves == before
    assert np.isinf(known.moves).all()
    inside = neurons[goals >= least]
    assert np.all(inside >= low)
    assert np.all(inside <= high)
    assert halted.solve(case.low, case.high).most >= goals.max()


def test_a_node_without_open_neurons_takes_its_bound_from_its_neurons() -> None:
    """The relaxation is empty within its tolerances, and no multipliers prove it."""
    weights = [
        [[0.05358995, -1.35559107]],
        [[-228100.841], [-0.334208903], [-2.8295581]],
        [[2.71412115, 0.13364912, 1.74699342]],
        [[1.31964942], [-1.8125957]],
    ]
    biases = [
        [0.0664361], [371618.242, 0.0632962435, -0.327858348], [0.37951747],
        [0.05672125, -0.45698624],
    ]  # fmt: skip
    network = Network.dense([np.array(w) for w in weights], [np.array(b) for b in biases])
    region = Box(np.array([-1.18281, -0.995302]), np.array([1.08305, 0.320076]))
    reference = reference_of(region)
    chain = chain_of(network, region, reference, np.array([[1.0, 0.0]]), np.zeros(1))
    reached = float(network(region.sample(np.random.default_rng(0), 20_000))[:, 0].max())
    room = room_of(region, reference)
    assert PhaseTree(chain, room, Clock(), least=reached * (1 + 1e-4)).run()
    assert not PhaseTree(chain, room, Clock(), least=reached * (1 - 1e-9)).run()


def test_maps_whose_product_cancels_are_charged_for_their_parts() -> None:
    """Two affine maps in a row that are kept apart, of whose sums almost nothing is left."""
    first = Affine(Sparse(sp.csr_array(np.full((2, 8), 1e8))), np.zeros(2))
    second = Affine(Sparse(sp.csr_array(np.tile([1.0, -1.0 + 1e-9], (8, 1)))), np.zeros(8))
    nodes = (
        Node("x", Input(), (), 8),
        Node("a", first, ("x",), 2),
        Node("b", second, ("a",), 8),
        Node("r", Relu(), ("b",), 8),
        Node("y", Affine(np.eye(8), np.zeros(8)), ("r",), 8),
    )
    network, region = Network(nodes, (8,), "y"), Box(-np.ones(8), np.ones(8))
    assert network["b"].reads == ("a",)
    chain = chain_of(network, region, np.zeros(8), np.eye(8), np.zeros(8))
    assert chain is not None
    assert np.abs(chain.first).max() < 1.0
    assert chain.magnitudes[:8].min() >= 8 * 1e8
