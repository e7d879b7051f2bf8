"""What is asked of a node's program: its bound, the bounds of its neurons, a look ahead.

The simplex method is trusted with nothing: it finds multipliers, and what they prove is computed by
`propagation.lagrangian`.
"""

from __future__ import annotations

import numpy as np

from dualbound.phases import pricing, program, propagation, simplex
from dualbound.phases.compiled import NONE, compiled, inlined
from dualbound.phases.program import GOAL, TOP

CUTOFF = 1e-7
"""A solve ends once the dual objective is below what is of interest by this."""

PRECISION = 0.01
"""Pricing ends when it can change the bound by no more than this part of what is of interest."""

WORTHWHILE = 0.1
"""A bound is left alone where a point already seen shows that it can win no more than this part."""

SLOW = 0.03
"""The bound of a neuron is taken as it is when a window of pivots wins less of its width."""

PIVOTS = np.int64(2_000)
"""A linear program that takes more is given up; its node is split or stays open."""

IDLE = 1e-6
"""Relaxations of neurons that contribute less than this part of what is of interest say nothing of
where to split."""


@compiled
def _prove(chain, room, low, high, p, least, objective, side, work):
    """The Lagrangian bound of the multipliers that were read off."""
    return propagation.lagrangian(
        chain, room, low, high, p.goals, p.multipliers, least, objective, side,
        p.direction, p.leaning, work,
    )  # fmt: skip


@compiled
def refuted(chain, room, low, high, p, least, work):
    """What the row that showed emptiness proves, and what a unit of the budget is worth to it."""
    d = p.d
    r = d.shape[3]
    factor = 1.0 if d.values[r] < d.low[d.rows[r]] else -1.0
    worth = program.read(chain, low, high, p, r, factor, NONE, 0.0)
    scale = max(np.max(p.goals), np.max(np.abs(p.multipliers)))
    if not 0.0 < scale < np.inf:
        return 0.0, 0.0
    p.goals[:] /= scale
    p.multipliers[:] /= scale
    return _prove(chain, room, low, high, p, least, NONE, 0.0, work), worth / scale


@compiled
def read_move(room, p, move):
    """The move that the dictionary is at."""
    n = len(move)
    move[:] = p.fixed  # of a ball, all zero
    made = simplex.values_from(p.d, program.first_move(p))
    for at in p.moves[: p.counts[0]]:
        if room.round:
            move += made[at] * p.points[at]
        elif at >= n:
            move[at - n] -= made[at] * room.fall[at - n]
        else:
            move[at] += made[at] * room.rise[at]


@compiled
def read_violations(low, high, p, violations):
    """How wrong the optimum is about each open neuron: the less of its output and what it cuts off.

    Where the last layer's outputs are all 0 in the optimum, the goal is a constant, and the bound
    leans on no neuron. What the relaxation got wrong before that is then all there is to split at.
    """
    h = len(low)
    values = simplex.values_from(p.d, GOAL + len(p.goals))
    for i in range(h):
        violations[i] = 0.0
        if low[i] < 0.0 < high[i]:
            violations[i] = IDLE * max(min(values[i], values[h + i]), 0.0)


@compiled
def solve(chain, room, low, high, least, precision, p, goals, multipliers, leaning, move, work):
    """Maximise the smallest goal; what is proved, and whether ``move`` is an optimum."""
    d, m = p.d, 0
    best, moved = np.inf, False
    program.write(chain, room, low, high, p)
    for _ in range(200):
        simplex.ask(d, TOP, NONE, 1.0)
        ended = simplex.maximise(d, least - CUTOFF, PIVOTS, -1.0)
        p.counts[1] += 1
        if ended == simplex.EMPTY:
            value, worth = refuted(chain, room, low, high, p, 0.0, work)
            if value < 0.0 and np.max(p.goals) == 0.0:
                goals[:] = 0.0
                multipliers[:] = p.multipliers
                leaning[:] = 0.0
                return -np.inf, False
            if not pricing.price(chain, room, high, p, worth) or p.counts[2] == 1:
                return best, moved
            continue
        m = d.shape[0]
        worth = program.read(chain, low, high, p, m, 1.0, NONE, 0.0)
        total = np.sum(p.goals)
        if not total > 1e-9:
            return best, moved
        p.goals[:] /= total
        p.multipliers[:] /= total
        most = _prove(chain, room, low, high, p, 0.0, NONE, 0.0, work)
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
            read_move(room, p, move)
            if np.sum(leaning) <= IDLE * (most - least):
                read_violations(low, high, p, leaning)
            if most - value <= precision * (most - least):
                return best, moved
        if not pricing.price(chain, room, high, p, worth / total) or p.counts[2] == 1:
            return best, moved
    return best, moved


