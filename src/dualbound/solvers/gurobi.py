"""Gurobi: linear, quadratic and mixed-integer programs through gurobipy, from the extra gurobi."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from dualbound.errors import InvalidInput, SolverError, SolverFailed
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
    imported,
    licence_limit,
    reached_at,
    right_signs,
    usable_start,
    without_solver,
)

STOPS: Mapping[str, Stop] = {
    "LOADED": Stop.FAILED,
    "OPTIMAL": Stop.OPTIMAL,
    "INFEASIBLE": Stop.INFEASIBLE,
    "INF_OR_UNBD": Stop.INFEASIBLE_OR_UNBOUNDED,
    "UNBOUNDED": Stop.INFEASIBLE_OR_UNBOUNDED,  # there is a ray; whether a point, it does not say
    "CUTOFF": Stop.CUTOFF,
    "ITERATION_LIMIT": Stop.OTHER_LIMIT,
    "NODE_LIMIT": Stop.OTHER_LIMIT,
    "TIME_LIMIT": Stop.TIME_LIMIT,
    "SOLUTION_LIMIT": Stop.OTHER_LIMIT,
    "INTERRUPTED": Stop.INTERRUPTED,
    "NUMERIC": Stop.FAILED,
    "SUBOPTIMAL": Stop.OTHER_LIMIT,
    "INPROGRESS": Stop.FAILED,
    "USER_OBJ_LIMIT": Stop.TARGET,
    "WORK_LIMIT": Stop.OTHER_LIMIT,
    "MEM_LIMIT": Stop.OTHER_LIMIT,
    "LOCALLY_OPTIMAL": Stop.FAILED,  # of non-convex programs, which there are none of here
    "LOCALLY_INFEASIBLE": Stop.FAILED,
}
"""Every member of ``GRB.Status``, by name."""

INFINITY = 1e100
_TOO_LARGE = 10010

_own = threading.local()


@dataclass(frozen=True)
class Gurobi(Solver):
    """The Gurobi solver. Its pip package brings a licence for small programs.

    Args:
        threads: how many threads a mixed-integer program may use.
        tolerance: absolute violation of a row, a bound or an integrality that Gurobi accepts.
        options: further Gurobi parameters by name; those that `Session.solve` sets are refused.

    Raises:
        SolverNotInstalled: on `open`, gurobipy is missing.
        SolverError: on `open`, Gurobi finds no valid licence.
        InvalidInput: on `open`, a parameter that Gurobi does not have or a value that it refuses.
        LicenceLimit: on `Session.solve`, the program is larger than the licence allows.

    **Trusts** that Gurobi prunes a mixed-integer program correctly within its tolerance. The bound
    of a continuous program is not read off Gurobi: it is the Lagrangian bound of the row duals,
    evaluated here. Only where an unbounded column makes that endless is Gurobi's optimum trusted.

    >>> Gurobi().name, Gurobi().needs
    ('gurobi', ('gurobipy',))
    """

    name: ClassVar[str] = "gurobi"
    needs: ClassVar[tuple[str, ...]] = ("gurobipy",)
    extra: ClassVar[str] = "gurobi"
    can: ClassVar[frozenset[Can]] = frozenset(Can)
    free_size: ClassVar[str] = (
        "2,000 rows and 2,000 columns, or 200 columns with a quadratic objective"
    )

    threads: int = 1
    tolerance: float = 1e-7
    options: Mapping[str, bool | int | float | str] = field(default_factory=dict)

    def open(self, program: Program) -> Session:
        """Load a program into Gurobi."""
        check_able(self, program)
        refuse_ours(self.options)
        return _GurobiSession(self, program)

    def version(self) -> str:
        """The version of the Gurobi library."""
        return ".".join(map(str, imported(self).gurobi.version()))


def _environment(gurobipy: Any) -> Any:
    """A silent environment, one a thread: Gurobi's are not safe to share."""
    if not hasattr(_own, "environment"):
        environment = gurobipy.Env(empty=True)
        environment.setParam("OutputFlag", 0)
        try:
            environment.start()
        except gurobipy.GurobiError as error:
            raise SolverError(
                f"Gurobi does not start: {str(error).rstrip('.')}. See "
                "https://support.gurobi.com for its licences, or use the solver highs or scip."
            ) from error
        _own.environment = environment
    return _own.environment


