"""Solvers behind one contract: `solver_named` finds one by name, `Solver.open` loads a program."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from dualbound.errors import UnknownSolver
from dualbound.solvers.contract import Can, Effort, Session, Solution, Solver, Stop
from dualbound.solvers.export import write_program
from dualbound.solvers.fake import Fake
from dualbound.solvers.gurobi import Gurobi
from dualbound.solvers.highs import Highs
from dualbound.solvers.outcome import demand
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
    "Stop",
    "Xpress",
    "demand",
    "installed",
    "solver_named",
    "write_program",
]

SOLVERS: Mapping[str, type[Solver]] = {kind.name: kind for kind in (Highs, Scip, Gurobi, Xpress)}
"""The solvers that can be chosen by name."""


def solver_named(solver: str | Solver) -> Solver:
    """The solver of this name with its default settings; nothing native is imported.

    Args:
        solver: a name as on the command line, or a solver, which is returned as it is.

    Returns:
        A solver, installed or not: that shows when it opens a program.

    Raises:
        UnknownSolver: no solver has this name.

    >>> solver_named("highs")
    Highs(threads=1, tolerance=1e-07, options={})
    >>> solver_named(Highs(threads=4)).threads
    4
    """
    return solver if isinstance(solver, Solver) else _kind(solver)()


def installed(name: str) -> bool:
    """Whether the packages that a solver needs are there; they are looked up, not imported.

    Raises:
        UnknownSolver: no solver has this name.

    >>> installed("highs")
    True
    """
    return all(find_spec(package) is not None for package in _kind(name).needs)


def _kind(name: str) -> type[Solver]:
    if name not in SOLVERS:
        raise UnknownSolver(f"There is no solver {name!r}; known: {', '.join(SOLVERS)}.")
    return SOLVERS[name]
