"""The second question, among all that is as near as the first answer, against the truth."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace

import numpy as np
import pytest

from brute_force import Case, distance_between, nearest_distance, nearest_on_grid, random_question
from dualbound import (
    L1,
    Answer,
    Box,
    Columns,
    Limits,
    LInf,
    Milp,
    Network,
    Status,
    Targeted,
    Untargeted,
    nearest,
)
from dualbound.errors import InvalidInput
from dualbound.limits import Clock
from dualbound.queries.nearest import nearest_problem
from dualbound.queries.then import as_near, then_nearest
from dualbound.region import norm_named
from dualbound.search import Incumbent

VALUE, PROOF = 2e-6, 1e-7
NORMS = ("l1", "l2", "l0")


def question(seed: int) -> tuple[Case, str]:
    return replace(random_question(seed), norm="linf"), NORMS[seed % 3]


def network_of(case: Case) -> Network:
    return Network.dense(case.tiny.weights, case.tiny.biases, final_relu=case.tiny.final_relu)


def parts(case: Case) -> dict[str, object]:
    return {
        "norm": case.norm,
        "region": Box(case.lower, case.upper),
        "cap": case.cap,
        "mask": case.mask,
        "levels": case.levels,
        "weights": case.weights,
    }


def criterion(case: Case) -> Targeted:
    wish = case.wish
    return Targeted(wish.target, ratio=wish.ratio, margin=wish.margin, floor=wish.floor)


def truth(case: Case, then: str, radius: float) -> float:
    """The least distance in the second norm of what is within a radius in the first."""
    prices = np.ones(len(case.center)) if case.weights is None else case.weights
    low, high = case.room
    low = np.maximum(low, case.center - radius / prices)
    high = np.minimum(high, case.center + radius / prices)
    asked = (case.tiny, case.center, case.wish, then, low, high)
    if case.levels is not None:
        return nearest_on_grid(*asked, case.grid, case.weights)
    return nearest_distance(*asked, case.weights)


def assert_witness(case: Case, answer: Answer, then: str, radius: float) -> None:
    """It is as near as the first answer says, reaches the wish, and is the second's."""
    assert answer.witness is not None
    assert answer.then is not None
    x = answer.witness.x
    assert np.all((case.room[0] <= x) & (x <= case.room[1]))
    if case.levels is not None:
        assert np.all((x == case.grid).any(axis=0))
    far = distance_between(x, case.center, "linf", case.weights)
    assert far <= radius * (1 + 2e-9)
    assert answer.value == pytest.approx(far, abs=1e-15, rel=1e-15)
    second = distance_between(x, case.center, then, case.weights)
    assert answer.then.value == pytest.approx(second, abs=1e-12, rel=1e-12)
    wanted, limit = case.wish.rows(case.tiny.outputs)
    assert np.all(wanted @ case.tiny(x) <= limit + 1e-12)


@pytest.mark.parametrize("seed", range(20_000, 20_040))
def test_of_all_as_near_the_nearest_otherwise_is_found(seed: int) -> None:
    case, then = question(seed)
    net, wanted = network_of(case), criterion(case)
    first = nearest(net, case.center, wanted, **parts(case), gap=1e-6)
    engine = Columns(threads=1, attack=None)
    answer = nearest(net, case.center, wanted, **parts(case), gap=1e-6, then=then, engine=engine)
    assert answer.bound == pytest.approx(first.bound, rel=1e-6)
    if first.value is None:
        assert (answer.status, answer.then, answer.witness) == (first.status, None, None)
        return
    assert answer.value is not None
    assert answer.value <= first.value * (1 + 2e-9)
    assert_witness(case, answer, then, first.value)
    second = answer.then
    assert second is not None
    assert (second.norm, second.witness is None) == (then, False)
    assert second.bound <= truth(case, then, first.value) * (1 + PROOF) + PROOF
    assert second.value is not None
    assert second.value >= truth(case, then, first.value * (1 + 1e-6) + 1e-6) * (1 - PROOF) - PROOF
    if second.status is Status.OPTIMAL:
        assert second.value == pytest.approx(second.bound, rel=2e-6, abs=1e-9)


