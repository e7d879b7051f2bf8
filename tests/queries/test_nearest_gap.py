"""The gap asked for: none is too small to ask for, and none smaller proves less."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from brute_force import Case, random_question
from dualbound import Answer, Box, Columns, Limits, Milp, Network, Status, Targeted, nearest
from dualbound.errors import InvalidInput
from dualbound.search import Engine

GAPS = (1e-2, 1e-4, 1e-6, 1e-9, 1e-12, 0.0)
SECONDS = 60.0
"""That no search here comes near."""


pytestmark = pytest.mark.unchecked_shapes


def asked(case: Case, gap: float, engine: Engine | None = None) -> Answer:
    tiny, wish = case.tiny, case.wish
    return nearest(
        Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu),
        case.center,
        Targeted(wish.target, ratio=wish.ratio, margin=wish.margin, floor=wish.floor),
        norm=case.norm,
        region=Box(case.lower, case.upper),
        cap=case.cap,
        mask=case.mask,
        levels=case.levels,
        weights=case.weights,
        gap=gap,
        engine=engine or Columns(threads=1),
        limits=Limits(SECONDS),
    )


# The bounds of 10027 and 10035 once fell by half, the smaller the gap.
@pytest.mark.parametrize(
    "seed", [10006, 10017, 10019, 10034, 10035, 10005, 10009, 10027, 10043, 10051]
)
def test_a_smaller_gap_never_proves_less(seed: int) -> None:
    case = random_question(seed)
    truth = case.distance()
    bounds = [asked(case, gap).bound for gap in GAPS]
    assert all(b >= a * (1 - 1e-12) for a, b in pairwise(bounds)), bounds
    assert all(bound <= truth * (1 + 1e-7) + 1e-9 for bound in bounds)


@pytest.mark.parametrize("seed", [10006, 10008, 10013, 10014, 10017, 10019, 10034, 10038])
def test_what_no_search_can_close_is_named_at_once(seed: int) -> None:
    """In L2 between no levels: some nodes, where there were thousands."""
    case = random_question(seed)
    assert case.norm == "l2"
    assert case.levels is None
    answers = [asked(case, gap) for gap in (0.0, 1e-12)]
    for answer in answers:
        assert answer.status is Status.FEASIBLE
        assert answer.value is not None
        assert answer.bound >= answer.value * (1 - 2e-9)
        assert "lies within rounding" in answer.note
        assert answer.stats.nodes <= 50


@pytest.mark.parametrize("seed", [10018, 10028, 10033])
def test_where_distances_are_whole_numbers_no_gap_at_all_is_proved(seed: int) -> None:
    case = random_question(seed)
    assert case.norm == "l0"
    assert case.weights is None
    answer = asked(case, 0.0)
    assert (answer.status, answer.note) == (Status.OPTIMAL, "")
    assert answer.value == answer.bound == case.distance()


@pytest.mark.parametrize("seed", [10004, 10009, 10012, 10024])
def test_a_solver_is_not_asked_for_less_than_its_tolerance(seed: int) -> None:
    case = random_question(seed)
    none, tolerance = (asked(case, gap, Milp()) for gap in (0.0, 1e-6))
    assert none.value == tolerance.value
    assert none.bound == tolerance.bound
    assert none.status is Status.FEASIBLE


def test_a_gap_of_zero_on_a_line() -> None:
    """Two inputs, one rectifier: the answer is known, and so is how little of it stays open."""
    network = Network.dense([[[1.0, 1.0]], [[1.0], [0.0]]], [[0.0], [0.0, 0.5]])
    answer = nearest(network, np.zeros(2), Targeted(0, margin=0.1), norm="l2", gap=0)
    truth = 0.6 / np.sqrt(2)
    assert answer.value == pytest.approx(truth, rel=1e-8)
    assert answer.bound == pytest.approx(truth, rel=1e-8)
    assert answer.bound <= truth * (1 + 1e-15)


@pytest.mark.parametrize("norm", ["l0", "l1", "l2", "linf"])
def test_levels_of_a_range_that_is_one_value(norm: str) -> None:
    net = Network.dense([[[1.0, 1.0], [-1.0, 1.0]], np.eye(2)], [[0.0, 0.0], [0.0, 0.0]])
    some = nearest(
        net, [0.5, 0.5], Targeted(1), norm=norm, region=Box([-1, 0.5], [1, 0.5]), levels=10
    )
    assert some.status is Status.OPTIMAL
    assert some.value == pytest.approx(1.0 if norm == "l0" else 0.7)  # -0.2 is the first beyond 0
    point = Box([0.5, 0.4], [0.5, 0.4])
    none = nearest(net, [0.5, 0.4], Targeted(1), norm=norm, region=point, levels=10)
    assert none.status is Status.INFEASIBLE


@pytest.mark.parametrize("off", [1e-9, 1e-5])
@pytest.mark.parametrize("engine", [Columns(threads=1), Milp()])
def test_inputs_off_the_grid_have_to_change(off: float, engine: Engine) -> None:
    net = Network.dense([np.eye(3)], [[0.0, 0.0, 0.0]])
    x = [1 - off, 0.5 - off, off]
    answer = nearest(net, x, Targeted(1), norm="l0", levels=2, engine=engine)
    assert (answer.status, answer.value) == (Status.OPTIMAL, 3.0)


def test_weights_that_leave_no_distance_are_refused() -> None:
    net = Network.dense([np.eye(2)], [[0.0, 0.0]])
    with pytest.raises(InvalidInput, match="divide all by the largest"):
        nearest(net, [0.6, 0.2], Targeted(1), weights=[1e-20, 1e-20])


def test_a_region_too_wide_for_squares_is_refused() -> None:
    net = Network.dense([np.eye(2)], [[0.0, 0.0]])
    with pytest.raises(InvalidInput, match="divide them by their scale"):
        nearest(net, [0.6, 0.2], Targeted(1), norm="l2", region=Box(0, 1e300), levels=9)
