"""The nearest inputs of different labels, and of different patterns, against the truth."""

from __future__ import annotations

import signal
from dataclasses import replace

import numpy as np
import pytest

from brute_force import Case, CellDistance, nearest_of_each_cell, random_case
from dualbound import (
    Box,
    Columns,
    Criterion,
    Limits,
    Milp,
    Network,
    OneOf,
    Status,
    Targeted,
    Untargeted,
    nearest,
    nearest_several,
)
from dualbound.errors import InvalidInput
from dualbound.patterns import cell_at, key_of
from dualbound.queries import Answer, Refused, replayed
from dualbound.queries.nearest import nearest_problem
from dualbound.search import Engine

VALUE, PROOF = 2e-6, 1e-7
THIN = 1e-6


def network_of(case: Case) -> Network:
    return Network.dense(case.tiny.weights, case.tiny.biases, final_relu=case.tiny.final_relu)


def asked(
    case: Case, criterion: Criterion, count: int, distinct: str, engine: Engine | None = None
) -> tuple[Answer, ...]:
    return nearest_several(
        network_of(case), case.center, criterion, count,
        distinct=distinct, norm=case.norm, region=Box(case.lower, case.upper), cap=case.cap,
        mask=case.mask, levels=case.levels, weights=case.weights, gap=1e-6,
        engine=engine or Columns(threads=1),
    )  # fmt: skip


def assert_ends(answers: tuple[Answer, ...], true: list[float], count: int) -> None:
    """As many as there are, then the proof that there are no more."""
    assert len(answers) == min(count, len(true) + 1)
    assert all(answer.witness is not None for answer in answers[: len(true)])
    if len(true) < count:
        assert (answers[-1].status, answers[-1].bound) == (Status.INFEASIBLE, np.inf)


def assert_reached(case: Case, answer: Answer) -> None:
    """The witness is allowed, and its label wins as it should."""
    assert answer.witness is not None
    x = answer.witness.x
    assert np.all((case.room[0] <= x) & (x <= case.room[1]))
    outputs = case.tiny(x)
    label = int(np.argmax(outputs))
    assert answer.witness.label == label
    wanted, limit = case.wish._replace(target=label).rows(case.tiny.outputs)
    assert np.all(wanted @ outputs <= limit + 1e-12)


