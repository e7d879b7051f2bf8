"""HiGHS: linear programs with hot starts and duals, mixed-integer programs. Always installed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidInput, SolverFailed
from dualbound.limits import Clock
from dualbound.milp.lagrangian import lagrangian_bound
from dualbound.milp.program import Program
from dualbound.solvers.contract import Can, Effort, Session, Solution, Solver, Stop
from dualbound.solvers.options import fitting, refuse_ours
from dualbound.solvers.outcome import (
    Raw,
    Watch,
    check_able,
    checked_cost,
    checked_vector,
    conclude,
    finite,
    reached_at,
    right_signs,
    usable_start,
    without_solver,
)

STOPS: Mapping[str, Stop] = {
    "kNotset": Stop.FAILED,
    "kLoadError": Stop.FAILED,
    "kModelError": Stop.FAILED,
    "kPresolveError": Stop.FAILED,
    "kSolveError": Stop.FAILED,
    "kPostsolveError": Stop.FAILED,
    "kModelEmpty": Stop.FAILED,  # programs without columns never get as far as HiGHS
    "kOptimal": Stop.OPTIMAL,
    "kInfeasible": Stop.INFEASIBLE,
    "kUnboundedOrInfeasible": Stop.INFEASIBLE_OR_UNBOUNDED,
    "kUnbounded": Stop.UNBOUNDED,
    "kObjectiveBound": Stop.CUTOFF,
    "kObjectiveTarget": Stop.TARGET,
    "kTimeLimit": Stop.TIME_LIMIT,
    "kIterationLimit": Stop.OTHER_LIMIT,
    "kUnknown": Stop.FAILED,
    "kSolutionLimit": Stop.OTHER_LIMIT,
    "kInterrupt": Stop.INTERRUPTED,
    "kMemoryLimit": Stop.OTHER_LIMIT,
    "kHighsInterrupt": Stop.INTERRUPTED,
}
"""Every member of ``HighsModelStatus``, by name."""

HOT_START_COSINE = 0.9
"""A basis is kept for the next cost only when the angle between the two costs is small."""


@dataclass(frozen=True)
class Highs(Solver):
    """The HiGHS solver.

    Args:
        threads: how many threads a mixed-integer program may use.
        tolerance: absolute violation of a row, a bound or an integrality that HiGHS accepts.
        options: further HiGHS options by name; those that `Session.solve` sets are refused.

    Raises:
        InvalidInput: on `open`, an option that HiGHS does not have or a value that it refuses, or
            a program with a quadratic objective (HiGHS's own quadratic solver fails on some of the
            smallest, and knows no integers) or with indicators.

    **Trusts** that HiGHS prunes a mixed-integer program correctly within its tolerance: points
    better by less than the tolerance may be missed. The bound of a *linear* program is not read
    off HiGHS: it is the Lagrangian bound of the row duals, evaluated here, and holds up to
    rounding. Only where an unbounded column makes that endless is HiGHS's optimum trusted, within
    its dual tolerance.

    >>> from dualbound.milp.program import ProgramBuilder
    >>> builder = ProgramBuilder()
    >>> x = builder.columns(["x", "y"], lower=0, upper=3, integer=True, cost=[-1, -2])
    >>> builder.rows(["sum"], [x], [[1, 1]], upper=4)
    >>> solution = Highs().solve(builder.build())
    >>> solution.stop.name, solution.value, solution.bound, solution.x.tolist()
    ('OPTIMAL', -7.0, -7.0, [1.0, 3.0])
    """

    name: ClassVar[str] = "highs"
    needs: ClassVar[tuple[str, ...]] = ("highspy",)
    extra: ClassVar[str] = ""
    can: ClassVar[frozenset[Can]] = frozenset({Can.LP, Can.MIP, Can.WARM_START, Can.DUALS})

    threads: int = 1
    tolerance: float = 1e-7
    options: Mapping[str, bool | int | float | str] = field(default_factory=dict)

    def open(self, program: Program) -> Session:
        """Load a program into HiGHS."""
        check_able(self, program)
        refuse_ours(self.options)
        return _HighsSession(self, program)

    def version(self) -> str:
        """The version of the HiGHS library."""
        import highspy

        return str(highspy._core._Highs().version())


def load(program: Program, cost: Float[np.ndarray, " n"] | None = None) -> Any:
    """A silent HiGHS object that holds the program.

    Raises:
        SolverFailed: HiGHS refuses the program, a coefficient above 1e15 for example.
    """
    import highspy

    highs = highspy._core._Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("small_matrix_value", 1e-12)  # the default drops all below 1e-9
    (m, n), a = program.shape, program.matrix
    status = highs.passModel(
        n,
        m,
        a.nnz,
        int(highspy.MatrixFormat.kRowwise),
        int(highspy.ObjSense.kMinimize),
        program.offset,
        program.cost if cost is None else cost,
        program.lower,
        program.upper,
        program.row_lower,
        program.row_upper,
        a.indptr.astype(np.int32),
        a.indices.astype(np.int32),
        a.data.astype(float),
        program.integer.astype(np.int32),
    )
    if status == highspy.HighsStatus.kError:
        raise SolverFailed(
            f"HiGHS refuses the program with {m} rows and {n} columns. Its numbers may be too "
            "large: coefficients must stay below 1e15, costs below 1e20."
        )
    return highs


class _HighsSession(Session):
    """A program in HiGHS; loaded again after an exception has unwound through HiGHS."""

    def __init__(self, solver: Highs, program: Program) -> None:
        self._solver = solver
        self._program = program
        self._cost = program.cost
        self._is_mip = program.is_mixed_integer
        self._is_boxed = bool(np.all(np.isfinite(program.lower) & np.isfinite(program.upper)))
        self._highs: Any = self._load()

    def _load(self) -> Any:
        highs = load(self._program, self._cost)
        tolerance = self._solver.tolerance
        options: dict[str, bool | int | float | str] = {
            "threads": self._solver.threads,
            "parallel": "off" if self._solver.threads == 1 else "on",
            "primal_feasibility_tolerance": tolerance,
            "mip_feasibility_tolerance": tolerance,
            "mip_abs_gap": 0.0,
        }
        if self._is_boxed and not self._is_mip:
            options["presolve"] = "off"  # presolve takes longer than the dual simplex here
        _set_options(highs, {**options, **self._solver.options})
        return highs

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
        """See `Session.solve`. A start and a target matter for mixed-integer programs only."""
        began = clock.seconds
        if cost is not None:
            self._replace_cost(checked_cost(cost, len(self._cost)))
        if start is not None:
            start = checked_vector("start", start, len(self._cost))
        done = without_solver(self._program, self._cost, clock, cutoff)
        if done is not None:
            return done
        if self._highs is None:
            self._highs = self._load()
        self._set_limits(clock, cutoff, target, gap)
        watch = Watch(clock, on_effort, cutoff)
        raw = self._mip(watch, start) if self._is_mip else self._lp(watch)
        return conclude(raw, self._program, self._cost, clock, cutoff, clock.seconds - began)

    def _replace_cost(self, cost: Float[np.ndarray, " n"]) -> None:
        """Change the cost; drop the basis where a cold start is faster.

        With all columns bounded, the slack basis is dual feasible for every cost. Measured on
        relaxations of networks, starting there beats the basis of an unrelated cost by a factor
        of two to three, while for a slightly turned cost the old basis wins.
        """
        similar = cost @ self._cost > HOT_START_COSINE * np.sqrt(
            (cost @ cost) * (self._cost @ self._cost)
        )
        self._cost = cost
        if self._highs is None or not len(cost):
            return
        if self._is_boxed and not similar:
            self._highs.clearSolver()
        self._highs.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost)

    def _set_limits(
        self, clock: Clock, cutoff: float | None, target: float | None, gap: float
    ) -> None:
        # HiGHS counts its run time over all runs of an object.
        highs, limit = self._highs, self._highs.getRunTime() + clock.remaining
        highs.setOptionValue("time_limit", limit)
        highs.setOptionValue("objective_bound", math.inf if cutoff is None else float(cutoff))
        if self._is_mip:
            # HiGHS asks for a value strictly below its target.
            goal = reached_at(target)
            highs.setOptionValue("objective_target", goal)
            highs.setOptionValue("mip_rel_gap", float(gap))

    def _mip(self, watch: Watch, start: Float[np.ndarray, " n"] | None) -> Raw:
        highs, program = self._highs, self._program
        highs.clearSolver()  # the last point would be a start, and the search another one
        if start is not None:
            value = program.value(start, self._cost)
            start = usable_start(program, start, value, watch.cutoff)
        if start is not None:
            highs.setSolution(len(start), np.arange(len(start), dtype=np.int32), start)
        message, stop = self._run(watch)
        info = highs.getInfo()
        return Raw(
            stop=stop,
            x=self._point(info),
            bound=finite(info.mip_dual_bound),
            nodes=info.mip_node_count,
            iterations=info.simplex_iteration_count,
            message=message,
        )

    def _lp(self, watch: Watch) -> Raw:
        raw = self._lp_once(watch)
        if raw.stop is Stop.CUTOFF and not _reaches(raw.bound, watch.cutoff):
            self._highs.setOptionValue("objective_bound", math.inf)  # its word is not enough
            return self._lp_once(watch)
        if raw.stop is Stop.FAILED and not watch.must_stop():
            self._highs.clearSolver()  # a fresh basis cures most numerical trouble
            return self._lp_once(watch)
        return raw

    def _lp_once(self, watch: Watch) -> Raw:
        message, stop = self._run(watch)
        info = self._highs.getInfo()
        duals = self._row_duals()
        return Raw(
            stop=stop,
            x=self._point(info),
            bound=self._dual_bound(duals, stop, info),
            row_duals=duals,
            iterations=max(0, info.simplex_iteration_count) + max(0, info.ipm_iteration_count),
            message=message,
            infeasible_anyway=True,  # a cutoff has a status of its own
        )

    def _run(self, watch: Watch) -> tuple[str, Stop]:
        """Run HiGHS under the watch; its word for how it ended, and ours."""
        import highspy

        highs = self._highs
        highs.setCallback(_callback(watch), None)
        kinds = highspy.cb.HighsCallbackType
        for kind in (
            (kinds.kCallbackMipInterrupt, kinds.kCallbackMipImprovingSolution)
            if self._is_mip
            else (kinds.kCallbackSimplexInterrupt, kinds.kCallbackIpmInterrupt)
        ):
            highs.startCallback(kind)
        try:
            if highs.run() == highspy.HighsStatus.kError:
                # Another number of threads was used before in this process.
                highspy._core._Highs.resetGlobalScheduler(True)
                highs.run()
            highs.setCallback(None, None)
        except BaseException:
            self._highs = None  # HiGHS cannot be used again once an exception unwound it
            raise
        watch.raise_error()
        name = highs.getModelStatus().name
        return name, STOPS.get(name, Stop.FAILED)

    def _point(self, info: Any) -> Float[np.ndarray, " n"] | None:
        import highspy

        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return None
        return np.array(self._highs.getSolution().col_value, dtype=float)

    def _row_duals(self) -> Float[np.ndarray, " m"] | None:
        """The multipliers, those of a wrong sign for a one-sided row put to zero."""
        solution, program = self._highs.getSolution(), self._program
        if not solution.dual_valid:
            return None
        y = np.array(solution.row_dual, dtype=float)
        return right_signs(program, y)

    def _dual_bound(self, y: Float[np.ndarray, " m"] | None, stop: Stop, info: Any) -> float | None:
        """The Lagrangian bound of any multipliers; HiGHS's word only where it is endless."""
        bound = -math.inf if y is None else lagrangian_bound(self._program, y, self._cost)
        if math.isfinite(bound):
            return bound
        proved = stop is Stop.OPTIMAL and info.num_dual_infeasibilities == 0
        return finite(info.objective_function_value) if proved else None


