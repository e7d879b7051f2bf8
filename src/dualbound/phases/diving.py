"""Closing a node by many small ones, depth first, in the one dictionary of its relaxation.

A neuron's phase is one upper bound in the program: of its output, or of what it cuts off. So a
split changes one number, the program is solved again in some pivots, and going back costs nothing.
No bound is tightened on the way, which makes such a node a hundred times as cheap as one of the
tree, and a subtree larger. That pays wherever a subtree is not too large; how large it is, what is
done of it tells (Knuth, *Estimating the efficiency of backtrack programs*, 1975).

Which neuron is split at, pseudo-costs say: what splits at it have won so far, as parts of what its
relaxation contributed to the bound. Of those with few samples, both sides are tried on a copy.

A small node is closed by `propagation.lagrangian`, as every other; the dictionary is not trusted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dualbound.phases import pricing, program, propagation, simplex, solving
from dualbound.phases.compiled import NONE, compiled, inlined
from dualbound.phases.program import GOAL, PRICED_AT_MOST, TOP

CLOSED, FOUND, STUCK, GOING = 0, 1, 2, 3
"""How `dive` ends: nothing is left, a point was found, nothing could be split, or it goes on."""

_OPEN = 4

BUDGET = 1_000
"""A dive goes on while it seems to need no more than `HOPELESS` times as many small nodes."""

HOPELESS = 4
"""See `BUDGET`."""

AT_ONCE = 100
"""Small nodes after which it is looked at how far a dive has come."""

AT_MOST = 20
"""A dive ends after this many times `BUDGET`, however near its end it seems to be."""

COLUMNS = 3 * PRICED_AT_MOST
"""Of inputs of a box, when a small node begins: with more, the dictionary is written anew."""

SAMPLES = 2
"""Splits at a neuron that make its pseudo-cost one to rely on, for each side."""

TRIED = 8
"""Neurons whose sides are tried before one split, at most."""

TRIAL = np.int64(40)
"""Pivots of such a trial."""

PRICED = 2
"""Rounds of pricing that a small node gets whose relaxation is not below what is of interest."""

NEAR = 0.1
"""They end when they can change its bound by no more than this part of what is of interest."""


class Dive(NamedTuple):
    """A path from a node, and what was learnt on the way; as long as there are neurons.

    Attributes:
        counts: splits on the path; small nodes so far.
        path: the neurons split at.
        sides: which side is looked at: 0 inactive, 1 active.
        last: whether it is the second of the two.
        most: about the bound before the split.
        leant: what the neuron contributed to it.
        low: bounds of all neurons, with the phases on the path.
        high: likewise.
        first_low: those of the node that was dived from.
        first_high: likewise.
        won: by splits at each neuron and side, as parts of what it contributed; ``(h, 2)``.
        samples: how many splits that was.
    """

    counts: np.ndarray
    path: np.ndarray
    sides: np.ndarray
    last: np.ndarray
    most: np.ndarray
    leant: np.ndarray
    low: np.ndarray
    high: np.ndarray
    first_low: np.ndarray
    first_high: np.ndarray
    won: np.ndarray
    samples: np.ndarray

    def estimate(self) -> float:
        """How many small nodes there are in all, if what is left is like what is done."""
        depth = self.counts[0]
        done = np.sum(0.5 ** (1.0 + np.flatnonzero(self.last[:depth])))
        return float(self.counts[1] / done) if done > 0.0 else np.inf


def dive_from(
    low: Float[np.ndarray, " h"],
    high: Float[np.ndarray, " h"],
    won: Float[np.ndarray, "h 2"],
    samples: Float[np.ndarray, "h 2"],
) -> Dive:
    """A dive that has not begun; what is learnt is added to the last two."""
    h = len(low)
    return Dive(
        counts=np.zeros(2, dtype=np.int64),
        path=np.zeros(h, dtype=np.int64),
        sides=np.zeros(h, dtype=np.int64),
        last=np.zeros(h, dtype=np.bool_),
        most=np.zeros(h),
        leant=np.zeros(h),
        low=low.copy(),
        high=high.copy(),
        first_low=low,
        first_high=high,
        won=won,
        samples=samples,
    )


@compiled
def dive(chain, room, least, p, s, nodes, move, values, work):
    """Begin with a dive, or go on with it, for so many small nodes at most.

    Args:
        chain: of the network, with goals.
        room: of its inputs.
        least: goals below are of no interest.
        p: the program; between two calls it must be left as it is.
        s: the dive.
        nodes: how many.
        move: receives the point that was found.
        values: scratch, ``(h,)``.
        work: scratch.
    """
    if s.counts[1] == 0:
        program.write(chain, room, s.first_low, s.first_high, p)
    for _ in range(nodes):
        state, most = _settled(chain, room, least, p, s, work)
        s.counts[1] += 1
        if state == STUCK:
            return STUCK
        _learn(s, max(most, least))
        if state == _OPEN:
            solving.read_move(room, p, move)
            if _smallest_goal(chain, move, values) >= least:
                return FOUND
            at = _chosen(p, s, most, least)
            if at < 0:
                return STUCK
            depth = s.counts[0]
            s.path[depth], s.sides[depth] = at, 1 if values[at] > 0.0 else 0
            s.last[depth] = False
            s.most[depth], s.leant[depth] = most, p.leaning[at]
            s.counts[0] += 1
            _fix(p, s, at, s.sides[depth])
        elif not _turned(p, s):
            return CLOSED
    return GOING


@inlined
def _settled(chain, room, least, p, s, work):
    """Whether the present small node is closed, and about how large its smallest goal can be."""
    d, most = p.d, np.inf
    for rounds in range(200):
        if rounds == 0 and room.budget == np.inf and p.counts[0] > COLUMNS:
            _write_anew(chain, room, p, s)
        simplex.ask(d, TOP, NONE, 1.0)
        ended = simplex.maximise(d, least - solving.CUTOFF, solving.PIVOTS, -1.0)
        p.counts[1] += 1
        if ended == simplex.EMPTY:
            value, worth = solving.refuted(chain, room, s.low, s.high, p, least, work)
            if value < 0.0:
                return CLOSED, least
            if not pricing.price(chain, room, s.high, p, worth):
                return STUCK, most
            continue
        worth = program.read(chain, s.low, s.high, p, d.shape[0], 1.0, NONE, 0.0)
        total = np.sum(p.goals)
        if ended == simplex.GIVEN_UP or not total > 1e-9:
            return STUCK, most
        p.goals[:] /= total
        p.multipliers[:] /= total
        proved = propagation.lagrangian(
            chain, room, s.low, s.high, p.goals, p.multipliers, 0.0, NONE, 0.0,
            p.direction, p.leaning, work,
        )  # fmt: skip
        if proved < least:
            return CLOSED, proved
        most = min(most, proved)
        if ended == simplex.OPTIMAL:
            value = simplex.objective(d)
            if rounds >= PRICED or most - value <= NEAR * (most - least):
                return _OPEN, value
        if not pricing.price(chain, room, s.high, p, worth / total):
            return _OPEN, most
    return STUCK, most


@inlined
def _write_anew(chain, room, p, s):
    """Write the dictionary with fewer inputs, chosen by the last direction."""
    pricing.sift(room, p)
    program.write(chain, room, s.first_low, s.first_high, p)
    for q in range(s.counts[0]):
        _fix(p, s, s.path[q], s.sides[q])


@compiled
def _fix(p, s, i, side):
    """Decide a neuron's phase."""
    outputs, h = GOAL + len(p.goals), len(s.low)
    if side == 0:
        s.high[i] = 0.0
        p.d.high[outputs + i] = 0.0
    else:
        s.low[i] = 0.0
        p.d.high[outputs + h + i] = 0.0


