r"""The linear relaxation of a node, inputs as priced columns.

.. math::
    \max t \quad t \le g_k(y),\quad w_i = y_i - (W_i y + b_i),\quad
    \frac{|l_i| y_i + u_i w_i}{u_i + |l_i|} \le \frac{u_i |l_i|}{u_i + |l_i|},\quad y, w \ge 0

where :math:`y_i` is a rectifier's output and :math:`w_i` what it cuts off. Only neurons whose sign
is open are variables: the others are composed away, and a sign that was *chosen* leaves one row.
What remains is a `simplex.Dictionary` of some dozens of rows.

In a ball few inputs move in an optimum, so few have columns. The others stay where they are until
their price says that moving them would pay. What is proved is `propagation.lagrangian` of the
multipliers: the simplex method is trusted with nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dualbound.phases import propagation, simplex
from dualbound.phases.chain import Chain, Room
from dualbound.phases.compiled import compiled

CUTOFF = 1e-7
"""A solve ends once the dual objective is below what is of interest by this."""

PRICED_AT_ONCE = 24
"""How many inputs get columns in one round of pricing."""

PRICED_AT_MOST = 100
"""How many inputs of a ball have columns; then those that stay where they are lose theirs."""

PRECISION = 0.01
"""Pricing ends when it can change the bound by no more than this part of what is of interest."""

WORTHWHILE = 0.05
"""A bound is left alone where a point already seen shows that it can win no more than this part."""


SLOW = 0.01
"""The bound of a neuron is taken as it is when a window of pivots wins less of its width."""

PIVOTS = 2_000
"""A linear program that takes more is given up; its node is split or stays open."""

TOP, BALL, GOAL = 0, 1, 2
"""Variables: the smallest goal, what is left of the budget, and from here on the slacks of goals.
Then come y, w, the slack of the triangle and the pre-activation of each neuron, and the moves."""


class Program(NamedTuple):
    """One thread's dictionary and what it was made from.

    Attributes:
        d: of the node.
        trial: a copy to look ahead in.
        moves: inputs that have columns; in a ball, those of downward moves are counted from ``n``.
        settled: neurons whose sign is the same everywhere in the room: they need no rows.
        fixed: where the other inputs of a box are, as moves.
        counts: how many moves; programs solved.
        formula: of each pre-activation and goal, in terms of the columns.
        column: of each open neuron, or -1.
        share: of w in the triangle's row.
        reduced: reduced cost of each variable.
        basic: marks of variables.
        goals, multipliers: the last that were read off.
        direction, leaning: what `propagation.lagrangian` said of them.
    """

    d: simplex.Dictionary
    trial: simplex.Dictionary
    moves: np.ndarray
    settled: np.ndarray
    fixed: np.ndarray
    counts: np.ndarray
    formula: np.ndarray
    column: np.ndarray
    share: np.ndarray
    reduced: np.ndarray
    basic: np.ndarray
    goals: np.ndarray
    multipliers: np.ndarray
    direction: np.ndarray
    leaning: np.ndarray


def empty(chain: Chain, room: Room) -> Program:
    """An empty one."""
    h, k, n = chain.hidden, int(chain.sizes[-1]), chain.first.shape[1]
    ball = bool(np.isfinite(room.budget))
    moves = min(2 * n, PRICED_AT_MOST) if ball else n
    rows, columns, variables = 2 * h + k + 1, moves + h + 1, GOAL + k + 4 * h + 2 * n
    return Program(
        d=simplex.dictionary(rows, columns, variables),
        trial=simplex.dictionary(rows, columns, variables),
        moves=np.arange(moves),
        settled=np.zeros(h, dtype=np.bool_),
        fixed=np.zeros(n),
        counts=np.zeros(2, dtype=np.int64),
        formula=np.zeros((h + k, columns + 1)),
        column=np.zeros(h, dtype=np.int64),
        share=np.zeros(h),
        reduced=np.zeros(variables),
        basic=np.zeros(variables, dtype=np.bool_),
        goals=np.zeros(k),
        multipliers=np.zeros(h),
        direction=np.zeros(n),
        leaning=np.zeros(h),
    )


@compiled
def _build(chain, room, low, high, p):
    """Write a node's relaxation into the dictionary, and go to the basis that is marked."""
    d, last = p.d, len(chain.sizes) - 1
    h, k, n = chain.starts[last], chain.sizes[last], chain.first.shape[1]
    outputs, cut = GOAL + k, GOAL + k + h
    slack, sign, first = cut + h, cut + 2 * h, cut + 3 * h
    moves = p.counts[0]
    ball = room.budget < np.inf
    columns = moves
    for j in range(moves):
        at = p.moves[j]
        d.columns[j] = first + at
        if ball:
            d.low[first + at] = 0.0
            d.high[first + at] = room.up[at] if at < n else room.down[at - n]
        else:
            d.low[first + at], d.high[first + at] = -room.down[at], room.up[at]
    for i in range(h):
        p.column[i] = -1
        if low[i] < 0.0 < high[i]:
            p.column[i] = columns
            d.columns[columns] = outputs + i
            d.low[outputs + i], d.high[outputs + i] = 0.0, high[i]
            columns += 1
    d.columns[columns] = TOP
    columns += 1
    # Formulas of all pre-activations and goals, and the rows that they make.
    rows = 0
    top = 0.0
    for layer in range(last + 1):
        start, width = chain.starts[layer], chain.sizes[layer]
        for i in range(start, start + width):
            if i < h and high[i] <= 0.0 and p.settled[i]:
                continue
            f = p.formula[i]
            f[:columns] = 0.0
            f[columns] = chain.bias[i]
            if layer == 0:
                if not ball:
                    f[columns] += np.dot(chain.first[i], p.fixed)
                for j in range(moves):
                    at = p.moves[j]
                    f[j] = chain.first[i, at] if at < n else -chain.first[i, at - n]
            else:
                before = chain.starts[layer - 1]
                offset = chain.offsets[layer] + (i - start) * chain.sizes[layer - 1]
                for j in range(chain.sizes[layer - 1]):
                    a = chain.weights[offset + j]
                    if p.column[before + j] >= 0:
                        f[p.column[before + j]] += a
                    elif high[before + j] > 0.0:
                        g = p.formula[before + j]
                        for c in range(columns + 1):
                            f[c] += a * g[c]
            if layer == last:
                row = d.table[rows]
                row[: columns + 1] = f[: columns + 1]
                row[columns - 1] -= 1.0
                top = max(top, chain.magnitudes[i])
                d.rows[rows] = GOAL + i - h
                rows += 1
            elif p.column[i] >= 0:
                row = d.table[rows]
                for c in range(columns + 1):
                    row[c] = -f[c]
                row[p.column[i]] += 1.0
                d.rows[rows] = cut + i
                d.low[cut + i], d.high[cut + i] = 0.0, -low[i]
                share = high[i] / (high[i] - low[i])
                p.share[i] = share
                triangle = d.table[rows + 1]
                for c in range(columns + 1):
                    triangle[c] = -share * row[c]
                triangle[p.column[i]] -= 1.0 - share
                triangle[columns] -= share * low[i]
                d.rows[rows + 1] = slack + i
                d.low[slack + i], d.high[slack + i] = 0.0, -share * low[i]
                rows += 2
            elif not p.settled[i]:
                d.table[rows, : columns + 1] = f[: columns + 1]
                d.rows[rows] = sign + i
                d.low[sign + i], d.high[sign + i] = low[i], high[i]
                rows += 1
    for i in range(k):
        d.low[GOAL + i], d.high[GOAL + i] = 0.0, 2.0 * top + 1.0
    d.low[TOP], d.high[TOP] = -top - 1.0, top + 1.0
    if ball:
        row = d.table[rows]
        row[: columns + 1] = 0.0
        row[:moves] = -1.0
        row[columns] = room.budget
        d.rows[rows] = BALL
        d.low[BALL], d.high[BALL] = 0.0, room.budget
        rows += 1
    d.shape[0], d.shape[1] = rows, columns
    d.table[rows, : columns + 1] = 0.0
    simplex.restore(d, p.basic)


