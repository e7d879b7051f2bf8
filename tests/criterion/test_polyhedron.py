"""Polyhedra of outputs and their unions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualbound.criterion import Criterion, OutputSet, Polyhedron
from dualbound.errors import InvalidCriterion

numbers = st.integers(-8, 8).map(lambda k: k / 4)  # sums of their products are exact
outputs = st.lists(numbers, min_size=3, max_size=3).map(np.array)


def matrices(rows: int) -> st.SearchStrategy[Polyhedron]:
    row = st.lists(numbers, min_size=3, max_size=3)
    return st.builds(
        lambda a, b: Polyhedron(np.array(a).reshape(rows, 3), b),
        st.lists(row, min_size=rows, max_size=rows),
        st.lists(numbers, min_size=rows, max_size=rows),
    )


polyhedra = st.integers(0, 3).flatmap(matrices)
several = st.lists(polyhedra, min_size=1, max_size=4)


def inside(one: Polyhedron, o: np.ndarray) -> bool:
    """One number at a time."""
    return all(
        sum(float(c) * float(v) for c, v in zip(row, o, strict=True)) >= least
        for row, least in zip(one.a, one.b, strict=True)
    )


@given(one=polyhedra, o=outputs)
def test_a_polyhedron_is_reached_where_every_row_is(one: Polyhedron, o: np.ndarray) -> None:
    assert one.reached(o) == one.classified(o) == inside(one, o) == bool(one.slack(o) >= 0)
    assert one.alternatives(3) == (one,)
    assert one.at(o) is one
    a, b = one.rows(3)
    assert float(one.slack(o)) == min([*(a @ o - b), np.inf])


@given(parts=several, o=outputs)
def test_a_union_is_reached_where_one_polyhedron_is(parts: list[Polyhedron], o: np.ndarray) -> None:
    union = OutputSet(parts)
    within = [inside(one, o) for one in union.polyhedra]
    assert union.reached(o) == union.classified(o) == any(within)
    slacks = [float(one.slack(o)) for one in union.polyhedra]
    assert float(union.slack(o)) == max(slacks)
    assert float(union.closest(o).slack(o)) == max(slacks)
    assert union.closest(o) is union.polyhedra[int(np.argmax(slacks))]
    assert union.at(o) is union
    assert union.alternatives(3) == union.polyhedra


@given(parts=several)
def test_slack_of_a_batch_is_that_of_each_row(parts: list[Polyhedron]) -> None:
    union = OutputSet(parts)
    batch = np.random.default_rng(0).normal(size=(2, 3, 3))
    assert union.slack(batch).shape == (2, 3)
    np.testing.assert_allclose(
        union.slack(batch), [[float(union.slack(o)) for o in rows] for rows in batch]
    )


EVERYTHING = Polyhedron(np.zeros((0, 3)), [])
ABOVE = Polyhedron([[1.0, 0.0, 0.0]], [2.0])


@pytest.mark.parametrize("union", [EVERYTHING, OutputSet([ABOVE, EVERYTHING])], ids=str)
def test_without_rows_every_output_is_in_the_set(union: Criterion) -> None:
    o = np.zeros(3)
    assert union.slack(o) == np.inf
    assert np.array_equal(union.slack(np.zeros((4, 3))), np.full(4, np.inf))
    assert union.reached(o)
    assert union.closest(o) is EVERYTHING


@pytest.mark.parametrize("bad", [[np.nan, 1.0, 0.0], [3.0, 0.0, np.nan], [np.nan] * 3])
@pytest.mark.parametrize("criterion", [ABOVE, EVERYTHING, OutputSet([ABOVE, EVERYTHING])], ids=str)
def test_what_is_not_a_number_reaches_nothing(criterion: Criterion, bad: list[float]) -> None:
    assert not criterion.reached(np.array(bad))
    assert not criterion.reached(np.array(bad), rounding=1e-3)
    assert not criterion.classified(np.array(bad))


def test_faces_belong_to_it_whatever_rounding_is_allowed() -> None:
    assert ABOVE.reached(np.array([2.0, 0.0, 0.0]))
    assert not ABOVE.reached(np.array([np.nextafter(2.0, 0.0), 0.0, 0.0]), rounding=1e-3)


def test_numbers_are_copied() -> None:
    a, b = np.ones((1, 3)), np.ones(1)
    one = Polyhedron(a, b)
    a[:], b[:] = 7.0, 7.0
    assert np.array_equal(one.a, np.ones((1, 3)))
    assert np.array_equal(one.b, np.ones(1))


@pytest.mark.parametrize(
    ("criterion", "words"),
    [
        (EVERYTHING, "any outputs"),
        (ABOVE, "outputs that meet 1 inequality"),
        (Polyhedron(np.eye(3), np.zeros(3)), "outputs that meet 3 inequalities"),
        (OutputSet([ABOVE]), "outputs that meet 1 inequality"),
        (OutputSet([ABOVE, ABOVE]), "outputs in one of 2 polyhedra"),
    ],
)
def test_words(criterion: Criterion, words: str) -> None:
    assert criterion.goal == str(criterion) == words


class TestRefusals:
    @pytest.mark.parametrize(
        ("a", "b", "message"),
        [
            ([1.0, 2.0], [1.0], r"A of shape \(2,\) and b of shape \(1,\)"),
            ([[1.0, 2.0]], [1.0, 2.0], r"A of shape \(1, 2\) and b of shape \(2,\)"),
            ([[1.0, 2.0]], 1.0, r"b of shape \(\)"),
            ([], [], r"A of shape \(0,\)"),
            (np.zeros((2, 0)), [0.0, 0.0], r"A of shape \(2, 0\)"),
            ([[1.0, np.nan]], [1.0], "finite numbers"),
            ([[1.0, 2.0]], [-np.inf], "finite numbers; leave out a row that says nothing"),
            ([["one"]], [1.0], "a matrix A and a vector b of numbers: could not convert"),
            ([[1.0], [1.0, 2.0]], [1.0, 1.0], "a matrix A and a vector b of numbers"),
        ],
    )
    def test_numbers(self, a: object, b: object, message: str) -> None:
        with pytest.raises(InvalidCriterion, match=message):
            Polyhedron(a, b)

    def test_unions(self) -> None:
        with pytest.raises(InvalidCriterion, match="at least one polyhedron"):
            OutputSet([])
        with pytest.raises(InvalidCriterion, match="one number of outputs; found 2 and 3"):
            OutputSet([ABOVE, Polyhedron([[1.0, 1.0]], [0.0])])

    @pytest.mark.parametrize("criterion", [ABOVE, OutputSet([ABOVE, ABOVE])], ids=str)
    def test_another_number_of_outputs(self, criterion: Criterion) -> None:
        for ask in (criterion.alternatives, lambda n: criterion.at(np.zeros(n))):
            with pytest.raises(InvalidCriterion, match="is of 3 outputs; the network has 4"):
                ask(4)
        with pytest.raises(InvalidCriterion, match="is of 3 outputs; the network has 2"):
            criterion.reached(np.zeros(2))

    def test_a_union_has_no_rows_of_its_own(self) -> None:
        with pytest.raises(InvalidCriterion, match="union of 2 polyhedra has no rows"):
            OutputSet([ABOVE, EVERYTHING]).rows(3)
        a, b = OutputSet([ABOVE]).rows(3)
        assert (a.tolist(), b.tolist()) == ([[1.0, 0.0, 0.0]], [2.0])