class TestLabels:
    @pytest.mark.parametrize("seed", range(30_000, 30_040))
    def test_each_label_comes_in_its_turn(self, seed: int) -> None:
        case = random_case(seed, outputs=3 + seed % 3)
        present = int(np.argmax(case.tiny(case.center)))
        others = [label for label in range(case.tiny.outputs) if label != present]
        how = (case.wish.ratio, case.wish.margin, case.wish.floor)
        criterion = OneOf(others, *how) if seed % 2 else Untargeted(*how)
        engine = (None, Columns(threads=1, attack=None), Milp(attack=None))[seed // 3 % 3]
        answers = asked(case, criterion, len(others), "label", engine)
        by_label = {label: case.distance_to_any([label]) for label in others}
        true = sorted(far for far in by_label.values() if far < np.inf)
        assert_ends(answers, true, len(others))
        found = [answer.witness.label for answer in answers if answer.witness is not None]
        assert len(set(found)) == len(found)
        for answer, far in zip(answers, true, strict=False):
            assert_reached(case, answer)
            assert answer.witness is not None
            assert answer.value == pytest.approx(far, rel=VALUE, abs=VALUE)
            assert answer.value == pytest.approx(
                by_label[answer.witness.label], rel=VALUE, abs=VALUE
            )
            assert far - 1e-5 * (1 + far) <= answer.bound <= far + PROOF

    @pytest.mark.slow
    def test_what_is_left_is_named(self) -> None:
        net = Network.dense([np.eye(3)], [[0.0, 0.0, 0.0]])
        answers = nearest_several(net, [0.9, 0.5, 0.1], Untargeted(margin=0.1), 2)
        assert [answer.criterion.goal for answer in answers] == ["any other label", "label 2"]
        answers = nearest_several(net, [0.9, 0.5, 0.1], OneOf((2, 1), ratio=1.5), 1)
        assert answers[0].criterion.goal == "label 2 or 1"


def question(seed: int) -> tuple[Case, list[CellDistance]]:
    """A case with its cells, in each norm, now and then with weights."""
    rng = np.random.default_rng((seed, 7))
    case = random_case(seed)
    norm = ("l1", "linf", "l2")[seed % 3]
    weights = rng.uniform(0.3, 3.0, len(case.center)) if rng.random() < 0.3 else None
    case = replace(case, norm=norm, weights=weights)
    return case, nearest_of_each_cell(
        case.tiny, case.center, case.wish, norm, *case.room, weights
    )  # fmt: skip


def pattern_of(case: Case, x: np.ndarray) -> tuple[int, ...]:
    """The signs of all rectifiers' inputs."""
    found: list[int] = []
    for layer, (weight, bias) in enumerate(zip(case.tiny.weights, case.tiny.biases, strict=True)):
        x = weight @ x + bias
        if case.tiny.rectified(layer):
            found += (x > 0).astype(int).tolist()
            x = np.maximum(x, 0.0)
    return tuple(found)


COUNT = 3


class TestPatterns:
    @pytest.mark.parametrize("seed", range(40_000, 40_064))
    def test_each_pattern_comes_in_its_turn(self, seed: int) -> None:
        case, cells = question(seed)
        if any(THIN / 100 < cell.depth < THIN * 100 for cell in cells):
            pytest.skip("a cell that is neither thin nor thick")
        wish = case.wish
        criterion = Targeted(wish.target, ratio=wish.ratio, margin=wish.margin, floor=wish.floor)
        engine = Columns(threads=1, attack=None) if seed % 3 else None
        answers = asked(case, criterion, COUNT, "pattern", engine)
        thick = {cell.pattern: cell.distance for cell in cells if cell.depth > THIN}
        true = sorted(thick.values())
        assert_ends(answers, true, COUNT)
        patterns = []
        for answer, far in zip(answers, true, strict=False):
            assert_reached(case, answer)
            assert answer.witness is not None
            pattern = pattern_of(case, answer.witness.x)
            assert answer.value == pytest.approx(far, rel=VALUE, abs=VALUE)
            assert answer.value == pytest.approx(thick[pattern], rel=VALUE, abs=VALUE)
            assert far - 1e-5 * (1 + far) <= answer.bound <= far + PROOF
            patterns.append(pattern)
        assert len(set(patterns)) == len(patterns)

    @pytest.mark.slow
    @pytest.mark.parametrize("norm", ["l1", "linf", "l2"])
    def test_cells_that_are_all_face_are_passed_over(self, norm: str) -> None:
        """The second neuron is twice the first, the third its negative: two cells, not eight."""
        net = Network.dense(
            [[[0.7, 0.1], [1.4, 0.2], [-0.7, -0.1]], [[0.0, 0.0, 0.0], [1.0, 1.0, -1.0]]],
            [[-0.37, -0.74, 0.37], [0.0, -0.01]],
        )
        answers = nearest_several(
            net, [0.9, 0.3], Targeted(0), 4, distinct="pattern", norm=norm,
            engine=Columns(threads=1),
        )  # fmt: skip
        assert [answer.status.name for answer in answers] == ["OPTIMAL", "OPTIMAL", "INFEASIBLE"]

    def test_a_neuron_that_is_always_zero_makes_no_second_pattern(self) -> None:
        net = Network.dense(
            [[[1.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]]], [[-0.5, 0.0], [0.0, 0.1]]
        )
        answers = nearest_several(
            net, [0.3, 0.3], Targeted(0), 2, distinct="pattern", engine=Columns(threads=1)
        )
        assert [answer.status for answer in answers] == [Status.OPTIMAL, Status.INFEASIBLE]

    @pytest.mark.slow
    def test_the_first_is_the_nearest_of_all(self) -> None:
        answers = nearest_several(NET, CENTER, Untargeted(), 2, distinct="pattern", gap=1e-7)
        alone = nearest(NET, CENTER, Untargeted(), gap=1e-7)
        assert answers[0].value == pytest.approx(alone.value, rel=1e-6)

    def test_the_replay_refuses_a_listed_pattern(self) -> None:
        x = np.array([0.1, 0.9])
        problem = nearest_problem(NET, CENTER, Targeted(1))
        cell = cell_at(NET, problem.box, x)
        assert cell is not None
        assert replayed(problem, x).label == 1
        assert replayed(replace(problem, listed=frozenset()), x).label == 1
        with pytest.raises(Refused, match="listed before"):
            replayed(replace(problem, listed=frozenset({key_of(cell)})), x)


NET = Network.dense(
    [[[2.0, -1.0], [-1.0, 1.5], [1.0, 1.0]], [[1.0, -1.0, 0.5], [-1.0, 2.0, 0.5]]],
    [[0.1, -0.2, -0.5], [0.0, 0.1]],
)
CENTER = np.array([0.8, 0.2])


class TestCutShort:
    """What is found stays; the last answer says what is known of the next."""

    def test_by_a_limit(self) -> None:
        answers = nearest_several(
            NET, CENTER, Targeted(1), 3, distinct="pattern", limits=Limits(1e-9)
        )
        assert len(answers) == 1
        assert answers[0].status is Status.UNKNOWN

    @pytest.mark.parametrize("distinct", ["label", "pattern"])
    def test_by_ctrl_c(self, distinct: str) -> None:
        def stop(now: object) -> None:
            if getattr(now, "phase", "").startswith("2"):
                signal.raise_signal(signal.SIGINT)

        net = Network.dense(
            [[[2.0, -1.0], [-1.0, 1.5], [1.0, 1.0], [0.5, 0.5]], np.eye(3, 4)],
            [np.zeros(4), np.zeros(3)],
        )
        answers = nearest_several(
            net, CENTER, Untargeted(), 2, distinct=distinct,
            engine=Columns(threads=1), on_progress=stop,
        )  # fmt: skip
        assert answers[0].status is Status.OPTIMAL
        assert answers[1].status in (Status.FEASIBLE, Status.UNKNOWN)
        assert answers[1].note == "interrupted"
        assert answers[1].bound >= answers[0].bound * (1 - 1e-9)


class TestRefused:
    @pytest.mark.parametrize("count", [0, -1, True])
    def test_no_count(self, count: int) -> None:
        with pytest.raises(InvalidInput, match="whole number from 1, found"):
            nearest_several(NET, CENTER, Untargeted(), count)

    def test_by_something_else(self) -> None:
        with pytest.raises(InvalidInput, match="by label or by pattern, not by 'colour'"):
            nearest_several(NET, CENTER, Untargeted(), 1, distinct="colour")

    @pytest.mark.parametrize("criterion", [Targeted(1), OneOf((1,))])
    def test_one_label_only(self, criterion: Criterion) -> None:
        with pytest.raises(InvalidInput, match=r"Only label 1 is asked for.*differ by pattern"):
            nearest_several(NET, CENTER, criterion, 2)

    def test_more_than_there_are_labels(self) -> None:
        net = Network.dense([np.eye(3)], [[0.0, 0.0, 0.0]])
        with pytest.raises(InvalidInput, match="2 labels are asked for, and 3 inputs"):
            nearest_several(net, [0.9, 0.5, 0.1], Untargeted(), 3)

    def test_patterns_by_milp(self) -> None:
        with pytest.raises(InvalidInput, match="by the engine columns only"):
            nearest_several(NET, CENTER, Untargeted(), 2, distinct="pattern", engine=Milp())

    @pytest.mark.parametrize(
        ("options", "where"), [({"norm": "l0"}, "in L0"), ({"levels": 4}, "on a grid")]
    )
    def test_patterns_with_integers(self, options: dict[str, object], where: str) -> None:
        with pytest.raises(InvalidInput, match=f"not listed {where}"):
            nearest_several(NET, [0.75, 0.25], Untargeted(), 2, distinct="pattern", **options)