@compiled
def mark(p):
    """Mark the variables that are basic."""
    p.basic[:] = False
    for i in range(p.d.shape[0]):
        p.basic[p.d.rows[i]] = True


@compiled
def _read(chain, low, high, p, row, factor, objective, side):
    """Multipliers of goals and neurons from reduced costs; those of the objective or of a row.

    Returns:
        What a unit of the budget is worth.
    """
    d, last = p.d, len(chain.sizes) - 1
    h, k = chain.starts[last], chain.sizes[last]
    cut, slack, sign = GOAL + k + h, GOAL + k + 2 * h, GOAL + k + 3 * h
    reduced = p.reduced
    for j in range(d.shape[1]):
        reduced[d.columns[j]] = factor * d.table[row, j]
    if row < d.shape[0]:
        reduced[d.rows[row]] = -factor
    worth = -reduced[BALL]
    for i in range(k):
        p.goals[i] = max(-reduced[GOAL + i], 0.0)
    for layer in range(last - 1, -1, -1):
        start, width = chain.starts[layer], chain.sizes[layer]
        after = chain.starts[layer + 1]
        for j in range(width):
            i = start + j
            if p.column[i] >= 0:
                pi = reduced[cut + i] - p.share[i] * reduced[slack + i]
            elif high[i] > 0.0 and low[i] >= 0.0:
                pi = -reduced[sign + i]
                for m in range(chain.sizes[layer + 1]):
                    a = p.goals[m] if layer + 1 == last else p.multipliers[after + m]
                    pi += a * chain.weights[chain.offsets[layer + 1] + m * width + j]
            else:
                pi = -reduced[sign + i]
            if i == objective:
                pi += side
            p.multipliers[i] = pi
    for j in range(d.shape[1]):
        reduced[d.columns[j]] = 0.0
    if row < d.shape[0]:
        reduced[d.rows[row]] = 0.0
    return worth


