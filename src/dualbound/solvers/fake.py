"""A solver that returns what it is told to: for tests of outcomes that real ones produce rarely."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from dualbound.errors import SolverFailed
from dualbound.limits import Clock
from dualbound.milp.program import Program
from dualbound.solvers.contract import Can, Effort, Session, Solution, Solver


@dataclass(frozen=True, eq=False)
class Call:
    """One call of `Session.solve` on a `Fake`: the program and the arguments."""

    program: Program
    cost: Float[np.ndarray, " n"] | None
    start: Float[np.ndarray, " n"] | None
    cutoff: float | None
    target: float | None
    gap: float


@dataclass(frozen=True, eq=False)
class Fake(Solver):
    """Returns scripted solutions in order and records the calls.

    Args:
        solutions: what the calls return, in order, over all sessions.

    Attributes:
        calls: the calls so far.

    >>> from dualbound.milp.program import ProgramBuilder
    >>> from dualbound.solvers.contract import Stop
    >>> script = Solution(Stop.TIME_LIMIT, None, None, -1.0, None, 0, 0, 0.0, "scripted")
    >>> fake = Fake([script])
    >>> fake.solve(ProgramBuilder().build(), cutoff=3.0).stop.name, fake.calls[0].cutoff
    ('TIME_LIMIT', 3.0)
    """

    name: ClassVar[str] = "fake"
    needs: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""
    can: ClassVar[frozenset[Can]] = frozenset(Can)

    solutions: Sequence[Solution] = ()
    calls: list[Call] = field(default_factory=list)

    def open(self, program: Program) -> Session:
        """Take note of a program."""
        return _FakeSession(self, program)

    def version(self) -> str:
        """There is no native solver: always "0"."""
        return "0"


class _FakeSession(Session):
    def __init__(self, fake: Fake, program: Program) -> None:
        self._fake = fake
        self._program = program

    def solve(
        self,
        clock: Clock,
        *,
        cost: Float[np.ndarray, " n"] | None = None,
        start: Float[np.ndarray, " n"] | None = None,
        cutoff: float | None = None,
        target: float | None = None,
        gap: float = 0.0,
        on_effort: Callable[[Effort], None] | None = None,
    ) -> Solution:
        """The next scripted solution.

        Raises:
            SolverFailed: the script has run out.
        """
        calls, script = self._fake.calls, self._fake.solutions
        calls.append(Call(self._program, cost, start, cutoff, target, gap))
        if len(calls) > len(script):
            raise SolverFailed(f"The fake solver has {len(script)} solutions, call {len(calls)}.")
        solution = script[len(calls) - 1]
        if on_effort is not None:
            on_effort(Effort(solution.value, solution.bound, solution.nodes))
        return solution
