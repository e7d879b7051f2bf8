"""What Python users mix up gets a message that says what was expected."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import dualbound
from dualbound import (
    Box,
    DualboundError,
    L1Ball,
    L2Ball,
    Limits,
    Network,
    Neuron,
    OneOf,
    Targeted,
    activate,
    nearest,
)
from dualbound.phases import reference_of, room_of

pytestmark = pytest.mark.unchecked_shapes  # a checker of types would be the first to complain

NET = Network.dense([[[1.0, 0.0], [0.0, 1.0]]] * 2, [[0.0, 0.0]] * 2)
X = [0.7, 0.2]
BOX = Box([0, 0], [1, 1])
ANY: dict[str, Callable[[], object]] = {
    "What is asked is such as Targeted(2), found 1": lambda: nearest(NET, X, 1),
    "A label is a whole number, found '1'": lambda: Targeted("1"),
    "A label is a whole number, found 1.5": lambda: Targeted(1.5),
    "A label is a whole number, found True": lambda: Targeted(True),
    "A label is a whole number, found '0'": lambda: OneOf("01"),
    "OneOf takes several labels, found 1; for one there is Targeted": lambda: OneOf(1),
    "The input is no array of numbers": lambda: nearest(NET, "abc", Targeted(1)),
    "Limits are Limits(seconds), found 5": lambda: nearest(NET, X, Targeted(1), limits=5),
    "Unknown engine 'cplex'": lambda: nearest(NET, X, Targeted(1), engine="cplex"),
    "An engine is one of auto, bab, columns, milp, or one such as": lambda: nearest(
        NET, X, Targeted(1), engine=3
    ),
    "expected a Box": lambda: nearest(NET, X, Targeted(1), region=L1Ball(np.zeros(2), 1.0, BOX)),
    "said to lie in a tuple": lambda: Box.of_inputs((0, 1), 2),
    "There is no neuron 0.5": lambda: activate(NET, Neuron(1, 0.5)),
    "a region of 3 inputs; the network reads 2": lambda: dualbound.bounds(NET, Box([0] * 3, 1)),
}


@pytest.mark.parametrize("said", ANY, ids=range(len(ANY)))
def test_it_is_said(said: str) -> None:
    with pytest.raises(DualboundError) as error:
        ANY[said]()
    assert said in str(error.value)


def test_names_and_lists_will_do() -> None:
    answer = nearest(NET, X, Targeted(np.int64(1), margin=0.1), engine="columns")
    assert (answer.stats.engine, answer.status.name) == ("columns", "OPTIMAL")
    assert activate(NET, Neuron("logits", 0), engine="milp").value == pytest.approx(1.0)
    assert dualbound.bounds(NET, Box(0, 1)).upper[NET.output].tolist() == pytest.approx([1, 1])
    of_list = dualbound.bounds(NET, L2Ball([0, 0], 0.5, BOX)).upper[NET.output]
    assert of_list.tolist() == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
@pytest.mark.parametrize("reach", [1e-165, 1e-150])
def test_regions_whose_distances_have_no_squares_are_refused(reach: float, norm: str) -> None:
    """L2 found nothing in them, and bisection for a first bound did not end."""
    with pytest.raises(DualboundError, match="distances are at least 1e-100"):
        nearest(NET, [0.7 * reach, 0.2 * reach], Targeted(1), norm=norm, region=Box(0, reach))


@pytest.mark.parametrize("engine", ["columns", "bab"])
@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_the_smallest_regions_have_an_answer(norm: str, engine: str) -> None:
    reach, limits = 1e-99, Limits(20)
    answer = nearest(
        NET, [0.7 * reach, 0.2 * reach], Targeted(1, margin=1e-120), norm=norm,
        region=Box(0, reach), engine=engine, limits=limits,
    )  # fmt: skip
    assert answer.status.name != "INFEASIBLE"
    least = {"l1": 0.5, "l2": 0.5 / 2**0.5, "linf": 0.25}[norm] * reach
    assert answer.bound <= least * (1 + 1e-9)


def test_an_l2_ball_smaller_than_its_square_holds_all_of_itself() -> None:
    radius = 1e-170
    ball = L2Ball(np.zeros(2), radius, BOX)
    assert ball.support(np.array([[1.0, 0.0]]))[0] >= radius
    assert np.all(ball.upper >= radius)


@pytest.mark.parametrize("method", ["interval", "crown", "exact"])
def test_gains_without_squares_count(method: str) -> None:
    """Over an L2 ball, weights of 1e-170: their squares are 0, they are not."""
    tiny = Network.dense([1e-170 * np.eye(2), [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    upper = dualbound.bounds(tiny, L2Ball(np.zeros(2), 0.5, BOX), method=method).upper
    assert upper[tiny.output][0] >= 1e-170 * 0.5 * 2**0.5 * (1 - 1e-12)


def test_what_a_move_gains_counts_without_squares_too() -> None:
    from dualbound.phases import propagation

    ball = L2Ball(np.zeros(2), 0.5, BOX)
    room = room_of(ball, reference_of(ball))
    most = propagation.support(np.full(2, 1e-170), room, np.zeros(2), np.zeros(2))
    assert most >= 1e-170 * 0.5 * 2**0.5 * (1 - 1e-12)