@compiled
def sift(room, p):
    """Fix the inputs of a box where the last direction wants them, but those it hardly moves."""
    n = len(p.direction)
    first = len(p.reduced) - 2 * n
    mark(p)
    gains = np.abs(p.direction) * (room.up + room.down)
    for i in range(n):
        if p.basic[first + i]:
            gains[i] = -1.0
    count = min(n, PRICED_AT_MOST)
    last = np.partition(gains, count - 1)[count - 1]
    p.counts[0] = 0
    for i in range(n):
        if gains[i] <= last and p.counts[0] < count:
            p.moves[p.counts[0]] = i
            p.counts[0] += 1
            p.fixed[i] = 0.0
        else:
            p.fixed[i] = room.up[i] if p.direction[i] > 0.0 else -room.down[i]


@compiled
def _price(room, p, worth):
    """Give columns to the inputs that the last direction moves most; whether there are any."""
    n = len(p.direction)
    mark(p)
    gains = np.zeros(2 * n)
    if room.budget == np.inf:
        for i in range(n):
            best = room.up[i] if p.direction[i] > 0.0 else -room.down[i]
            gains[i] = p.direction[i] * (best - p.fixed[i])
    else:
        if p.counts[0] + PRICED_AT_ONCE > len(p.moves):
            _drop(p)
        for i in range(n):
            gains[i] = (p.direction[i] - worth) * room.up[i]
            gains[n + i] = (-p.direction[i] - worth) * room.down[i]
    for j in range(p.counts[0]):
        gains[p.moves[j]] = 0.0
    added = 0
    while added < PRICED_AT_ONCE and p.counts[0] < len(p.moves):
        best = np.argmax(gains)
        if gains[best] <= 1e-12:
            break
        gains[best] = 0.0
        p.moves[p.counts[0]] = best
        if best < n:
            p.fixed[best] = 0.0
        p.counts[0] += 1
        added += 1
    return added > 0


@compiled
def _drop(p):
    """Take the columns from those inputs of a ball that stay where they are."""
    d, n = p.d, len(p.direction)
    first = len(p.reduced) - 2 * n
    used = p.basic.copy()
    for j in range(d.shape[1]):
        if d.raised[j]:
            used[d.columns[j]] = True
    kept = 0
    for j in range(p.counts[0]):
        if used[first + p.moves[j]]:
            p.moves[kept] = p.moves[j]
            kept += 1
    p.counts[0] = kept


@compiled
def _prove(chain, room, low, high, p, least, objective, side, work):
    """The Lagrangian bound of the multipliers that were read off."""
    return propagation.lagrangian(
        chain, room, low, high, p.goals, p.multipliers, least, objective, side,
        p.direction, p.leaning, work,
    )  # fmt: skip


