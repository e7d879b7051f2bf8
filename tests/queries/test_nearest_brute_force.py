"""Nearest against the truth: every activation pattern of random tiny networks.

What tolerance is reached: a solver, and the linear program of the last polish, ask the criterion
to hold by 1e-7 more than it must, so that the point passes its replay; and solvers are exact to
1e-7. The distance found is therefore too long by about 2e-7 divided by how fast the criterion
grows along the way, measured at most 6e-7 here. Bounds are proved with the criterion relaxed by
1e-6, which is why a gap of 1e-7 can remain open (FEASIBLE) while value and truth agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from brute_force import Case, random_case
from dualbound import Answer, Bab, Box, Columns, Milp, Network, Status, Targeted, nearest
from dualbound.search import Engine

VALUE, PROOF = 1e-6, 1e-7


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def asked(case: Case, engine: Engine | None = None, gap: float = 1e-7) -> Answer:
    tiny, wish = case.tiny, case.wish
    return nearest(
        Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu),
        case.center,
        Targeted(wish.target, ratio=wish.ratio, margin=wish.margin, floor=wish.floor),
        norm=case.norm,
        region=Box(case.lower, case.upper),
        cap=case.cap,
        mask=case.mask,
        gap=gap,
        engine=engine,
    )


@cache
def known(seed: int) -> tuple[Case, float]:
    """The case of a seed and its true distance."""
    case = random_case(seed)
    return case, case.distance()


def assert_true(case: Case, truth: float, answer: Answer) -> None:
    """Value, bound, status and witness are what the enumeration says."""
    assert answer.bound <= truth + PROOF
    if truth == np.inf:
        assert answer.status is Status.INFEASIBLE
        assert (answer.value, answer.witness, answer.bound) == (None, None, np.inf)
        return
    assert answer.status in (Status.OPTIMAL, Status.FEASIBLE)
    assert answer.value == pytest.approx(truth, abs=VALUE, rel=VALUE)
    assert answer.witness is not None
    x = answer.witness.x
    assert np.all(case.room[0] <= x)
    assert np.all(x <= case.room[1])
    moved = np.abs(x - case.center)
    assert answer.value == pytest.approx(
        moved.sum() if case.norm == "l1" else moved.max(), abs=1e-12
    )
    wanted, limit = case.wish.rows(case.tiny.outputs)
    outputs = case.tiny(x)
    assert np.all(wanted @ outputs <= limit + 1e-12)
    assert np.all(np.delete(outputs, case.wish.target) < outputs[case.wish.target])


@pytest.mark.parametrize("seed", range(200))
def test_the_default_engine_finds_the_nearest(seed: int) -> None:
    case, truth = known(seed)
    assert_true(case, truth, asked(case))


@pytest.mark.parametrize("seed", range(1000, 1040))
@pytest.mark.parametrize(
    "engine",
    [
        Milp(),
        Columns(attack=None, threads=1),
        Columns(attack=None, threads=3),
        Milp(strategy="direct"),
        Milp(formulation="fischetti-jo", attack=None),
        Milp(solver="scip", attack=None),
        Milp(strategy="direct", formulation="fischetti-jo", bounds="interval", attack=None),
        Bab(),
    ],
    ids=["milp", "columns", "columns-threads", "direct", "fischetti-jo", "scip", "papers", "bab"],
)
def test_every_other_way_finds_the_nearest(seed: int, engine: Engine) -> None:
    if engine.backend().name == "scip":
        pytest.importorskip("pyscipopt")
    case, truth = known(seed)
    assert_true(case, truth, asked(case, engine))


@pytest.mark.parametrize("free", [1, 3])
@pytest.mark.parametrize("seed", range(1040, 1070))
def test_neighbourhoods_of_witnesses_prove_nothing(
    seed: int, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked through before any tree, with fewer signs free than there are."""
    monkeypatch.setattr("dualbound.search.shrinking_ball.PATIENCE", 0)
    monkeypatch.setattr("dualbound.search.shrinking_ball.FREE", free)
    case, truth = known(seed)
    assert_true(case, truth, asked(case, Columns(threads=1)))


@pytest.mark.parametrize("dearer", [2.0, 1e6])
@pytest.mark.parametrize("seed", range(1070, 1100))
def test_many_smaller_balls_prove_no_more_than_is_true(
    seed: int, dearer: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dualbound.search.shrinking_ball.PATIENCE", 0)
    monkeypatch.setattr("dualbound.search.shrinking_ball.SMALL", 0)
    monkeypatch.setattr("dualbound.search.shrinking_ball.DEARER", dearer)
    case, truth = known(seed)
    assert_true(case, truth, asked(case, Columns(threads=1)))


@pytest.mark.parametrize("seed", range(2000, 2015))
def test_the_default_gap_is_closed_without_a_limit(seed: int) -> None:
    case, truth = known(seed)
    answer = asked(case, gap=1e-4)
    if truth == np.inf:
        assert answer.status is Status.INFEASIBLE
    else:
        assert answer.status is Status.OPTIMAL
        assert answer.value is not None
        assert answer.bound - PROOF <= truth <= answer.value + PROOF
        assert answer.gap is not None
        assert answer.gap <= 1e-4 * (1 + 1e-6)


@pytest.mark.slow
def test_the_cases_are_varied() -> None:
    cases = [random_case(seed) for seed in range(200)]
    answered = [known(seed)[1] < np.inf for seed in range(40)]
    assert 20 < sum(answered) < 40
    for trait in (
        lambda case: case.norm == "l1",
        lambda case: case.wish.ratio is None,
        lambda case: case.cap is not None,
        lambda case: case.mask is not None,
        lambda case: case.tiny.final_relu,
        lambda case: case.lower[0] != 0,
        lambda case: np.any((case.center == case.lower) | (case.center == case.upper)),
        lambda case: np.all(case.tiny.weights[0] * 2 % 1 == 0),
    ):
        assert 20 < sum(map(trait, cases)) < 200


@pytest.mark.parametrize("norm", ["l1", "linf"])
@pytest.mark.parametrize("engine", [Columns(), Milp(), Milp(strategy="direct")])
def test_a_box_of_one_point_is_proved_infeasible(norm: str, engine: Engine) -> None:
    net = Network.dense([np.eye(2), np.eye(2)], [[0.0, 0.0], [0.0, 0.0]])
    answer = nearest(
        net,
        [0.7, 0.2],
        Targeted(1),
        norm=norm,
        mask=[False, False],
        engine=engine,
    )
    assert (answer.status, answer.bound) == (Status.INFEASIBLE, np.inf)