@pytest.mark.parametrize("seed", range(21_000, 21_030))
def test_in_a_wider_box_it_is_exact(seed: int) -> None:
    """Within 1.3 times the first distance there is room, and no rounding to hide in."""
    case, then = question(seed)
    net, wanted = network_of(case), criterion(case)
    engine = Columns(threads=1, attack=None)
    first = nearest(net, case.center, wanted, **parts(case), gap=1e-6, engine=engine)
    if first.value is None or first.witness is None:
        return
    problem = nearest_problem(net, case.center, wanted, **parts(case))
    radius = 1.3 * first.value
    answer = then_nearest(
        problem,
        replace(first, value=radius),
        norm_named(then, case.weights),
        engine,
        Incumbent(Clock()),
        1e-6,
    )
    assert_witness(case, answer, then, radius)
    second, true = answer.then, truth(case, then, radius)
    assert second is not None
    assert second.bound <= true * (1 + PROOF) + PROOF
    if then == "l2" and case.levels is not None:
        assert second.value is not None
        assert second.value >= true * (1 - PROOF)
    else:
        assert second.value == pytest.approx(true, rel=VALUE, abs=VALUE)
        assert second.bound == pytest.approx(true, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("seed", range(40))
def test_the_box_is_that_of_the_distance_to_the_last_digit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 50
    center, prices = rng.random(n), rng.uniform(0.3, 3.0, n)
    center[:10] = rng.choice([0.0, 1.0, 1e-9], 10)
    net = Network.dense([np.eye(2, n)], [[0.0, 0.0]])
    weights = prices if seed % 2 else None
    problem = nearest_problem(
        net, center, Targeted(1 - int(np.argmax(center[:2]))), norm="linf", weights=weights
    )
    x = rng.random(n)
    radius = float(problem.distance(x)) * rng.choice([1.0, 0.01])
    x = np.where((prices if seed % 2 else 1.0) * np.abs(x - center) > radius, center, x)
    box = as_near(problem, radius, x)
    assert np.all((box.lower <= x) & (x <= box.upper))
    for corner in (box.lower, box.upper):
        assert float(problem.distance(corner)) <= radius
    each = radius / (prices if seed % 2 else 1.0)
    assert np.abs(box.upper - np.minimum(1.0, center + each)).max() < 1e-15


NET = Network.dense(
    [[[2.0, -1.0], [-1.0, 1.5], [1.0, 1.0]], [[1.0, -1.0, 0.5], [-1.0, 2.0, 0.5]]],
    [[0.1, -0.2, -0.5], [0.0, 0.1]],
)
CENTER = np.array([0.8, 0.2])


@pytest.mark.parametrize("engine", [Columns(threads=1), Milp(), Milp(strategy="direct")])
@pytest.mark.unchecked_shapes
def test_every_engine_agrees(engine: Columns | Milp) -> None:
    net = Network.dense([[[1.0, 0.0, 0.1], [0.0, 1.0, 0.0]]], [[0.0, 0.0]])
    answer = nearest(
        net, [0.7, 0.2, 0.5], Targeted(1, margin=0.1), norm="linf", then="l0", engine=engine
    )
    assert answer.status is Status.OPTIMAL
    assert answer.then is not None
    assert (answer.then.value, answer.then.bound) == pytest.approx((3.0, 3.0), rel=1e-5)


@pytest.mark.slow
def test_unions_are_asked_too() -> None:
    plain = nearest(NET, CENTER, Targeted(1), norm="linf", then="l1", gap=1e-7)
    union = nearest(NET, CENTER, Untargeted(), norm="linf", then="l1", gap=1e-7)
    assert plain.then is not None
    assert union.then is not None
    assert union.value == pytest.approx(plain.value, rel=1e-6)
    assert union.then.value == pytest.approx(plain.then.value, rel=1e-6)


@pytest.mark.unchecked_shapes
def test_a_norm_may_carry_its_own_weights() -> None:
    weights = np.array([1.0, 5.0])
    answer = nearest(NET, CENTER, Targeted(1), norm=LInf(weights), then=L1(1 / weights))
    assert answer.witness is not None
    assert answer.then is not None
    moved = np.abs(answer.witness.x - CENTER)
    assert answer.value == pytest.approx((weights * moved).max(), rel=1e-12)
    assert answer.then.value == pytest.approx((moved / weights).sum(), rel=1e-12)


class TestCutShort:
    """The first answer stays whole."""

    @pytest.mark.unchecked_shapes
    def test_by_a_limit(self) -> None:
        problem = nearest_problem(NET, CENTER, Targeted(1), norm="linf")
        first = nearest(NET, CENTER, Targeted(1), norm="linf")
        clock = Clock(Limits(1e-9))
        answer = then_nearest(problem, first, L1(), Columns(), Incumbent(clock), 1e-4)
        assert answer.witness is not None
        assert first.witness is not None
        assert np.array_equal(answer.witness.x, first.witness.x)
        assert (answer.status, answer.value, answer.bound) == (
            Status.OPTIMAL,
            first.value,
            first.bound,
        )
        assert answer.then is not None
        assert answer.then.status is Status.FEASIBLE
        assert answer.then.bound <= (answer.then.value or 0)

    def test_by_ctrl_c(self) -> None:
        def stop(now: object) -> None:
            if getattr(now, "phase", "").startswith("then"):
                signal.raise_signal(signal.SIGINT)

        assert threading.current_thread() is threading.main_thread()
        answer = nearest(
            NET, CENTER, Targeted(1), norm="linf", then="l1",
            engine=Columns(threads=1), on_progress=stop,
        )  # fmt: skip
        assert answer.status is Status.OPTIMAL
        assert answer.then is not None
        assert answer.then.status is Status.FEASIBLE
        assert answer.then.note == "interrupted"


class TestRefused:
    @pytest.mark.parametrize("norm", ["l1", "l2", "l0"])
    def test_after_another_norm(self, norm: str) -> None:
        with pytest.raises(InvalidInput, match=r"equally near in L∞.*Ask for linf first"):
            nearest(NET, CENTER, Targeted(1), norm=norm, then="linf" if norm == "l1" else "l1")

    def test_the_same_again(self) -> None:
        with pytest.raises(InvalidInput, match="L∞, as the first is: name l1, l2 or l0"):
            nearest(NET, CENTER, Targeted(1), norm="linf", then="linf")

    def test_l2_by_milp(self) -> None:
        with pytest.raises(InvalidInput, match="highs cannot do"):
            nearest(NET, CENTER, Targeted(1), norm="linf", then="l2", engine=Milp())

    def test_another_number_of_weights(self) -> None:
        with pytest.raises(InvalidInput, match="3 weights; there are 2 inputs"):
            nearest(NET, CENTER, Targeted(1), norm="linf", then=L1(np.ones(3)))
