"""Sigmoids and signs as programs: inside the band, and exact where the function is."""

from __future__ import annotations

import numpy as np
import pytest

from curved_networks import grid, random_curved
from dualbound import Box
from dualbound.bounds import crown
from dualbound.errors import InvalidInput
from dualbound.milp import Program, ProgramBuilder, encode
from dualbound.milp.expression import Expression
from dualbound.milp.pieces import BAND, in_pieces
from dualbound.network import Network, Sigmoid, Sign
from dualbound.solvers import Highs, Stop


def program_of(network: Network, box: Box, sign: float, *, integer: bool = True) -> Program:
    """The output, to be made smallest (or largest)."""
    encoding = encode(network, box.linear_form(), crown(network, box), integer=integer)
    return largest(encoding.builder, encoding.values[network.output], -sign)


def largest(builder: ProgramBuilder, value: Expression, sign: float) -> Program:
    """That makes the first entry of an expression largest, or smallest with the other sign."""
    columns, coefficients = value.row(0)
    [t] = builder.columns(["t"], lower=-1e4, upper=1e4, cost=-sign)
    builder.rows(
        ["out"],
        [np.append(columns, t)],
        [np.append(coefficients, -1.0)],
        lower=-value.constant[0],
        upper=-value.constant[0],
    )
    return builder.build()


@pytest.mark.parametrize("seed", range(24))
def test_extremes_are_within_the_band(seed: int) -> None:
    network, box = random_curved(seed, (3, 2))
    seen = network(grid(box, 400))[:, 0]
    for sign, best in ((1.0, seen.min()), (-1.0, -seen.max())):
        solution = Highs().solve(program_of(network, box, sign))
        assert solution.stop is Stop.OPTIMAL
        assert solution.bound is not None
        assert solution.bound <= best + 1e-6
        relaxed = Highs().solve(program_of(network, box, sign, integer=False))
        assert relaxed.value is not None
        assert relaxed.value <= solution.bound + 1e-6
        # Each band is passed on by the weights after it.
        slack = sum(
            2 * BAND * np.abs(w).sum()
            for w in [network["out"].op.weight, network["a1"].op.weight]  # type: ignore[union-attr]
        )
        if all(not isinstance(op, Sign) for op in network.activations.values()):
            assert solution.bound >= best - slack - 0.05


@pytest.mark.parametrize("seed", range(24))
def test_every_input_is_a_solution(seed: int) -> None:
    network, box = random_curved(seed, (3, 2))
    encoding = encode(network, box.linear_form(), crown(network, box))
    program = encoding.builder.build()
    for x in [*box.sample(np.random.default_rng(seed), 50), box.lower, box.upper]:
        start = encoding.start_at(x)
        assert np.all((start >= program.lower - 1e-9) & (start <= program.upper + 1e-9))
        rows = program.matrix @ start
        assert np.all((rows >= program.row_lower - 1e-9) & (rows <= program.row_upper + 1e-9))


@pytest.mark.parametrize(
    ("lower", "upper", "least", "most"),
    [(-1, 1, -1, 1), (0, 1, 0, 1), (-1, 0, -1, 0), (0.5, 1, 1, 1), (0, 0, 0, 0)],
)
def test_a_sign_is_exact(lower: float, upper: float, least: float, most: float) -> None:
    for sign, value in ((1.0, least), (-1.0, -most)):
        builder = ProgramBuilder()
        pre = Expression.of_columns(builder.columns(["x"], lower=lower, upper=upper))
        ends = (np.array([end], dtype=float) for end in (lower, upper))
        layer = in_pieces(builder, "s", Sign(), pre, *ends)
        solution = Highs().solve(largest(builder, layer.post, -sign))
        assert solution.value == pytest.approx(value, abs=1e-6)


def test_a_finer_band_is_closer() -> None:
    gaps = []
    for band in (0.1, 0.01, 0.001):
        builder = ProgramBuilder()
        [x] = builder.columns(["x"], lower=0.7, upper=0.7)
        pre = Expression.of_columns(np.array([x]))
        layer = in_pieces(
            builder, "s", Sigmoid(), pre, np.array([-5.0]), np.array([5.0]), band=band
        )
        value = Highs().solve(largest(builder, layer.post, 1.0)).value
        assert value is not None
        gaps.append(-value - float(Sigmoid()(np.array(0.7))))
    assert 0.1 >= gaps[0] >= gaps[1] >= gaps[2] >= 0
    assert gaps[2] <= 0.001


def test_bounds_are_never_guessed() -> None:
    builder = ProgramBuilder()
    pre = Expression.of_columns(builder.columns(["x"], lower=0.0, upper=1.0))
    with pytest.raises(InvalidInput, match="finite bounds"):
        in_pieces(builder, "s", Sigmoid(), pre, np.array([-np.inf]), np.array([1.0]))
