"""The linear relaxation of a node, solved, tightened and looked ahead in; see `phases.solving`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from dualbound.limits import Clock
from dualbound.phases import diving, pricing, program, propagation, solving
from dualbound.phases.chain import Chain
from dualbound.phases.moves import Room


@dataclass(frozen=True, eq=False)
class Relaxed:
    """What the relaxation of one node says.

    Attributes:
        most: proved: at no point of the node is the smallest goal larger. Infinity if the simplex
            method gave nothing to prove anything with.
        move: the input's move from the reference in the relaxation's optimum, or None.
        goals, multipliers: what proves ``most``, ``(k,)`` and ``(h,)``.
        leaning: what the relaxation of each open neuron contributes to ``most``, ``(h,)``; where
            that is nothing, how wrong its optimum is about each, see `solving.read_violations`.
        basic: the last basis.
    """

    most: float
    move: Float[np.ndarray, " n"] | None
    goals: Float[np.ndarray, " k"]
    multipliers: Float[np.ndarray, " h"]
    leaning: Float[np.ndarray, " h"]
    basic: Bool[np.ndarray, " v"]


@dataclass(frozen=True, eq=False)
class Multipliers:
    """What proves bounds of single neurons, to be evaluated anew below.

    Attributes:
        goals, neurons: for each neuron's upper and lower bound, ``(h, 2, k)`` and ``(h, 2, h)``.
        moves: what the moves of the room contribute, ``(h, 2)``: it depends on no bound, and is the
            most expensive part. Infinity where there are no multipliers.
    """

    goals: Float[np.ndarray, "h 2 k"]
    neurons: Float[np.ndarray, "h 2 h"]
    moves: Float[np.ndarray, "h 2"]

    @classmethod
    def none(cls, chain: Chain) -> Multipliers:
        """Of nothing yet."""
        h, k = chain.hidden, int(chain.sizes[-1])
        return cls(np.zeros((h, 2, k)), np.zeros((h, 2, h)), np.full((h, 2), np.inf))

    def copy(self) -> Multipliers:
        """For a node that will find its own."""
        return Multipliers(self.goals.copy(), self.neurons.copy(), self.moves.copy())


@dataclass(frozen=True, eq=False)
class Dived:
    """How a dive has ended.

    Attributes:
        closed: whether nothing is left of the node that it began at.
        move: of a point where every goal is as large as is of interest; None if none was found.
        size: how many small nodes the whole subtree seems to have.
    """

    closed: bool
    move: Float[np.ndarray, " n"] | None
    size: float


Support = Callable[[Float[np.ndarray, " n"], Room], float]
"""An upper bound of a linear function of the moves of a room that count."""


def meant(
    chain: Chain,
    room: Room,
    low: Float[np.ndarray, " h"],
    high: Float[np.ndarray, " h"],
    found: Relaxed,
    support: Support,
    direction: Float[np.ndarray, " n"],
    leaning: Float[np.ndarray, " h"],
    work: tuple[np.ndarray, ...],
) -> float:
    """The Lagrangian bound of some multipliers, with another support function than the room's.

    Args:
        chain: of the network.
        room: of its inputs.
        low: bounds of all neurons.
        high: likewise.
        found: has the multipliers; of goals, some are not 0.
        support: of the moves that count.
        direction: scratch, ``(n,)``.
        leaning: scratch, ``(h,)``.
        work: scratch.
    """
    most = propagation.lagrangian(
        chain, room, low, high, found.goals, found.multipliers,
        0.0, -1, 0.0, direction, leaning, work,
    )  # fmt: skip
    all_moves = propagation.support(direction, room, work[3], work[4])
    return most - all_moves + support(direction, room) + chain.unit * abs(all_moves)


class Relaxation:
    """One program for all nodes that a thread looks at.

    Args:
        chain: of the network, with goals.
        room: of its inputs.
        least: goals below are of no interest.
        halt: once it is set, by another thread, whatever is being done ends early: what it proves
            then is less.
    """

    def __init__(
        self,
        chain: Chain,
        room: Room,
        least: float,
        halt: Bool[np.ndarray, "1"] | None = None,
    ) -> None:
        self._chain = chain
        self._work = propagation.workspace(chain)
        self._program = program.empty(chain, room, halt=halt)
        self._room, self._least = room, least

    @property
    def solves(self) -> int:
        """Linear programs so far."""
        return int(self._program.counts[1])

    def narrow(self, room: Room, least: float) -> None:
        """Look at a smaller room, or only at larger goals, from now on."""
        if room.round and room.budget < self._room.budget:
            self._program.points[:] *= room.budget / self._room.budget
            self._program.images[:] *= room.budget / self._room.budget
        self._room, self._least = room, least

    def compose(
        self,
        low: Float[np.ndarray, " h"],
        high: Float[np.ndarray, " h"],
        chosen: Bool[np.ndarray, " h"],
    ) -> None:
        """Leave out the rows of neurons whose sign is known, from now on, but for those chosen.

        What is left is looser. Where a proof that a sign is known has used the row of another such
        neuron, neither need hold in it any more, and a node with all signs known may stay open that
        their rows would close. But far fewer rows make every program far cheaper.

        Args:
            low: lower bounds of the node.
            high: upper bounds likewise.
            chosen: neurons whose rows stay.
        """
        self._program.settled[:] = ((low >= 0) | (high <= 0)) & ~chosen

    def bound(
        self,
        low: Float[np.ndarray, " h"],
        high: Float[np.ndarray, " h"],
        goals: Float[np.ndarray, " k"],
        multipliers: Float[np.ndarray, " h"],
    ) -> float:
        """What multipliers prove of the smallest goal, given these bounds."""
        p = self._program
        return propagation.lagrangian(
            self._chain, self._room, low, high, goals, multipliers, 0.0, -1, 0.0,
            p.direction, p.leaning, self._work,
        )  # fmt: skip

    def meant(
        self,
        low: Float[np.ndarray, " h"],
        high: Float[np.ndarray, " h"],
        found: Relaxed,
        support: Support,
    ) -> float:
        """What the multipliers of a relaxation prove where less than the room is meant.

        Args:
            low: lower bounds of the node.
            high: upper bounds likewise.
            found: the node's relaxation.
            support: of what is meant.
        """
        return meant(
            self._chain, self._room, low, high, found, support,
            self._program.direction, self._program.leaning, self._work,
        )  # fmt: skip

    def solve(
        self,
        low: Float[np.ndarray, " h"],
        high: Float[np.ndarray, " h"],
        start: Relaxed | None = None,
        precision: float = solving.PRECISION,
    ) -> Relaxed:
        """Solve the relaxation of one node as far as it takes to close it or to branch.

        Args:
            low: lower bounds of the node, with its phases in them.
            high: upper bounds likewise.
            start: of a node nearby, to start from.
            precision: pricing ends when it can change the bound by no more than this part of what
                is of interest.
        """
        h = self._chain.hidden
        self._face(low, high, start)
        while True:
            p = self._program
            p.counts[2] = 0
            goals, multipliers = np.zeros(len(p.goals)), np.zeros(h)
            leaning, move = np.zeros(h), np.zeros(len(p.direction))
            most, moved = solving.solve(
                self._chain, self._room, low, high, self._least, precision, p,
                goals, multipliers, leaning, move, self._work,
            )  # fmt: skip
            program.mark(p)
            short = p.counts[2] == 1 and len(p.moves) < 2 * len(p.direction)
            if not short or most < self._least:
                break
            self._program = program.wider(self._chain, self._room, p)
        return Relaxed(most, move if moved else None, goals, multipliers, leaning, p.basic.copy())

    def tighten(
        self, low: Float[np.ndarray, " h"], high: Float[np.ndarray, " h"], found: Multipliers
    ) -> bool:
        """Maximise and minimise every open neuron over the relaxation, layer by layer.

        All goals must be at least what is of interest: what is proved holds there only.

        Args:
            low: lower bounds of the node, narrowed in place.
            high: upper bounds likewise.
            found: receives what proves them.

        Returns:
            Whether anything is left of the node.
        """
        return solving.tighten(
            self._chain, self._room, low, high, self._least, self._program,
            found.goals, found.neurons, found.moves, self._work,
        )  # fmt: skip

    def dive(
        self,
        low: Float[np.ndarray, " h"],
        high: Float[np.ndarray, " h"],
        start: Relaxed | None,
        least: float,
        won: Float[np.ndarray, "h 2"],
        samples: Float[np.ndarray, "h 2"],
        clock: Clock,
    ) -> Dived:
        """Try to close a node by small ones; see `phases.diving`.

        Args:
            low: lower bounds of the node, with its phases in them.
            high: upper bounds likewise.
            start: its relaxation.
            least: goals below are of no interest.
            won: what splits have won so far, is added to.
            samples: how many they were, likewise.
            clock: when to stop.
        """
        p = self._program
        self._face(low, high, start)
        state = diving.dive_from(low, high, won, samples)
        move, values = np.zeros(len(p.direction)), np.zeros(len(low))
        ended = diving.GOING
        while ended == diving.GOING and not clock.expired:
            ended = diving.dive(
                self._chain, self._room, least, p, state, diving.AT_ONCE, move, values, self._work
            )
            nodes, size = int(state.counts[1]), state.estimate()
            if size > diving.HOPELESS * diving.BUDGET or nodes > diving.AT_MOST * diving.BUDGET:
                break
        program.mark(p)
        found = ended == diving.FOUND
        return Dived(ended == diving.CLOSED, move if found else None, state.estimate())

    def ahead(
        self,
        low: Float[np.ndarray, " h"],
        high: Float[np.ndarray, " h"],
        start: Relaxed,
        candidates: Int[np.ndarray, " c"],
    ) -> Float[np.ndarray, "c 2"]:
        """Estimates of the bounds of both sides of some neurons, the inactive side first.

        Minus infinity says that the side would be closed. Nothing here is a proof.
        """
        p = self._program
        self._face(low, high, start)
        found = np.zeros((len(candidates), 2))
        solving.ahead(self._chain, self._room, low, high, self._least, p, candidates, found)
        program.mark(p)
        return found

    def _face(
        self, low: Float[np.ndarray, " h"], high: Float[np.ndarray, " h"], start: Relaxed | None
    ) -> None:
        """Start from a basis, and where inputs are fixed, from where multipliers want them."""
        if start is None:
            return
        p = self._program
        p.basic[:] = start.basic
        if not np.isfinite(self._room.budget) and np.any(start.goals):
            self.bound(low, high, start.goals, start.multipliers)
            pricing.sift(self._room, p)
