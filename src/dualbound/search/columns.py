"""The engine ``columns``: our own branch and bound on activation phases, inputs as priced columns.

A witness first; then one tree proves that the ball of its distance holds nothing nearer. Every
optimum of a relaxation is tried as a witness; a better one shrinks the ball, and the tree goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from dualbound.attacks import Linearised
from dualbound.errors import InvalidInput
from dualbound.limits import core_count
from dualbound.patterns import NearestProblem
from dualbound.phases import Chain, chain_of
from dualbound.search.engine import Engine, NearestRun
from dualbound.search.incumbent import Incumbent
from dualbound.solvers import Highs, Solver


@dataclass(frozen=True)
class Columns(Engine):
    """Solve a nearest query by branch and bound on activation phases.

    Args:
        threads: how many look at nodes; the machine's cores when not given. With one, a search
            without a time limit is the same each time.
        attack: how the first witness is found; None starts without one.

    Raises:
        InvalidInput: less than one thread; on `search`, a network that is not a plain chain of
            affine maps and rectifiers.
    """

    threads: int | None = None
    attack: Linearised | None = field(default_factory=Linearised)
    name: ClassVar[str] = "columns"

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise InvalidInput(f"There must be at least 1 thread, found {self.threads}.")

    def without_attack(self) -> Columns:
        """See `Engine.without_attack`."""
        return replace(self, attack=None)

    def backend(self) -> Solver:
        """HiGHS, for the linear programs of witnesses."""
        return Highs()

    def prepare(self, tell: Callable[[str], None]) -> None:
        """See `Engine.prepare`: the search is compiled, which takes two to three minutes, once."""
        from dualbound.phases.tree import prepare  # brings numba along

        prepare(tell)

    @staticmethod
    def can(problem: NearestProblem) -> bool:
        """Whether the engine knows this kind of network."""
        return _chain(problem) is not None

    def search(self, problem: NearestProblem, incumbent: Incumbent, gap: float) -> int | None:
        """See `Engine.search`.

        **Trusts** float64 sums within the slack of `phases.propagation`; solvers with nothing, but
        in L0 and on a grid with the verdict that a program at a leaf of the tree has no solution,
        and where patterns are listed with the verdict that a pattern is too thin to count.
        """
        chain = _chain(problem)
        if chain is None:
            raise InvalidInput(
                "The engine columns knows plain chains of affine maps and rectifiers only, and "
                "this network is none; use the engine bab or milp."
            )
        from dualbound.search.shrinking_ball import ShrinkingBall  # brings numba along

        run = ShrinkingBall(problem, incumbent, gap, self.backend(), self.attack, chain)
        incumbent.prove(problem.least)
        if problem.grid is None:
            run.start(lightly=True)
        else:
            run.unstable = self._start_between(problem, incumbent, gap, run)
        if not run.finished and not incumbent.clock.expired:
            run.prove(self.threads or core_count())
        incumbent.enter("done")
        return run.unstable

    def _start_between(
        self, problem: NearestProblem, incumbent: Incumbent, gap: float, run: NearestRun
    ) -> int | None:
        """Solve the question without its grid: its bound holds, its patterns are worth a look."""
        known = incumbent.x
        between = Incumbent(
            incumbent.clock,
            lambda p: incumbent.report(extra_nodes=p.nodes),
            known,
            incumbent.value,
        )
        incumbent.enter("between the levels")
        unstable = self.search(replace(problem, grid=None), between, gap)
        incumbent.nodes += between.nodes
        incumbent.programs += between.programs
        if between.bound < np.inf:
            incumbent.prove(problem.beyond(between.bound * (1 - 1e-9)))
        else:
            incumbent.prove(np.inf)
        if between.x is not None and between.x is not known:
            incumbent.enter("attack")
            run.take(between.x)
        return unstable


def _chain(problem: NearestProblem) -> Chain | None:
    rows, sides = problem.criterion.rows(problem.network.output_size)
    reference = problem.box.project(problem.center[None])[0]
    return chain_of(problem.network, problem.box, reference, rows, sides)
