"""Any other label, one of some, the right one, the runner-up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualbound import Class, Criterion, Network, OneOf, RunnerUp, Targeted, Untargeted, nearest
from dualbound.criterion import DEFAULT_MARGIN
from dualbound.errors import InvalidCriterion

outputs = st.lists(
    st.one_of(st.floats(-3, 3), st.sampled_from([0.0, 1e-4, 1e-3, 0.5, 1.0, 1.2])),
    min_size=3,
    max_size=5,
).map(np.array)
HOW = [{}, {"margin": 0.5}, {"ratio": 1.2}, {"ratio": 2.0, "floor": 0.1}]


def wins(
    o: np.ndarray, label: int, ratio: float = 0, margin: float = 0, floor: float = 1e-3
) -> bool:
    """What DESIGN says in words: label wins by the ratio or by the margin."""
    others = np.delete(o, label)
    if ratio:
        return bool(o[label] >= ratio * max(others.max(), 0.0) and o[label] >= floor)
    return bool(np.all(o[label] - others >= (margin or DEFAULT_MARGIN)))


@pytest.mark.parametrize("how", HOW, ids=str)
@given(o=outputs, present=st.integers(0, 2))
def test_a_union_is_reached_where_one_of_its_labels_wins(
    how: dict[str, float], o: np.ndarray, present: int
) -> None:
    others = [label for label in range(len(o)) if label != present]
    for criterion, labels in (
        (Untargeted(present=present, **how), others),
        (OneOf(others[::-1], **how), others),
        (OneOf((0, 2), **how), [0, 2]),
        (Class(present, **how), [present]),
    ):
        slacks = [float(Targeted(label, **how).slack(o)) for label in labels]
        assert float(criterion.slack(o)) == max(slacks)
        if np.abs(slacks).min() > 1e-12:
            assert criterion.reached(o) == any(wins(o, label, **how) for label in labels)
        label = int(np.argmax(o))
        strict = bool(np.sum(o == o[label]) == 1)
        assert criterion.classified(o) == (strict and label in labels)
        best = criterion.closest(o)
        assert float(best.slack(o)) == max(slacks)
        assert len(best.alternatives(len(o))) == 1


def test_slack_of_a_batch_is_that_of_each_row() -> None:
    batch = np.random.default_rng(0).normal(size=(2, 3, 4))
    criterion = Untargeted(present=1)
    assert criterion.slack(batch).shape == (2, 3)
    np.testing.assert_allclose(
        criterion.slack(batch), [[float(criterion.slack(o)) for o in rows] for rows in batch]
    )


@pytest.mark.parametrize("bad", [[np.nan, 1.0, 0.0], [1.0, 0.0, np.nan], [np.nan] * 3])
@pytest.mark.parametrize("criterion", [Untargeted(present=0), OneOf((1, 2)), Class(1)], ids=str)
def test_what_is_not_a_number_reaches_nothing(criterion: Criterion, bad: list[float]) -> None:
    assert not criterion.reached(np.array(bad), rounding=1e-3)


@pytest.mark.parametrize("criterion", [Untargeted(present=2), OneOf((0, 1)), Class(1)], ids=str)
def test_a_tie_of_wanted_labels_is_none_of_them(criterion: Criterion) -> None:
    assert not criterion.reached(np.array([1.0, 1.0, 0.0]), rounding=1e-3)


class TestAtAnInput:
    at = np.array([0.2, 0.9, 0.5, 0.4])

    def test_the_present_label_is_found(self) -> None:
        found = Untargeted(ratio=1.2).at(self.at)
        assert found == Untargeted(ratio=1.2, present=1)
        assert found.at(self.at) == found
        assert [one.target for one in found.alternatives(4)] == [0, 2, 3]  # type: ignore[attr-defined]

    def test_the_runner_up_is_a_target(self) -> None:
        assert RunnerUp(margin=0.1).at(self.at) == Targeted(2, margin=0.1)
        assert RunnerUp().at(np.array([1.0, 1.0, 0.0])) == Targeted(1)
        assert RunnerUp(ratio=2.0).at(np.array([-1.0, -2.0])) == Targeted(1, ratio=2.0)

    def test_others_stay_as_they_are(self) -> None:
        for criterion in (Targeted(0), OneOf([0, 3]), Class(2, ratio=1.1)):
            assert criterion.at(self.at) == criterion

    @pytest.mark.parametrize("criterion", [Untargeted(), RunnerUp()], ids=str)
    def test_before_nothing_can_be_said(self, criterion: Criterion) -> None:
        for ask in (criterion.alternatives, criterion.rows):
            with pytest.raises(InvalidCriterion, match="depends on the input: ask `at` first"):
                ask(4)
        with pytest.raises(InvalidCriterion, match="depends on the input"):
            criterion.reached(self.at)

    @pytest.mark.parametrize(
        ("criterion", "message"),
        [
            (Untargeted(present=2), "answers 1 for this input, not 2"),
            (OneOf((0, 1)), "already answers 1.*choose another target"),
            (OneOf((0, 4)), "Target 4 is out of range: the network's labels are 0 to 3"),
            (OneOf((-1,)), "Target -1 is out of range"),
            (Class(1), "already answers 1 for this input: there is nothing to repair"),
            (Class(4), "Target 4 is out of range"),
        ],
        ids=str,
    )
    def test_what_cannot_be_asked_there(self, criterion: Criterion, message: str) -> None:
        with pytest.raises(InvalidCriterion, match=message):
            criterion.at(self.at)

    @pytest.mark.parametrize(
        "criterion", [Untargeted(), OneOf((0,)), Class(0), RunnerUp()], ids=str
    )
    def test_a_network_of_one_output(self, criterion: Criterion) -> None:
        net = Network.dense([[[1.0]]], [[0.0]])
        with pytest.raises(InvalidCriterion, match="1 output"):
            nearest(net, [0.5], criterion)


class TestWords:
    @pytest.mark.parametrize(
        ("criterion", "words"),
        [
            (Untargeted(present=3, ratio=1.2), "any other label, ratio 1.2"),
            (OneOf((4,)), "label 4, margin 0.0001"),
            (OneOf((4, 1)), "label 4 or 1, margin 0.0001"),
            (OneOf((1, 2, 3), margin=2), "label 1, 2 or 3, margin 2"),
            (Class(5), "the right label 5, margin 0.0001"),
            (RunnerUp(), "the runner-up, margin 0.0001"),
        ],
    )
    def test_say_what_is_asked(self, criterion: Criterion, words: str) -> None:
        assert str(criterion) == words
        assert words.startswith(criterion.goal)


class TestRefusals:
    def test_labels(self) -> None:
        with pytest.raises(InvalidCriterion, match="at least one label"):
            OneOf(())
        with pytest.raises(InvalidCriterion, match="Label 2 is named more than once"):
            OneOf((2, 1, 2))

    @pytest.mark.parametrize(
        "make",
        [Untargeted, RunnerUp, lambda **how: OneOf((1,), **how), lambda **how: Class(1, **how)],
    )
    @pytest.mark.parametrize(
        ("how", "message"),
        [
            ({"ratio": 1.2, "margin": 0.1}, "not both"),
            ({"ratio": 1.0}, "above 1"),
            ({"margin": 0.0}, "above 0"),
            ({"floor": -1.0}, "floor must be above 0"),
        ],
    )
    def test_values_that_make_no_sense(
        self, make: type, how: dict[str, float], message: str
    ) -> None:
        with pytest.raises(InvalidCriterion, match=message):
            make(**how)

    def test_a_union_has_no_rows_of_its_own(self) -> None:
        with pytest.raises(InvalidCriterion, match="union of 2 polyhedra and has no rows"):
            OneOf((0, 1)).rows(3)
        a, b = OneOf((1,), margin=0.5).rows(2)
        assert (a.tolist(), b.tolist()) == ([[-1.0, 1.0]], [0.5])