@inlined
def _extreme(chain, room, low, high, least, p, i, side, rho, pi, moves, seen, work):
    """Narrow one bound of one neuron; False if the node turns out to be empty."""
    d, last = p.d, len(chain.sizes) - 1
    h, k = chain.starts[last], chain.sizes[last]
    outputs, cut = GOAL + k, GOAL + k + h
    width = high[i] - low[i]
    left = high[i] - seen[1, i] if side == 0 else seen[0, i] - low[i]
    if left < WORTHWHILE * width or d.halt[0]:
        return True
    sign = 1.0 - 2.0 * side
    if room.budget == np.inf:
        _face(chain, room, low, high, least, p, i, side, rho, pi, moves, work)
        d.low[TOP], d.high[TOP] = least, least
    for _ in range(4):
        simplex.ask(d, outputs + i, cut + i, sign)
        ended = simplex.maximise(d, 0.0, PIVOTS, SLOW * width)
        p.counts[1] += 1
        if ended == simplex.EMPTY:
            value, worth = refuted(chain, room, low, high, p, least, work)
            if value < 0.0:
                return False
            if not pricing.price(chain, room, high, p, worth):
                return True
        else:
            worth = program.read(chain, low, high, p, d.shape[0], 1.0, i, sign)
            moved = propagation.moved(chain, room, p.multipliers, p.direction, work)
            bound = moved + propagation.unmoved(
                chain, low, high, p.goals, p.multipliers, least, i, sign, p.leaning, work
            )
            if side == 0 and bound < high[i]:
                high[i] = bound
            elif side == 1 and -bound > low[i]:
                low[i] = -bound
            rho[i, side, :] = p.goals
            pi[i, side, :] = p.multipliers
            moves[i, side] = moved
            if low[i] > high[i]:
                return False
            d.high[outputs + i], d.high[cut + i] = max(high[i], 0.0), max(-low[i], 0.0)
            if ended == simplex.OPTIMAL:
                _see(p, h, outputs, cut, seen)
            value = simplex.objective(d)
            if bound <= 0.0 or ended == simplex.GIVEN_UP or bound - value <= 0.02 * width:
                return True
            if not pricing.price(chain, room, high, p, worth):
                return True
    return True


@inlined
def _face(chain, room, low, high, least, p, i, side, rho, pi, moves, work):
    """Fix the inputs of a box where the bound of a neuron known so far wants them."""
    sign = 1.0 - 2.0 * side
    if moves[i, side] < np.inf:
        p.goals[:] = rho[i, side]
        p.multipliers[:] = pi[i, side]
        _prove(chain, room, low, high, p, least, i, sign, work)
    else:
        layer = 0
        while chain.starts[layer + 1] <= i:
            layer += 1
        propagation.crown(chain, room, low, high, layer, i - chain.starts[layer], sign, work)
        p.direction[:] = work[2]
    pricing.sift(room, p)
    program.write(chain, room, low, high, p)


@inlined
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
def tighten(chain, room, low, high, least, p, rho, pi, moves, work):
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
                    program.write(chain, room, low, high, p)
                    p.d.low[TOP], p.d.high[TOP] = least, least
                    fresh = False
                if not _extreme(
                    chain, room, low, high, least, p, i, side, rho, pi, moves, seen, work
                ):
                    return False
        program.mark(p)
        if not propagation.propagate(chain, room, low, high, layer, work):
            return False
    return True


@compiled
def ahead(chain, room, low, high, least, p, candidates, found):
    """Bounds of both sides of some neurons, by the columns that there are: no proofs."""
    last = len(chain.sizes) - 1
    h, k = chain.starts[last], chain.sizes[last]
    outputs, cut = GOAL + k, GOAL + k + h
    program.write(chain, room, low, high, p)
    simplex.ask(p.d, TOP, NONE, 1.0)
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
