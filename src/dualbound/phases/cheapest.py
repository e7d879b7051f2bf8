r"""The cheapest moves that satisfy linear rows, inputs as priced columns.

.. math:: \min_{p, n}\ c \cdot (p + n) \quad\text{s.t.}\quad A(p - n) + b \ge 0,\;
          0 \le p \le u,\ 0 \le n \le v,\ c \cdot (p + n) \le B

There are many inputs, few rows, and fewer inputs move: so the `simplex` method begins without any
columns, and gets those that would pay, or that would mend a row that cannot be satisfied yet. With
a budget fewer would: that there are no moves is then seen sooner.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from dualbound.errors import SolverFailed
from dualbound.limits import Clock
from dualbound.phases import compiled, simplex
from dualbound.phases.compiled import compiled_loosely

AT_ONCE = 12
"""How many moves get columns in one round of pricing."""

AT_MOST = 500
"""How many may have them."""

PIVOTS, ROUNDS = np.int64(2_000), 500
"""Whatever takes more pivots in a round, or more rounds, is given up."""

MISSED = 1e-7
"""By how much a row may be missed in the end."""


def cheapest_moves(
    matrix: Float[np.ndarray, "m n"],
    offset: Float[np.ndarray, " m"],
    cost: Float[np.ndarray, " n"],
    up: Float[np.ndarray, " n"],
    down: Float[np.ndarray, " n"],
    budget: float = np.inf,
    clock: Clock | None = None,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " m"]] | None:
    """Solve the program above.

    Args:
        matrix: ``A``, its rows scaled to about 1.
        offset: ``b``.
        cost: of a unit of each input's move, not negative.
        up: how far each input may rise.
        down: how far each may fall.
        budget: ``B``, what the moves may cost.
        clock: when to give up.

    Returns:
        The moves ``p - n`` and the multipliers of the rows; None if no moves that cost no more than
        the budget satisfy them.

    Raises:
        SolverFailed: the numbers are beyond this method, more than 500 inputs would have to move,
            or the time is over.

    **Trusts** nothing: moves are checked here against the rows, and that there are none is checked
    by multipliers; both up to a rounding of 1e-7. That moves are the cheapest is not checked.

    >>> moves, _ = cheapest_moves(
    ...     np.array([[1.0, 0.5]]), np.array([-1.0]), np.ones(2), np.array([0.8, 1.0]), np.zeros(2)
    ... )
    >>> moves
    array([0.8, 0.4])
    """
    m, n = matrix.shape
    if not (np.isfinite(matrix).all() and np.isfinite(offset).all()):
        raise SolverFailed("A coefficient is not finite.")
    matrix = np.ascontiguousarray(matrix, dtype=float)
    alone = np.maximum(matrix, 0.0) @ up + np.maximum(-matrix, 0.0) @ down
    if budget < 0 or np.any(alone + offset < -1e-12 * (alone + np.abs(offset))):
        return None  # no moves are allowed, or none satisfy that row
    d = simplex.dictionary(m + 1, min(2 * n, AT_MOST), m + 1 + 2 * n)
    has, multipliers = np.zeros(m + 1 + 2 * n, dtype=bool), np.zeros(m + 1)
    _begin(d, alone, offset, up, down, min(budget, float(cost @ (up + down)) + 1.0))
    for _ in range(ROUNDS):
        ended = _round(d, matrix, cost, up, down, has, multipliers)
        if ended == simplex.GIVEN_UP or (clock is not None and clock.expired):
            break
        if ended == simplex.OPTIMAL:
            made = simplex.values_from(d, m + 1)
            moves = np.clip(made[:n] - made[n:], -down, up)
            if np.all(matrix @ moves + offset >= -MISSED):
                return moves, np.maximum(multipliers[:m], 0.0)
            break
        if ended == simplex.EMPTY:
            y, worth = np.maximum(multipliers[:m], 0.0), max(float(multipliers[m]), 0.0)
            pull = y @ matrix
            most = y @ offset + (worth * budget if worth > 0 else 0.0)
            most += np.maximum(pull - worth * cost, 0.0) @ up
            most += np.maximum(-pull - worth * cost, 0.0) @ down
            if most < -1e-12 * (y @ (np.abs(offset) + alone)):
                return None
            break
    raise SolverFailed("The simplex method came to no end.")


def prepare(tell: Callable[[str], None] | None = None) -> None:
    """Compile this: some seconds, unless an earlier process kept it; ``tell`` hears of them."""
    if tell is not None and not compiled.is_kept("cheapest._round"):
        tell("compiling the attack, this once")
    with compiled.compiling():
        cheapest_moves(np.ones((1, 1)), np.ones(1), np.ones(1), np.ones(1), np.ones(1))


MORE = 4
"""How a round ends, besides as `simplex.maximise` does: with columns for further moves."""


@compiled_loosely
def _begin(d, reach, offset, up, down, budget):
    """A dictionary of the rows and of what is left of the budget, without columns."""
    m, n = len(offset), len(up)
    d.shape[0], d.shape[1] = m + 1, 0
    for i in range(m):
        d.table[i, 0], d.rows[i] = offset[i], i
        d.low[i], d.high[i] = 0.0, abs(offset[i]) + reach[i] + 1.0
    d.table[m, 0], d.rows[m] = budget, m
    d.low[m], d.high[m] = 0.0, budget
    d.high[m + 1 : m + 1 + n] = up
    d.high[m + 1 + n : m + 1 + 2 * n] = down


@compiled_loosely
def _round(d, matrix, cost, up, down, has, multipliers):
    """Solve, then price; multipliers are of the optimum, or show emptiness."""
    m, n = matrix.shape
    ended = simplex.maximise(d, -np.inf, PIVOTS, -1.0)
    if ended == simplex.GIVEN_UP:
        return ended
    direction, gains = np.zeros(n), np.zeros(2 * n)
    _read(d, ended, multipliers)
    _pull(matrix, multipliers, direction)
    price = multipliers[m] + (1.0 if ended == simplex.OPTIMAL else 0.0)
    for p in range(n):
        gains[p] = (direction[p] - price * cost[p]) * up[p]
        gains[n + p] = (-direction[p] - price * cost[p]) * down[p]
    for q in range(2 * n):
        if has[m + 1 + q]:
            gains[q] = 0.0
    if np.max(gains) <= 1e-12:
        return ended
    if d.shape[1] + AT_ONCE > len(d.columns) and len(d.columns) < 2 * n:
        simplex.drop(d, m + 1, has)
    return MORE if _extend(d, matrix, cost, gains, has) else simplex.GIVEN_UP


@compiled_loosely
def _read(d, ended, multipliers):
    """The multipliers of the rows, from the objective or from the row that showed emptiness."""
    m = d.shape[0]
    multipliers[:] = 0.0
    row, factor = m, 1.0
    if ended == simplex.EMPTY:
        row = d.shape[3]
        factor = 1.0 if d.values[row] < d.low[d.rows[row]] else -1.0
        if d.rows[row] < m:
            multipliers[d.rows[row]] = factor
    for j in range(d.shape[1]):
        if d.columns[j] < m:
            multipliers[d.columns[j]] = -factor * d.table[row, j]


@compiled_loosely
def _pull(matrix, multipliers, direction):
    """``multipliers·matrix``."""
    direction[:] = 0.0
    for i in range(len(matrix)):
        y = multipliers[i]
        if y != 0.0:
            for p in range(len(direction)):
                direction[p] += y * matrix[i, p]


@compiled_loosely
def _extend(d, matrix, cost, gains, has):
    """Give columns to the moves that gain most; whether there was room for any."""
    m, n = matrix.shape
    count = min(AT_ONCE, len(d.columns) - d.shape[1])
    new = np.empty(count, dtype=np.int64)
    for q in range(count):
        best = np.argmax(gains)
        if gains[best] <= 1e-12:
            count = q
            break
        new[q], gains[best] = m + 1 + best, 0.0
        has[m + 1 + best] = True
    effects = np.zeros((m + 2, count))
    held = np.zeros((count, d.shape[1]))
    for q in range(count):
        p = new[q] - m - 1
        sign = 1.0 if p < n else -1.0
        p = p if p < n else p - n
        for i in range(m + 1):
            if d.rows[i] <= m:
                effects[i, q] = sign * matrix[d.rows[i], p] if d.rows[i] < m else -cost[p]
        effects[m + 1, q] = -cost[p]
        for j in range(d.shape[1]):
            if d.columns[j] <= m:
                held[q, j] = sign * matrix[d.columns[j], p] if d.columns[j] < m else -cost[p]
    simplex.extend(d, new[:count], effects, held)
    return count > 0