@compiled
def _free(p, s, i):
    """Leave a neuron's phase open again."""
    outputs, h = GOAL + len(p.goals), len(s.low)
    s.low[i], s.high[i] = s.first_low[i], s.first_high[i]
    p.d.high[outputs + i], p.d.high[outputs + h + i] = s.high[i], -s.low[i]


@inlined
def _turned(p, s):
    """Go back to the last split whose other side is left, and to that side; False if none is."""
    while s.counts[0] > 0:
        at = s.counts[0] - 1
        _free(p, s, s.path[at])
        if not s.last[at]:
            s.sides[at] = 1 - s.sides[at]
            s.last[at] = True
            _fix(p, s, s.path[at], s.sides[at])
            return True
        s.counts[0] = at
    return False


@inlined
def _learn(s, most):
    """Count what the last split has won."""
    if s.counts[0] > 0:
        at = s.counts[0] - 1
        if s.leant[at] > 1e-9:
            s.won[s.path[at], s.sides[at]] += max(s.most[at] - most, 0.0) / s.leant[at]
            s.samples[s.path[at], s.sides[at]] += 1.0


@inlined
def _chosen(p, s, most, least):
    """The open neuron whose split promises most, or -1."""
    h, top = len(s.low), max(most - least, 0.0)
    count = np.sum(s.samples)
    usual = np.sum(s.won) / count if count > 0.0 else 0.5
    promises = np.full(h, -1.0)
    if np.sum(p.leaning) <= solving.IDLE * top:
        solving.read_violations(s.low, s.high, p, promises)
        if np.max(promises) > 0.0:
            return int(np.argmax(promises))
        promises[:] = -1.0
    for i in range(h):
        if p.column[i] >= 0 and s.low[i] < 0.0 < s.high[i]:
            promises[i] = _promise(p, s, i, usual, top)
    for _ in range(TRIED):
        i = int(np.argmax(promises))
        if promises[i] < 0.0:
            return -1
        relied = s.samples[i, 0] >= SAMPLES and s.samples[i, 1] >= SAMPLES
        if relied or p.leaning[i] <= 1e-9:
            return i
        for side in range(2):
            if s.samples[i, side] < SAMPLES:
                s.won[i, side] += _trial(p, i, side, most, least) / p.leaning[i]
                s.samples[i, side] += 1.0
        promises[i] = _promise(p, s, i, usual, top)
    return int(np.argmax(promises))


