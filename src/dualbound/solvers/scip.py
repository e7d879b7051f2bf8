"""SCIP: mixed-integer programs through pyscipopt, from ``pip install "dualbound[scip]"``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidInput
from dualbound.limits import Clock
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
    reached_at,
    usable_start,
    without_solver,
)

STOPS: Mapping[str, Stop] = {
    "optimal": Stop.OPTIMAL,
    "infeasible": Stop.INFEASIBLE,
    "unbounded": Stop.UNBOUNDED,
    "inforunbd": Stop.INFEASIBLE_OR_UNBOUNDED,
    "timelimit": Stop.TIME_LIMIT,
    "userinterrupt": Stop.INTERRUPTED,
    "gaplimit": Stop.OPTIMAL,  # the gap that `Session.solve` was asked for
    "primallimit": Stop.TARGET,
    "duallimit": Stop.OTHER_LIMIT,
    "nodelimit": Stop.OTHER_LIMIT,
    "totalnodelimit": Stop.OTHER_LIMIT,
    "stallnodelimit": Stop.OTHER_LIMIT,
    "memlimit": Stop.OTHER_LIMIT,
    "sollimit": Stop.OTHER_LIMIT,
    "bestsollimit": Stop.OTHER_LIMIT,
    "restartlimit": Stop.OTHER_LIMIT,
    "unknown": Stop.FAILED,
}
"""Every word of pyscipopt's ``Model.getStatus``."""

INFINITY = 1e20
_NO_PRIMAL_LIMIT = 1e99


@dataclass(frozen=True)
class Scip(Solver):
    """The SCIP solver, on one thread.

    Args:
        tolerance: violation of a row that SCIP accepts, relative to its side where that is above 1.
        options: SCIP parameters by name; those that `Session.solve` sets are refused.

    Raises:
        SolverNotInstalled: on `open`, pyscipopt is missing.
        InvalidInput: on `open`, a parameter that SCIP does not have or a value that it refuses.

    A quadratic objective becomes a column above it: ``w >= sum of quadratic·v^2``.

    **Trusts** SCIP's dual bound within its feasibility tolerance (``numerics/feastol``),
    which is also how far ``w`` may lie below the squares.

    >>> Scip().name, Scip().needs
    ('scip', ('pyscipopt',))
    """

    name: ClassVar[str] = "scip"
    needs: ClassVar[tuple[str, ...]] = ("pyscipopt",)
    extra: ClassVar[str] = "scip"
    can: ClassVar[frozenset[Can]] = frozenset(
        {Can.LP, Can.MIP, Can.WARM_START, Can.QUADRATIC, Can.INDICATORS}
    )

    tolerance: float = 1e-7
    options: Mapping[str, bool | int | float | str] = field(default_factory=dict)

    def open(self, program: Program) -> Session:
        """Load a program into SCIP."""
        check_able(self, program)
        refuse_ours(self.options)
        return _ScipSession(self, program)

    def version(self) -> str:
        """The version of the SCIP library."""
        model = _pyscipopt().Model()
        return f"{model.getMajorVersion()}.{model.getMinorVersion()}.{model.getTechVersion()}"


def _pyscipopt() -> Any:
    return imported(Scip())


