"""FICO Xpress: linear and mixed-integer programs, from the extra xpress."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from dualbound.errors import InvalidInput, SolverError, SolverFailed
from dualbound.limits import Clock
from dualbound.milp.lagrangian import lagrangian_bound
from dualbound.milp.program import Program
from dualbound.solvers.contract import Can, Effort, Session, Solution, Solver, Stop
from dualbound.solvers.options import refuse_ours
from dualbound.solvers.outcome import (
    Raw,
    Watch,
    check_able,
    checked_cost,
    checked_vector,
    conclude,
    finite,
    imported,
    licence_limit,
    reached_at,
    right_signs,
    usable_start,
    without_solver,
)

SOLVED: Mapping[str, Stop] = {
    "NOTFOUND": Stop.FAILED,
    "OPTIMAL": Stop.OPTIMAL,
    "FEASIBLE": Stop.OTHER_LIMIT,
    "INFEASIBLE": Stop.INFEASIBLE,
    "UNBOUNDED": Stop.INFEASIBLE_OR_UNBOUNDED,  # a ray is proved, a point is not
}
"""Every member of ``SolStatus``, for a run that has completed."""

STOPPED: Mapping[str, Stop] = {
    "NONE": Stop.FAILED,
    "TIMELIMIT": Stop.TIME_LIMIT,
    "CTRLC": Stop.INTERRUPTED,
    "NODELIMIT": Stop.OTHER_LIMIT,
    "ITERLIMIT": Stop.OTHER_LIMIT,
    "MIPGAP": Stop.OTHER_LIMIT,  # a gap that is reached counts as completed
    "SOLLIMIT": Stop.OTHER_LIMIT,
    "GENERICERROR": Stop.FAILED,
    "MEMORYERROR": Stop.FAILED,
    "USER": Stop.INTERRUPTED,
    "SOLVECOMPLETE": Stop.OTHER_LIMIT,
    "LICENSELOST": Stop.FAILED,
    "NUMERICALERROR": Stop.FAILED,
    "WORKLIMIT": Stop.OTHER_LIMIT,
    "NEXTOBJECTIVE": Stop.FAILED,
    "MIPSTAGE": Stop.OTHER_LIMIT,
}
"""Every member of ``StopType``, for a run that was stopped."""

INFINITY = 1e20
_TOO_LARGE = "?120"
_started = threading.Event()


@dataclass(frozen=True)
class Xpress(Solver):
    """The FICO Xpress solver. Its pip package brings a licence for small programs.

    Quadratic objectives are not given to it: with integers, its bounds on the smallest of them were
    seen above the optimum by twenty times the tolerance.

    Args:
        threads: how many threads a mixed-integer program may use.
        tolerance: absolute violation of a row, a bound or an integrality that Xpress accepts.
        options: further Xpress controls by name; those that `Session.solve` sets are refused.

    Raises:
        SolverNotInstalled: on `open`, the package xpress is missing.
        SolverError: on `open`, Xpress finds no valid licence.
        InvalidInput: on `open`, a control that Xpress does not have or a value that it refuses.
        LicenceLimit: on `Session.solve`, the program is larger than the licence allows.

    **Trusts** that Xpress prunes a mixed-integer program correctly within its tolerance. The bound
    of a continuous program is not read off Xpress: it is the Lagrangian bound of the row duals,
    evaluated here. Only where an unbounded column makes that endless is Xpress's optimum trusted.

    >>> Xpress().name, Xpress().needs
    ('xpress', ('xpress',))
    """

    name: ClassVar[str] = "xpress"
    needs: ClassVar[tuple[str, ...]] = ("xpress",)
    extra: ClassVar[str] = "xpress"
    can: ClassVar[frozenset[Can]] = frozenset(Can) - {Can.QUADRATIC}
    free_size: ClassVar[str] = "5,000 rows and columns together"

    threads: int = 1
    tolerance: float = 1e-7
    options: Mapping[str, bool | int | float | str] = field(default_factory=dict)

    def open(self, program: Program) -> Session:
        """Load a program into Xpress."""
        check_able(self, program)
        refuse_ours(self.options)
        return _XpressSession(self, program)

    def version(self) -> str:
        """The version of the Xpress package."""
        return str(imported(self).__version__)


def _native(solver: Xpress) -> Any:
    """The package, with its licence taken, and without what it has to say of that.

    Raises:
        SolverError: there is no valid licence.
    """
    xpress = imported(solver)
    if not _started.is_set():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                xpress.init()
        except (xpress.InterfaceError, xpress.SolverError, RuntimeError) as error:
            raise SolverError(
                f"Xpress does not start: {str(error).strip().rstrip('.')}. See "
                "https://www.fico.com/fico-xpress-optimization/docs for its licences, or use the "
                "solver highs or scip."
            ) from error
        _started.set()
    return xpress


class _XpressSession(Session):
    def __init__(self, solver: Xpress, program: Program) -> None:
        self._solver = solver
        self._program = program
        self._cost = program.cost
        self._is_mip = program.is_mixed_integer
        self._xpress = _native(solver)
        self._problem = self._xpress.problem()
        self._problem.setOutputEnabled(False)
        try:
            self._row_of = _load(self._problem, program)
        except (self._xpress.SolverError, self._xpress.ModelError) as error:
            raise self._failure(error) from error
        options: dict[str, bool | int | float | str] = {
            "threads": solver.threads,
            "feastol": solver.tolerance,
            "optimalitytol": solver.tolerance,
            "miptol": solver.tolerance,
            "mipabsstop": 0.0,
            "miprelcutoff": 0.0,  # by default only points that are better by 0.01 % count
            "mipaddcutoff": 0.0,
        }
        for name, value in {**options, **solver.options}.items():
            _set_option(self._xpress, self._problem, name, value)

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
        """See `Session.solve`. A start and a target matter for mixed-integer programs only.

        Outside the main thread Ctrl-C ends the program while Xpress runs.
        """
        began = clock.seconds
        problem = self._problem
        if cost is not None:
            self._cost = checked_cost(cost, len(self._cost))
            problem.chgObj(np.arange(len(self._cost)), self._cost)
        if start is not None:
            start = checked_vector("start", start, len(self._cost))
        done = without_solver(self._program, self._cost, clock, cutoff)
        if done is not None:
            return done
        watch = _XpressWatch(clock, on_effort, cutoff, goal=reached_at(target))
        try:
            problem.postSolve()
            self._set_limits(clock, cutoff, gap)
            if self._is_mip:
                self._add_start(start, cutoff)
            raw = self._raw(watch, self._run(watch))
        except (self._xpress.SolverError, self._xpress.ModelError) as error:
            raise self._failure(error) from error
        return conclude(raw, self._program, self._cost, clock, cutoff, clock.seconds - began)

    def _failure(self, error: Exception) -> SolverError:
        said = " ".join(str(error).split()).rstrip(".")
        if said.startswith(_TOO_LARGE):
            return licence_limit(self._solver, self._program)
        return SolverFailed(f"Xpress gave up: {said}.")

    def _set_limits(self, clock: Clock, cutoff: float | None, gap: float) -> None:
        """A cutoff is for integers only: a continuous program is always solved to its end.

        Xpress divides a gap by the larger of value and bound; ours is relative to the value.
        """
        self._problem.setControl(
            {
                "timelimit": min(max(clock.remaining, 1e-3), INFINITY),
                "mipabscutoff": float(cutoff) if cutoff is not None and self._is_mip else 1e40,
                "miprelstop": float(gap / (1 + gap)),
            }
        )

    def _add_start(self, start: Float[np.ndarray, " n"] | None, cutoff: float | None) -> None:
        """Offer the start: whole where it is feasible, else its integers only."""
        program = self._program
        if start is not None:
            start = usable_start(program, start, program.value(start, self._cost), cutoff)
        if start is None:
            return
        values = np.clip(start, program.lower, program.upper)
        values[program.integer] = np.round(values[program.integer])
        feasible = program.violation(start) <= 1e-6
        chosen = np.flatnonzero(program.integer | feasible)
        self._problem.addMipSol(values[chosen], chosen, "start")

    def _run(self, watch: _XpressWatch) -> Stop:
        problem, xpress = self._problem, self._xpress
        problem.addCheckTimeCallback(_looking(watch, xpress.StopType.USER))
        problem.addIntsolCallback(_hearing(watch, xpress.StopType.USER))
        problem.addMiplogCallback(_hearing(watch, xpress.StopType.USER))
        try:
            with watch.clock.catching_ctrl_c():
                solve, solution = problem.optimize()
        finally:
            problem.removeCheckTimeCallback()
            problem.removeIntsolCallback()
            problem.removeMiplogCallback()
            watch.raise_error()
        if solve == xpress.SolveStatus.COMPLETED:
            return SOLVED.get(solution.name, Stop.FAILED)
        if solve != xpress.SolveStatus.STOPPED:
            return Stop.FAILED
        reason = xpress.StopType(problem.attributes.stopstatus).name
        stop = STOPPED.get(reason, Stop.FAILED)
        if stop is Stop.INTERRUPTED and watch.reached:
            return Stop.TARGET
        if stop is Stop.INTERRUPTED and not watch.clock.expired:
            watch.clock.interrupt()
        return stop

    def _raw(self, watch: _XpressWatch, stop: Stop) -> Raw:
        problem = self._problem
        found = problem.attributes
        has_point = found.mipsols > 0 if self._is_mip else stop is Stop.OPTIMAL
        x = np.array(problem.getSolution(), dtype=float) if has_point else None
        message = f"{found.solvestatus.name} {found.solstatus.name}".lower()
        if self._is_mip:
            return Raw(
                stop=stop,
                x=x,
                bound=finite(found.bestbound, infinity=INFINITY),
                nodes=int(found.nodes),
                iterations=int(found.simplexiter),
                message=message,
            )
        duals = self._row_duals() if has_point else None
        return Raw(
            stop=stop,
            x=x,
            bound=self._dual_bound(duals),
            row_duals=duals,
            iterations=int(found.simplexiter) + int(found.bariter),
            message=message,
            infeasible_anyway=True,
        )

    def _row_duals(self) -> Float[np.ndarray, " m"]:
        """The multipliers, those of a wrong sign for a one-sided row put to zero."""
        program = self._program
        y = np.zeros(program.shape[0])
        if not len(self._row_of):
            return y
        np.add.at(y, self._row_of, np.array(self._problem.getDuals(), dtype=float))
        return right_signs(program, y)

    def _dual_bound(self, y: Float[np.ndarray, " m"] | None) -> float | None:
        """The Lagrangian bound of the multipliers; Xpress's word only where it is endless."""
        if y is None:
            return None
        bound = lagrangian_bound(self._program, y, self._cost)
        if math.isfinite(bound):
            return bound
        return finite(self._problem.attributes.objval, infinity=INFINITY)


