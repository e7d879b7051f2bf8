"""How ``columns`` goes about it: trees over balls that shrink with every better witness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from dualbound.attacks import polish
from dualbound.network.patterns import Pattern, pattern_at
from dualbound.patterns import excluded_on_pattern, is_thin, key_of
from dualbound.phases import Chain, Room, propagation, room_of
from dualbound.phases.grid_support import GridSupport
from dualbound.phases.neighbourhood import around
from dualbound.phases.relaxation import Support
from dualbound.phases.tree import PhaseTree
from dualbound.region import L2
from dualbound.search.engine import NearestRun

PATIENCE = 30
"""Nodes of the first tree after which a nearer witness is looked for in neighbourhoods."""

DOUBT = 200
"""Nodes after which a tree is no longer young, and one without a witness waits for an attack."""

NOTABLE = 1e-3
"""A witness nearer by this part is worth a new tree, when the old one is young."""

FREE = 24
"""Neurons whose sign is open in a neighbourhood of a witness."""

FEW = 40
"""Nodes of its tree, at most."""

FRUITLESS = 4
"""Neighbourhoods of a witness, one after another, that hold no nearer one, before it is kept."""

POWER = 10.0
"""Of the radius of a ball that the effort seems to grow with, while nothing is known of it."""

POWERS = 4.0, 40.0
"""Between these it is, whatever the last balls say."""

SMALL = 10
"""Programs of a ball, for every neuron, that are too few to tell from what larger ones need."""

DEARER = 16.0
"""How many times as many programs as the last ball the next one may need."""

POLISHED = 0.1
"""For every node, how many optima of relaxations that are no witnesses yet may be polished."""

POLISHED_FIRST = 10
"""How many of them may be polished before nodes count."""

RETREATS = tuple(10.0**-k for k in range(8, -1, -1))
"""By what part of its radius a ball is made smaller where a tree can do no more, one after another.
"""

LEFT_OPEN = (
    "what is left open could neither be excluded nor turned into a nearer witness: there the "
    "criterion is reached or missed by about as much as {}"
)


@dataclass
class ShrinkingBall(NearestRun):
    """One nearest search by trees.

    Attributes:
        chain: of the problem's network, with the criterion's rows as goals.
        unstable: neurons whose sign was open in the first ball.
    """

    chain: Chain
    unstable: int | None = None

    def __post_init__(self) -> None:
        self._reference = self.problem.box.project(self.problem.center[None])[0]
        self._patterns = set(self.problem.listed or ())
        self._polished = 0
        self._again = False
        self._told = 0.0
        self._known = 0.0  # the bound, but for what is proved only because it is time to tell of it
        self._grid = self._grid_support()

    def prove(self, threads: int) -> None:
        """A tree over the ball; where it grows, trees over smaller balls before it goes on.

        A ball far larger than it need be takes many times as long, and small ones next to nothing:
        one of them may hold a better witness, and the others raise the bound. Before them, the
        attack makes all its effort where there is no witness and no integer; it costs more than
        most trees do.
        """
        self.incumbent.enter("search")
        self._known = self.incumbent.bound
        tree, _ = self._grow(self.radius, threads, PATIENCE)
        if self.attack is not None and self._unseen:
            tree, _ = self._grow(self.radius, threads, DOUBT, tree)
        grown = self.radius
        if self.attack is not None and self._unseen:
            self.look(self.attack)
            self.incumbent.enter("search")
        if not self._over:
            self._look_around()
            self._exclude_smaller_balls(threads)
        if self._over:
            return
        anew = self.radius < grown * (1 - NOTABLE)
        if self.radius < grown and not anew:
            tree.shrink(self._room(self.radius))
        tree, proved = self._grow(self.radius, threads, tree=None if anew else tree)
        proved = proved or self._retreat(tree)
        if not proved and not self._over:
            by = "rounding" if self.problem.is_plain else "the tolerance of a program with integers"
            self.incumbent.note = LEFT_OPEN.format(by)

    @property
    def _over(self) -> bool:
        return self.finished or self.incumbent.clock.expired

    @property
    def _unseen(self) -> bool:
        """Whether a witness is still to be found; of integers, attacks know little."""
        return self.incumbent.x is None and not self.problem.is_integral and not self._over

    def _exclude_smaller_balls(self, threads: int) -> None:
        """Raise the bound by balls of which each needs several times the effort of the last.

        The effort grows about as a power of the radius, which the last two balls tell. So all of
        them together take a part only of what the largest takes, and where time runs out, the
        bound is near what can be proved in that time.
        """
        efforts: list[tuple[float, int]] = []
        while not self._over:
            known, power = max(self._known, self.furthest / 1024), POWER
            if len(efforts) > 1 and efforts[-1][1] >= SMALL * self.chain.hidden:
                (before, few), (last, many) = efforts[-2:]
                power = np.clip(np.log(many / few) / np.log(last / before), *POWERS)
            step = float(DEARER ** (1 / power))
            radius, programs = known * step, self.incumbent.programs
            if radius * step**0.5 >= self.radius or not self._grow(radius, threads)[1]:
                return
            efforts.append((radius, max(1, self.incumbent.programs - programs)))

    def _look_around(self) -> None:
        """Go to the nearest witness of a neighbourhood, and on, while there are nearer ones.

        Nothing is proved by it: other signs than those of the neighbourhoods are not looked at.
        """
        known = self.incumbent
        if known.x is None or not self.problem.is_plain:
            return
        known.enter("neighbourhoods")
        rng, fruitless = np.random.default_rng(0), 0
        while fruitless < FRUITLESS and not self.finished and not known.clock.expired:
            before = known.value
            self._look_near(known.x, rng if fruitless else None)
            fruitless = 0 if known.value < before * (1 - NOTABLE) else fruitless + 1
        known.enter("search")

    def _look_near(self, x: Float[np.ndarray, " n"], rng: np.random.Generator | None) -> None:
        """Look for a nearer witness in one neighbourhood of a point."""
        room, h = self._room(self.radius), self.chain.hidden
        low, high = np.full(h, -np.inf), np.full(h, np.inf)
        work = propagation.workspace(self.chain)
        if not propagation.propagate(self.chain, room, low, high, -1, work):
            return
        low, high = around(self.chain.values(x - self._reference), low, high, FREE, rng)

        def look(move: Float[np.ndarray, " n"]) -> None:
            if self._is_better(move, sparingly=False):
                tree.stop()

        clock = self.incumbent.clock
        tree = PhaseTree(self.chain, room, clock, low=low, high=high, on_point=look)
        tree.run(FEW)
        self.incumbent.nodes += tree.nodes
        self.incumbent.programs += tree.programs

    def _grow(
        self, radius: float, threads: int, nodes: float = np.inf, tree: PhaseTree | None = None
    ) -> tuple[PhaseTree, bool]:
        """A tree over a ball, planted anew while it is young and a better witness turns up."""
        while True:
            self._again = False
            tree = tree or self._tree_over(min(radius, self.radius), threads)
            if self.unstable is None:
                self.unstable = tree.unstable
            proved = self._let_grow(tree, radius, nodes)
            if proved or not self._again or self.incumbent.clock.expired or self.finished:
                return tree, proved
            tree = None

    def _tree_over(self, radius: float, threads: int) -> PhaseTree:
        return PhaseTree(
            self.chain,
            self._room(radius),
            self.incumbent.clock,
            on_point=self._try,
            on_leaf=None if self.problem.is_plain else self._decide,
            on_node=self._tell,
            support=self._grid,
            threads=threads,
        )

    def _grid_support(self) -> Support | None:
        """In L2 on a grid, what moves to grid points come to; otherwise all moves count."""
        problem = self.problem
        if problem.grid is None or not isinstance(problem.norm, L2):
            return None
        of_ball = GridSupport(problem.center, problem.box, problem.grid, problem.norm.weights)

        def support(direction: Float[np.ndarray, " n"], room: Room) -> float:
            return of_ball(direction, room.budget)

        return support

    def _let_grow(self, tree: PhaseTree, radius: float, nodes: float = np.inf) -> bool:
        """Let a tree grow and record what it proves; whether that is everything."""
        self._tree, self._limit = tree, radius
        self._counted, programs = tree.nodes, tree.programs
        proved = tree.run(nodes)
        if proved:
            self.excluded(min(radius, self.radius))
            self._known = self.incumbent.bound
        else:
            self._known = self._raise(self._known, steps=20)
        self.incumbent.nodes += tree.nodes - self._counted
        self.incumbent.programs += tree.programs - programs
        return proved

    def _retreat(self, tree: PhaseTree) -> bool:
        """Exclude a somewhat smaller ball where a tree is at its end; whether all that is asked is.

        What is on the surface can be neither excluded nor taken for a witness: the criterion is
        reached there up to rounding, or the tolerance of a program with integers. Of what is left
        of the tree, a smaller ball leaves less.
        """
        for part in RETREATS:
            radius = self.radius * (1 - part)
            if self.incumbent.clock.expired or self.finished or radius <= self.incumbent.bound:
                break
            tree.shrink(self._room(radius))
            if self._let_grow(tree, radius):
                break
        return self.finished

    def _room(self, radius: float) -> Room:
        return room_of(self.ball(radius), self._reference)

    def _try(self, move: Float[np.ndarray, " n"]) -> None:
        """What follows from an optimum of a relaxation of the tree."""
        before = self.incumbent.value
        if not self._is_better(move, sparingly=True):
            return
        if self._tree.nodes < DOUBT and self.incumbent.value < before * (1 - NOTABLE):
            self._again = True
            self._tree.stop()  # planted anew in the smaller ball, it grows thinner from its root on
        else:
            self._tree.shrink(self._room(min(self._limit, self.radius)))

    def _is_better(self, move: Float[np.ndarray, " n"], *, sparingly: bool) -> bool:
        """Whether an optimum of a relaxation is a better witness, or led to one on its pattern."""
        problem, known = self.problem, self.incumbent
        x = problem.box.project((self._reference + move)[None])[0]
        reached = float(problem.criterion.slack(problem.network(x))) >= 0
        if reached and not problem.is_integral and problem.counts(x):
            return self.take(x)
        if sparingly and self._polished >= POLISHED_FIRST + POLISHED * (
            known.nodes + self._tree.nodes
        ):
            return False
        pattern = pattern_at(problem.network, x)
        key = key_of(pattern)
        if key in self._patterns:
            return False
        self._patterns.add(key)
        self._polished += sparingly
        found = polish(problem, pattern, self.solver, known.clock, known.value)
        return found is not None and found.distance < known.value and self.take(found.x)

    def _decide(self, active: Bool[np.ndarray, " h"]) -> bool:
        """Whether one whole pattern is listed or excluded; else it may hold a witness."""
        sizes = np.cumsum([relu.size for relu in self.problem.network.relus])
        parts = np.split(active[: sizes[-1]] if len(sizes) else active[:0], sizes[:-1])
        relus = self.problem.network.relus
        pattern = {relu.name: on for relu, on in zip(relus, parts, strict=False)}
        if self.problem.listed is not None:
            return self._does_not_count(pattern)
        radius = min(self._limit, self.radius)
        excluded, x = excluded_on_pattern(
            self.problem, pattern, radius, self.solver, self.incumbent.clock
        )
        if x is not None and self.take(x):
            self._tree.shrink(self._room(min(self._limit, self.radius)))
        return excluded

    def _does_not_count(self, pattern: Pattern) -> bool:
        """Whether a pattern is listed, or a face of others; else it may hold a witness."""
        problem, known = self.problem, self.incumbent
        if problem.has_listed(pattern):
            return True
        found = polish(problem, pattern, self.solver, known.clock, known.value)
        if found is None:
            return not known.clock.expired and is_thin(problem, pattern, self.solver, known.clock)
        if found.distance < known.value and self.take(found.x):
            self._tree.shrink(self._room(min(self._limit, self.radius)))
        return False

    def _tell(self) -> None:
        if self.incumbent.clock.seconds > self._told + 1.0:
            self._raise(self.incumbent.bound, steps=2)
            self._told = self.incumbent.clock.seconds
        self.incumbent.report(extra_nodes=self._tree.nodes - self._counted)

    def _raise(self, low: float, steps: int) -> float:
        """Bisect for a radius that what the tree has proved so far excludes, from one that is."""
        high = min(self._limit, self.radius)
        for _ in range(steps):
            if not high > low * (1 + 1e-9):
                break
            middle = (low + high) / 2
            if self._tree.excludes(self._room(middle)):
                self.excluded(middle)
                low = self.problem.beyond(middle)
            else:
                high = middle
        return low
