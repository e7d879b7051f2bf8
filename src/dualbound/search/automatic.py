"""The engine for a question when the user names none."""

from __future__ import annotations

from dataclasses import replace

from dualbound.patterns import NearestProblem
from dualbound.region import L2
from dualbound.search.bab import Bab
from dualbound.search.columns import Columns
from dualbound.search.engine import Engine
from dualbound.search.milp import Milp

FEW = 128
"""Networks with more rectified neurons are too large for searches that look at single neurons."""


def automatic(problem: NearestProblem) -> Engine:
    """`Columns` for small plain chains, `Bab` for what is large or curved or in L2, else `Milp`.

    Programs of L2 need a solver for quadratic objectives, which few have.
    """
    network = problem.network
    alternative = problem.criterion.alternatives(network.output_size)[0]
    large = sum(relu.size for relu in network.relus) > FEW or not network.is_piecewise_linear
    if Bab.can(problem) and large:
        return Bab()
    if Columns.can(replace(problem, criterion=alternative)):
        return Columns()
    return Bab() if isinstance(problem.norm, L2) and Bab.can(problem) else Milp()
