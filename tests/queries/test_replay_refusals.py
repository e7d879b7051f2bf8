"""What the replay refuses, and what becomes of answers that lean on it or on a solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar

import numpy as np
import pytest
from jaxtyping import Float

from dualbound import Answer, Highs, Milp, Network, Status, Targeted, nearest
from dualbound.errors import SoundnessError
from dualbound.limits import Clock
from dualbound.milp import Program
from dualbound.patterns import NearestProblem
from dualbound.queries import Refused, replayed
from dualbound.queries.nearest import nearest_problem
from dualbound.search import Incumbent
from dualbound.solvers import Can, Effort, Session, Solution, Solver, Stop

NET = Network.dense(
    [[[2.0, -1.0], [-1.0, 1.5], [1.0, 1.0]], [[1.0, -1.0, 0.5], [-1.0, 2.0, 0.5]]],
    [[0.1, -0.2, -0.5], [0.0, 0.1]],
)
CENTER = np.array([0.8, 0.2])
CRITERION = Targeted(1, ratio=1.2)


def problem(**options: object) -> NearestProblem:
    return nearest_problem(NET, CENTER, CRITERION, **options)


@cache
def true_witness(norm: str) -> np.ndarray:
    answer = nearest(NET, CENTER, CRITERION, norm=norm)
    assert answer.witness is not None
    return answer.witness.x


def refused(what: NearestProblem, x: np.ndarray, why: str) -> None:
    with pytest.raises(Refused, match=why):
        replayed(what, x)


class TestTheReplay:
    @pytest.mark.parametrize("norm", ["l1", "linf"])
    def test_takes_the_witness_that_nearest_found(self, norm: str) -> None:
        x = true_witness(norm)
        witness = replayed(problem(norm=norm), x)
        assert witness.label == 1
        assert [runtime.label for runtime in witness.runtimes] == [1, 1]
        assert witness.distance == pytest.approx(
            np.abs(x - CENTER).sum() if norm == "l1" else np.abs(x - CENTER).max()
        )

    @pytest.mark.parametrize("norm", ["l1", "linf"])
    @pytest.mark.parametrize("nudge", [1e-5, 1e-3, 0.5, 1.0])
    def test_refuses_it_nudged_towards_the_centre(self, norm: str, nudge: float) -> None:
        x = true_witness(norm)
        refused(problem(norm=norm), x + nudge * (CENTER - x), "criterion slack of -")

    def test_refuses_a_point_outside_the_box_by_the_least(self) -> None:
        x = np.array([0.0, 1.0])
        assert replayed(problem(), x).label == 1
        refused(problem(), np.array([0.0, np.nextafter(1.0, 2.0)]), "leaves the allowed box")
        refused(problem(), np.array([-5e-324, 1.0]), "leaves the allowed box")

    def test_refuses_a_point_beyond_its_cap(self) -> None:
        x = np.array([0.0, 1.0])
        refused(problem(cap=0.75), x, "leaves the allowed box by 0.05")
        assert replayed(problem(cap=0.8 + 1e-12), x).label == 1

    def test_refuses_a_change_where_the_mask_forbids_it(self) -> None:
        x = np.array([np.nextafter(CENTER[0], 1), 1.0])
        refused(problem(mask=[False, True]), x, "leaves the allowed box")

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_refuses_what_is_not_a_number(self, bad: float) -> None:
        refused(problem(), np.array([0.0, bad]), "leaves the allowed box")

    def test_refuses_the_centre(self) -> None:
        refused(problem(), CENTER, "answers label 0")


@dataclass(frozen=True)
class HandsOver(Milp):
    """An engine that takes a point for a witness and claims a bound, both unchecked."""

    x: tuple[float, ...] = (0.0, 0.0)
    bound: float = 0.0

    def search(self, problem: NearestProblem, incumbent: Incumbent, gap: float) -> int | None:
        incumbent.x, incumbent.value = np.array(self.x), 0.01
        incumbent.bound = self.bound
        return None


class TestEnginesThatAreWrong:
    @pytest.mark.parametrize(
        "x", [(0.8, 0.2), (0.7, 0.3), (0.0, 1.0 + 1e-9), (np.nan, 0.0), (-1.0, 2.0)]
    )
    def test_a_bad_point_is_no_value(self, x: tuple[float, ...]) -> None:
        answer = nearest(NET, CENTER, CRITERION, engine=HandsOver(x=x))
        assert answer.status is Status.UNKNOWN
        assert (answer.value, answer.witness, answer.gap) == (None, None, None)
        assert answer.note.startswith("the witness found failed its replay: ")

    def test_the_value_is_recomputed_from_the_point(self) -> None:
        answer = nearest(NET, CENTER, CRITERION, engine=HandsOver(x=(0.0, 1.0), bound=0.5))
        assert answer.status is Status.FEASIBLE
        assert answer.value == pytest.approx(1.6)
        assert answer.gap == pytest.approx(1.1 / 1.6)

    def test_a_proof_that_the_witness_contradicts_is_fatal(self) -> None:
        with pytest.raises(SoundnessError, match="contradicts the proved bound"):
            nearest(NET, CENTER, CRITERION, engine=HandsOver(x=(0.0, 1.0), bound=5.0))


Answerer = Callable[[Program], Solution]


def says(stop: Stop, x: np.ndarray | None = None, bound: float | None = None) -> Solution:
    return Solution(stop, x, None, bound, None, 0, 0, 0.0, "a lie")


def infeasible(program: Program) -> Solution:
    return says(Stop.INFEASIBLE, bound=np.inf)


@dataclass(frozen=True, eq=False)
class Lying(Solver):
    """Solves linear programs without criterion columns as it must, and lies about the rest."""

    name: ClassVar[str] = "lying"
    needs: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""
    can: ClassVar[frozenset[Can]] = frozenset(Can)

    answer: Answerer = lambda program: says(Stop.FAILED)
    lies: list[Program] = field(default_factory=list)

    def open(self, program: Program) -> Session:
        return Highs().open(program) if not program.is_mixed_integer else _Lies(self, program)

    def version(self) -> str:
        return "0"


class _Lies(Session):
    def __init__(self, solver: Lying, program: Program) -> None:
        self._solver, self._program = solver, program

    def solve(
        self,
        clock: Clock,
        *,
        cost: Float[np.ndarray, " n"] | None = None,
        start: Float[np.ndarray, " n"] | None = None,
        cutoff: float | None = None,
        target: float | None = None,
        gap: float = 0.0,
        on_effort: Callable[[Effort], None] | None = None,
    ) -> Solution:
        self._solver.lies.append(self._program)
        return self._solver.answer(self._program)


def asked(answer: Answerer, strategy: str, *, attack: bool) -> tuple[Answer, Lying]:
    solver = Lying(answer)
    options = {} if attack else {"attack": None}
    engine = Milp(strategy=strategy, solver=solver, **options)
    return nearest(NET, CENTER, CRITERION, engine=engine, gap=0.05), solver


@pytest.fixture(scope="module")
def truth() -> float:
    value = nearest(NET, CENTER, CRITERION, gap=1e-7).value
    assert value is not None
    return value


def assert_honest(answer: Answer, truth: float) -> None:
    """Whatever the bound: a value comes with a replayed witness, so it is never too small."""
    if answer.witness is None:
        assert (answer.value, answer.gap) == (None, None)
        assert answer.status in (Status.UNKNOWN, Status.INFEASIBLE)
    else:
        assert answer.value is not None
        assert answer.value >= truth - 1e-6
        assert CRITERION.reached(NET(answer.witness.x))


@pytest.mark.parametrize("strategy", ["margin", "direct"])
class TestSolversThatFail:
    @pytest.mark.parametrize(
        "stop",
        [
            Stop.TIME_LIMIT,
            Stop.INTERRUPTED,
            Stop.OTHER_LIMIT,
            Stop.FAILED,
            Stop.UNBOUNDED,
            Stop.INFEASIBLE_OR_UNBOUNDED,
        ],
    )
    def test_without_a_point_nothing_is_claimed(
        self, stop: Stop, strategy: str, truth: float
    ) -> None:
        answer, solver = asked(lambda program: says(stop), strategy, attack=False)
        assert solver.lies
        assert answer.status is Status.UNKNOWN
        assert answer.bound <= truth + 1e-7
        assert_honest(answer, truth)

    @pytest.mark.parametrize("stop", [Stop.OPTIMAL, Stop.TARGET, Stop.TIME_LIMIT])
    @pytest.mark.parametrize("filler", [0.0, 1.0, 1e30, -7.0, np.nan, np.inf])
    def test_a_nonsensical_point_is_no_answer(
        self, stop: Stop, filler: float, strategy: str, truth: float
    ) -> None:
        answer, solver = asked(
            lambda program: says(stop, np.full(program.shape[1], filler)), strategy, attack=False
        )
        assert solver.lies
        assert answer.bound <= truth + 1e-7
        assert_honest(answer, truth)


class TestSolversThatLie:
    """A solver's proof is trusted, and `nearest` says so; its points are not."""

    def test_infeasible_with_a_witness_at_hand_fools_the_bound_only(self, truth: float) -> None:
        answer, _ = asked(
            lambda program: says(Stop.INFEASIBLE, bound=np.inf), "margin", attack=True
        )
        assert answer.value is not None
        assert answer.bound <= answer.value
        assert_honest(answer, truth)

    def test_infeasible_over_the_whole_box_with_a_witness_at_hand_is_fatal(self) -> None:
        incumbent, x = Incumbent(Clock()), true_witness("l1")
        incumbent.improve(x, float(np.abs(x - CENTER).sum()))
        engine = Milp(strategy="direct", solver=Lying(infeasible))
        with pytest.raises(SoundnessError, match="no input reaches the criterion, but one was"):
            engine.search(problem(), incumbent, 0.05)

    def test_infeasible_over_the_whole_box_is_believed_without_a_witness(
        self, truth: float
    ) -> None:
        answer, solver = asked(infeasible, "margin", attack=False)
        assert solver.lies
        assert answer.status is Status.INFEASIBLE
        assert_honest(answer, truth)

    def test_a_bound_above_the_solvers_own_point_is_not_passed_on(self, truth: float) -> None:
        """The distance program's bound is beyond the distance of the point that comes with it."""
        x = true_witness("l1")

        def lie(program: Program) -> Solution:
            v = np.zeros(program.shape[1])
            names = program.column_names
            for i in range(2):
                away = x[i] - CENTER[i]
                if f"p{i}" in names:
                    v[names.index(f"p{i}")] = max(away, 0.0)
                if f"n{i}" in names:
                    v[names.index(f"n{i}")] = max(-away, 0.0)
            return says(Stop.TIME_LIMIT, v, bound=truth + 1.0)

        with pytest.raises(SoundnessError, match="contradicts the proved bound"):
            asked(lie, "direct", attack=False)


class TestTheIncumbent:
    def test_a_witness_below_the_bound_is_fatal(self) -> None:
        incumbent = Incumbent(Clock())
        incumbent.prove(1.0)
        with pytest.raises(SoundnessError, match=r"contradicts the proved bound 1\.0"):
            incumbent.improve(np.zeros(1), 0.9)

    def test_that_there_is_nothing_else_raises_the_bound_to_the_witness(self) -> None:
        incumbent = Incumbent(Clock())
        incumbent.improve(np.zeros(1), 0.9)
        incumbent.prove(np.inf)
        assert incumbent.bound == 0.9

    def test_only_ever_better(self) -> None:
        incumbent = Incumbent(Clock())
        assert incumbent.gap is None
        assert incumbent.improve(np.zeros(1), 2.0)
        assert not incumbent.improve(np.ones(1), 3.0)
        incumbent.prove(1.5)
        incumbent.prove(1.0)
        assert (incumbent.value, incumbent.bound, incumbent.gap) == (2.0, 1.5, 0.25)

    def test_what_is_not_a_number_proves_nothing(self) -> None:
        incumbent = Incumbent(Clock())
        incumbent.prove(np.nan)
        assert incumbent.bound == 0.0
