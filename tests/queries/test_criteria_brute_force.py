"""Unions of targets and repair against the truth: the least over the targets, each enumerated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import pytest

from brute_force import Case, random_case, random_question
from dualbound import (
    Answer,
    Box,
    Class,
    Columns,
    Criterion,
    Milp,
    Network,
    OneOf,
    Status,
    Untargeted,
    nearest,
)
from dualbound.criterion import Polyhedron
from dualbound.search import Engine

VALUE, PROOF = 1e-6, 1e-7


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    """One thread of torch."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def asked(case: Case, criterion: Criterion, engine: Engine) -> Answer:
    tiny = case.tiny
    return nearest(
        Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu),
        case.center,
        criterion,
        norm=case.norm,
        region=Box(case.lower, case.upper),
        cap=case.cap,
        mask=case.mask,
        levels=case.levels,
        weights=case.weights,
        gap=1e-7,
        engine=engine,
    )


@cache
def question(
    seed: int, *, any_norm: bool = False
) -> tuple[Case, Criterion, tuple[int, ...], float]:
    """A case, what is asked of it, the labels that count, and the true distance."""
    case = (random_question if any_norm else random_case)(seed, outputs=3 + seed % 3)
    present = int(np.argmax(case.tiny(case.center)))
    others = [label for label in range(case.tiny.outputs) if label != present]
    kind, floor = ("any", "some", "repair")[seed // 3 % 3], case.wish.floor
    how = (case.wish.ratio, case.wish.margin, floor)
    rng = np.random.default_rng(seed)
    if kind == "any":
        labels, criterion = tuple(others), Untargeted(*how)
    elif kind == "some":
        labels = tuple(int(k) for k in rng.permutation(others)[: rng.integers(1, len(others) + 1)])
        criterion = OneOf(labels, *how)
    else:
        labels = (case.wish.target,)
        criterion = Class(case.wish.target, *how)
    return case, criterion, labels, case.distance_to_any(labels)


def assert_true(case: Case, targets: Sequence[int], truth: float, answer: Answer) -> None:
    """Value, bound, status and witness are what the enumeration says."""
    assert answer.bound <= truth + PROOF
    if truth == np.inf:
        assert answer.status is Status.INFEASIBLE
        assert (answer.value, answer.witness, answer.bound) == (None, None, np.inf)
        return
    assert answer.status in (Status.OPTIMAL, Status.FEASIBLE)
    assert answer.value == pytest.approx(truth, abs=VALUE, rel=VALUE)
    if case.levels is None or case.weights is None:
        assert answer.bound >= truth - 1e-5 * (1 + truth)
    assert answer.witness is not None
    x = answer.witness.x
    assert np.all(case.room[0] <= x)
    assert np.all(x <= case.room[1])
    outputs = case.tiny(x)
    label = int(np.argmax(outputs))
    assert label in targets
    assert answer.witness.label == label
    wanted, limit = case.wish._replace(target=label).rows(case.tiny.outputs)
    assert np.all(wanted @ outputs <= limit + 1e-12)


ENGINES = {
    "columns": Columns(threads=1),
    "columns-no-attack": Columns(threads=1, attack=None),
    "milp": Milp(),
    "direct": Milp(strategy="direct"),
    "direct-no-attack": Milp(strategy="direct", attack=None),
}


@pytest.mark.parametrize("seed", range(3000, 3036))
@pytest.mark.parametrize("engine", ["columns", "milp"])
def test_the_nearest_of_all_targets_is_found(seed: int, engine: str) -> None:
    case, criterion, targets, truth = question(seed)
    assert_true(case, targets, truth, asked(case, criterion, ENGINES[engine]))


@pytest.mark.parametrize("seed", range(3500, 3530))
def test_in_every_norm_with_weights_and_on_grids(seed: int) -> None:
    case, criterion, targets, truth = question(seed, any_norm=True)
    answer = asked(case, criterion, ENGINES["columns"])
    if case.norm == "l2" and case.levels is not None:  # proved as far as between the levels
        assert answer.bound <= truth * (1 + PROOF) + PROOF
        assert answer.value is None or answer.value >= truth * (1 - PROOF)
    else:
        assert_true(case, targets, truth, answer)


@pytest.mark.parametrize("seed", range(3000, 3012))
@pytest.mark.parametrize("engine", ["columns-no-attack", "direct", "direct-no-attack"])
def test_every_other_way_finds_it(seed: int, engine: str) -> None:
    case, criterion, targets, truth = question(seed)
    assert_true(case, targets, truth, asked(case, criterion, ENGINES[engine]))


@pytest.mark.slow
def test_the_questions_are_varied() -> None:
    questions = [question(seed) for seed in range(3000, 3036)]
    kinds = [type(criterion) for _, criterion, _, _ in questions]
    assert all(kinds.count(kind) == 12 for kind in (Untargeted, OneOf, Class))
    assert 5 < sum(truth == np.inf for *_, truth in questions) < 25
    assert {case.norm for case, *_ in questions} == {"l1", "linf"}
    assert max(len(targets) for _, _, targets, _ in questions) == 4


@pytest.mark.parametrize("norm", ["l1", "linf", "l2", "l0"])
def test_an_input_that_reaches_the_criterion_is_its_own_nearest(norm: str) -> None:
    network = Network.dense([[[1.0, -1.0], [2.0, 1.0]], np.eye(2)], [[0.0, -0.5], [0.0, 0.1]])
    x = [0.3, 0.6]
    reached = Polyhedron([[0.0, 1.0]], [network(x)[1]])
    answer = nearest(network, x, reached, norm=norm)
    assert (answer.status, answer.value, answer.bound) == (Status.OPTIMAL, 0.0, 0.0)