class _GurobiSession(Session):
    def __init__(self, solver: Gurobi, program: Program) -> None:
        self._solver = solver
        self._program = program
        self._cost = program.cost
        self._is_mip = program.is_mixed_integer
        self._gurobipy = imported(solver)
        self._model = self._gurobipy.Model(env=_environment(self._gurobipy))
        try:
            self._variables, self._rows = _load(self._gurobipy, self._model, program)
        except self._gurobipy.GurobiError as error:
            raise SolverFailed(
                f"Gurobi refuses the program with {program.shape[0]} rows and {program.shape[1]} "
                f"columns: {error}."
            ) from error
        options: dict[str, bool | int | float | str] = {
            "Threads": solver.threads,
            "FeasibilityTol": solver.tolerance,
            "OptimalityTol": solver.tolerance,
            "IntFeasTol": solver.tolerance,
            "MIPGapAbs": 0.0,
        }
        for name, value in {**options, **solver.options}.items():
            _set_option(self._gurobipy, self._model, name, value)

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
            self._cost = checked_cost(cost, len(self._cost))
            self._variables.setAttr("Obj", self._cost)
        if start is not None:
            start = checked_vector("start", start, len(self._cost))
        done = without_solver(self._program, self._cost, clock, cutoff)
        if done is not None:
            return done
        self._set_limits(cutoff, target, gap)
        if self._is_mip:
            self._add_start(start, cutoff)
        watch = Watch(clock, on_effort, cutoff)
        try:
            raw = self._raw(self._run(watch), target)
        except self._gurobipy.GurobiError as error:
            if error.errno == _TOO_LARGE:
                raise licence_limit(self._solver, self._program) from error
            raise SolverFailed(f"Gurobi gave up: {str(error).rstrip('.')}.") from error
        return conclude(raw, self._program, self._cost, clock, cutoff, clock.seconds - began)

    def _set_limits(self, cutoff: float | None, target: float | None, gap: float) -> None:
        """Limits are for integers only: a continuous program is always solved to its end."""
        model = self._model
        mixed = self._is_mip
        model.setParam("BestObjStop", reached_at(target) if mixed else -math.inf)
        model.setParam("Cutoff", float(cutoff) if mixed and cutoff is not None else math.inf)
        model.setParam("MIPGap", float(gap))

    def _add_start(self, start: Float[np.ndarray, " n"] | None, cutoff: float | None) -> None:
        """Offer the start: whole where it is feasible, else its integers only."""
        model, program = self._model, self._program
        model.reset(1)  # the last point would be a start, and the search another one
        if start is not None:
            start = usable_start(program, start, program.value(start, self._cost), cutoff)
        if start is None:
            return
        values = np.clip(start, program.lower, program.upper)
        values[program.integer] = np.round(values[program.integer])
        if program.violation(start) > 1e-6:
            values[~program.integer] = self._gurobipy.GRB.UNDEFINED
        self._variables.setAttr("Start", values)

    def _run(self, watch: Watch) -> str:
        """Optimise under the watch; Gurobi's word for how it ended."""
        model = self._model
        word = self._run_once(watch)
        if word == "INF_OR_UNBD" and not watch.must_stop():
            reductions = model.Params.DualReductions
            model.setParam("DualReductions", 0)  # then it tells the two apart
            word = self._run_once(watch)
            model.setParam("DualReductions", reductions)
        if word == "INTERRUPTED" and not watch.clock.expired:
            watch.clock.interrupt()
        return word

    def _run_once(self, watch: Watch) -> str:
        gurobipy, model = self._gurobipy, self._model
        model.setParam("TimeLimit", watch.clock.remaining)
        try:
            with watch.clock.catching_ctrl_c():
                model.optimize(_callback(gurobipy.GRB.Callback, watch))
        finally:
            watch.raise_error()
        status = model.Status
        return next((name for name in STOPS if getattr(gurobipy.GRB, name, None) == status), "?")

    def _raw(self, word: str, target: float | None) -> Raw:
        model, stop = self._model, STOPS.get(word, Stop.FAILED)
        if self._is_mip:
            has_point = model.SolCount > 0
            if stop is Stop.TARGET and not (has_point and model.ObjVal <= reached_at(target)):
                stop = Stop.OTHER_LIMIT  # an objective limit among the options
            return Raw(
                stop=stop,
                x=np.array(self._variables.X, dtype=float) if has_point else None,
                bound=finite(model.ObjBound, infinity=INFINITY),
                nodes=int(model.NodeCount),
                iterations=int(model.IterCount),
                message=word,
            )
        duals = self._row_duals() if stop is Stop.OPTIMAL else None
        return Raw(
            stop=stop,
            x=np.array(self._variables.X, dtype=float) if stop is Stop.OPTIMAL else None,
            bound=self._dual_bound(duals),
            row_duals=duals,
            iterations=int(model.IterCount) + int(model.BarIterCount),
            message=word,
            infeasible_anyway=True,
        )

    def _row_duals(self) -> Float[np.ndarray, " m"]:
        """The multipliers, those of a wrong sign for a one-sided row put to zero."""
        program = self._program
        y = np.zeros(program.shape[0])
        for constraints, rows in self._rows:
            np.add.at(y, rows, np.asarray(constraints.Pi, dtype=float))
        return right_signs(program, y)

    def _dual_bound(self, y: Float[np.ndarray, " m"] | None) -> float | None:
        """The Lagrangian bound of the multipliers; Gurobi's word only where it is endless."""
        if y is None:
            return None
        bound = lagrangian_bound(self._program, y, self._cost)
        return bound if math.isfinite(bound) else finite(self._model.ObjVal, infinity=INFINITY)


