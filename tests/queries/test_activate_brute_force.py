"""Activate against the truth: every activation pattern of random tiny networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from brute_force import Allowed, Combination, Tiny, random_tiny
from dualbound import (
    Activation,
    Box,
    Columns,
    L1Ball,
    Limits,
    Milp,
    Network,
    Neuron,
    Status,
    activate,
)
from dualbound.queries.activate import optimise
from dualbound.queries.neurons import objective_of
from dualbound.region import Region
from dualbound.search import Bab, Engine
from dualbound.search.objective import Objective
from tiny_graphs import random_graph

VALUE = 2e-6


@dataclass(frozen=True)
class Case:
    """What is asked of a tiny network, in plain arrays."""

    tiny: Tiny
    allowed: Allowed
    combination: Combination
    maximise: bool

    def truth(self) -> float:
        """The greatest value, or the least."""
        if self.maximise:
            return self.combination.greatest(self.tiny, self.allowed)
        return -scaled(self.combination, -1.0).greatest(self.tiny, self.allowed)

    def region(self) -> Region:
        allowed, box = self.allowed, Box(self.allowed.lower, self.allowed.upper)
        return box if allowed.center is None else L1Ball(allowed.center, allowed.radius, box)

    def parts(self) -> dict[str, Any]:
        """The combination in terms of dualbound."""
        wanted, count = self.combination, len(self.tiny.weights)
        neurons: dict[Neuron, float] = {}
        phases: dict[Neuron, float] = {}
        slacks: dict[Neuron, float] = {}
        for k in range(count):
            layer = k + 1 if self.tiny.rectified(k) else "logits"
            for j in range(len(self.tiny.biases[k])):
                for store, values, post in (
                    (neurons, wanted.pre, False),
                    (neurons, wanted.post, True),
                    (phases, wanted.phases, False),
                    (slacks, wanted.slacks, False),
                ):
                    if values[k][j] != 0:
                        store[Neuron(layer, j, post)] = float(values[k][j])
        inputs = wanted.inputs if np.any(wanted.inputs) else None
        return {"neurons": neurons, "inputs": inputs, "phases": phases, "slacks": slacks}

    def network(self) -> Network:
        tiny = self.tiny
        return Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu)

    def asked(self, engine: Engine | None, gap: float = 1e-7) -> Activation:
        return activate(
            self.network(), region=self.region(), maximise=self.maximise, gap=gap, engine=engine,
            **self.parts(),
        )  # fmt: skip

    def objective(self) -> tuple[Network, Objective]:
        """To be maximised."""
        network, sign = self.network(), 1.0 if self.maximise else -1.0
        return network, objective_of(network, sign=sign, **self.parts())

    def at(self, x: np.ndarray) -> float:
        """The combination at one input, by hand; a phase at 0 counts as suits."""
        wanted, sign = self.combination, 1 if self.maximise else -1
        total, value = float(wanted.inputs @ x), x
        for k, (weight, bias) in enumerate(zip(self.tiny.weights, self.tiny.biases, strict=True)):
            value = weight @ value + bias
            total += wanted.pre[k] @ value + wanted.slacks[k] @ np.maximum(-value, 0)
            worth = wanted.phases[k]
            total += np.where(sign * worth > 0, value <= 0, value < 0) @ worth
            if self.tiny.rectified(k):
                value = np.maximum(value, 0)
                total += wanted.post[k] @ value
        return total


def scaled(wanted: Combination, by: float) -> Combination:
    lists = (wanted.pre, wanted.post, wanted.phases, wanted.slacks)
    return Combination(wanted.inputs * by, *([part * by for part in each] for each in lists))


def random_case(seed: int, *, phases: bool = False) -> Case:
    """One neuron, a combination in one layer, or one of all layers; over a box or a ball."""
    rng = np.random.default_rng(seed)
    tiny = random_tiny(rng)
    while phases and np.all(tiny.weights[0] * 2 % 1 == 0):
        tiny = random_tiny(rng)  # ties: patterns of a single point, which floats cannot meet
    n, count = tiny.inputs, len(tiny.weights)
    lower = rng.uniform(-2, 0, n)
    upper = lower + rng.uniform(0.2, 3, n)
    allowed = Allowed(lower, upper)
    if rng.random() < 0.5:
        allowed = Allowed(lower, upper, rng.uniform(lower, upper), float(rng.uniform(0.3, 2.0)))

    def none() -> list[np.ndarray]:
        return [np.zeros(len(bias)) for bias in tiny.biases]

    wanted = Combination(np.zeros(n), none(), none(), none(), none())
    kind, layer = rng.random(), int(rng.integers(count))
    post = tiny.rectified(layer) and rng.random() < 0.5
    values = (wanted.post if post else wanted.pre)[layer]
    if phases:
        for k in range(count):
            if tiny.rectified(k):
                chosen = rng.random(len(values := wanted.phases[k])) < 0.6
                values[:] = np.where(chosen, rng.normal(size=len(values)), 0.0)
        if rng.random() < 0.5:
            wanted.pre[-1][:] = rng.normal(size=len(wanted.pre[-1]))
        wanted.phases[0][0] = 1.0
    if kind < 0.3:
        values[rng.integers(len(values))] += 1.0
    elif kind < 0.6:
        values += rng.normal(size=len(values))
    else:
        for k in range(count):
            wanted.pre[k][:] = rng.normal(size=len(wanted.pre[k])) * rng.integers(0, 2)
            if tiny.rectified(k):
                wanted.post[k][:] = rng.normal(size=len(wanted.post[k])) * rng.integers(0, 2)
                wanted.slacks[k][:] = rng.normal(size=len(wanted.slacks[k])) * rng.integers(0, 2)
        wanted.pre[-1][0] += 0.5
        wanted.inputs[:] = rng.normal(size=n) * rng.integers(0, 2)
    return Case(tiny, allowed, wanted, bool(rng.random() < 0.5))


def assert_true(case: Case, answer: Activation, *, gap: float = 1e-7) -> None:
    truth, sign = case.truth(), 1 if case.maximise else -1
    assert answer.value is not None
    assert answer.x is not None
    assert answer.value == pytest.approx(truth, abs=VALUE + gap, rel=VALUE + gap)
    assert sign * answer.bound >= sign * truth - 1e-9 * (1 + abs(truth))
    assert sign * answer.bound >= sign * answer.value
    assert answer.value == pytest.approx(case.at(answer.x), abs=1e-9, rel=1e-9)
    assert np.all(case.allowed.lower <= answer.x)
    assert np.all(answer.x <= case.allowed.upper)
    if case.allowed.center is not None:
        assert np.abs(answer.x - case.allowed.center).sum() <= case.allowed.radius
    if answer.status is Status.OPTIMAL:
        assert abs(answer.bound - answer.value) <= gap * max(1, abs(answer.value)) + 1e-9
    else:
        assert answer.note or answer.gap <= 1e-5


@pytest.mark.parametrize("seed", range(100))
def test_our_own_search_finds_the_extreme(seed: int) -> None:
    case = random_case(seed)
    answer = case.asked(Columns(threads=1))
    assert answer.status is Status.OPTIMAL
    assert_true(case, answer)


@pytest.mark.parametrize("seed", range(500, 540))
def test_so_do_decisions(seed: int) -> None:
    case = random_case(seed)
    assert_true(case, case.asked(Bab(), gap=1e-4), gap=1e-4)


@pytest.mark.parametrize("gap", [0.0, 1e-15, 1e-12])
@pytest.mark.parametrize("seed", range(500, 508))
@pytest.mark.slow
def test_decisions_end_where_rounding_begins(seed: int, gap: float) -> None:
    case = random_case(seed)
    answer = case.asked(Bab(), gap=gap)
    assert_true(case, answer, gap=1e-7)
    assert answer.gap is not None
    assert answer.gap <= 1e-7


@pytest.mark.parametrize("seed", range(30))
def test_decisions_on_graphs_that_branch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    net = graph.network
    lower = rng.uniform(-1, 0, net.input_size)
    region = Box(lower, lower + rng.uniform(0.2, 2, net.input_size))
    wanted = {Neuron("logits", j): float(rng.normal()) for j in range(net.output_size)}
    found = activate(net, wanted, region, engine=Bab(), gap=1e-3)
    truth = activate(net, wanted, region, engine=Milp(), gap=1e-6)
    assert truth.value is not None
    assert found.value is not None
    assert found.value <= truth.bound + VALUE * (1 + abs(truth.bound))
    assert found.bound >= truth.value - VALUE * (1 + abs(truth.value))
    assert found.status is Status.OPTIMAL or found.note


@pytest.mark.parametrize("seed", range(500, 540))
def test_which_side_of_a_number_the_extreme_lies_on(seed: int) -> None:
    case = random_case(seed)
    truth = case.truth() if case.maximise else -case.truth()
    network, objective = case.objective()
    for side in (truth - 0.1, truth + 0.1, truth - 1e-4, truth + 1e-4):
        found = optimise(
            network, objective, case.region(), maximise=True, gap=0.5, engine=Bab(), side=side,
            of_outputs=None, limits=Limits(30), on_progress=None,
        )  # fmt: skip
        assert found.value is not None
        assert found.value <= truth + VALUE * (1 + abs(truth))
        assert found.bound >= truth - VALUE * (1 + abs(truth))
        if side < truth:
            assert found.value > side
        else:
            assert found.bound <= side


@pytest.mark.parametrize("seed", range(1000, 1025))
@pytest.mark.parametrize("engine", [Milp(), Milp(formulation="fischetti-jo", bounds="interval")])
def test_so_does_one_program(seed: int, engine: Engine) -> None:
    case = random_case(seed)
    assert_true(case, case.asked(engine))


@pytest.mark.parametrize("seed", range(2000, 2030))
@pytest.mark.parametrize("formulation", ["bigm", "fischetti-jo"])
def test_phases_and_slacks_as_in_the_papers(seed: int, formulation: str) -> None:
    case = random_case(seed, phases=True)
    assert_true(case, case.asked(Milp(formulation=formulation)), gap=1e-5)


@pytest.mark.parametrize("seed", range(2000, 2008))
def test_phases_by_indicators(seed: int) -> None:
    pytest.importorskip("pyscipopt")
    case = random_case(seed, phases=True)
    assert_true(case, case.asked(Milp(solver="scip", formulation="indicator")), gap=1e-5)


def test_the_cases_are_varied() -> None:
    cases = [random_case(seed) for seed in range(100)]
    for trait in (
        lambda case: case.maximise,
        lambda case: case.allowed.center is None,
        lambda case: np.any(case.combination.inputs),
        lambda case: any(map(np.any, case.combination.slacks)),
        lambda case: any(map(np.any, case.combination.post)),
        lambda case: sum(map(np.any, case.combination.pre)) == 1,
    ):
        assert 10 < sum(map(bool, map(trait, cases))) < 90
