"""The network as a program: equal to the forward pass, and never tighter than the function."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brute_force import random_tiny
from dualbound import Bounds, Box, L1Ball, Network, load
from dualbound.bounds import interval
from dualbound.data.sample import sample
from dualbound.errors import InvalidInput
from dualbound.limits import Clock
from dualbound.milp import (
    FORMULATIONS,
    Encoding,
    Program,
    ProgramBuilder,
    encode,
    formulation_named,
    lagrangian_bound,
)
from dualbound.region import L1, LInf, Region
from dualbound.solvers import Highs, Stop, solver_named
from examples import examples

ATOL = 1e-6


@cache
def mlp() -> tuple[Network, Bounds]:
    """The embedded network with bounds over all images, so that its binaries stay."""
    network = load("mlp-64-64")
    return network, interval(network, Box(0, 1).sized(784))


def image(k: int) -> np.ndarray:
    return sample().inputs[k].reshape(-1) / 255


def outputs_at(x: np.ndarray, formulation: str, solver: str) -> np.ndarray:
    """What the program says of an input that is fixed in it."""
    network, over_all = mlp()
    encoding = encode(
        network, Box(x, x).linear_form(), over_all, formulation=formulation_named(formulation)
    )
    program = encoding.builder.build()
    assert program.integer.sum() == over_all.unstable_count(network) > 100
    solution = solver_named(solver).solve(program, Clock())
    assert solution.stop is Stop.OPTIMAL
    assert solution.x is not None
    value = encoding.values[network.output]
    v = solution.x[: value.coefficients.shape[1]]
    return value.coefficients @ v + value.constant


# Schoenfeld, experiment S1.
@pytest.mark.parametrize("k", range(100))
def test_the_fixed_program_is_the_forward_pass(k: int) -> None:
    x = image(k)
    np.testing.assert_allclose(outputs_at(x, "bigm", "highs"), mlp()[0](x), rtol=ATOL, atol=ATOL)


@pytest.mark.parametrize("k", [0, 17, 250])
@pytest.mark.parametrize(
    ("formulation", "solver"),
    [("fischetti-jo", "highs"), ("fischetti-jo", "scip"), ("bigm", "scip"), ("indicator", "scip")],
)
def test_so_it_is_in_every_form(k: int, formulation: str, solver: str) -> None:
    if solver == "scip":
        pytest.importorskip("pyscipopt")
    x = image(k)
    np.testing.assert_allclose(
        outputs_at(x, formulation, solver), mlp()[0](x), rtol=ATOL, atol=ATOL
    )


def tiny_encoding(seed: int, formulation: str, *, integer: bool = True) -> tuple[Encoding, Region]:
    rng = np.random.default_rng(seed)
    tiny = random_tiny(rng)
    n = tiny.inputs
    network = Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu)
    box = Box(-rng.random(n), rng.random(n) + 0.1)
    ball = L1Ball(rng.uniform(box.lower, box.upper), rng.uniform(0.2, 2), box)
    region: Region = ball if seed % 2 else box
    form = region.linear_form()
    encoding = encode(
        network,
        form,
        interval(network, region),
        formulation=formulation_named(formulation),
        integer=integer,
    )
    return encoding, region


@pytest.mark.parametrize("formulation", sorted(FORMULATIONS))
@pytest.mark.parametrize("integer", [True, False])
@given(seed=st.integers(0, 10_000))
@examples(40)
def test_every_input_is_a_point_of_the_program(formulation: str, integer: bool, seed: int) -> None:
    """The program, and its relaxation even more so, contains the exact function."""
    encoding, region = tiny_encoding(seed, formulation, integer=integer)
    program, network = encoding.builder.build(), encoding.network
    for x in region.sample(np.random.default_rng(seed), 5):
        v = encoding.start_at(x)
        assert program.violation(v) <= 1e-9
        np.testing.assert_allclose(encoding.input_at(v), x, atol=1e-12)
        for name, value in encoding.values.items():
            width = value.coefficients.shape[1]
            np.testing.assert_allclose(
                value.coefficients @ v[:width] + value.constant,
                network.values(x[None])[name][0],
                atol=1e-9,
            )


@pytest.mark.parametrize("formulation", sorted(FORMULATIONS))
@pytest.mark.parametrize("norm", [L1(), LInf()], ids=["l1", "linf"])
def test_every_image_is_a_point_of_the_distance_program(formulation: str, norm: L1 | LInf) -> None:
    network, over_all = mlp()
    form = norm.distance_form(image(0), Box(0, 1).sized(784))
    encoding = encode(network, form, over_all, formulation=formulation_named(formulation))
    program = encoding.builder.build()
    for k in range(5):
        v = encoding.start_at(image(k))
        assert program.violation(v) <= 1e-9
        assert program.value(v) == pytest.approx(float(norm.distance(image(k), image(0))))


@pytest.mark.parametrize("formulation", sorted(FORMULATIONS))
@given(seed=st.integers(0, 10_000))
@examples(20)
def test_random_vertices_of_the_program_are_points_of_the_network(
    formulation: str, seed: int
) -> None:
    """With its binaries the program is not larger than the function either."""
    encoding, region = tiny_encoding(seed, formulation)
    program, network = encoding.builder.build(), encoding.network
    if not program.shape[1]:
        return
    rng = np.random.default_rng(seed)
    if program.has_indicators:
        pytest.importorskip("pyscipopt", reason="no solver with indicator constraints is installed")
    session = solver_named("scip" if program.has_indicators else "highs").open(program)
    for _ in range(2):
        solution = session.solve(Clock(), cost=rng.normal(size=program.shape[1]))
        assert solution.x is not None
        x = encoding.input_at(solution.x)
        assert region.violation(x[None])[0] <= 1e-6
        value = encoding.values[network.output]
        said = value.coefficients @ solution.x[: value.coefficients.shape[1]] + value.constant
        np.testing.assert_allclose(said, network(x), atol=1e-4)


@pytest.mark.parametrize("formulation", sorted(FORMULATIONS))
class TestMissingBounds:
    net = Network.dense([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.5]])

    def test_none_at_all(self, formulation: str) -> None:
        with pytest.raises(InvalidInput, match="'affine1' has no bounds; a big-M is never guessed"):
            encode(
                self.net,
                Box([-1.0], [1.0]).linear_form(),
                Bounds({}, {}),
                formulation=formulation_named(formulation),
            )

    @pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
    @pytest.mark.parametrize("side", ["lower", "upper"])
    def test_none_that_is_finite(self, formulation: str, side: str, bad: float) -> None:
        region = Box([-1.0], [1.0])
        found = interval(self.net, region)
        sides = {"lower": dict(found.lower), "upper": dict(found.upper)}
        sides[side]["affine1"] = np.array([1.0 if side == "upper" else -1.0, bad])
        with pytest.raises(InvalidInput, match="no finite bounds; a big-M is never guessed"):
            encode(
                self.net,
                region.linear_form(),
                Bounds(sides["lower"], sides["upper"]),
                formulation=formulation_named(formulation),
            )


def test_an_unknown_formulation() -> None:
    with pytest.raises(InvalidInput, match="'convex'; known are bigm, fischetti-jo, indicator"):
        formulation_named("convex")


def linear_program(seed: int) -> tuple[Program, np.random.Generator]:
    """Feasible at a point drawn first; rows of all kinds, columns bounded or, some, from above."""
    rng = np.random.default_rng(seed)
    m, n = rng.integers(0, 6), rng.integers(1, 7)
    at = rng.normal(size=n)
    below, above = rng.exponential(size=n), rng.exponential(size=n)
    if rng.random() < 0.5:
        below[rng.integers(n)] = np.inf
    builder = ProgramBuilder()
    columns = builder.columns(
        [f"c{i}" for i in range(n)], lower=at - below, upper=at + above, cost=rng.normal(size=n)
    )
    for i in range(m):
        row = rng.normal(size=n)
        slack = rng.choice([0.0, 0.5, np.inf], 2)
        builder.rows(
            [f"r{i}"], [columns], [row], lower=row @ at - slack[0], upper=row @ at + slack[1]
        )
    return builder.build(offset=1.5), rng


@given(seed=st.integers(0, 10_000))
@examples(80)
def test_the_lagrangian_bound_is_never_above_the_optimum(seed: int) -> None:
    program, rng = linear_program(seed)
    solution = Highs().solve(program, Clock())
    if solution.stop is not Stop.OPTIMAL:  # it can be unbounded: then no bound is
        for scale in (0.0, 1.0):
            y = rng.normal(size=program.shape[0]) * scale
            assert lagrangian_bound(program, y) == -np.inf
        return
    assert solution.value is not None
    assert solution.row_duals is not None
    tolerance = 1e-6 * (1 + abs(solution.value))
    for scale in (0.0, 0.1, 1.0, 100.0):
        y = rng.normal(size=program.shape[0]) * scale
        assert lagrangian_bound(program, y) <= solution.value + tolerance
        mixed = solution.row_duals + y * 1e-3
        assert lagrangian_bound(program, mixed) <= solution.value + tolerance
    bounded = np.all(np.isfinite(program.lower))
    if bounded:  # the solver's multipliers are the best ones
        own = lagrangian_bound(program, solution.row_duals)
        assert own == pytest.approx(solution.value, abs=10 * tolerance)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_multipliers_that_are_not_numbers_count_as_none(bad: float) -> None:
    builder = ProgramBuilder()
    x = builder.columns(["x", "y"], lower=0, upper=3, cost=[-1, -2])
    builder.rows(["sum"], [x], [[1, 1]], lower=-1, upper=4)
    assert lagrangian_bound(builder.build(), np.array([bad])) == pytest.approx(-9.0, abs=1e-9)
