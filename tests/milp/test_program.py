"""Programs with quadratic objectives and conditional rows: what they are, and what they are not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualbound.errors import InvalidInput
from dualbound.milp import Program, ProgramBuilder, lagrangian_bound
from dualbound.search import Milp
from dualbound.solvers import write_program
from examples import examples


def small() -> Program:
    """Over x in [-2, 2], binary z: x^2/2 + 3z, and x >= 1 only where z is 0."""
    builder = ProgramBuilder()
    x = builder.columns(["x"], lower=-2, upper=2, quadratic=0.5)
    z = builder.columns(["z"], lower=0, upper=1, cost=3, integer=True)
    builder.rows(["free"], [z], [[1.0]], upper=5)
    builder.rows(["bound"], [x], [[1.0]], lower=1, only_if=(z, 0))
    return builder.build(offset=1)


def test_the_value_counts_the_squares() -> None:
    assert small().value(np.array([2.0, 1.0])) == 1 + 2 + 3
    assert small().value(np.array([2.0, 1.0]), np.array([1.0, 0.0])) == 1 + 2 + 2
    assert small().is_quadratic
    assert small().has_indicators
    assert small().conditional.tolist() == [False, True]


@pytest.mark.parametrize(("z", "x", "violation"), [(0, -1, 2), (0, 1.5, 0), (1, -1, 0), (1, -3, 1)])
def test_a_conditional_row_counts_only_where_its_column_says_so(
    z: float, x: float, violation: float
) -> None:
    assert small().violation(np.array([x, z], dtype=float)) == violation


def test_zeros_are_no_squares() -> None:
    builder = ProgramBuilder()
    builder.columns(["x"], quadratic=[0.0])
    program = builder.build()
    assert program.quadratic is None
    assert not replace(program, quadratic=np.zeros(1)).is_quadratic
    assert not replace(program, indicators=np.zeros((0, 3), dtype=int)).has_indicators


@pytest.mark.parametrize("bad", [[-1.0, 0.0], [np.nan, 0.0], [np.inf, 0.0]])
def test_squares_are_convex_numbers_one_a_column(bad: list[float]) -> None:
    with pytest.raises(InvalidInput, match="quadratic costs of a program are 2 numbers"):
        replace(small(), quadratic=np.array(bad))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([[2, 0, 1]], "names a column or a row"),
        ([[1, 0, 2]], "names a column or a row"),
        ([[-1, 0, 1]], "names a column or a row"),
        ([[0, 0, 1]], "found 'x' and 0"),
        ([[1, 2, 1]], "found 'z' and 2"),
        ([[1, 0, 1], [1, 1, 1]], "at most one condition"),
    ],
)
def test_indicators_that_are_none(bad: list[list[int]], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        replace(small(), indicators=np.array(bad))


@given(seed=st.integers(0, 10_000))
@examples(60)
def test_the_lagrangian_bound_is_below_every_point(seed: int) -> None:
    """With squares, unbounded columns and rows that need not hold."""
    rng = np.random.default_rng(seed)
    m, n = 3, 4
    builder = ProgramBuilder()
    low, high = -rng.exponential(size=n), rng.exponential(size=n)
    quadratic = rng.exponential(size=n) * (rng.random(n) < 0.7)
    low[(quadratic > 0) & (rng.random(n) < 0.5)] = -np.inf
    columns = builder.columns(
        [f"x{i}" for i in range(n)],
        lower=low,
        upper=high,
        cost=rng.normal(size=n),
        quadratic=quadratic,
    )
    z = builder.columns([f"z{i}" for i in range(m)], lower=0, upper=1, integer=True)
    only_if = (z, 1) if rng.random() < 0.5 else None
    at = np.clip(rng.normal(size=n), low, high)
    rows = rng.normal(size=(m, n))
    builder.rows(
        [f"r{i}" for i in range(m)],
        [columns] * m,
        list(rows),
        lower=rows @ at - rng.exponential(size=m),
        upper=rows @ at,
        only_if=only_if,
    )
    program = builder.build(offset=2.0)
    for scale in (0.0, 1.0, 100.0):
        bound = lagrangian_bound(program, rng.normal(size=m) * scale)
        for _ in range(20):
            x = np.clip(at + rng.normal(size=n) * rng.choice([0.0, 0.1, 1.0, 9.0]), low, high)
            v = np.append(x, rng.integers(0, 2, m))
            if program.violation(v) == 0:
                assert bound <= program.value(v)


def test_the_lagrangian_bound_of_squares_is_exact_with_the_best_multiplier() -> None:
    """x^2 + x + 2y^2 - 2y + 10 over x + y >= 1: the multiplier is 4/3, the optimum 119/12."""
    builder = ProgramBuilder()
    both = builder.columns(["x", "y"], cost=[1, -2], quadratic=[1, 2])
    builder.rows(["sum"], [both], [[1, 1]], lower=1)
    program = builder.build(offset=10)
    assert lagrangian_bound(program, np.array([4 / 3])) == pytest.approx(119 / 12, abs=1e-12)
    assert lagrangian_bound(program, np.array([4 / 3])) <= 119 / 12
    straight = replace(program, quadratic=np.array([1.0, 0.0]))
    assert lagrangian_bound(straight, np.array([4 / 3])) == -math.inf


def test_they_are_not_written_to_files(tmp_path) -> None:
    with pytest.raises(InvalidInput, match="quadratic objective or with indicators"):
        write_program(small(), tmp_path / "p.lp")
    assert not list(tmp_path.iterdir())


def test_a_formulation_that_the_solver_cannot_do_is_refused_at_once() -> None:
    with pytest.raises(InvalidInput, match="highs cannot do indicator constraints; use scip"):
        Milp(formulation="indicator")
    Milp(formulation="indicator", solver="scip")
