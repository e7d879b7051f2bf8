"""The engine for a question when the user names none."""

from __future__ import annotations

from dataclasses import replace

from dualbound.patterns import NearestProblem
from dualbound.search.columns import Columns
from dualbound.search.engine import Engine
from dualbound.search.milp import Milp


def automatic(problem: NearestProblem) -> Engine:
    """`Columns` where it knows the network, else `Milp`."""
    alternative = problem.criterion.alternatives(problem.network.output_size)[0]
    return Columns() if Columns.can(replace(problem, criterion=alternative)) else Milp()
