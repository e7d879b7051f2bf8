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
from jaxtyping import Bool

from dualbound.phases.compiled import NONE, compiled_loosely

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
        values: of the basic variables, and of the objective.
        weights: of the rows, in the choice of the one that leaves.
        shape: rows and columns in use, pivots so far, and the row that showed emptiness.
        passed: columns that the ratio test looks at, those passed over first.
        ratios: theirs, scratch.
        line: scratch of a row, apart from the table so that a pivot is compiled to vector code.
        entries: scratch of a column.
        halt: ``(1,)``, set by another thread when there is no time left.
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
    ratios: np.ndarray
    line: np.ndarray
    entries: np.ndarray
    halt: np.ndarray


def dictionary(
    rows: int, columns: int, variables: int, halt: Bool[np.ndarray, "1"] | None = None
) -> Dictionary:
    """An empty one."""
    return Dictionary(
        table=np.zeros((rows + 1, columns + 1)),
        rows=np.zeros(rows, dtype=np.int64),
        columns=np.zeros(columns, dtype=np.int64),
        low=np.zeros(variables),
        high=np.zeros(variables),
        raised=np.zeros(columns, dtype=np.bool_),
        values=np.zeros(rows + 1),
        weights=np.ones(rows + 1),
        shape=np.zeros(4, dtype=np.int64),
        passed=np.zeros(columns, dtype=np.int64),
        ratios=np.zeros(columns),
        line=np.zeros(columns + 1),
        entries=np.zeros(rows + 1),
        halt=np.zeros(1, dtype=np.bool_) if halt is None else halt,
    )


@compiled_loosely
def copy(source, target):
    """Make ``target`` equal to ``source``."""
    m, n = source.shape[0], source.shape[1]
    for i in range(m + 1):
        target.table[i, : n + 1] = source.table[i, : n + 1]
    target.rows[:m] = source.rows[:m]
    target.columns[:n] = source.columns[:n]
    target.raised[:n] = source.raised[:n]
    target.values[: m + 1] = source.values[: m + 1]
    target.weights[:m] = source.weights[:m]
    target.low[:] = source.low
    target.high[:] = source.high
    target.shape[:] = source.shape


@compiled_loosely
def pivot(d, r, c, step, flips):
    """Exchange the basic variable of row ``r`` and the nonbasic one of column ``c``.

    Args:
        d: the dictionary.
        r: the row.
        c: the column.
        step: by how much the nonbasic variable moves.
        flips: how many of the columns in ``d.passed`` have gone to their other bounds, as
            ``d.raised`` says already.
    """
    m, n = d.shape[0], d.shape[1]
    table, row, values, steps = d.table, d.line, d.values, d.ratios
    for q in range(flips):
        k = d.columns[d.passed[q]]
        steps[q] = d.high[k] - d.low[k] if d.raised[d.passed[q]] else d.low[k] - d.high[k]
    factor = 1.0 / table[r, c]
    weight = d.weights[r] * factor * factor
    for i in range(m + 1):
        v = values[i]
        for q in range(flips):
            v += steps[q] * table[i, d.passed[q]]
        a = table[i, c]
        values[i] = v + a * step
        d.weights[i] = max(d.weights[i], weight * a * a)
        d.entries[i] = a
        table[i, c] = 0.0
    for j in range(n + 1):
        row[j] = -factor * table[r, j]
    row[c] = factor
    for i in range(m + 1):
        a = d.entries[i]
        if a != 0.0:
            for j in range(n + 1):
                table[i, j] += a * row[j]
    for j in range(n + 1):
        table[r, j] = row[j]
    k = d.columns[c]
    values[r] = (d.high[k] if d.raised[c] else d.low[k]) + step
    d.weights[r] = max(weight, 1.0)
    d.rows[r], d.columns[c] = k, d.rows[r]
    d.shape[2] += 1


@compiled_loosely
def place(d):
    """Put nonbasic variables where the objective wants them, and compute the basic ones."""
    m, n = d.shape[0], d.shape[1]
    for j in range(n):
        d.raised[j] = d.table[m, j] > 0.0
        k = d.columns[j]
        d.line[j] = d.high[k] if d.raised[j] else d.low[k]
    d.line[n] = 1.0
    for i in range(m + 1):
        v = 0.0
        for j in range(n + 1):
            v += d.table[i, j] * d.line[j]
        d.values[i] = v


@compiled_loosely
def objective(d):
    """Its value where the variables are."""
    return d.values[d.shape[0]]


@compiled_loosely
def values_from(d, first):
    """Where the variables from ``first`` on are, ``(V - first,)``; 0 for those without a place."""
    m, found = d.shape[0], np.zeros(len(d.low) - first)
    for i in range(m):
        if d.rows[i] >= first:
            found[d.rows[i] - first] = d.values[i]
    for j in range(d.shape[1]):
        v = d.columns[j]
        if v >= first:
            found[v - first] = d.high[v] if d.raised[j] else d.low[v]
    return found


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
    best, found = 0.0, NONE
    for i in range(d.shape[0]):
        v, k = d.values[i], d.rows[i]
        off = max(d.low[k] - v, v - d.high[k])
        if off > FEASIBLE * (1.0 + abs(v)):
            score = off * off / d.weights[i]
            if score > best:
                best, found = score, i
    return found


