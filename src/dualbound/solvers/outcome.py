"""What every adapter does around its native solver: watch the clock, and state the outcome."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidInput, LicenceLimit, SolverNotInstalled
from dualbound.limits import Clock
from dualbound.milp.program import Program
from dualbound.solvers.contract import Can, Effort, Solution, Solver, Stop

REPORT_EVERY = 0.2
"""Seconds between two reports of effort, unless a better point is found."""

_POINTLESS = frozenset({Stop.INFEASIBLE, Stop.UNBOUNDED, Stop.INFEASIBLE_OR_UNBOUNDED, Stop.FAILED})


def finite(number: float, *, infinity: float = math.inf) -> float | None:
    """The number, or None where a solver means "there is none".

    >>> finite(2.0), finite(-1e20, infinity=1e20), finite(float("nan"))
    (2.0, None, None)
    """
    return float(number) if abs(number) < infinity else None


def checked_vector(what: str, v: Float[np.ndarray, " n"], n: int) -> Float[np.ndarray, " n"]:
    """A copy of ``v`` as float64.

    Raises:
        InvalidInput: it does not have one entry a column.

    >>> checked_vector("start", np.array([1.0, 2.0]), 2)
    array([1., 2.])
    """
    vector = np.array(v, dtype=float)
    if vector.shape != (n,):
        raise InvalidInput(f"The {what} has shape {vector.shape}, expected ({n},): one a column.")
    return vector


def checked_cost(cost: Float[np.ndarray, " n"], n: int) -> Float[np.ndarray, " n"]:
    """A copy of a new cost vector.

    Raises:
        InvalidInput: a wrong size, or an entry that is not finite.
    """
    vector = checked_vector("cost", cost, n)
    if not np.all(np.isfinite(vector)):
        raise InvalidInput("A program's costs must be finite numbers.")
    return vector


def usable_start(
    program: Program, start: Float[np.ndarray, " n"] | None, value: float, cutoff: float | None
) -> Float[np.ndarray, " n"] | None:
    """The start, unless it has entries that are not numbers or lies beyond the cutoff."""
    if start is None or not np.all(np.isfinite(start)):
        return None
    return None if cutoff is not None and value >= cutoff else start


def reached_at(target: float | None, *, never: float = -math.inf) -> float:
    """The value from which on a target counts as reached, up to rounding; of none ``never``."""
    return never if target is None else target + 1e-9 * (1 + abs(target))


def right_signs(program: Program, y: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """A solver's multipliers, those of a wrong sign for a one-sided row put to zero."""
    wrong = (y > 0) & np.isneginf(program.row_lower) | (y < 0) & np.isposinf(program.row_upper)
    return np.where(wrong, 0.0, y)


def imported(solver: Solver) -> Any:
    """The Python package of a solver, imported now.

    Raises:
        SolverNotInstalled: it is missing, or cannot be imported.
    """
    package = solver.needs[0]
    try:
        return import_module(package)
    except ImportError as error:
        raise SolverNotInstalled(
            f"The solver {solver.name} needs the package {package}: "
            f'pip install "dualbound[{solver.extra}]"'
        ) from error


def licence_limit(solver: Solver, program: Program) -> LicenceLimit:
    """The sentence for a program that is larger than a solver's licence allows."""
    from dualbound.solvers import SOLVERS

    m, n = program.shape
    needed = Can.needed_for(program)
    free = [name for name, kind in SOLVERS.items() if needed <= kind.can and not kind.free_size]
    squares = " and a quadratic objective" if program.is_quadratic else ""
    return LicenceLimit(
        f"The program has {m:,} rows and {n:,} columns{squares}; the licence that comes with the "
        f"package {solver.needs[0]} allows {solver.free_size}. Install a full licence of "
        f"{solver.name}, or use the solver {' or '.join(free)}."
    )


def check_able(solver: Solver, program: Program) -> None:
    """Refuse a program that is beyond a solver, and name those that can.

    Raises:
        InvalidInput: the program has something that is not in the solver's ``can``.

    >>> from dualbound.milp.program import ProgramBuilder
    >>> from dualbound.solvers import Highs
    >>> builder = ProgramBuilder()
    >>> _ = builder.columns(["x"], quadratic=1.0)
    >>> check_able(Highs(), builder.build())
    Traceback (most recent call last):
    dualbound.errors.InvalidInput: The solver highs cannot do quadratic objectives; use ...
    """
    demand(solver, Can.needed_for(program))


def demand(solver: Solver, needed: frozenset[Can]) -> None:
    """Refuse a solver that cannot do something, and name those that can.

    Raises:
        InvalidInput: something is not in the solver's ``can``.

    >>> from dualbound.solvers import Scip
    >>> demand(Scip(), frozenset({Can.INDICATORS}))
    """
    from dualbound.solvers import SOLVERS

    missing = sorted((can for can in needed - solver.can), key=lambda can: can.value)
    if missing:
        able = [name for name, kind in SOLVERS.items() if needed <= kind.can]
        raise InvalidInput(
            f"The solver {solver.name} cannot do {' and '.join(can.value for can in missing)}; "
            f"use {' or '.join(able)}."
        )


