r"""The linear relaxation of a node, inputs as priced columns.

.. math::
    \max t \quad t \le g_k(y),\quad w_i = y_i - (W_i y + b_i),\quad
    \frac{|l_i| y_i + u_i w_i}{u_i + |l_i|} \le \frac{u_i |l_i|}{u_i + |l_i|},\quad y, w \ge 0

where :math:`y_i` is a rectifier's output and :math:`w_i` what it cuts off. Only neurons whose sign
is open are variables: the others are composed away, and a sign that was *chosen* leaves one row.
What remains is a `simplex.Dictionary` of some dozens of rows.

In a ball few inputs move in an optimum, so few have columns. The others stay where they are until
their price says that moving them would pay. In a round room the columns are whole points of it, and
a move is a convex combination of them (Dantzig and Wolfe). What is proved is
`propagation.lagrangian` of the multipliers: the simplex method is trusted with nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from dualbound.phases import simplex
from dualbound.phases.chain import Chain
from dualbound.phases.compiled import compiled, compiled_loosely
from dualbound.phases.moves import Room

PRICED_AT_MOST = 60
"""How many moves of a ball have columns; then those that are not made lose theirs. Where that does
not suffice, because many small moves are made, there are more: see `wider`."""

TOP, BALL, GOAL = np.int64(0), np.int64(1), np.int64(2)
"""Variables: the smallest goal, what is left of the budget, and from here on the slacks of goals.
Then come y, w, the slack of the triangle and the pre-activation of each neuron, and the moves."""


class Program(NamedTuple):
    """One thread's dictionary and what it was made from.

    Attributes:
        d: of the node.
        trial: a copy to look ahead in.
        moves: inputs that have columns; in a ball, those of downward moves are counted from ``n``;
            in a round room, rows of ``points``.
        points: moves of a round room, ``(c, n)``.
        images: what they do to the first layer's neurons, ``(c, m)``.
        settled: neurons whose sign is known and that have no rows.
        fixed: where the other inputs of a box are, as moves.
        counts: how many moves; programs solved; whether a move that pays found no column.
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
    points: np.ndarray
    images: np.ndarray
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


