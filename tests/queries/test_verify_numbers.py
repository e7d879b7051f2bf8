"""What floating point may not prove: each of these was once answered wrongly, HOLDS."""

from __future__ import annotations

import numpy as np
import pytest

from dualbound import Box, L2Ball, Network
from dualbound.bounds.batched import Lines
from dualbound.criterion import Case, OutputSet, Polyhedron, Property, parse_vnnlib
from dualbound.limits import Limits
from dualbound.queries.verify import Outcome, robustness, verify
from dualbound.region import Region
from dualbound.search.bab import Bab


def outcome(
    network: Network, region: Region, *sets: tuple[object, object], branching: str = "phases"
) -> Outcome:
    asked = Property(
        (Case(region, OutputSet([Polyhedron(a, b) for a, b in sets])),),
        network.input_size,
        network.output_size,
    )
    return verify(
        network, asked, engine=Bab(branching=branching), limits=Limits(seconds=10)
    ).outcome


def test_a_bound_that_is_no_number_refutes_nothing() -> None:
    network = Network.dense([[[1e10], [-1e10]], [[1.0, 1.0], [1.0, -1.0]]], [[0, 0], [0, 0]])
    far, met = ([[1.0, 0.0]], [1e20]), ([[1e300, 0.0]], [1.0])
    for sets in ((far, met), (met, far)):
        assert outcome(network, Box([-1.0], [1.0]), *sets) is not Outcome.HOLDS


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("branching", ["phases", "inputs"])
def test_a_face_is_no_counterexample_where_it_is_left_out(strict: bool, branching: str) -> None:
    """The output is max(x, 0) of [-1, 1]: it reaches 1 and no more."""
    network = Network.dense([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    asked = Property(
        (Case(Box([-1.0], [1.0]), OutputSet([Polyhedron([[1.0]], [1.0], strict)])),), 1, 1
    )
    met = verify(network, asked, engine=Bab(branching=branching), limits=Limits(seconds=10))
    assert met.outcome is (Outcome.UNKNOWN if strict else Outcome.VIOLATED)


def test_a_counterexample_is_off_the_faces_that_a_file_leaves_out() -> None:
    network = Network.dense([[[1.0]]], [[0.0]])
    text = """(declare-const X_0 Real) (declare-const Y_0 Real)
        (assert (> X_0 0.0)) (assert (< X_0 1.0)) (assert (>= Y_0 0.5))"""
    met = verify(network, parse_vnnlib(text, inputs=1, outputs=1), hints=[np.array([1.0])])
    assert met.witness is not None
    assert met.witness.x[0] < 1.0


@pytest.mark.unchecked_shapes
def test_weighted_rows_are_charged_for_their_rounding() -> None:
    network = Network.dense([np.eye(2)], [[0.0, 0.0]])
    most, t = 1 + 2.0**-26, 0.25 + 2.0**-27
    a = np.array([[2.0, 6492456.0], [2.0, 9071129.0], [2.0, -15563584.0]])
    region = Box([0.0, t], [most, t])
    for branching in ("phases", "inputs"):
        met = outcome(network, region, (a, a @ [most, t]), branching=branching)
        assert met is not Outcome.HOLDS


@pytest.mark.unchecked_shapes
def test_a_sum_of_many_outputs_is_charged_for_its_rounding() -> None:
    weight = np.full((20000, 1), 2.0**-55)
    weight[0] = 1.0
    network = Network.dense([weight], [np.zeros(20000)])
    exact = 1.0 + 19999 * 2.0**-55
    met = outcome(network, Box([0.0], [1.0]), (np.ones((1, 20000)), [np.nextafter(exact, 0)]))
    assert met is not Outcome.HOLDS


@pytest.mark.unchecked_shapes
def test_a_ball_around_a_centre_outside_its_box() -> None:
    network, away = Network.dense([np.eye(2)], [[0.0, 0.0]]), 0.6095693498571635
    ball = L2Ball(np.array([-away, 0.0]), 0.6095693498571637, Box([0.0, 0.0], [1.0, 1.0]))
    assert outcome(network, ball, ([[0.0, 1.0]], [1.645305758302129e-08])) is not Outcome.HOLDS


@pytest.mark.parametrize("scale", [1.0, 1e300, 1.7e308])
def test_the_upper_line_lies_above_both_ends(scale: float) -> None:
    import torch

    low, high = (torch.tensor([[end]], dtype=torch.float64) for end in (-scale, scale))
    line = Lines.of((low, high))
    assert float(line.slope * high + line.intercept) >= scale * (1 - 1e-15)


@pytest.mark.slow
def test_the_furthest_point_of_a_ball_is_not_taken_for_the_furthest() -> None:
    """It is found to 1e-12 only; the exact maximum, by 50 digits, is above the side."""
    rng = np.random.default_rng(1230)
    n = int(rng.integers(2, 12))
    center = rng.normal(size=n) * rng.choice([0, 1, 100])
    lower = center - rng.uniform(0, 1, n) * (rng.random(n) < 0.8)
    upper = center + rng.uniform(0, 1, n) * (rng.random(n) < 0.8)
    weights = rng.uniform(0.1, 10, n) ** rng.choice([0, 1, 3])
    radius = float(rng.uniform(0.01, 2))
    c = rng.normal(size=n) * 10.0 ** rng.integers(-4, 5, n)
    ball = L2Ball(center, radius, Box(lower, upper), weights)
    side, exact = 7.626152402575407, 7.6261524025757707
    network = Network.dense([c[None]], [[0.0]])
    asked = Property((Case(ball, OutputSet([Polyhedron(np.eye(1), np.array([side]))])),), n, 1)
    answer = verify(network, asked)
    assert answer.outcome is not Outcome.HOLDS
    assert answer.bound >= exact - side


def test_in_l0_what_does_not_change_is_not_rounded() -> None:
    """No number of the image is one of float32; one that is changed alone turns the label."""
    network = Network.dense([[[1.0, 1.0, 1.0], [-9.0, 0.0, 0.0]]], [[0.0, 3.0]])
    image = np.array([1.0, 1.0, 1.0]) / 3
    found = verify(network, robustness(network, image, eps=1, norm="l0", label=0))
    assert found.outcome is Outcome.VIOLATED
    assert found.witness is not None
    assert int((found.witness.x != image).sum()) == 1
    assert verify(network, robustness(network, image, eps=0, norm="l0", label=0)).outcome is (
        Outcome.HOLDS
    )
    misread = verify(network, robustness(network, image, eps=1, norm="l0", label=1), hints=[image])
    assert misread.outcome is Outcome.VIOLATED