@dataclass(eq=False)
class Watch:
    """Looks at the clock from a solver's callbacks and passes its effort on.

    An exception of the reporter, or a second Ctrl-C, must not unwind through a native solver: it
    is kept in ``error``, the solver is asked to stop, and the adapter raises it afterwards.
    """

    clock: Clock
    on_effort: Callable[[Effort], None] | None = None
    cutoff: float | None = None
    error: BaseException | None = None
    _keeps_ctrl_c: bool = False
    _best: float | None = None
    _next: float = field(default_factory=time.perf_counter)

    def keep_ctrl_c(self) -> None:
        """Take SIGINT again, on the first look from the main thread.

        Some solvers take it while they run: to print a line, or to end the whole program.
        """
        if self._keeps_ctrl_c or threading.current_thread() is not threading.main_thread():
            return
        handler = signal.getsignal(signal.SIGINT)
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
        self._keeps_ctrl_c = True

    def must_stop(self) -> bool:
        """Whether the solver is to stop now."""
        return self.error is not None or self.clock.expired

    def report(self, value: float | None, bound: float | None, nodes: int) -> None:
        """Pass on a state, at once when ``value`` is new and better, else a few times a second.

        Args:
            value: the objective of a point that was just found, None between points.
            bound: the proved bound, if any.
            nodes: nodes so far.
        """
        better = value is not None and (self._best is None or value < self._best)
        if better:
            self._best = value
        now = time.perf_counter()
        if self.on_effort is None or not (better or now >= self._next):
            return
        self._next = now + REPORT_EVERY
        if bound is not None and self.cutoff is not None:
            bound = min(bound, self.cutoff)
        self.on_effort(Effort(self._best, bound, max(0, nodes)))

    def raise_error(self) -> None:
        """Raise what a callback kept back."""
        if self.error is not None:
            raise self.error


@dataclass(frozen=True, eq=False)
class Raw:
    """The facts as a native solver tells them, before the contract's rules are applied.

    Attributes:
        infeasible_anyway: infeasibility was proved without leaning on the cutoff.
    """

    stop: Stop
    x: Float[np.ndarray, " n"] | None = None
    bound: float | None = None
    row_duals: Float[np.ndarray, " m"] | None = None
    nodes: int = 0
    iterations: int = 0
    message: str = ""
    infeasible_anyway: bool = False


def conclude(
    raw: Raw,
    program: Program,
    cost: Float[np.ndarray, " n"],
    clock: Clock,
    cutoff: float | None,
    seconds: float,
) -> Solution:
    """Apply the contract's rules to a solver's own words.

    A stop without a point has no ``x``; "optimal" without a point is a failure; a proof under a
    cutoff that found nothing below it is `Stop.CUTOFF`, and no bound of such a run counts beyond
    the cutoff, since the search has pruned there; stopped by the clock is the time limit unless
    somebody interrupted.

    >>> from dualbound.milp.program import ProgramBuilder
    >>> builder = ProgramBuilder()
    >>> _ = builder.columns(["x"], lower=1, upper=2, cost=1, integer=True)
    >>> raw = Raw(Stop.INFEASIBLE)
    >>> solution = conclude(raw, builder.build(), np.ones(1), Clock(), 1.0, 0.0)
    >>> solution.stop.name, solution.bound
    ('CUTOFF', 1.0)
    """
    x = None if raw.stop in _POINTLESS else raw.x
    value = None if x is None else program.value(x, cost)
    stop = _stop(raw, value, clock, cutoff)
    return Solution(
        stop=stop,
        x=x,
        value=value,
        bound=_bound(stop, raw.bound, cutoff),
        row_duals=raw.row_duals if stop in (Stop.OPTIMAL, Stop.CUTOFF) else None,
        nodes=max(0, raw.nodes),
        iterations=max(0, raw.iterations),
        seconds=seconds,
        message=raw.message,
    )


def _stop(raw: Raw, value: float | None, clock: Clock, cutoff: float | None) -> Stop:
    if raw.stop in (Stop.INTERRUPTED, Stop.TIME_LIMIT):
        return stopped_by(clock, raw.stop)
    if raw.stop is Stop.OPTIMAL and value is None:
        return Stop.FAILED
    if cutoff is None:
        return raw.stop
    nothing_below = (raw.stop is Stop.INFEASIBLE and not raw.infeasible_anyway) or (
        raw.stop is Stop.OPTIMAL and value is not None and value >= cutoff
    )
    return Stop.CUTOFF if nothing_below else raw.stop


def stopped_by(clock: Clock, otherwise: Stop) -> Stop:
    """Whether the clock ran out or somebody interrupted it.

    >>> stopped_by(Clock(), Stop.TIME_LIMIT).name
    'TIME_LIMIT'
    """
    if clock.interrupted:
        return Stop.INTERRUPTED
    return Stop.TIME_LIMIT if clock.expired else otherwise


def _bound(stop: Stop, bound: float | None, cutoff: float | None) -> float | None:
    if stop is Stop.CUTOFF:
        return cutoff
    if stop is Stop.INFEASIBLE:
        return math.inf
    if stop in _POINTLESS or bound is None or not math.isfinite(bound):
        return None
    return bound if cutoff is None else min(bound, cutoff)


def without_solver(
    program: Program, cost: Float[np.ndarray, " n"], clock: Clock, cutoff: float | None
) -> Solution | None:
    """The outcome where no solver need run: no time is left, or there are no columns."""
    if clock.expired:
        raw = Raw(stopped_by(clock, Stop.TIME_LIMIT), message="no time left")
    elif program.shape[1] == 0:
        feasible = bool(np.all(program.row_lower <= 0) and np.all(program.row_upper >= 0))
        raw = Raw(
            Stop.OPTIMAL if feasible else Stop.INFEASIBLE,
            x=np.zeros(0),
            bound=program.offset,
            row_duals=np.zeros(program.shape[0]),
            message="no columns",
            infeasible_anyway=True,
        )
    else:
        return None
    return conclude(raw, program, cost, clock, cutoff, 0.0)
