"""Every solver, in every formulation that it can do, against the truth about tiny networks."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from brute_force import Case, random_question
from dualbound import Box, Milp, Network, Status, Targeted, nearest
from dualbound.errors import InvalidInput
from dualbound.solvers import SOLVERS, Can, installed

WAYS = [("margin", "bigm"), ("margin", "indicator"), ("direct", "bigm")]


pytestmark = pytest.mark.unchecked_shapes


@cache
def question(seed: int) -> tuple[Case, float]:
    case = random_question(seed)
    return case, case.distance()


@pytest.mark.parametrize("seed", range(7000, 7008))
@pytest.mark.parametrize(("strategy", "formulation"), WAYS)
@pytest.mark.parametrize("solver", list(SOLVERS))
def test_it_finds_the_nearest(solver: str, strategy: str, formulation: str, seed: int) -> None:
    if not installed(solver):
        pytest.skip(f"the solver {solver} is not installed")
    can = SOLVERS[solver].can
    if formulation == "indicator" and Can.INDICATORS not in can:
        with pytest.raises(InvalidInput, match="cannot do indicator constraints; use scip"):
            Milp(solver=solver, formulation=formulation)
        return
    engine = Milp(strategy=strategy, solver=solver, formulation=formulation)
    case, truth = question(seed)
    asked = {
        "norm": case.norm,
        "region": Box(case.lower, case.upper),
        "cap": case.cap,
        "mask": case.mask,
        "levels": case.levels,
        "weights": case.weights,
        "gap": 1e-6,
        "engine": engine,
    }
    tiny, wish = case.tiny, case.wish
    network = Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu)
    wanted = Targeted(wish.target, ratio=wish.ratio, margin=wish.margin, floor=wish.floor)
    if case.norm == "l2" and Can.QUADRATIC not in can:
        with pytest.raises(InvalidInput, match="cannot do quadratic objectives; use scip"):
            nearest(network, case.center, wanted, **asked)
        return
    answer = nearest(network, case.center, wanted, **asked)
    assert answer.bound <= truth * (1 + 1e-7) + 1e-7
    if truth == np.inf:
        assert answer.status is Status.INFEASIBLE
    else:
        assert answer.value == pytest.approx(truth, abs=1e-5, rel=1e-5)
        assert answer.stats.solver.startswith(f"{solver} ")


def test_the_cases_are_varied() -> None:
    cases = [random_question(seed) for seed in range(7000, 7008)]
    assert {case.norm for case in cases} == {"l0", "l1", "l2", "linf"}
