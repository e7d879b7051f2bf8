"""Solvers behind one contract: `solver_named` finds one by name, `Solver.open` loads a program."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from dualbound.errors import InvalidInput, UnknownSolver
from dualbound.milp.program import ProgramBuilder
from dualbound.solvers.contract import Can, Effort, Session, Solution, Solver, Stop
from dualbound.solvers.export import write_program
from dualbound.solvers.fake import Fake
from dualbound.solvers.gurobi import Gurobi
from dualbound.solvers.highs import Highs
from dualbound.solvers.options import Value, parsed
from dualbound.solvers.outcome import demand
from dualbound.solvers.overview import SolverOverview, overview
from dualbound.solvers.scip import Scip
from dualbound.solvers.xpress import Xpress

__all__ = [
    "SOLVERS",
    "Can",
    "Effort",
    "Fake",
    "Gurobi",
    "Highs",
    "Scip",
    "Session",
    "Solution",
    "Solver",
    "SolverOverview",
    "Stop",
    "Xpress",
    "demand",
    "installed",
    "overview",
    "parsed",
    "solver_named",
    "write_program",
]

SOLVERS: Mapping[str, type[Highs | Scip | Gurobi | Xpress]] = {
    Highs.name: Highs,
    Scip.name: Scip,
    Gurobi.name: Gurobi,
    Xpress.name: Xpress,
}
"""The solvers that can be chosen by name."""


def solver_named(solver: str | Solver, options: Mapping[str, Value] | None = None) -> Solver:
    """The solver of this name; nothing native is imported unless there are options to check.

    Args:
        solver: a name as on the command line, or a solver, which is returned as it is.
        options: of the native solver, by its own names; those that `Session.solve` sets, such as
            the time limit, are refused.

    Returns:
        A solver, installed or not: that shows when it opens a program.

    Raises:
        UnknownSolver: no solver has this name.
        InvalidInput: an option that the solver does not have, or a value that it refuses; or
            options beside a solver that should carry its own.
        SolverNotInstalled: there are options, and the solver's package is missing.

    >>> solver_named("highs")
    Highs(threads=1, tolerance=1e-07, options={})
    >>> solver_named(Highs(threads=4)).threads
    4
    """
    if not options:
        return solver if isinstance(solver, Solver) else _kind(solver)()
    if isinstance(solver, Solver):
        raise InvalidInput(
            f"A solver carries its own options: give them to it, as in "
            f"`{type(solver).__name__}(options={{...}})`, or give the solver's name beside them."
        )
    chosen = _kind(solver)(options=dict(options))
    chosen.open(ProgramBuilder().build())
    return chosen


def installed(name: str) -> bool:
    """Whether the packages that a solver needs are there; they are looked up, not imported.

    Raises:
        UnknownSolver: no solver has this name.

    >>> installed("highs")
    True
    """
    return all(find_spec(package) is not None for package in _kind(name).needs)


def _kind(name: str) -> type[Highs | Scip | Gurobi | Xpress]:
    if name not in SOLVERS:
        raise UnknownSolver(f"There is no solver {name!r}; known: {', '.join(SOLVERS)}.")
    return SOLVERS[name]