def _load(problem: Any, program: Program) -> Int[np.ndarray, " r"]:
    """Put the program into an empty problem.

    Returns:
        The row that each of Xpress's rows stands for: those without a side are left out, and a
        conditional row with two sides is two rows.
    """
    low, high = program.row_lower, program.row_upper
    below, above, only = np.isfinite(low), np.isfinite(high), program.conditional
    parts = [
        ("E", below & above & (low == high) & ~only, high),
        ("R", below & above & (low != high) & ~only, high),
        ("G", below & (~above | only), low),
        ("L", above & (~below | only), high),
    ]
    row_of = np.concatenate([np.flatnonzero(chosen) for _, chosen, _ in parts])
    kinds = [kind for kind, chosen, _ in parts for _ in range(chosen.sum())]
    sides = np.concatenate([side[chosen] for _, chosen, side in parts])
    with np.errstate(invalid="ignore"):
        ranges = (high - low)[row_of]  # read where the kind is R only
    columns = sp.csc_array(program.matrix[row_of])
    types = np.where(program.integer, "I", "C")
    if program.indicators is not None:
        types[program.indicators[:, 0]] = "B"
    integers = np.flatnonzero(program.integer)
    problem.loadMIP(
        "dualbound",
        kinds,
        sides,
        ranges,
        program.cost,
        columns.indptr,
        None,
        columns.indices,
        columns.data,
        program.lower,
        program.upper,
        types[integers].tolist(),
        integers,
    )
    problem.chgObj([-1], [-program.offset])
    if program.indicators is not None and len(program.indicators):
        condition = {row: (column, value) for column, value, row in program.indicators.tolist()}
        held = [i for i, row in enumerate(row_of.tolist()) if row in condition]
        given = [condition[int(row_of[i])] for i in held]
        complements = [1 if value == 1 else -1 for _, value in given]
        problem.setIndicators(held, [column for column, _ in given], complements)
    return row_of