class _ScipSession(Session):
    def __init__(self, solver: Scip, program: Program) -> None:
        self._program = program
        self._cost = program.cost
        self._native = _load(program)
        self._model, self._variables = self._native.model, self._native.variables
        self._model.setParam("misc/catchctrlc", False)  # SCIP's own handler prints
        tolerances = dict.fromkeys(("numerics/feastol", "numerics/dualfeastol"), solver.tolerance)
        for name, value in {**tolerances, **solver.options}.items():
            _set_option(self._model, name, value)
        self._events = _event_handler()
        self._model.includeEventhdlr(self._events, "watch", "looks at the clock")

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
        """See `Session.solve`."""
        began = clock.seconds
        self._model.freeTransform()
        if cost is not None:
            self._replace_cost(checked_cost(cost, len(self._cost)))
        if start is not None:
            start = checked_vector("start", start, len(self._cost))
        done = without_solver(self._program, self._cost, clock, cutoff)
        if done is not None:
            return done
        self._set_limits(clock, cutoff, target, gap)
        self._add_start(start, cutoff)
        raw = self._run(Watch(clock, on_effort, cutoff))
        return conclude(raw, self._program, self._cost, clock, cutoff, clock.seconds - began)

    def _replace_cost(self, cost: Float[np.ndarray, " n"]) -> None:
        self._cost = cost
        scip = _pyscipopt()
        pairs = zip(cost.tolist(), self._variables, strict=True)
        terms = [c * v for c, v in pairs if c]
        if self._native.squares is not None:
            terms.append(self._native.squares)
        self._model.setObjective(scip.quicksum(terms), "minimize")
        self._model.addObjoffset(self._program.offset - self._model.getObjoffset())

    def _set_limits(
        self, clock: Clock, cutoff: float | None, target: float | None, gap: float
    ) -> None:
        model = self._model
        model.setParam("limits/time", min(clock.remaining, INFINITY))
        model.setParam("limits/gap", float(gap))
        model.setParam("limits/absgap", 0.0)
        goal = reached_at(target, never=_NO_PRIMAL_LIMIT)
        model.setParam("limits/primal", goal)
        model.setObjlimit(INFINITY if cutoff is None else float(cutoff))

    def _add_start(self, start: Float[np.ndarray, " n"] | None, cutoff: float | None) -> None:
        """Offer the start: whole where it is feasible, else its integers only."""
        if start is None:
            return
        value = self._program.value(start, self._cost)
        start = usable_start(self._program, start, value, cutoff)
        if start is None:
            return
        model, feasible = self._model, self._program.violation(start) <= 1e-6
        if not feasible and not self._program.is_mixed_integer:
            return
        point = model.createOrigSol() if feasible else model.createPartialSol()
        values = np.clip(start, self._program.lower, self._program.upper)
        chosen = np.ones(len(start), dtype=bool) if feasible else self._program.integer
        values = np.where(self._program.integer, np.round(values), values)
        for index in np.flatnonzero(chosen).tolist():
            model.setSolVal(point, self._variables[index], float(values[index]))
        if feasible:
            self._complete(point, values)
        model.addSol(point)

    def _complete(self, point: Any, values: Float[np.ndarray, " n"]) -> None:
        """Give the columns that only SCIP has their values: squares, and slacks of indicators."""
        program, native = self._program, self._native
        if native.squares is not None and program.quadratic is not None:
            squares = float(program.quadratic @ values**2)
            self._model.setSolVal(point, native.squares, squares)
        activity = program.matrix @ values
        for constraint, row, sign, side in native.conditions:
            slack = max(0.0, sign * (activity[row] - side))
            variable = self._model.getSlackVarIndicator(constraint)
            self._model.setSolVal(point, variable, slack)

    def _run(self, watch: Watch) -> Raw:
        """Run SCIP; an error of its own, such as in a linear program, is an end without answer."""
        self._events.watch = watch
        try:
            with watch.clock.catching_ctrl_c():
                self._model.optimizeNogil()
        except Exception as error:  # noqa: BLE001  # pyscipopt raises it bare
            watch.raise_error()
            return Raw(Stop.FAILED, message=str(error))
        finally:
            self._events.watch = None
        watch.raise_error()
        if self._model.getStatus() == "userinterrupt" and not watch.clock.expired:
            watch.clock.interrupt()
        return self._raw()

    def _raw(self) -> Raw:
        model = self._model
        message = model.getStatus()
        return Raw(
            stop=STOPS.get(message, Stop.FAILED),
            x=self._point(),
            bound=finite(model.getDualbound(), infinity=INFINITY),
            nodes=int(model.getNTotalNodes()),
            iterations=int(model.getNLPIterations()),
            message=message,
        )

    def _point(self) -> Float[np.ndarray, " n"] | None:
        model = self._model
        if model.getNSols() == 0:
            return None
        best = model.getBestSol()
        return np.array([model.getSolVal(best, v) for v in self._variables], dtype=float)


@dataclass(eq=False)
class _Native:
    """A program in SCIP.

    Attributes:
        model: silent.
        variables: one a column.
        squares: at least the quadratic part of the objective; None where that is linear.
        conditions: of each indicator constraint: itself, its row, and the sign and the side with
            which it reads ``sign·(row - side) <= 0``.
    """

    model: Any
    variables: list[Any]
    squares: Any = None
    conditions: list[tuple[Any, int, float, float]] = field(default_factory=list)


