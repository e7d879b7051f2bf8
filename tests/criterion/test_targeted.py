"""Targeted misclassification: rows, semantics, and the hole of the papers' ratio."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualbound import Box, Milp, Network, Status, Targeted, nearest
from dualbound.criterion import DEFAULT_MARGIN
from dualbound.errors import InvalidCriterion

CRITERIA = [
    Targeted(1),
    Targeted(0, margin=0.5),
    Targeted(1, ratio=1.2),
    Targeted(0, ratio=2.0, floor=0.1),
]

outputs = st.lists(
    st.one_of(st.floats(-3, 3), st.sampled_from([0.0, 1e-3, 0.1, 0.5, 1.0, 1.2, 2.0])),
    min_size=2,
    max_size=5,
).map(np.array)


def meant(criterion: Targeted, o: np.ndarray) -> bool:
    """What DESIGN says in words, without rows."""
    mine, others = o[criterion.target], np.delete(o, criterion.target)
    if criterion.ratio is None:
        return bool(np.all(mine - others >= (criterion.margin or DEFAULT_MARGIN)))
    best = max(others.max(), 0.0)
    return bool(mine >= criterion.ratio * best and mine >= criterion.floor)


@pytest.mark.parametrize("criterion", CRITERIA, ids=str)
@given(o=outputs)
def test_the_rows_say_what_is_meant(criterion: Targeted, o: np.ndarray) -> None:
    a, b = criterion.rows(len(o))
    assert bool(np.all(a @ o >= b)) == meant(criterion, o) or np.abs(a @ o - b).min() < 1e-12
    assert float(criterion.slack(o)) == pytest.approx((a @ o - b).min(), abs=1e-12)


@pytest.mark.parametrize("criterion", CRITERIA, ids=str)
@given(o=outputs)
def test_reached_is_the_rows_and_a_strict_answer(criterion: Targeted, o: np.ndarray) -> None:
    strict = bool(np.all(np.delete(o, criterion.target) < o[criterion.target]))
    assert criterion.reached(o) == (float(criterion.slack(o)) >= 0 and strict)
    assert criterion.classified(o) == strict
    if criterion.reached(o):
        assert int(np.argmax(o)) == criterion.target


@pytest.mark.parametrize("criterion", CRITERIA, ids=str)
def test_slack_of_a_batch_is_that_of_each_row(criterion: Targeted) -> None:
    batch = np.random.default_rng(0).normal(size=(7, 4))
    one_by_one = [float(criterion.slack(row)) for row in batch]
    np.testing.assert_allclose(criterion.slack(batch), one_by_one, rtol=1e-12)


@pytest.mark.parametrize("rounding", [0.0, 1e-3, 1e9])
def test_rounding_excuses_the_slack_but_never_the_label(rounding: float) -> None:
    criterion = Targeted(0, margin=0.5)
    assert criterion.reached(np.array([1.0, 0.5 + 1e-4]), rounding=rounding) == (rounding > 0)
    assert not criterion.reached(np.array([1.0, 1.0]), rounding=rounding)
    assert not criterion.reached(np.array([1.0, 1.1]), rounding=rounding)


@pytest.mark.parametrize("criterion", CRITERIA, ids=str)
@pytest.mark.parametrize("rounding", [0.0, 1e-5])
def test_what_is_not_a_number_reaches_nothing(criterion: Targeted, rounding: float) -> None:
    for bad in ([np.nan, 1.0], [1.0, np.nan], [np.nan, np.nan]):
        assert not criterion.reached(np.array(bad), rounding=rounding)


class TestAllOutputsZero:
    """``o_t >= 1.2·o_j`` holds where every output is 0: one of the papers' own figures is that."""

    # Label 0 above 0.5, label 1 below 0.2, and nothing at all between.
    net = Network.dense([[[1.0], [-1.0]]], [[-0.5, 0.2]], final_relu=True)

    def test_no_criterion_is_reached_by_zeros(self) -> None:
        for criterion in CRITERIA:
            assert not criterion.reached(np.zeros(3), rounding=2e-5)
            assert float(criterion.slack(np.zeros(3))) < 0

    @pytest.mark.parametrize("ratio", [1.0000001, 1.2, 100.0])
    def test_nor_by_outputs_below_zero(self, ratio: float) -> None:
        assert not Targeted(0, ratio=ratio).reached(np.array([-1.0, -2.0, -3.0]))

    @pytest.mark.unchecked_shapes
    @pytest.mark.parametrize("norm", ["l1", "linf"])
    @pytest.mark.parametrize("strategy", ["margin", "direct"])
    @pytest.mark.parametrize("criterion", [{"ratio": 1.2}, {"margin": 1e-3}, {}])
    def test_nearest_walks_through_the_zeros(
        self, norm: str, strategy: str, criterion: dict[str, float]
    ) -> None:
        answer = nearest(
            self.net, [0.9], Targeted(1, **criterion), norm=norm, engine=Milp(strategy=strategy)
        )
        assert answer.status in (Status.OPTIMAL, Status.FEASIBLE)
        assert answer.witness is not None
        assert answer.witness.label == 1
        assert answer.witness.outputs[1] > 0
        least = 1e-3 if criterion else DEFAULT_MARGIN
        assert answer.value == pytest.approx(0.7 + least, abs=1e-6)

    @pytest.mark.parametrize("strategy", ["margin", "direct"])
    def test_zeros_alone_are_no_answer(self, strategy: str) -> None:
        answer = nearest(
            self.net,
            [0.9],
            Targeted(1, ratio=1.2),
            region=Box(0.3, 1.0),
            engine=Milp(strategy=strategy),
        )
        assert (answer.status, answer.witness) == (Status.INFEASIBLE, None)


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"ratio": 1.2, "margin": 0.1}, "not both"),
            ({"ratio": 1.0}, "above 1"),
            ({"ratio": -2.0}, "above 1"),
            ({"ratio": np.nan}, "above 1"),
            ({"ratio": np.inf}, "above 1"),
            ({"margin": 0.0}, "above 0"),
            ({"margin": -1.0}, "above 0"),
            ({"margin": np.nan}, "above 0"),
            ({"margin": np.inf}, "above 0"),
            ({"ratio": 1.2, "floor": 0.0}, "floor must be above 0"),
            ({"ratio": 1.2, "floor": np.nan}, "floor must be above 0"),
        ],
    )
    def test_values_that_make_no_sense(self, options: dict[str, float], message: str) -> None:
        with pytest.raises(InvalidCriterion, match=message):
            Targeted(0, **options)

    @pytest.mark.parametrize("target", [-1, 3, 10])
    def test_a_target_out_of_range(self, target: int) -> None:
        with pytest.raises(InvalidCriterion, match="out of range: the network's labels are 0 to 2"):
            Targeted(target).check(3)
        with pytest.raises(InvalidCriterion, match="out of range"):
            Targeted(target).rows(3)

    def test_the_present_label(self) -> None:
        with pytest.raises(InvalidCriterion, match="already answers 1"):
            Targeted(1).check(3, present=1)
        with pytest.raises(InvalidCriterion, match="already answers 0"):
            nearest(TestAllOutputsZero.net, [0.9], Targeted(0))

    def test_a_network_of_one_output(self) -> None:
        with pytest.raises(InvalidCriterion, match="1 output"):
            Targeted(0).check(1)
