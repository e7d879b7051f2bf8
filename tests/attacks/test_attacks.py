"""Attacks: in their region, never nearer than the truth, and rarely empty-handed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brute_force import Case, random_case
from dualbound import Box, L1Ball, Limits, Linearised, Network, Targeted, Untargeted, load
from dualbound.attacks import ascend
from dualbound.attacks.ascent import SlackGradient
from dualbound.data.sample import sample
from dualbound.limits import Clock
from dualbound.patterns import NearestProblem
from dualbound.queries import replayed
from dualbound.queries.nearest import nearest_problem
from dualbound.solvers import Highs
from examples import examples


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@given(seed=st.integers(0, 10_000), steps=st.sampled_from([0, 1, 7]))
@examples(25)
def test_ascent_stays_in_its_region_and_never_gets_worse(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    case = random_case(seed)
    network, n = network_of(case), case.tiny.inputs
    box = Box(case.lower, case.upper)
    for region in (box, L1Ball(case.center, rng.uniform(0, 1), box)):
        starts = rng.normal(size=(5, n)) * 2
        criterion = criterion_of(case)
        found = ascend(network, region, criterion, starts, steps=steps)
        assert found.shape == (5, n)
        assert np.all(region.violation(found) <= 1e-9)
        before = criterion.slack(network(region.project(starts)))
        scale = 1 + np.abs(before)
        assert np.all(criterion.slack(network(found)) >= before - 1e-4 * scale)  # float32


def network_of(case: Case) -> Network:
    tiny = case.tiny
    return Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu)


def criterion_of(case: Case) -> Targeted:
    wish = case.wish
    return Targeted(wish.target, ratio=wish.ratio, margin=wish.margin, floor=wish.floor)


def problem_of(case: Case) -> NearestProblem:
    return nearest_problem(
        network_of(case),
        case.center,
        criterion_of(case),
        norm=case.norm,
        region=Box(case.lower, case.upper),
        cap=case.cap,
        mask=case.mask,
    )


@pytest.mark.slow
@pytest.mark.unchecked_shapes
def test_the_linearised_attack_on_tiny_networks() -> None:
    """Replayed, never nearer than the truth, and within 1e-5 of it nine times in ten."""
    reachable = missed = beaten = 0
    for seed in range(3000, 3040):
        case = random_case(seed)
        problem, truth = problem_of(case), case.distance()
        x = Linearised()(problem, Highs(), Clock())
        if truth == np.inf:
            assert x is None
            continue
        reachable += 1
        if x is None:
            missed += 1
            continue
        witness = replayed(problem, x)
        assert witness.distance >= truth - 1e-7
        beaten += witness.distance > truth * (1 + 1e-5) + 1e-5
    assert reachable >= 20
    assert missed <= 1
    assert beaten <= reachable // 10


def image(k: int) -> np.ndarray:
    return sample().inputs[k].reshape(-1) / 255


# Labels that a careless version does not reach: the pattern at the image leads nowhere near them.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("k", "target"), [(0, 4), (1, 4), (1, 7), (1, 9), (3, 6), (3, 9), (5, 4), (7, 4)]
)
def test_the_linearised_attack_reaches_labels_that_are_hard_to_reach(k: int, target: int) -> None:
    network = load("dnn1")
    problem = nearest_problem(network, image(k), Targeted(target, ratio=1.2))
    x = Linearised()(problem, Highs(), Clock())
    assert x is not None
    assert replayed(problem, x).label == target


def test_a_clock_that_has_stopped_ends_the_attack() -> None:
    problem = nearest_problem(load("dnn1"), image(0), Targeted(3, ratio=1.2))
    clock = Clock(Limits(60))
    assert Linearised()(problem, Highs(), clock) is not None
    clock.interrupt()
    assert Linearised()(problem, Highs(), clock) is None


def test_the_attack_is_the_same_every_time() -> None:
    problem = problem_of(random_case(3))
    one, other = (Linearised(seed=5)(problem, Highs(), Clock()) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("seed", range(6))
def test_gradients_by_numpy_are_those_by_torch(seed: int) -> None:
    import torch

    rng = np.random.default_rng(seed)
    shapes = [(7, 5), (6, 7), (4, 6)]
    net = Network.dense(
        [rng.normal(size=shape) for shape in shapes], [rng.normal(size=s[0]) for s in shapes]
    )
    criterion = Untargeted().at(net(rng.random(5))) if seed % 2 else Targeted(seed % 4)
    x = rng.random((20, 5))
    ours = SlackGradient(net, criterion)(x)
    theirs = SlackGradient(net, criterion, dtype=torch.float64)(x)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)
