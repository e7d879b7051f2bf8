"""Every norm, with weights and on grids, against the truth about random tiny networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brute_force import Case, distance_between, random_question
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
    Targeted,
    Untargeted,
    nearest,
)
from dualbound.search import Engine

VALUE, PROOF = 2e-6, 1e-7


def asked(
    case: Case,
    engine: Engine | None = None,
    gap: float = 1e-6,
    criterion: Criterion | None = None,
) -> Answer:
    tiny, wish = case.tiny, case.wish
    return nearest(
        Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu),
        case.center,
        criterion or Targeted(wish.target, ratio=wish.ratio, margin=wish.margin, floor=wish.floor),
        norm=case.norm,
        region=Box(case.lower, case.upper),
        cap=case.cap,
        mask=case.mask,
        levels=case.levels,
        weights=case.weights,
        gap=gap,
        engine=engine,
    )


def assert_true(case: Case, truth: float, answer: Answer) -> None:
    """Value, bound, status and witness are what the enumeration says."""
    assert answer.bound <= truth * (1 + PROOF) + PROOF
    if truth == np.inf:
        assert answer.status is Status.INFEASIBLE
        return
    assert answer.status is Status.OPTIMAL or answer.note
    assert answer.status in (Status.OPTIMAL, Status.FEASIBLE)
    assert answer.value == pytest.approx(truth, abs=VALUE, rel=VALUE)
    power = 2 if case.norm == "l2" else 1  # a solver's tolerance is that of the square
    assert answer.bound**power == pytest.approx(truth**power, abs=1e-5, rel=1e-5)
    assert answer.witness is not None
    x = answer.witness.x
    assert np.all((case.room[0] <= x) & (x <= case.room[1]))
    if case.levels is not None:
        assert np.all((x == case.grid).any(axis=0))
    far = distance_between(x, case.center, case.norm, case.weights)
    assert answer.value == pytest.approx(far, abs=1e-12, rel=1e-12)
    wanted, limit = case.wish._replace(target=answer.witness.label).rows(case.tiny.outputs)
    assert np.all(wanted @ case.tiny(x) <= limit + 1e-12)


@pytest.mark.parametrize("seed", range(10_000, 10_200))
def test_the_default_engine_finds_the_nearest(seed: int) -> None:
    case = random_question(seed)
    assert_true(case, case.distance(), asked(case))


@pytest.mark.parametrize("seed", range(11_000, 11_040))
@pytest.mark.parametrize(
    "engine",
    [Milp(), Columns(attack=None, threads=1), Milp(strategy="direct", attack=None)],
    ids=["milp", "columns", "direct"],
)
def test_every_other_way_finds_the_nearest(seed: int, engine: Engine) -> None:
    case = random_question(seed)
    if case.norm == "l2" and isinstance(engine, Milp):
        pytest.importorskip("pyscipopt")
        engine = replace(engine, solver="scip")
    assert_true(case, case.distance(), asked(case, engine))


@pytest.mark.parametrize("seed", range(12_000, 12_080))
def test_unions_in_every_norm_and_on_grids(seed: int) -> None:
    """The nearest of a union is the nearest of its alternatives."""
    case = random_question(seed)
    wish, present = case.wish, int(np.argmax(case.tiny(case.center)))
    others = [j for j in range(case.tiny.outputs) if j != present]
    how = {"ratio": wish.ratio, "margin": wish.margin}
    criterion: Criterion = Untargeted(**how)
    if seed % 3 == 0:
        others = [wish.target]
        criterion = OneOf((wish.target,), **how)
    elif seed % 3 == 1:
        others = [wish.target]
        criterion = Class(wish.target, **how)
    truths = [replace(case, wish=wish._replace(target=j)).distance() for j in others]
    answer = asked(case, criterion=criterion)
    assert_true(case, min(truths), answer)
    if answer.witness is not None:
        assert answer.witness.label in others


@pytest.mark.parametrize("seed", range(13_000, 13_060))
def test_l2_on_levels_that_the_image_is_not_on(seed: int) -> None:
    case = random_question(seed)
    rng = np.random.default_rng((seed, 2))
    center = np.clip(case.center + rng.uniform(-0.1, 0.1, len(case.center)), *case.room)
    case = replace(case, center=center, norm="l2", levels=int(rng.integers(2, 6)), mask=None)
    present = int(np.argmax(case.tiny(center)))
    low, high = case.room
    if present == case.wish.target or not np.all(
        ((case.grid >= low) & (case.grid <= high)).any(axis=0)
    ):
        return  # refused
    assert_true(case, case.distance(), asked(case))