def _set_option(xpress: Any, problem: Any, name: str, value: bool | int | float | str) -> None:
    try:
        problem.setControl(name, value)
    except (xpress.InterfaceError, xpress.ModelError, xpress.SolverError) as error:
        raise InvalidInput(
            f"Xpress does not accept the control {name!r} with the value {value!r}; see "
            "https://www.fico.com/fico-xpress-optimization/docs/latest/solver/optimizer/HTML/"
            "chapter7.html."
        ) from error


@dataclass(eq=False)
class _XpressWatch(Watch):
    """A watch that also knows the target, which Xpress has no control for."""

    goal: float = -math.inf
    reached: bool = False


def _looking(watch: _XpressWatch, user: Any) -> Callable[[Any, Any], None]:
    """Looks at the clock whenever Xpress does."""

    def look(problem: Any, data: object) -> None:
        try:
            watch.keep_ctrl_c()
        except BaseException as error:  # noqa: BLE001 (raised again after the run)
            watch.error = watch.error or error
        if watch.must_stop():
            problem.interrupt(user)

    return look


def _hearing(watch: _XpressWatch, user: Any) -> Callable[[Any, Any], None]:
    """Passes on what a search has found, and stops it where that is enough."""

    def hear(problem: Any, data: object) -> None:
        try:
            found = problem.attributes
            value = finite(found.mipobjval, infinity=INFINITY)
            bound = finite(found.bestbound, infinity=INFINITY)
            watch.report(value, bound, int(found.nodes))
            watch.reached = watch.reached or (value is not None and value <= watch.goal)
        except BaseException as error:  # noqa: BLE001 (raised again after the run)
            watch.error = watch.error or error
        if watch.reached or watch.must_stop():
            problem.interrupt(user)

    return hear
