"""The engine for a question when the user names none."""

from __future__ import annotations

from dualbound.attacks import NearestProblem
from dualbound.search.columns import Columns
from dualbound.search.engine import Engine
from dualbound.search.milp import Milp


def automatic(problem: NearestProblem) -> Engine:
    """`Columns` where it knows the network, else `Milp`."""
    return Columns() if Columns.can(problem) else Milp()