@compiled
def _promise(p, s, i, usual, top):
    """The product of what both sides of a split win, by what is known; at most ``top`` each."""
    product = 1.0
    for side in range(2):
        count = s.samples[i, side]
        part = s.won[i, side] / count if count > 0.0 else usual
        product *= max(min(part * p.leaning[i], top), 1e-9)
    return product


@inlined
def _trial(p, i, side, most, least):
    """About what one side of a split wins, in the columns that there are."""
    outputs, h = GOAL + len(p.goals), len(p.multipliers)
    simplex.copy(p.d, p.trial)
    p.trial.high[(outputs if side == 0 else outputs + h) + i] = 0.0
    ended = simplex.maximise(p.trial, least - solving.CUTOFF, TRIAL, -1.0)
    p.counts[1] += 1
    if ended in (simplex.ENOUGH, simplex.EMPTY):
        return max(most - least, 0.0)
    return max(most - simplex.objective(p.trial), 0.0)


@inlined
def _smallest_goal(chain, move, values):
    """The smallest goal at a move; ``values`` receives the pre-activations."""
    last, smallest = len(chain.sizes) - 1, np.inf
    for i in range(chain.sizes[0]):
        values[i] = np.dot(chain.first[i], move) + chain.bias[i]
    for k in range(1, last + 1):
        before, width = chain.starts[k - 1], chain.sizes[k - 1]
        for i in range(chain.sizes[k]):
            offset = chain.offsets[k] + i * width
            v = chain.bias[chain.starts[k] + i]
            for j in range(width):
                v += chain.weights[offset + j] * max(values[before + j], 0.0)
            if k == last:
                smallest = min(smallest, v)
            else:
                values[chain.starts[k] + i] = v
    return smallest