@compiled_loosely
def _entering(d, r, up):
    """The column that row ``r`` is exchanged with, or -1.

    Returns:
        The column, and how many are passed over: they come first in ``d.passed``.
    """
    m, n = d.shape[0], d.shape[1]
    row, cost, found, ratios = d.table[r], d.table[m], d.passed, d.ratios
    k = d.rows[r]
    left = d.low[k] - d.values[r] if up else d.values[r] - d.high[k]
    count = 0
    for j in range(n):
        a = row[j] if up != d.raised[j] else -row[j]
        k = d.columns[j]
        found[count] = j
        ratios[count] = abs(cost[j]) / a
        count += int(a > SMALL) & int(d.low[k] < d.high[k])
    for passed in range(count):
        best, at, size = np.inf, passed, 0.0
        for q in range(passed, count):
            if ratios[q] <= best + 1e-12:
                a = abs(row[found[q]])
                if ratios[q] < best - 1e-12 or a > size:
                    best, at, size = ratios[q], q, a
        j = found[at]
        found[at], ratios[at] = found[passed], ratios[passed]
        found[passed] = j
        k = d.columns[j]
        left -= size * (d.high[k] - d.low[k])
        if left <= 0.0:
            return j, passed
    return NONE, np.int64(0)


@compiled_loosely
def maximise(d, enough, pivots, slow):
    """Maximise the objective over the box, until it is proved to be below ``enough``.

    Args:
        d: the dictionary, with its objective.
        enough: or minus infinity.
        pivots: how many at most.
        slow: give up once `WINDOW` pivots win less, or there is no time left.
    """
    place(d)
    before = np.inf
    for count in range(pivots):
        value = d.values[d.shape[0]]
        if value < enough:
            return ENOUGH
        if count % WINDOW == 0:
            if before - value < slow or d.halt[0]:
                return GIVEN_UP
            before = value
        r = _leaving(d)
        if r < 0:
            return OPTIMAL
        k = d.rows[r]
        up = d.values[r] < d.low[k]
        c, flips = _entering(d, r, up)
        if c < 0:
            d.shape[3] = r
            return EMPTY
        off = (d.low[k] if up else d.high[k]) - d.values[r]
        for q in range(flips):
            j = d.passed[q]
            other = d.columns[j]
            d.raised[j] = not d.raised[j]
            width = d.high[other] - d.low[other]
            off -= d.table[r, j] * (width if d.raised[j] else -width)
        pivot(d, r, c, off / d.table[r, c], flips)
        d.raised[c] = not up
    return GIVEN_UP


@compiled_loosely
def restore(d, basic):
    """Pivot until as many as possible of the marked variables are basic."""
    for c in range(d.shape[1]):
        if not basic[d.columns[c]]:
            continue
        best, found = 1e-6, NONE
        for r in range(d.shape[0]):
            if not basic[d.rows[r]] and abs(d.table[r, c]) > best:
                best, found = abs(d.table[r, c]), r
        if found >= 0:
            pivot(d, found, c, 0.0, np.int64(0))
    d.weights[: d.shape[0]] = 1.0


@compiled_loosely
def extend(d, variables, effects, held):
    """Append columns of new variables, in any basis; they are at their lower bounds.

    Where ``r = f(x)`` held of a variable, ``r - a·new = f(x)`` does now: so all that the dictionary
    says of the variables holds of them less ``a`` times the new one.

    Args:
        d: the dictionary.
        variables: the new ones, ``(c,)``; their bounds are in ``d``.
        effects: ``a`` of each row's variable, the objective last, ``(R + 1, c)``.
        held: ``a`` of each column's variable, ``(c, C)``.
    """
    m, n, count = d.shape[0], d.shape[1], len(variables)
    for i in range(m + 1):
        d.table[i, n + count] = d.table[i, n]
        for q in range(count):
            v = 0.0
            for j in range(n):
                v += d.table[i, j] * held[q, j]
            d.table[i, n + q] = effects[i, q] - v
    d.columns[n : n + count] = variables
    d.raised[n : n + count] = False
    d.weights[:m] = 1.0
    d.shape[1] = n + count


@compiled_loosely
def drop(d, first, has):
    """Take away the columns of variables from ``first`` on that are at their lower bounds.

    Args:
        d: the dictionary.
        first: the first variable that may go.
        has: of each variable, made false where it goes.
    """
    m, n = d.shape[0], d.shape[1]
    stay, kept = np.empty(n + 1, dtype=np.int64), 0
    for j in range(n):
        if d.columns[j] >= first and not d.raised[j]:
            has[d.columns[j]] = False
            continue
        stay[kept] = j
        d.columns[kept], d.raised[kept] = d.columns[j], d.raised[j]
        kept += 1
    stay[kept] = n
    for i in range(m + 1):
        for j in range(kept + 1):
            d.table[i, j] = d.table[i, stay[j]]
    d.shape[1] = kept
