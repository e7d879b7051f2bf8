r"""The dual simplex method on a small dense dictionary all of whose variables have two bounds.

A dictionary (Chvátal 1983, chapter 2) writes each basic variable, and the objective, as an affine
function of the nonbasic ones. Where every variable is boxed, a basis becomes dual feasible by
placing each nonbasic variable at the bound that its reduced cost asks for: there is no phase 1, an
objective can be replaced at any time, and whenever the method stops its reduced costs prove a
bound. Rows leave by their distance from the box over a devex weight (Forrest & Goldfarb 1992), and
the ratio test passes over breakpoints while the slope allows (the bound flipping of Maros 2003).

Nothing here is trusted: a proof is `propagation.lagrangian` of the reduced costs read off.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dualbound.phases.compiled import compiled_loosely

OPTIMAL, EMPTY, ENOUGH, GIVEN_UP = 0, 1, 2, 3
"""How `maximise` ends: at an optimum, without a feasible point, below what is of interest, or at
its limit of pivots."""

FEASIBLE = 1e-9
"""By how much a basic variable may leave its box, relative to its size."""

WINDOW = 16
"""After how many pivots it is looked at what they have won."""

SMALL = 1e-9
"""Entries below are no pivots."""


class Dictionary(NamedTuple):
    """Room for dictionaries of at most R rows and C columns over V variables.

    Attributes:
        table: ``(R + 1, C + 1)``; behind the last row the objective, behind the last column the
            constants.
        rows: the basic variable of each row.
        columns: the nonbasic variable of each column.
        low: each variable's lower bound.
        high: its upper bound.
        raised: whether a column's variable is at its upper bound.
        values: of the basic variables.
        weights: of the rows, in the choice of the one that leaves.
        shape: rows and columns in use, pivots so far, and the row that showed emptiness.
        passed: scratch of the ratio test.
    """

    table: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    low: np.ndarray
    high: np.ndarray
    raised: np.ndarray
    values: np.ndarray
    weights: np.ndarray
    shape: np.ndarray
    passed: np.ndarray


def dictionary(rows: int, columns: int, variables: int) -> Dictionary:
    """An empty one."""
    return Dictionary(
        table=np.zeros((rows + 1, columns + 1)),
        rows=np.zeros(rows, dtype=np.int64),
        columns=np.zeros(columns, dtype=np.int64),
        low=np.zeros(variables),
        high=np.zeros(variables),
        raised=np.zeros(columns, dtype=np.bool_),
        values=np.zeros(rows),
        weights=np.ones(rows),
        shape=np.zeros(4, dtype=np.int64),
        passed=np.zeros(columns, dtype=np.bool_),
    )


@compiled_loosely
def copy(source, target):
    """Make ``target`` equal to ``source``."""
    m, n = source.shape[0], source.shape[1]
    for i in range(m + 1):
        for j in range(n + 1):
            target.table[i, j] = source.table[i, j]
    target.rows[:m] = source.rows[:m]
    target.columns[:n] = source.columns[:n]
    target.raised[:n] = source.raised[:n]
    target.values[:m] = source.values[:m]
    target.weights[:m] = source.weights[:m]
    target.low[:] = source.low
    target.high[:] = source.high
    target.shape[:] = source.shape


@compiled_loosely
def pivot(d, r, c):
    """Exchange the basic variable of row ``r`` and the nonbasic one of column ``c``."""
    m, n = d.shape[0], d.shape[1]
    row = d.table[r]
    factor = 1.0 / row[c]
    for j in range(n + 1):
        row[j] *= -factor
    row[c] = factor
    weight = d.weights[r]
    d.weights[r] = max(weight * factor * factor, 1.0)
    for i in range(m + 1):
        if i == r:
            continue
        a = d.table[i, c]
        if a == 0.0:
            continue
        d.table[i, c] = 0.0
        for j in range(n + 1):
            d.table[i, j] += a * row[j]
        if i < m:
            d.weights[i] = max(d.weights[i], weight * (a * factor) ** 2)
    d.rows[r], d.columns[c] = d.columns[c], d.rows[r]
    d.shape[2] += 1


@compiled_loosely
def place(d):
    """Put nonbasic variables where the objective wants them, and compute the basic ones."""
    m, n = d.shape[0], d.shape[1]
    for j in range(n):
        d.raised[j] = d.table[m, j] > 0.0
    for i in range(m):
        v = d.table[i, n]
        for j in range(n):
            k = d.columns[j]
            v += d.table[i, j] * (d.high[k] if d.raised[j] else d.low[k])
        d.values[i] = v


@compiled_loosely
def objective(d):
    """Its value where the variables are."""
    m, n = d.shape[0], d.shape[1]
    v = d.table[m, n]
    for j in range(n):
        k = d.columns[j]
        v += d.table[m, j] * (d.high[k] if d.raised[j] else d.low[k])
    return v


@compiled_loosely
def ask(d, plus, minus, sign):
    """Let the objective be ``sign`` times one variable, less another if there is one (or -1)."""
    m, n = d.shape[0], d.shape[1]
    row = d.table[m]
    row[: n + 1] = 0.0
    for i in range(m):
        if d.rows[i] == plus:
            for j in range(n + 1):
                row[j] += sign * d.table[i, j]
        elif d.rows[i] == minus:
            for j in range(n + 1):
                row[j] -= sign * d.table[i, j]
    for j in range(n):
        if d.columns[j] == plus:
            row[j] += sign
        elif d.columns[j] == minus:
            row[j] -= sign


@compiled_loosely
def _leaving(d):
    """The row farthest from its box, or -1."""
    best, found = 0.0, -1
    for i in range(d.shape[0]):
        v, k = d.values[i], d.rows[i]
        if v < d.low[k]:
            off, bound = d.low[k] - v, d.low[k]
        elif v > d.high[k]:
            off, bound = v - d.high[k], d.high[k]
        else:
            continue
        if off > FEASIBLE * (1.0 + abs(bound)):
            score = off * off / d.weights[i]
            if score > best:
                best, found = score, i
    return found


@compiled_loosely
def _entering(d, r, up):
    """The column that row ``r`` is exchanged with, or -1; those passed over are marked."""
    m, n = d.shape[0], d.shape[1]
    row, cost = d.table[r], d.table[m]
    k = d.rows[r]
    left = d.low[k] - d.values[r] if up else d.values[r] - d.high[k]
    d.passed[:n] = False
    while True:
        best, found, size = np.inf, -1, 0.0
        for j in range(n):
            a = row[j] if up else -row[j]
            if d.raised[j]:
                a = -a
            if a <= SMALL or d.passed[j]:
                continue
            k = d.columns[j]
            if d.low[k] == d.high[k]:
                continue
            ratio = abs(cost[j]) / a
            if ratio < best - 1e-12 or (ratio <= best + 1e-12 and a > size):
                best, found, size = ratio, j, a
        if found < 0:
            return -1
        k = d.columns[found]
        left -= size * (d.high[k] - d.low[k])
        if left <= 0.0:
            return found
        d.passed[found] = True


@compiled_loosely
def maximise(d, enough, pivots, slow):
    """Maximise the objective over the box, until it is proved to be below ``enough``.

    Args:
        d: the dictionary, with its objective.
        enough: or minus infinity.
        pivots: how many at most.
        slow: give up once `WINDOW` pivots win less.
    """
    place(d)
    before = np.inf
    for count in range(pivots):
        value = objective(d)
        if value < enough:
            return ENOUGH
        if count % WINDOW == 0:
            if before - value < slow:
                return GIVEN_UP
            before = value
        r = _leaving(d)
        if r < 0:
            return OPTIMAL
        m, n = d.shape[0], d.shape[1]
        k = d.rows[r]
        up = d.values[r] < d.low[k]
        c = _entering(d, r, up)
        if c < 0:
            d.shape[3] = r
            return EMPTY
        for j in range(n):
            if d.passed[j]:
                other = d.columns[j]
                step = d.high[other] - d.low[other]
                if d.raised[j]:
                    step = -step
                d.raised[j] = not d.raised[j]
                for i in range(m):
                    d.values[i] += step * d.table[i, j]
        bound = d.low[k] if up else d.high[k]
        step = (bound - d.values[r]) / d.table[r, c]
        for i in range(m):
            d.values[i] += step * d.table[i, c]
        other = d.columns[c]
        d.values[r] = (d.high[other] if d.raised[c] else d.low[other]) + step
        pivot(d, r, c)
        d.raised[c] = not up
    return GIVEN_UP


@compiled_loosely
def restore(d, basic):
    """Pivot until as many as possible of the marked variables are basic."""
    for c in range(d.shape[1]):
        if not basic[d.columns[c]]:
            continue
        best, found = 1e-6, -1
        for r in range(d.shape[0]):
            if not basic[d.rows[r]] and abs(d.table[r, c]) > best:
                best, found = abs(d.table[r, c]), r
        if found >= 0:
            pivot(d, found, c)
    d.weights[: d.shape[0]] = 1.0