@compiled
def _refuted(chain, room, low, high, p, least, work):
    """What the row that showed emptiness proves, and what a unit of the budget is worth to it."""
    d = p.d
    r = d.shape[3]
    factor = 1.0 if d.values[r] < d.low[d.rows[r]] else -1.0
    worth = _read(chain, low, high, p, r, factor, -1, 0.0)
    scale = max(np.max(p.goals), np.max(np.abs(p.multipliers)))
    if not 0.0 < scale < np.inf:
        return 0.0, 0.0
    p.goals[:] /= scale
    p.multipliers[:] /= scale
    return _prove(chain, room, low, high, p, least, -1, 0.0, work), worth / scale


@compiled
def solve(chain, room, low, high, least, precision, p, goals, multipliers, leaning, move, work):
    """Maximise the smallest goal; what is proved, and whether ``move`` is an optimum."""
    d, m = p.d, 0
    n = len(p.direction)
    first = len(p.reduced) - 2 * n
    best, moved = np.inf, False
    _build(chain, room, low, high, p)
    for _ in range(200):
        simplex.ask(d, TOP, -1, 1.0)
        ended = simplex.maximise(d, least - CUTOFF, PIVOTS, -1.0)
        p.counts[1] += 1
        if ended == simplex.EMPTY:
            value, worth = _refuted(chain, room, low, high, p, 0.0, work)
            if value < 0.0 and np.max(p.goals) == 0.0:
                goals[:] = 0.0
                multipliers[:] = p.multipliers
                leaning[:] = 0.0
                return -np.inf, False
            if not _price(room, p, worth):
                return best, moved
            _build(chain, room, low, high, p)
            continue
        m = d.shape[0]
        worth = _read(chain, low, high, p, m, 1.0, -1, 0.0)
        total = np.sum(p.goals)
        if not total > 1e-9:
            return best, moved
        p.goals[:] /= total
        p.multipliers[:] /= total
        most = _prove(chain, room, low, high, p, 0.0, -1, 0.0, work)
        if ended == simplex.OPTIMAL or most < best:
            best = most
            goals[:] = p.goals
            multipliers[:] = p.multipliers
            leaning[:] = p.leaning
        if most < least or ended == simplex.GIVEN_UP:
            return best, moved
        value = simplex.objective(d)
        if ended == simplex.OPTIMAL:
            moved = True
            move[:] = p.fixed
            for i in range(m + d.shape[1]):
                if i < m:
                    v, x = d.rows[i], d.values[i]
                else:
                    v = d.columns[i - m]
                    x = d.high[v] if d.raised[i - m] else d.low[v]
                if v >= first + n:
                    move[v - first - n] -= x
                elif v >= first:
                    move[v - first] += x
            if most - value <= precision * (most - least):
                return best, moved
        if not _price(room, p, worth / total):
            return best, moved
        _build(chain, room, low, high, p)
    return best, moved


@compiled
def _extreme(chain, room, low, high, least, p, i, side, rho, pi, known, seen, work):
    """Narrow one bound of one neuron; False if the node turns out to be empty."""
    d, last = p.d, len(chain.sizes) - 1
    h, k = chain.starts[last], chain.sizes[last]
    outputs, cut = GOAL + k, GOAL + k + h
    width = high[i] - low[i]
    left = high[i] - seen[1, i] if side == 0 else seen[0, i] - low[i]
    if left < WORTHWHILE * width:
        return True
    sign = 1.0 - 2.0 * side
    if room.budget == np.inf:
        _face(chain, room, low, high, least, p, i, side, rho, pi, known, work)
        d.low[TOP], d.high[TOP] = least, least
    for _ in range(4):
        simplex.ask(d, outputs + i, cut + i, sign)
        ended = simplex.maximise(d, 0.0, PIVOTS, SLOW * width)
        p.counts[1] += 1
        if ended == simplex.EMPTY:
            value, worth = _refuted(chain, room, low, high, p, least, work)
            if value < 0.0:
                return False
            if not _price(room, p, worth):
                return True
        else:
            worth = _read(chain, low, high, p, d.shape[0], 1.0, i, sign)
            bound = _prove(chain, room, low, high, p, least, i, sign, work)
            if side == 0 and bound < high[i]:
                high[i] = bound
            elif side == 1 and -bound > low[i]:
                low[i] = -bound
            rho[i, side, :] = p.goals
            pi[i, side, :] = p.multipliers
            known[i, side] = True
            if low[i] > high[i]:
                return False
            if ended == simplex.OPTIMAL:
                _see(p, h, outputs, cut, seen)
            value = simplex.objective(d)
            if bound <= 0.0 or ended == simplex.GIVEN_UP or bound - value <= 0.02 * width:
                return True
            if not _price(room, p, worth):
                return True
        _build(chain, room, low, high, p)
        d.low[TOP], d.high[TOP] = least, least
    return True


