"""The tree: nodes fix the phases of some neurons, threads share what is open.

A node's bounds are propagated afresh, with the multipliers of its ancestors' bounds evaluated anew;
its relaxation is solved from the last basis; its proof is a Lagrangian bound in our own numbers.
Where a node is far from closed, the bounds of its open neurons are first tightened by linear
programs: that costs some dozens of them and saves a subtree. Before a node is split, a dive tries
to close it by many small ones, which costs far less if the subtree is small (`phases.diving`).
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from jaxtyping import Bool, Float

from dualbound.limits import Clock
from dualbound.phases import cheapest, diving, propagation
from dualbound.phases.chain import Chain
from dualbound.phases.compiled import compiling, is_kept
from dualbound.phases.moves import Room
from dualbound.phases.relaxation import Multipliers, Relaxation, Relaxed, Support, meant

TRIED = 2
"""How many splits are carried out, of those that look best, before one is chosen."""

LOOK_AHEAD = 24
"""How many neurons are looked ahead at for each split."""

FAR = 1.0
"""A node whose bound must fall by more than this many times what its parent's split has won is
tightened first."""


TOO_LARGE = 8
"""No dive is tried at a node whose subtree seems to need this many times `diving.BUDGET`."""

LARGEST = 16
"""Subtrees are not estimated to be larger than this many times `diving.BUDGET`."""


@dataclass(order=True)
class _Node:
    """An open part of the region.

    Attributes:
        order: smaller is looked at first.
        number: of creation, to break ties.
        most: proved upper bound on the smallest goal.
        low, high: bounds of all neurons.
        chosen: neurons whose sign is known because it was split at, or is to be treated so.
        multipliers: of single bounds, shared with the parent.
        relaxed: its solved relaxation, if it was solved when its parent was split.
        start: that of a node nearby, to start from.
        won: by how much the bound fell at the parent's split, the geometric mean of both sides.
        room: number of the room that its bounds were propagated in.
        size: how many small nodes of a dive it seems to need; 0 where nothing is known of that.
    """

    order: float
    number: int
    most: float = field(compare=False)
    low: Float[np.ndarray, " h"] = field(compare=False)
    high: Float[np.ndarray, " h"] = field(compare=False)
    chosen: Bool[np.ndarray, " h"] = field(compare=False)
    multipliers: Multipliers = field(compare=False)
    relaxed: Relaxed | None = field(compare=False, default=None)
    start: Relaxed | None = field(compare=False, default=None)
    won: float = field(compare=False, default=0.0)
    room: int = field(compare=False, default=0)
    size: float = field(compare=False, default=0.0)


class PhaseTree:
    """Prove that the smallest goal of a chain is nowhere in a room at least ``least``.

    Args:
        chain: of the network, with goals.
        room: of its inputs.
        clock: when to stop.
        least: what is to be proved; see `raise_least`.
        on_point: is handed moves of the room, each the optimum of a relaxation; it may call
            `shrink` or `raise_least`. Called by one thread at a time.
        on_leaf: asked of a pattern, true where a neuron is active, whose relaxation leaves the node
            open though no sign is: whether it is closed all the same. For rooms that are larger
            than what is meant. Called as ``on_point`` is.
        on_node: called now and then, by the thread that called `run`.
        support: of the moves of a room that count, where those are not all.
        low, high: bounds of all neurons that are known to hold in the room, or at least where every
            goal reaches ``least``.
        dives: whether nodes may be closed by dives.
        threads: how many look at nodes; with one, a search is the same each time.

    Attributes:
        nodes: how many have been looked at; the small ones of dives are not counted.
        programs: linear programs solved.
        unstable: neurons whose sign was open at the root.

    **Trusts** float64 sums within the slack of `propagation`, nothing else.
    """

    def __init__(
        self,
        chain: Chain,
        room: Room,
        clock: Clock,
        *,
        least: float = 0.0,
        on_point: Callable[[Float[np.ndarray, " n"]], None] | None = None,
        on_leaf: Callable[[Bool[np.ndarray, " h"]], bool] | None = None,
        on_node: Callable[[], None] | None = None,
        support: Support | None = None,
        low: Float[np.ndarray, " h"] | None = None,
        high: Float[np.ndarray, " h"] | None = None,
        dives: bool = True,
        threads: int = 1,
    ) -> None:
        self.chain, self.room, self.clock, self.least = chain, room, clock, least
        self.nodes = self.programs = 0
        self._on_point, self._on_leaf, self._on_node = on_point, on_leaf, on_node
        self._threads, self._support = threads, support
        # A dive closes nodes only by what is proved over the whole room.
        self._dives = dives and support is None and on_leaf is None
        self._layer_of = np.repeat(np.arange(len(chain.sizes) - 1), chain.sizes[:-1])
        self._rooms = 0
        self._last = np.inf
        self._number = itertools.count()
        self._open: list[_Node] = []
        self._stuck: list[_Node] = []
        self._held: dict[int, _Node] = {}  # by thread
        self._changed = threading.Condition()
        self._telling = threading.RLock()
        self._error: BaseException | None = None
        self._halt = np.zeros(1, dtype=np.bool_)
        self._work = propagation.workspace(chain)
        h = chain.hidden
        self._won, self._samples = np.zeros((h, 2)), np.zeros((h, 2))
        low = np.full(h, -np.inf) if low is None else low.copy()
        high = np.full(h, np.inf) if high is None else high.copy()
        chosen = np.zeros(h, dtype=np.bool_)
        root = _Node(
            -np.inf, next(self._number), np.inf, low, high, chosen, Multipliers.none(chain)
        )
        if self._propagated(root, self._work):
            self._open.append(root)
        self.unstable = int(((low < 0) & (high > 0)).sum())

    def shrink(self, room: Room) -> None:
        """Look at a smaller room from now on.

        Raises:
            ValueError: it is larger in any way; bounds of the old one would not hold in it.
        """
        old = self.room
        if room.budget > old.budget or np.any(room.up > old.up) or np.any(room.down > old.down):
            raise ValueError("a tree can only go on in a smaller room")
        self.room = room
        self._look_anew()

    def raise_least(self, least: float) -> None:
        """Be content to prove less from now on."""
        self.least = max(self.least, least)
        self._look_anew()

    def _look_anew(self) -> None:
        with self._changed:
            self._rooms += 1
            for node in self._stuck:
                heapq.heappush(self._open, node)
            self._stuck.clear()

    def stop(self) -> None:
        """End `run` as soon as the nodes in hand are done."""
        self._last = self.nodes

    @property
    def most(self) -> float:
        """Proved: nowhere in the room is the smallest goal larger than this, or than ``least``."""
        return max((node.most for node in self._unproved()), default=-np.inf)

    def excludes(self, room: Room) -> bool:
        """Whether it is proved already that no point of a smaller room reaches ``least``."""
        work = propagation.workspace(self.chain)
        direction, leaning = np.zeros(self.chain.first.shape[1]), np.zeros(self.chain.hidden)
        for node in self._unproved():
            found = node.relaxed
            if found is None or not np.any(found.goals):
                most = propagation.goal_bound(self.chain, room, node.low, node.high, work)
            elif self._support is not None:
                most = meant(
                    self.chain, room, node.low, node.high, found, self._support,
                    direction, leaning, work,
                )  # fmt: skip
            else:
                most = propagation.lagrangian(
                    self.chain, room, node.low, node.high, found.goals, found.multipliers,
                    0.0, -1, 0.0, direction, leaning, work,
                )  # fmt: skip
            if not most < self.least:
                return False
        return True

    def run(self, nodes: float = np.inf) -> bool:
        """Search until everything is proved, the clock expires, or so many nodes are looked at.

        Returns:
            Whether everything is proved. If not, `run` goes on from there.
        """
        self._last = self.nodes + nodes
        workers = [
            threading.Thread(target=self._worker, args=(k,), daemon=True)
            for k in range(self._threads if self._open else 0)
        ]
        for worker in workers:
            worker.start()
        try:
            while any(worker.is_alive() for worker in workers):
                with self._changed:
                    self._changed.wait(0.1)
                self._halt[0] = self.clock.expired or self._error is not None
                if self._on_node is not None and self._error is None:
                    with self._telling:
                        self._on_node()
        except BaseException as error:
            self._error, self._halt[0] = error, True  # workers end with what they have in hand
            for worker in workers:
                worker.join()
            raise
        if self._error is not None:
            raise self._error
        return not self._unproved()

    @property
    def _ended(self) -> bool:
        return self.clock.expired or self._error is not None or self.nodes >= self._last

    def _unproved(self) -> list[_Node]:
        with self._changed:
            return [*self._open, *self._stuck, *self._held.values()]

    def _worker(self, me: int) -> None:
        try:
            relaxation = Relaxation(self.chain, self.room, self.least, self._halt)
            work, rooms = propagation.workspace(self.chain), 0
            while (node := self._take(me)) is not None:
                if rooms != self._rooms:
                    rooms = self._rooms
                    relaxation.narrow(self.room, self.least)
                before = relaxation.solves
                children = self._expand(node, relaxation, work)
                self._give(me, node, children, relaxation.solves - before)
        except BaseException as error:  # noqa: BLE001  # handed to the thread that waits
            with self._changed:
                self._error = self._error or error
                self._changed.notify_all()

    def _take(self, me: int) -> _Node | None:
        """The next node for a thread; None when there is nothing left to do."""
        with self._changed:
            while True:
                if self._ended:
                    self._changed.notify_all()
                    return None
                if self._open:
                    self._held[me] = heapq.heappop(self._open)
                    return self._held[me]
                if not self._held:
                    self._changed.notify_all()
                    return None
                self._changed.wait(0.05)

    def _give(self, me: int, node: _Node, children: list[_Node] | None, programs: int) -> None:
        """Return what is left of a node; None if it can be neither closed nor split."""
        with self._changed:
            del self._held[me]
            self.nodes += 1
            self.programs += programs
            if children is None:
                if self._ended or node.room != self._rooms:
                    heapq.heappush(self._open, node)
                else:
                    self._stuck.append(node)
            for child in children or ():
                heapq.heappush(self._open, child)
            self._changed.notify_all()

    def _propagated(self, node: _Node, work: tuple[np.ndarray, ...]) -> bool:
        """Propagate a node's bounds in the present room; whether it stays open."""
        node.room = self._rooms
        known = node.multipliers
        if not propagation.propagate(self.chain, self.room, node.low, node.high, -1, work):
            return False
        if np.isfinite(known.moves).any():
            node.multipliers = known = known.copy()
            propagation.move_anew(self.chain, self.room, known.neurons, known.moves, work[2], work)
            if not propagation.inherit(
                self.chain, self.room, node.low, node.high, known.goals, known.neurons, known.moves,
                self.least, 0, np.zeros(len(node.low)), work,
            ):  # fmt: skip
                return False
        most = propagation.goal_bound(self.chain, self.room, node.low, node.high, work)
        node.most = min(node.most, most)
        return not node.most < self.least

    def _expand(
        self, node: _Node, relaxation: Relaxation, work: tuple[np.ndarray, ...]
    ) -> list[_Node] | None:
        """The open children of a node; None if it cannot be split."""
        if node.most < self.least:
            return []
        if node.room != self._rooms:
            if not self._propagated(node, work):
                return []
            node.relaxed = None
        if not self._solve(node, relaxation):
            return []
        relaxation.compose(node.low, node.high, node.chosen)
        if node.most - self.least > FAR * node.won:
            node.multipliers = node.multipliers.copy()
            if not relaxation.tighten(node.low, node.high, node.multipliers):
                return []
            most = propagation.goal_bound(self.chain, self.room, node.low, node.high, work)
            node.most, node.relaxed = min(node.most, most), None
            if not self._solve(node, relaxation):
                return []
        if not ((node.low < 0) & (node.high > 0)).any() and not node.chosen.all():
            node.chosen, node.relaxed = np.ones_like(node.chosen), None
            if not self._solve(node, relaxation):
                return []
        if node.relaxed is not None and node.relaxed.move is not None:
            if self._on_point is not None:
                with self._telling:
                    self._on_point(node.relaxed.move)
            node.start = node.relaxed = replace(node.relaxed, move=None)
        may_dive = self._dives and node.size < TOO_LARGE * diving.BUDGET
        if may_dive and self._closed_by_dive(node, relaxation, work):
            return []
        return self._split(node, relaxation, work)

    def _closed_by_dive(
        self, node: _Node, relaxation: Relaxation, work: tuple[np.ndarray, ...]
    ) -> bool:
        """Dive from a node, anew after every better point; whether nothing is left of it."""
        while True:
            rooms = self._rooms
            dived = relaxation.dive(
                node.low, node.high, node.start, self.least, self._won, self._samples, self.clock
            )
            node.size = min(dived.size, LARGEST * diving.BUDGET)
            if dived.closed or dived.move is None:
                return dived.closed
            if self._on_point is not None:
                with self._telling:
                    self._on_point(dived.move)
            if self._rooms == rooms or self._ended:
                return False
            relaxation.narrow(self.room, self.least)
            if not self._propagated(node, work):
                return True
            node.relaxed = None
            if not self._solve(node, relaxation):
                return True

    def _solve(self, node: _Node, relaxation: Relaxation) -> bool:
        """Solve a node's relaxation, once; whether the node stays open."""
        if node.relaxed is None:
            relaxation.compose(node.low, node.high, node.chosen)
            found = relaxation.solve(node.low, node.high, node.start)
            node.most = min(node.most, found.most)
            node.start = node.relaxed = found
            if self._support is not None and not node.most < self.least and np.any(found.goals):
                most = relaxation.meant(node.low, node.high, found, self._support)
                node.most = min(node.most, most)
        return not node.most < self.least

    def _split(
        self, node: _Node, relaxation: Relaxation, work: tuple[np.ndarray, ...]
    ) -> list[_Node] | None:
        """Split at the neuron that wins most, of the few that the bound leans on most."""
        unstable = (node.low < 0) & (node.high > 0)
        if self._on_leaf is not None and not unstable.any() and not self.clock.expired:
            with self._telling:
                return [] if self._on_leaf(node.low >= 0) else None
        if not unstable.any() or self.clock.expired:
            return None
        leaning = node.relaxed.leaning if node.relaxed is not None else np.zeros(len(unstable))
        score = leaning + 1e-9 * np.minimum(-node.low, node.high)
        ranked = np.argsort(np.where(unstable, -score, np.inf))
        ranked = ranked[: min(LOOK_AHEAD, int(unstable.sum()))]
        if node.start is not None and len(ranked) > TRIED:
            ends = relaxation.ahead(node.low, node.high, node.start, ranked)
            wins = np.clip(node.most - ends, 1e-9, node.most - self.least + 1e-9)
            ranked = ranked[np.argsort(-wins.prod(axis=1), kind="stable")][:TRIED]
        best: tuple[float, list[_Node]] | None = None
        for at in ranked.tolist():
            children = self._children(node, at, relaxation, work)
            left = [child for child in children if self._solve(child, relaxation)]
            closed = [node.most - self.least] * (2 - len(left))
            first, second = [*(node.most - child.most for child in left), *closed]
            won = max(first, 1e-9) * max(second, 1e-9)
            if best is None or won > best[0]:
                best = won, left
            if len(left) < 2:
                break  # as good as a split can be
        if best is None:
            return None
        for child in best[1]:
            child.won, child.size = float(np.sqrt(best[0])), node.size / 2
        if best[1]:
            max(best[1], key=lambda child: child.most).order = -np.inf  # plunge: points lie deep
        return best[1]

    def _children(
        self, node: _Node, at: int, relaxation: Relaxation, work: tuple[np.ndarray, ...]
    ) -> list[_Node]:
        """Both sides of a neuron, without those that propagation closes."""
        children = []
        leaning = np.zeros(len(node.low))
        for active in (False, True):
            low, high = node.low.copy(), node.high.copy()
            (low if active else high)[at] = 0.0
            known = node.multipliers
            if not propagation.inherit(
                self.chain, self.room, low, high, known.goals, known.neurons, known.moves,
                self.least, int(self._layer_of[at]), leaning, work,
            ):  # fmt: skip
                continue
            most = node.most
            if node.relaxed is not None:
                goals, multipliers = node.relaxed.goals, node.relaxed.multipliers
                if np.any(goals):
                    most = min(most, relaxation.bound(low, high, goals, multipliers))
            if not most < self.least:
                most = min(most, propagation.goal_bound(self.chain, self.room, low, high, work))
            if not most < self.least:
                number, start, room = next(self._number), node.start, self._rooms
                chosen = node.chosen.copy()
                chosen[at] = True
                children.append(
                    _Node(-most, number, most, low, high, chosen, known, start=start, room=room)
                )
        return children


def prepare(tell: Callable[[str], None] | None = None) -> None:
    """Compile all that a tree needs: two to three minutes, unless an earlier process kept it.

    Args:
        tell: hears of it where it takes that long.
    """
    if tell is not None and not is_kept():
        tell("compiling the search, this once")
    _compile()


@cache
def _compile() -> None:
    cheapest.prepare()
    n = 8
    wave = np.sin(np.arange(1.0, n * n + 1)).reshape(n, n)
    chain = Chain(
        sizes=np.array([n, n, 1]),
        starts=np.array([0, n, 2 * n]),
        first=wave,
        weights=np.append(wave, wave[0]),
        offsets=np.array([-1, 0, n * n]),
        bias=np.append(wave[:2], 0.0),
        magnitudes=np.full(2 * n + 1, 1e3),
        unit=1e-15,
    )
    ones = np.ones(n)
    with compiling():
        PhaseTree(chain, Room(ones, ones, ones, ones, np.inf, False), Clock(), least=2.0).run(3)
