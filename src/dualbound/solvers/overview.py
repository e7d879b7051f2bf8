"""What solvers there are: installed or not, which version, and what each can do."""

from __future__ import annotations

from dataclasses import dataclass

from dualbound.errors import SolverError
from dualbound.solvers.contract import Can


@dataclass(frozen=True)
class SolverOverview:
    """One solver, as it is here.

    Attributes:
        name: as on the command line.
        version: of the native solver; None where it is not installed, or not in working order.
        install: the command that installs it; empty where it comes with dualbound.
        can: what it is able to do.
        free_size: the programs that it solves without a licence of one's own; empty where it needs
            none.
    """

    name: str
    version: str | None
    install: str
    can: frozenset[Can]
    free_size: str


def overview() -> list[SolverOverview]:
    """All solvers that can be chosen by name. Those that are installed are loaded.

    >>> highs = overview()[0]
    >>> highs.name, highs.install, Can.DUALS in highs.can
    ('highs', '', True)
    """
    from dualbound.solvers import SOLVERS, installed, solver_named

    found = []
    for name, kind in SOLVERS.items():
        try:
            version = solver_named(name).version() if installed(name) else None
        except SolverError:
            version = None
        install = f'pip install "dualbound[{kind.extra}]"' if kind.extra else ""
        found.append(SolverOverview(name, version, install, kind.can, kind.free_size))
    return found
