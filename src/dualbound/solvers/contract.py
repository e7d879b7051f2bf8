"""What every solver promises: one vocabulary for capabilities, outcomes and calls."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from dualbound.limits import Clock
from dualbound.milp.program import Program


class Can(enum.Enum):
    """A capability that a solver declares."""

    LP = "linear programs"
    MIP = "mixed-integer programs"
    WARM_START = "warm start"
    DUALS = "duals"
    QUADRATIC = "quadratic objectives"
    INDICATORS = "indicator constraints"

    @classmethod
    def needed_for(cls, program: Program) -> frozenset[Can]:
        """What a solver must be able to for this program."""
        needs = {
            cls.MIP if program.is_mixed_integer else cls.LP: True,
            cls.QUADRATIC: program.is_quadratic,
            cls.INDICATORS: program.has_indicators,
        }
        return frozenset(can for can, needed in needs.items() if needed)


class Stop(enum.Enum):
    """Why a solver stopped. Says nothing about whether it has a point."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    INFEASIBLE_OR_UNBOUNDED = "infeasible or unbounded"
    CUTOFF = "proved that nothing is below the cutoff"
    TARGET = "found a point at or below the target"
    TIME_LIMIT = "time limit"
    INTERRUPTED = "interrupted"
    OTHER_LIMIT = "another limit of the solver"
    FAILED = "failed"


@dataclass(frozen=True)
class Effort:
    """A moment in a solver's run: best value, proved bound, nodes so far."""

    value: float | None
    bound: float | None
    nodes: int


@dataclass(frozen=True, eq=False)
class Solution:
    """Stop reason, primal point if any, dual bound if any: three separate facts.

    Attributes:
        stop: why the solver stopped.
        x: the best point found, or None. Nothing is promised beyond the solver's tolerances.
        value: the program's objective at ``x``, evaluated from ``x``.
        bound: the solver's proved lower bound on the objective, or None.
        row_duals: one multiplier a row, for a linear program solved to its end; the sign is that
            of the Lagrangian ``cost·v - y·(Av)``: non-negative on an active lower side.
        nodes, iterations, seconds: what it took.
        message: the solver's own word for its state.
    """

    stop: Stop
    x: Float[np.ndarray, " n"] | None
    value: float | None
    bound: float | None
    row_duals: Float[np.ndarray, " m"] | None
    nodes: int
    iterations: int
    seconds: float
    message: str


class Session(ABC):
    """One program loaded into one solver, to be solved once or many times."""

    @abstractmethod
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
        """Minimise until proved, stopped by the clock, or told enough.

        Args:
            clock: when to stop; looked at during the solve, so that Ctrl-C ends it.
            cost: replaces the program's linear cost from now on (a quadratic one stays); a linear
                program is hot-started.
            start: a point to start from; the solver may ignore it, never fail on it.
            cutoff: only points below it are of interest: stop with `Stop.CUTOFF` (or
                `Stop.INFEASIBLE`) once it is proved that there are none.
            target: stop with `Stop.TARGET` at the first point whose value is at or below it.
            gap: relative gap between value and bound that counts as optimal.
            on_effort: called now and then with the state of the search.
        """


class Solver(ABC):
    """A way to solve programs: a name, what it needs, what it can do.

    Attributes:
        name: as on the command line.
        needs: Python packages to import, none of them imported before `open`.
        extra: the pip extra that installs them, empty when they come with dualbound.
        can: its capabilities.
        free_size: the programs that its package solves without a licence of one's own; empty where
            it needs none.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    extra: ClassVar[str]
    can: ClassVar[frozenset[Can]]
    free_size: ClassVar[str] = ""

    @abstractmethod
    def open(self, program: Program) -> Session:
        """Load a program.

        Raises:
            SolverNotInstalled: a package in ``needs`` is missing.
            InvalidInput: the program has something that is not in ``can``.
        """

    @abstractmethod
    def version(self) -> str:
        """The version of the native solver, for the record in every answer."""

    def solve(
        self,
        program: Program,
        clock: Clock | None = None,
        *,
        start: Float[np.ndarray, " n"] | None = None,
        cutoff: float | None = None,
        target: float | None = None,
        gap: float = 0.0,
        on_effort: Callable[[Effort], None] | None = None,
    ) -> Solution:
        """Open a program and solve it once; see `Session.solve`."""
        return self.open(program).solve(
            clock or Clock(),
            start=start,
            cutoff=cutoff,
            target=target,
            gap=gap,
            on_effort=on_effort,
        )


__all__: Sequence[str] = ("Can", "Effort", "Session", "Solution", "Solver", "Stop")
