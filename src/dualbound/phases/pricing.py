"""Which moves have columns in a program: those that pay, or might."""

from __future__ import annotations

import numpy as np

from dualbound.phases import propagation, simplex
from dualbound.phases.compiled import compiled
from dualbound.phases.program import PRICED_AT_MOST, extend, first_move, mark

PRICED_AT_ONCE = 12
"""How many inputs get columns in one round of pricing."""


@compiled
def sift(room, p):
    """Fix the inputs of a box where the last direction wants them, but those it hardly moves."""
    n = len(p.direction)
    first = first_move(p)
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
def price(chain, room, high, p, worth):
    """Give columns to the moves that the last direction pays most; whether there are any."""
    n = len(p.direction)
    if room.round:
        return _price_point(chain, room, high, p, worth)
    gains = np.zeros(2 * n)
    if room.budget == np.inf:
        for i in range(n):
            best = room.up[i] if p.direction[i] > 0.0 else -room.down[i]
            gains[i] = p.direction[i] * (best - p.fixed[i])
    else:
        if p.counts[0] + PRICED_AT_ONCE > len(p.moves):
            _drop(p)
        for i in range(n):
            gains[i] = (p.direction[i] * room.rise[i] - worth) * room.up[i]
            gains[n + i] = (-p.direction[i] * room.fall[i] - worth) * room.down[i]
    for j in range(p.counts[0]):
        gains[p.moves[j]] = 0.0
    added = 0
    while added < PRICED_AT_ONCE and p.counts[0] < len(p.moves):
        best = np.argmax(gains)
        if gains[best] <= 1e-12:
            break
        gains[best] = 0.0
        p.moves[p.counts[0]] = best
        p.counts[0] += 1
        added += 1
    if added > 0:
        extend(chain, room, high, p, added)
    p.counts[2] = 1 if added < PRICED_AT_ONCE and np.max(gains) > 1e-12 else 0
    return added > 0


@compiled
def _price_point(chain, room, high, p, worth):
    """Give a column to the point of a round room that is furthest along the last direction."""
    n = len(p.direction)
    if p.counts[0] >= len(p.moves):
        _drop(p)
    if p.counts[0] >= len(p.moves):
        return False
    taken = np.zeros(len(p.points), dtype=np.bool_)
    for j in range(p.counts[0]):
        taken[p.moves[j]] = True
    slot = 0
    while taken[slot]:
        slot += 1
    gains, rooms = np.zeros(n), np.zeros(n)
    price = propagation.round_price(p.direction, room, gains, rooms)
    if price == np.inf:
        return False
    gain = -worth
    for i in range(n):
        steps = 0.0
        if gains[i] > 0.0:
            steps = rooms[i] if gains[i] > price * rooms[i] else gains[i] / price
        rising = p.direction[i] > 0.0
        p.points[slot, i] = steps * room.rise[i] if rising else -steps * room.fall[i]
        gain += p.direction[i] * p.points[slot, i]
    if gain <= 1e-12:
        return False
    for i in range(chain.sizes[0]):
        p.images[slot, i] = np.dot(chain.first[i], p.points[slot])
    p.moves[p.counts[0]] = slot
    p.counts[0] += 1
    extend(chain, room, high, p, np.int64(1))
    return True


@compiled
def _drop(p):
    """Take the columns from those moves of a ball that are not made."""
    first = first_move(p)
    made = np.ones(len(p.d.low), dtype=np.bool_)
    simplex.drop(p.d, first, made)
    kept = 0
    for j in range(p.counts[0]):
        if made[first + p.moves[j]]:
            p.moves[kept] = p.moves[j]
            kept += 1
    p.counts[0] = kept
