"""Properties: an input of a region, box or ball, and its outputs are a counterexample or not."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualbound.criterion import Case, OutputSet, Polyhedron, Property
from dualbound.errors import InvalidCriterion, InvalidProperty
from dualbound.region import Box, L0Ball, L1Ball, L2Ball, Region

ANYTHING = OutputSet([Polyhedron(np.zeros((0, 2)), [])])
AHEAD = OutputSet([Polyhedron([[-1.0, 1.0]], [0.0])])
UNIT = Box([0.0, 0.0], [1.0, 1.0])
ORIGIN = np.zeros(2)


def asked(*regions: Region, criterion: OutputSet = ANYTHING) -> Property:
    return Property(tuple(Case(region, criterion) for region in regions), 2, 2)


finite = st.floats(allow_nan=False, allow_infinity=False)
special = st.sampled_from([0.0, -0.0, 5e-324, sys.float_info.max, -sys.float_info.max])
bounds = st.tuples(*[st.one_of(finite, special)] * 2).map(sorted)


@given(ends=st.tuples(bounds, bounds), data=st.data())
def test_of_a_box_it_is_exact(ends: tuple[list[float], list[float]], data: st.DataObject) -> None:
    lower, upper = np.array(ends).T
    around = [
        st.sampled_from([end, math.nextafter(end, -math.inf), math.nextafter(end, math.inf)])
        for end in (lower[0], upper[1])
    ]
    x = np.array([data.draw(st.one_of(st.floats(), special, near)) for near in around])
    within = bool(np.all((lower <= x) & (x <= upper)))
    assert asked(Box(lower, upper)).violated_by(x, ORIGIN) == within


@pytest.mark.parametrize(
    ("ball", "inside", "outside"),
    [
        (L1Ball(ORIGIN, 0.75, UNIT), [0.25, 0.5], [0.5, 0.5]),
        (L1Ball(ORIGIN, 0.75, UNIT, np.array([1.0, 2.0])), [0.25, 0.25], [0.25, 0.5]),
        (L2Ball(ORIGIN, 0.625, UNIT), [0.375, 0.5], [0.5, 0.5]),
        (L2Ball(ORIGIN, 0.625, UNIT), [0.625, 0.0], [-0.25, 0.0]),
        (L0Ball(ORIGIN, 1.0, UNIT), [0.0, 1.0], [0.25, 0.25]),
    ],
    ids=["l1", "l1 with weights", "l2", "l2 cut with a box", "l0"],
)
def test_of_a_ball(ball: Region, inside: list[float], outside: list[float]) -> None:
    ahead, behind = np.array([0.0, 1.0]), np.array([1.0, 0.0])
    property = asked(ball, criterion=AHEAD)
    assert property.violated_by(np.array(inside), ahead)
    assert not property.violated_by(np.array(inside), behind)
    assert not property.violated_by(np.array(outside), ahead)
    assert not property.violated_by(np.array([np.nan, 0.0]), ahead)


def test_one_case_is_enough() -> None:
    property = asked(L1Ball(ORIGIN, 0.25, UNIT), Box([0.5, 0.5], [1.0, 1.0]))
    points = [[0.25, 0.0], [0.5, 0.75], [0.25, 0.25]]
    assert [property.violated_by(np.array(x), ORIGIN) for x in points] == [True, True, False]


def test_of_no_case_it_holds() -> None:
    assert not asked().violated_by(ORIGIN, ORIGIN)


@pytest.mark.parametrize(
    ("region", "shape"),
    [(UNIT, r"\(2,\)"), (Box(0, 1), r"\(\)"), (L2Ball(ORIGIN, 0.5, UNIT), r"\(2,\)")],
    ids=["box", "numbers", "ball"],
)
def test_regions_that_do_not_fit(region: Region, shape: str) -> None:
    with pytest.raises(InvalidProperty, match=f"inputs of shape {shape}; the property is of 3"):
        Property((Case(region, ANYTHING),), 3, 2)


def test_outputs_that_do_not_fit() -> None:
    with pytest.raises(InvalidCriterion, match="is of 2 outputs; the network has 4"):
        Property((Case(Box([0], [1]), ANYTHING),), 1, 4)
