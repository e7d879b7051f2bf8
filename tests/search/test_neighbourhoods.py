"""Nearer witnesses in neighbourhoods of one."""

from __future__ import annotations

import numpy as np
import pytest

from brute_force import random_case
from dualbound import Box, Columns, Limits, Network, Targeted, load, load_image, nearest
from dualbound.attacks import Linearised
from dualbound.limits import Clock
from dualbound.patterns import NearestProblem
from dualbound.phases import chain_of
from dualbound.queries.nearest import nearest_problem
from dualbound.search import Incumbent
from dualbound.solvers import Highs


def searching(seed: int) -> tuple[NearestProblem, Incumbent, float] | None:
    """A question, its worst witness of a few that are drawn, and the true distance."""
    case = random_case(seed)
    tiny, wish = case.tiny, case.wish
    truth = case.distance()
    if truth == np.inf:
        return None
    problem = nearest_problem(
        Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu),
        case.center,
        Targeted(wish.target, ratio=wish.ratio, margin=wish.margin, floor=wish.floor),
        norm=case.norm,
        region=Box(case.lower, case.upper),
        cap=case.cap,
        mask=case.mask,
    )
    drawn = problem.box.sample(np.random.default_rng(seed), 200)
    reached = [x for x in drawn if problem.reached(x)]
    if not reached:
        return None
    worst = max(reached, key=lambda x: float(problem.distance(x)))
    return problem, Incumbent(Clock(), None, worst, float(problem.distance(worst))), truth


@pytest.mark.parametrize("seed", range(40))
def test_from_a_bad_witness_the_nearest_of_all_is_found(seed: int) -> None:
    from dualbound.search.shrinking_ball import NOTABLE, ShrinkingBall

    found = searching(seed)
    if found is None:
        pytest.skip("no witness among the points that are drawn")
    problem, incumbent, truth = found
    rows, sides = problem.criterion.rows(problem.network.output_size)
    reference = problem.box.project(problem.center[None])[0]
    chain = chain_of(problem.network, problem.box, reference, rows, sides)
    assert chain is not None
    first = incumbent.value
    run = ShrinkingBall(problem, incumbent, 1e-4, Highs(), Linearised(), chain)
    run._look_around()
    assert truth - 1e-9 <= incumbent.value <= truth * (1 + NOTABLE) + 1e-6
    assert incumbent.value <= first
    assert problem.reached(incumbent.x)
    assert incumbent.bound == 0.0  # nothing is proved


def test_without_a_witness_there_is_no_neighbourhood() -> None:
    from dualbound.search.shrinking_ball import ShrinkingBall

    found = searching(0)
    assert found is not None
    problem = found[0]
    rows, sides = problem.criterion.rows(problem.network.output_size)
    reference = problem.box.project(problem.center[None])[0]
    chain = chain_of(problem.network, problem.box, reference, rows, sides)
    assert chain is not None
    incumbent = Incumbent(Clock(), None)
    ShrinkingBall(problem, incumbent, 1e-4, Highs(), None, chain)._look_around()
    assert (incumbent.x, incumbent.nodes) == (None, 0)


def test_after_an_attack_in_vain_the_tree_is_told_as_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dualbound.search import shrinking_ball

    monkeypatch.setattr(shrinking_ball, "PATIENCE", 1)
    monkeypatch.setattr(shrinking_ball, "DOUBT", 1)
    monkeypatch.setattr(shrinking_ball.ShrinkingBall, "_is_better", lambda *_, **__: False)
    monkeypatch.setattr(Linearised, "__call__", lambda *_: None)
    heard: list[str] = []
    nearest(
        load("dnn2"),
        load_image("sample:0").pixels,
        Targeted(2, ratio=1.2),
        engine=Columns(threads=1),
        limits=Limits(3),
        on_progress=lambda now: heard.append(now.phase),
    )
    assert heard.count("attack") >= 2
    assert "search" in heard[len(heard) - heard[::-1].index("attack") :]
