"""The engine for a question when the user names none."""

from __future__ import annotations

from dataclasses import replace

from dualbound.patterns import NearestProblem
from dualbound.search.bab import Bab
from dualbound.search.columns import Columns
from dualbound.search.engine import Engine
from dualbound.search.milp import Milp

MANY = 500
"""Networks with more rectified neurons are too large for programs."""


def automatic(problem: NearestProblem) -> Engine:
    """`Columns` where it knows the network; else `Bab` for large or curved ones, or `Milp`."""
    network = problem.network
    alternative = problem.criterion.alternatives(network.output_size)[0]
    if Columns.can(replace(problem, criterion=alternative)):
        return Columns()
    many = sum(relu.size for relu in network.relus) > MANY
    return Bab() if Bab.can(problem) and (many or not network.is_piecewise_linear) else Milp()
