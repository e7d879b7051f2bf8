"""A union's search: what is opened, what is proved of the whole, what an interruption leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest

from brute_force import random_case
from dualbound import (
    Box,
    Columns,
    Highs,
    Limits,
    Linearised,
    Network,
    OneOf,
    Progress,
    Status,
    Targeted,
    Untargeted,
    load,
    load_image,
    nearest,
)
from dualbound.errors import SoundnessError
from dualbound.patterns import NearestProblem
from dualbound.search import Engine, Incumbent
from dualbound.solvers import Solver

pytestmark = pytest.mark.unchecked_shapes


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    """One thread of torch."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Scripted(Engine):
    """Does with each target what a test says, or asks another engine; keeps what it was given."""

    acts: Callable[[int, Incumbent], None] | None = None
    asks: Engine = field(default_factory=lambda: Columns(threads=1))
    opened: list[tuple[int, float, bool]] = field(default_factory=list)
    attack: Linearised | None = None
    name: ClassVar[str] = "scripted"

    def backend(self) -> Solver:
        return Highs()

    def without_attack(self) -> Scripted:
        return replace(self, attack=None, asks=self.asks.without_attack())

    def search(self, problem: NearestProblem, incumbent: Incumbent, gap: float) -> int | None:
        assert isinstance(problem.criterion, Targeted)
        target = problem.criterion.target
        self.opened.append((target, incumbent.value, self.attack is not None))
        if self.acts is None:
            return self.asks.search(problem, incumbent, gap)
        self.acts(target, incumbent)
        return 10 - target


# The outputs are the inputs. Label 1 wins by 0.1 at a distance of 0.5, label 2 at 0.8, label 3 at
# 1.0. CROWN is exact here, but looks at few radii: it alone proves the least of them within 2 %.
NET = Network.dense([np.eye(4)], [[0.0] * 4])
X = np.array([0.9, 0.5, 0.2, 0.0])
TRUTH = {1: 0.5, 2: 0.8, 3: 1.0}


def ask(acts: Callable[[int, Incumbent], None], **options: object) -> tuple[object, Scripted]:
    engine = Scripted(acts)
    return nearest(NET, X, Untargeted(margin=0.1), engine=engine, **options), engine  # type: ignore


class TestTheBoundOfAUnion:
    def test_is_the_least_of_its_alternatives(self) -> None:
        answer, engine = ask(lambda target, known: known.prove({1: 0.499, 2: 0.79, 3: 0.9}[target]))
        assert answer.bound == 0.499
        assert answer.status is Status.UNKNOWN
        assert sorted(target for target, *_ in engine.opened) == [1, 2, 3]
        assert answer.stats.unstable == 9

    @pytest.mark.parametrize("last", [1, 2, 3])
    def test_is_not_proved_before_the_last_is(self, last: int) -> None:
        answer, _ = ask(lambda target, known: None if target == last else known.prove(np.inf))
        assert answer.status is Status.UNKNOWN
        assert answer.bound <= TRUTH[last]

    def test_is_infinite_when_each_is_excluded(self) -> None:
        answer, _ = ask(lambda target, known: known.prove(np.inf))
        assert (answer.status, answer.bound) == (Status.INFEASIBLE, np.inf)

    def test_never_exceeds_the_value(self) -> None:
        def act(target: int, known: Incumbent) -> None:
            if target == 2:
                known.improve(np.array([0.6, 0.5, 0.71, 0.0]), 0.81)
            known.prove(np.inf)

        answer, _ = ask(act)
        assert answer.status is Status.OPTIMAL
        assert answer.value * (1 - 1.01e-4) <= answer.bound <= answer.value
        assert answer.value == pytest.approx(0.81)
        assert answer.witness.label == 2

    def test_a_witness_of_one_closes_what_is_further(self) -> None:
        """Label 1 at 0.5: CROWN excludes the others from that ball."""

        def act(target: int, known: Incumbent) -> None:
            known.improve(np.array([0.65, 0.75 + 1e-9, 0.2, 0.0]), 0.5 + 1e-9)
            known.prove(0.5)

        answer, engine = ask(act)
        assert engine.opened == [(1, np.inf, False)]
        assert answer.status is Status.OPTIMAL

    def test_a_proof_that_another_alternative_contradicts_is_fatal(self) -> None:
        """Label 1 is said to be nowhere, and then found in the search for label 2."""

        def act(target: int, known: Incumbent) -> None:
            if target == 1:
                known.prove(np.inf)
            else:
                known.improve(np.array([0.6, 0.8, 0.2, 0.0]), 0.6)

        with pytest.raises(SoundnessError, match="contradicts the proved bound inf"):
            ask(act)

    def test_an_open_alternative_is_tried_again_only_under_a_better_cutoff(self) -> None:
        def act(target: int, known: Incumbent) -> None:
            if target == 3 and known.x is None:
                known.improve(np.array([0.375, 0.375, 0.2, 0.5]), 1.15)

        answer, engine = ask(act)
        assert [target for target, *_ in engine.opened] == [1, 2, 3, 1, 2]
        assert [value for _, value, _ in engine.opened] == [np.inf] * 3 + [1.15] * 2
        assert answer.status is Status.FEASIBLE
        assert 0.2 < answer.bound <= 0.5


