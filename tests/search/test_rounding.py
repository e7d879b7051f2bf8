"""Cancellation: terms far larger than their sum must not make a proof of what is false.

Each network computes ``s·x - s·x`` along two paths beside a small function of the input. The sums
cancel in exact numbers and not in float64, so the criterion is reached at a distance that is known
and that bounds computed carelessly exclude.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from dualbound import (
    Box,
    Columns,
    Limits,
    Network,
    Neuron,
    Status,
    Targeted,
    activate,
    bounds,
    nearest,
)
from dualbound.errors import SolverFailed

MARGIN = 1e-4


def cancelling(scale: float) -> Network:
    """Output 0 exceeds output 1 by ``max(0, x1 - x2) - 0.3``; the rest cancels."""
    first = np.array([[scale, 0], [0, scale], [scale, scale], [1, -1]])
    between = np.diag([scale, scale, scale, 1.0])
    last = np.array([[1.0, 1.0, -1.0, 1.0], [0, 0, 0, 0]])
    zeros = np.zeros(4)
    return Network.dense([first, between, last], [zeros, zeros, np.array([-0.3, 0])])


def distance(x: list[float], norm: str) -> float:
    """To the nearest point of the unit box with ``x1 - x2 = 0.3 + MARGIN``."""
    missing = 0.3 + MARGIN - (x[0] - x[1])
    return missing if norm == "l1" else missing / 2


@pytest.mark.unchecked_shapes
@pytest.mark.parametrize("scale", [1.0, 1e2, 1e4, 1e6, 1e7, 1e8])
@pytest.mark.parametrize("x", [[1 / 3, 2 / 3], [0.2, 0.45]])
@pytest.mark.parametrize("norm", ["l1", "linf"])
@pytest.mark.parametrize("engine", [Columns(threads=1), Columns(threads=1, attack=None)], ids=str)
@pytest.mark.slow
def test_no_bound_exceeds_the_distance(
    scale: float, x: list[float], norm: str, engine: Columns
) -> None:
    truth = distance(x, norm)
    try:
        answer = nearest(
            cancelling(scale),
            x,
            Targeted(0, margin=MARGIN),
            norm=norm,
            region=Box([0, 0], [1, 1]),
            engine=engine,
            limits=Limits(5),
        )
    except SolverFailed:  # its numbers are beyond what the solver takes
        assert scale >= 1e7
        return
    assert answer.status is not Status.INFEASIBLE
    assert answer.bound <= truth * (1 + 1e-9)
    if scale <= 1e2:
        assert answer.status is Status.OPTIMAL
        assert answer.value == pytest.approx(truth, rel=1e-3)


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e8])
@pytest.mark.parametrize("method", ["interval", "crown", "exact"])
def test_bounds_hold_beside_cancellation(scale: float, method: str) -> None:
    net = cancelling(scale)
    found = bounds(net, Box([0, 0], [1, 1]), method=method)
    assert found.upper[net.output][0] >= 0.7
    assert found.lower[net.output][0] <= -0.3


@pytest.mark.parametrize("power", [26, 29, 33, 40])
def test_an_objective_of_outputs_that_cancel_is_not_bounded_below_its_value(power: int) -> None:
    rng = np.random.default_rng(0)
    base = np.array([[3.0, -1.0], [9.0, -3.0]]) * 2.0**power  # at (x, 3 x) both rows are 0
    net = Network.dense([[[1.0], [3.0]], base], [np.zeros(2), np.zeros(2)])
    for _ in range(20):
        first = rng.uniform(0.5, 2.0)
        weights = np.array([first, -first / 3 * (1 + 2.0**-50 * rng.integers(-4, 5))])
        for sign in (1.0, -1.0):
            wanted = {Neuron("logits", i): sign * w for i, w in enumerate(weights)}
            answer = activate(net, wanted, Box([0.0], [1.0]), inputs=[1.0], gap=1e-10)
            assert answer.bound >= 1.0


def test_a_chain_of_many_small_sums_is_charged_for_all_of_them() -> None:
    depth, small = 200, 0.9 * 2.0**-53  # CROWN adds each to 1, and loses it
    net = Network.dense([[[1.0]]] * (depth + 1), [[small]] * depth + [[1.0]])
    truth = 1 + depth * Fraction(small)
    for method in ("interval", "crown"):
        found = bounds(net, Box([0.0], [2.0**-80]), method=method)
        assert Fraction(float(found.upper[net.output][0])) >= truth