@compiled
def _face(chain, room, low, high, least, p, i, side, rho, pi, known, work):
    """Fix the inputs of a box where the bound of a neuron known so far wants them."""
    sign = 1.0 - 2.0 * side
    if known[i, side]:
        p.goals[:] = rho[i, side]
        p.multipliers[:] = pi[i, side]
        _prove(chain, room, low, high, p, least, i, sign, work)
    else:
        layer = 0
        while chain.starts[layer + 1] <= i:
            layer += 1
        propagation.crown(chain, room, low, high, layer, i - chain.starts[layer], sign, work)
        p.direction[:] = work[2]
    sift(room, p)
    _build(chain, room, low, high, p)


@compiled
def _see(p, h, outputs, cut, seen):
    """Widen the ranges of what pre-activations the points seen so far have."""
    d = p.d
    z = p.leaning
    z[:] = 0.0
    for i in range(d.shape[0]):
        v = d.rows[i]
        if outputs <= v < cut:
            z[v - outputs] += d.values[i]
        elif cut <= v < cut + h:
            z[v - cut] -= d.values[i]
    for j in range(d.shape[1]):
        v = d.columns[j]
        x = d.high[v] if d.raised[j] else d.low[v]
        if outputs <= v < cut:
            z[v - outputs] += x
        elif cut <= v < cut + h:
            z[v - cut] -= x
    for i in range(h):
        if p.column[i] >= 0:
            seen[0, i] = min(seen[0, i], z[i])
            seen[1, i] = max(seen[1, i], z[i])


@compiled
def tighten(chain, room, low, high, least, p, rho, pi, known, work):
    """Maximise and minimise every open neuron, layer by layer; False if the node is empty."""
    h = chain.starts[len(chain.sizes) - 1]
    seen = np.empty((2, h))
    seen[0] = np.inf
    seen[1] = -np.inf
    for layer in range(len(chain.sizes) - 1):
        start, stop = chain.starts[layer], chain.starts[layer] + chain.sizes[layer]
        fresh = True
        for i in range(start, stop):
            for side in range(2):
                if not low[i] < 0.0 < high[i]:
                    break
                if fresh:
                    _build(chain, room, low, high, p)
                    p.d.low[TOP], p.d.high[TOP] = least, least
                    fresh = False
                if not _extreme(
                    chain, room, low, high, least, p, i, side, rho, pi, known, seen, work
                ):
                    return False
        mark(p)
        if not propagation.propagate(chain, room, low, high, layer, work):
            return False
    return True


@compiled
def ahead(chain, room, low, high, least, p, candidates, found):
    """Bounds of both sides of some neurons, by the columns that there are: no proofs."""
    last = len(chain.sizes) - 1
    h, k = chain.starts[last], chain.sizes[last]
    outputs, cut = GOAL + k, GOAL + k + h
    _build(chain, room, low, high, p)
    simplex.ask(p.d, TOP, -1, 1.0)
    simplex.maximise(p.d, -np.inf, PIVOTS, -1.0)
    for at in range(len(candidates)):
        for side in range(2):
            simplex.copy(p.d, p.trial)
            p.trial.high[(outputs if side == 0 else cut) + candidates[at]] = 0.0
            ended = simplex.maximise(p.trial, least - CUTOFF, PIVOTS, -1.0)
            p.counts[1] += 1
            if ended == simplex.ENOUGH:
                found[at, side] = -np.inf
            else:
                found[at, side] = simplex.objective(p.trial)