class TestStopping:
    def test_an_interruption_keeps_what_is_proved_of_all(self) -> None:
        def act(target: int, known: Incumbent) -> None:
            known.prove(0.45)
            known.clock.interrupt()

        answer, engine = ask(act)
        assert len(engine.opened) == 1
        assert "interrupted" in answer.note
        assert 0.2 < answer.bound <= 0.5

    def test_each_has_its_share_of_the_time(self) -> None:
        shares: dict[int, float] = {}

        def act(target: int, known: Incumbent) -> None:
            shares[target] = known.clock.remaining

        ask(act, limits=Limits(600))
        first, second, third = shares.values()
        assert 190 < first <= 200
        assert 290 < second <= 300
        assert 580 < third <= 600

    def test_the_shares_that_are_left_go_to_those_still_open(self) -> None:
        """The first takes all of its share; the others nothing; then it has all that is left."""
        heard: list[float] = []

        def act(target: int, known: Incumbent) -> None:
            if target != 1:
                known.prove(np.inf)
            elif not heard:
                heard.append(known.clock.remaining)
                while not known.clock.expired:
                    pass
            else:
                heard.append(known.clock.remaining)
                known.prove(np.inf)

        answer, _ = ask(act, limits=Limits(0.3))
        assert answer.status is Status.INFEASIBLE
        assert heard[0] <= 0.1 < heard[1]

    def test_progress_is_told_of_the_union(self) -> None:
        told: list[Progress] = []

        def act(target: int, known: Incumbent) -> None:
            known.enter("search")
            known.prove(0.49 if target == 1 else 0.6)
            known.nodes += 5
            known.enter("done")

        ask(act, on_progress=told.append)
        assert all(before.bound <= after.bound for before, after in pairwise(told))
        assert all(now.bound <= 0.5 for now in told)
        assert "search (label 2)" in {now.phase for now in told}
        assert told[-1].nodes == 15


@pytest.mark.parametrize("seed", range(4000, 4008))
def test_what_is_never_opened_is_farther(seed: int) -> None:
    case = random_case(seed, outputs=4)
    tiny = case.tiny
    engine = Scripted(attack=Linearised())
    answer = nearest(
        Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu),
        case.center,
        Untargeted(case.wish.ratio, case.wish.margin, case.wish.floor),
        norm=case.norm,
        region=Box(case.lower, case.upper),
        cap=case.cap,
        mask=case.mask,
        engine=engine,
    )
    opened = {target for target, *_ in engine.opened}
    for target in set(range(4)) - opened - {answer.label_before}:
        least = case.distance_to_any([target])
        assert least >= (np.inf if answer.value is None else answer.value * (1 - 2e-4) - 1e-7)
    cutoffs = [value for _, value, _ in engine.opened]
    assert cutoffs == sorted(cutoffs, reverse=True)
    assert all(attacks == (value == np.inf) for _, value, attacks in engine.opened)


@pytest.mark.slow
def test_untargeted_is_the_least_of_the_targeted() -> None:
    net = load("dnn1")
    image = load_image("sample:0", net.input_shape)
    engine = Scripted(attack=Linearised(starts=2, patience=1))
    light = Columns(threads=1, attack=Linearised(starts=1, flips=4, patience=1))
    whole = nearest(net, image.pixels, Untargeted(), engine=engine)
    targeted = {
        label: nearest(net, image.pixels, Targeted(label), engine=light)
        for label in range(10)
        if label != whole.label_before
    }
    assert all(answer.status is Status.OPTIMAL for answer in (whole, *targeted.values()))
    least = min(targeted, key=lambda label: targeted[label].value)
    assert whole.value == pytest.approx(targeted[least].value, rel=2e-4)
    assert whole.witness.label == least
    assert whole.bound <= targeted[least].value
    opened = {target for target, *_ in engine.opened}
    assert least in opened
    assert len(opened) < 9
    for label in set(targeted) - opened:
        assert targeted[label].value >= whole.value * (1 - 1e-4)
    some = nearest(net, image.pixels, OneOf((1, 0, 2)), engine=light)
    assert some.value == pytest.approx(min(targeted[k].value for k in (0, 1, 2)), rel=2e-4)