def _reaches(bound: float | None, cutoff: float | None) -> bool:
    return cutoff is None or (bound is not None and bound >= cutoff - 1e-7 * (1 + abs(cutoff)))


def _set_options(highs: Any, options: Mapping[str, bool | int | float | str]) -> None:
    import highspy

    for name, value in options.items():
        try:
            known, present = highs.getOptionValue(name)
            if known != highspy.HighsStatus.kOk:
                raise ValueError(name)
            fits = fitting(value, type(present))
            if highs.setOptionValue(name, fits) != highspy.HighsStatus.kOk:
                raise ValueError(value)
        except ValueError as error:
            raise InvalidInput(
                f"HiGHS does not accept the option {name!r} with the value {value!r}; see "
                "https://ergo-code.github.io/HiGHS/stable/options/definitions/."
            ) from error


def _callback(watch: Watch) -> Callable[..., None]:
    """A HiGHS callback that holds nothing but the watch: no cycle through native memory."""
    from highspy import cb

    improving = int(cb.HighsCallbackType.kCallbackMipImprovingSolution)
    interrupting = int(cb.HighsCallbackType.kCallbackMipInterrupt)

    def look(kind: int, message: str, out: Any, into: Any, data: object) -> None:
        try:
            if kind in (improving, interrupting):
                found = finite(out.objective_function_value) if kind == improving else None
                watch.report(found, finite(out.mip_dual_bound), out.mip_node_count)
        except BaseException as error:  # noqa: BLE001 (raised again after the run)
            watch.error = watch.error or error
        if kind != improving:
            into.user_interrupt = watch.must_stop()

    return look