def _load(gurobipy: Any, model: Any, program: Program) -> tuple[Any, list[tuple[Any, np.ndarray]]]:
    """Put the program into an empty model.

    Returns:
        The variables, and the constraints with the rows that they stand for; a row with two sides
        that differ is two constraints.
    """
    n = program.shape[1]
    kinds = np.where(program.integer, "I", "C")
    if program.indicators is not None:
        kinds[program.indicators[:, 0]] = "B"
    variables = model.addMVar(n, lb=program.lower, ub=program.upper, obj=program.cost, vtype=kinds)
    if program.quadratic is not None and program.is_quadratic:
        squares = sp.diags_array(program.quadratic, format="csr")
        model.setMObjective(squares, program.cost, program.offset, sense=1)
    else:
        model.ObjCon = program.offset
    rows = []
    below, above = np.isfinite(program.row_lower), np.isfinite(program.row_upper)
    equal = below & above & (program.row_lower == program.row_upper)
    always = ~program.conditional
    for sense, chosen, side in (
        ("=", equal & always, program.row_lower),
        (">", below & ~equal & always, program.row_lower),
        ("<", above & ~equal & always, program.row_upper),
    ):
        of = np.flatnonzero(chosen)
        if len(of) and n:
            constraints = model.addMConstr(program.matrix[of], variables, sense, side[of])
            rows.append((constraints, of))
    _add_conditional_rows(gurobipy, model, program, variables)
    model.update()
    return variables, rows


def _add_conditional_rows(gurobipy: Any, model: Any, program: Program, variables: Any) -> None:
    if program.indicators is None:
        return
    a, single = program.matrix, variables.tolist()
    for column, value, row in program.indicators.tolist():
        part = slice(a.indptr[row], a.indptr[row + 1])
        linear = gurobipy.LinExpr(
            a.data[part].tolist(), [single[j] for j in a.indices[part].tolist()]
        )
        for sense, side in ((">", program.row_lower[row]), ("<", program.row_upper[row])):
            if math.isfinite(side):
                model.addGenConstrIndicator(single[column], bool(value), linear, sense, side)


def _set_option(gurobipy: Any, model: Any, name: str, value: bool | int | float | str) -> None:
    known = model.getParamInfo(name)
    try:
        if known is None:
            raise ValueError(name)
        model.setParam(name, fitting(value, known[1]))
    except (gurobipy.GurobiError, ValueError) as error:
        raise InvalidInput(
            f"Gurobi does not accept the parameter {name!r} with the value {value!r}; see "
            "https://docs.gurobi.com/projects/optimizer/en/current/reference/parameters.html."
        ) from error


def _callback(names: Any, watch: Watch) -> Callable[[Any, int], None]:
    """Looks at the clock whenever Gurobi asks, and passes on what a search has found."""

    def look(model: Any, where: int) -> None:
        try:
            watch.keep_ctrl_c()
            if where == names.MIPSOL:
                value = finite(model.cbGet(names.MIPSOL_OBJ), infinity=INFINITY)
                bound = finite(model.cbGet(names.MIPSOL_OBJBND), infinity=INFINITY)
                watch.report(value, bound, int(model.cbGet(names.MIPSOL_NODCNT)))
            elif where == names.MIP:
                bound = finite(model.cbGet(names.MIP_OBJBND), infinity=INFINITY)
                watch.report(None, bound, int(model.cbGet(names.MIP_NODCNT)))
        except BaseException as error:  # noqa: BLE001 (raised again after the run)
            watch.error = watch.error or error
        if watch.must_stop():
            model.terminate()

    return look