def empty(
    chain: Chain,
    room: Room,
    at_most: int = PRICED_AT_MOST,
    halt: Bool[np.ndarray, "1"] | None = None,
) -> Program:
    """An empty one, with columns for so many moves of a ball; see `simplex.Dictionary.halt`."""
    halt = np.zeros(1, dtype=np.bool_) if halt is None else halt
    h, k, n = chain.hidden, int(chain.sizes[-1]), chain.first.shape[1]
    ball = bool(np.isfinite(room.budget))
    moves = at_most if room.round else min(2 * n, at_most) if ball else n
    rows, columns = 2 * h + k + 1, moves + h + 1
    variables = int(GOAL) + k + 4 * h + max(2 * n, moves)
    return Program(
        d=simplex.dictionary(rows, columns, variables, halt),
        trial=simplex.dictionary(rows, columns, variables, halt),
        moves=np.arange(moves),
        points=np.zeros((moves if room.round else 0, n)),
        images=np.zeros((moves if room.round else 0, int(chain.sizes[0]))),
        settled=np.zeros(h, dtype=np.bool_),
        fixed=np.zeros(n),
        counts=np.zeros(3, dtype=np.int64),
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


def wider(chain: Chain, room: Room, p: Program) -> Program:
    """The same program with columns for twice as many moves of a ball."""
    wide = empty(chain, room, 2 * len(p.moves), p.d.halt)
    wide.moves[: len(p.moves)] = p.moves
    wide.settled[:], wide.counts[:] = p.settled, p.counts
    wide.basic[:] = p.basic
    return wide


@compiled
def first_move(p):
    """The variable of the first move."""
    return GOAL + len(p.goals) + 4 * len(p.multipliers)


@compiled_loosely
def write(chain, room, low, high, p):
    """Write a node's relaxation into the dictionary, and go to the basis that is marked."""
    d, last = p.d, len(chain.sizes) - 1
    h, k = chain.starts[last], chain.sizes[last]
    columns = _write_columns(room, low, high, p, k)
    rows, top = 0, 0.0
    for layer in range(last + 1):
        for i in range(chain.starts[layer], chain.starts[layer] + chain.sizes[layer]):
            if layer < last and high[i] <= 0.0 and p.settled[i]:
                continue
            _write_formula(chain, room, high, p, layer, i, columns)
            if layer == last:
                d.table[rows, : columns + 1] = p.formula[i, : columns + 1]
                d.table[rows, columns - 1] -= 1.0
                d.rows[rows] = GOAL + i - h
                top = max(top, chain.magnitudes[i])
                rows += 1
            elif p.column[i] >= 0:
                _write_triangle(low[i], high[i], p, i, columns, rows)
                rows += 2
            elif not p.settled[i]:
                sign = GOAL + k + 3 * h + i
                d.table[rows, : columns + 1] = p.formula[i, : columns + 1]
                d.rows[rows] = sign
                d.low[sign], d.high[sign] = low[i], high[i]
                rows += 1
    for i in range(k):
        d.low[GOAL + i], d.high[GOAL + i] = 0.0, 2.0 * top + 1.0
    d.low[TOP], d.high[TOP] = -top - 1.0, top + 1.0
    if room.budget < np.inf:
        d.table[rows, : columns + 1] = 0.0
        d.table[rows, : p.counts[0]] = -1.0
        budget = 1.0 if room.round else room.budget
        d.table[rows, columns] = budget
        d.rows[rows] = BALL
        d.low[BALL], d.high[BALL] = 0.0, budget
        rows += 1
    d.shape[0], d.shape[1] = rows, columns
    d.table[rows, : columns + 1] = 0.0
    simplex.restore(d, p.basic)


@compiled
def _write_columns(room, low, high, p, k):
    """Columns of moves, of outputs of open neurons and of the smallest goal; how many."""
    d, h = p.d, len(low)
    outputs, first = GOAL + k, GOAL + k + 4 * h
    columns = 0
    for at in p.moves[: p.counts[0]]:
        d.columns[columns] = first + at
        columns += 1
    _bound_moves(room, p.moves[:columns], first, d.low, d.high)
    for i in range(h):
        p.column[i] = -1
        if low[i] < 0.0 < high[i]:
            p.column[i] = columns
            d.columns[columns] = outputs + i
            d.low[outputs + i], d.high[outputs + i] = 0.0, high[i]
            columns += 1
    d.columns[columns] = TOP
    return columns + 1


@compiled
def _bound_moves(room, moves, first, low, high):
    """Say between which values moves are."""
    n = len(room.up)
    for at in moves:
        low[first + at] = 0.0
        if room.budget == np.inf:
            low[first + at], high[first + at] = -room.down[at], room.up[at]
        elif room.round:
            high[first + at] = 1.0
        else:
            high[first + at] = room.up[at] if at < n else room.down[at - n]


@compiled_loosely
def _write_effects_on(chain, room, images, moves, i, effects):
    """What a unit of each move does to one neuron of the first layer."""
    weight = chain.first[i]
    n = len(weight)
    for q in range(len(moves)):
        at = moves[q]
        if room.round:
            effects[q] = images[at, i]
        elif at < n:
            effects[q] = weight[at] * room.rise[at]
        else:
            effects[q] = -weight[at - n] * room.fall[at - n]


@compiled_loosely
def _write_formula(chain, room, high, p, layer, i, columns):
    """A pre-activation or goal in terms of the columns: those that are no columns composed away."""
    f = p.d.line
    f[:columns] = 0.0
    f[columns] = chain.bias[i]
    if layer == 0:
        if room.budget == np.inf:
            f[columns] += np.dot(chain.first[i], p.fixed)
        _write_effects_on(chain, room, p.images, p.moves[: p.counts[0]], i, f)
    else:
        before, width = chain.starts[layer - 1], chain.sizes[layer - 1]
        offset = chain.offsets[layer] + (i - chain.starts[layer]) * width
        for j in range(width):
            a = chain.weights[offset + j]
            if p.column[before + j] >= 0:
                f[p.column[before + j]] += a
            elif high[before + j] > 0.0:
                g = p.formula[before + j]
                for c in range(columns + 1):
                    f[c] += a * g[c]
    p.formula[i, : columns + 1] = f[: columns + 1]


@compiled_loosely
def _write_triangle(low, high, p, i, columns, row):
    """The rows of an open neuron: what it cuts off, and the triangle's upper side."""
    d, h, k = p.d, len(p.column), len(p.goals)
    cut, slack = GOAL + k + h + i, GOAL + k + 2 * h + i
    off, side = d.table[row], d.table[row + 1]
    share, f = high / (high - low), p.formula[i]
    for c in range(columns + 1):
        off[c] = -f[c]
        side[c] = share * f[c]
    off[p.column[i]] += 1.0
    side[p.column[i]] -= 1.0
    side[columns] -= share * low
    d.rows[row], d.rows[row + 1] = cut, slack
    d.low[cut], d.high[cut] = 0.0, -low
    d.low[slack], d.high[slack] = 0.0, -share * low
    p.share[i] = share


@compiled_loosely
def extend(chain, room, high, p, count):
    """Give columns to the last moves in the dictionary as it stands; its objective is to be asked.

    Args:
        chain: of the network.
        room: of its inputs.
        high: upper bounds of all neurons.
        p: the program, whose `Program.moves` have been added.
        count: how many.
    """
    d, last = p.d, len(chain.sizes) - 1
    h, k, m, n = chain.starts[last], chain.sizes[last], p.d.shape[0], p.d.shape[1]
    first = first_move(p)
    a, z = p.reduced, np.empty((h + k, count))
    effects, held = np.zeros((m + 1, count)), np.empty((count, n))
    moves = p.moves[p.counts[0] - count : p.counts[0]]
    _write_effects(chain, room, high, p, moves, z)
    for q in range(count):
        for i in range(h):
            if p.column[i] >= 0:
                a[GOAL + k + h + i] = -z[i, q]
                a[GOAL + k + 2 * h + i] = p.share[i] * z[i, q]
            else:
                a[GOAL + k + 3 * h + i] = z[i, q]
        for i in range(k):
            a[GOAL + i] = z[h + i, q]
        a[BALL] = -1.0
        for j in range(n):
            held[q, j] = a[d.columns[j]]
        for i in range(m):
            effects[i, q] = a[d.rows[i]]
    a[:first] = 0.0
    _bound_moves(room, moves, first, d.low, d.high)
    simplex.extend(d, first + moves, effects, held)
    d.table[m, : n + count + 1] = 0.0
    if room.budget == np.inf:
        for q in range(count):
            for i in range(m):
                d.table[i, n + count] -= d.table[i, n + q] * p.fixed[moves[q]]
            p.fixed[moves[q]] = 0.0


@compiled_loosely
def _write_effects(chain, room, high, p, moves, effects):
    """What each move does to each pre-activation and goal, outputs of open neurons apart."""
    count = len(moves)
    total = np.empty(count)
    for layer in range(len(chain.sizes)):
        for i in range(chain.starts[layer], chain.starts[layer] + chain.sizes[layer]):
            if layer == 0:
                _write_effects_on(chain, room, p.images, moves, i, effects[i])
                continue
            before, width = chain.starts[layer - 1], chain.sizes[layer - 1]
            offset = chain.offsets[layer] + (i - chain.starts[layer]) * width
            total[:] = 0.0
            for j in range(width):
                if p.column[before + j] < 0 and high[before + j] > 0.0:
                    a = chain.weights[offset + j]
                    for q in range(count):
                        total[q] += a * effects[before + j, q]
            effects[i] = total


@compiled
def mark(p):
    """Mark the variables that are basic."""
    p.basic[:] = False
    for i in range(p.d.shape[0]):
        p.basic[p.d.rows[i]] = True


@compiled
def read(chain, low, high, p, row, factor, objective, side):
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