def _load(program: Program) -> _Native:
    """The program in SCIP.

    Expressions are made from dictionaries of terms: 0.3 µs a nonzero, where ``quicksum`` takes
    0.5 and writing and reading an MPS file 0.6.
    """
    scip = _pyscipopt()
    from pyscipopt.scip import Term

    model = scip.Model()
    model.hideOutput()
    kinds = np.where(program.integer, "I", "C")
    if program.indicators is not None:
        kinds[program.indicators[:, 0]] = "B"
    variables = [
        model.addVar(lb=_side(low), ub=_side(high), obj=cost, vtype=kind)
        for low, high, cost, kind in zip(
            program.lower.tolist(),
            program.upper.tolist(),
            program.cost.tolist(),
            kinds.tolist(),
            strict=True,
        )
    ]
    model.addObjoffset(program.offset)
    terms = [Term(variable) for variable in variables]
    native = _Native(model, variables)
    _add_rows(native, program, scip, terms)
    if program.quadratic is not None and program.is_quadratic:
        native.squares = model.addVar(lb=0.0, obj=1.0)
        chosen = np.flatnonzero(program.quadratic).tolist()
        squares = {Term(variables[j], variables[j]): float(program.quadratic[j]) for j in chosen}
        squares[Term(native.squares)] = -1.0
        model.addCons(scip.ExprCons(scip.Expr(squares), None, 0.0))
    return native


def _add_rows(native: _Native, program: Program, scip: Any, terms: list[Any]) -> None:
    a, model = program.matrix, native.model
    indicators = [] if program.indicators is None else program.indicators.tolist()
    conditions = {row: (column, value) for column, value, row in indicators}
    starts, columns, values = a.indptr.tolist(), a.indices.tolist(), a.data.tolist()
    sides = zip(program.row_lower.tolist(), program.row_upper.tolist(), strict=True)
    for row, (low, high) in enumerate(sides):
        if not (math.isfinite(low) or math.isfinite(high)) or not terms:
            continue
        part = slice(starts[row], starts[row + 1])
        linear: dict[Any, float] = {}
        for column, value in zip(columns[part], values[part], strict=True):
            linear[terms[column]] = linear.get(terms[column], 0.0) + value
        if not linear:
            linear[terms[0]] = 0.0  # pyscipopt takes no constant rows
        expression = scip.Expr(linear)
        if row not in conditions:
            model.addCons(scip.ExprCons(expression, _side(low), _side(high)))
            continue
        column, value = conditions[row]
        for sign, side in ((1.0, high), (-1.0, low)):
            if math.isfinite(side):
                constraint = model.addConsIndicator(
                    sign * expression <= sign * side,
                    binvar=native.variables[column],
                    activeone=value == 1,
                )
                native.conditions.append((constraint, row, sign, side))


def _side(bound: float) -> float | None:
    return bound if math.isfinite(bound) else None


def _set_option(model: Any, name: str, value: bool | int | float | str) -> None:
    try:
        model.setParam(name, fitting(value, type(model.getParam(name))))
    except (LookupError, ValueError, TypeError) as error:
        raise InvalidInput(
            f"SCIP does not accept the parameter {name!r} with the value {value!r}; see "
            "https://www.scipopt.org/doc/html/PARAMETERS.php."
        ) from error


def _event_handler() -> Any:
    """An event handler with a ``watch``; its class exists only where pyscipopt does."""
    scip = _pyscipopt()
    kinds = scip.SCIP_EVENTTYPE
    caught = (kinds.PRESOLVEROUND, kinds.LPSOLVED, kinds.NODEFOCUSED, kinds.BESTSOLFOUND)

    class Events(scip.Eventhdlr):  # type: ignore[misc, name-defined]
        watch: Watch | None = None

        def eventinit(self) -> None:
            for kind in caught:
                self.model.catchEvent(kind, self)

        def eventexit(self) -> None:
            for kind in caught:
                self.model.dropEvent(kind, self)

        def eventexec(self, event: Any) -> None:
            if self.watch is not None:
                _look(self.watch, self.model, event.getType() == kinds.BESTSOLFOUND)

    return Events()


def _look(watch: Watch, model: Any, found: bool) -> None:
    try:
        if watch.on_effort is not None and model.getStageName() == "SOLVING":
            value = model.getSolObjVal(model.getBestSol()) if found else None
            bound = finite(model.getDualbound(), infinity=INFINITY)
            watch.report(value, bound, int(model.getNTotalNodes()))
    except BaseException as error:  # noqa: BLE001 (raised again after the run)
        watch.error = watch.error or error
    if watch.must_stop():
        model.interruptSolve()
