"""The largest value of an objective by decisions: is a little more than the best found possible?"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dualbound.bounds import crown
from dualbound.criterion import OutputSet, Polyhedron
from dualbound.errors import InvalidInput
from dualbound.search.bab import Bab
from dualbound.search.bab.decision import Decision
from dualbound.search.direct import directly
from dualbound.search.objective import Objective
from dualbound.search.optimum import Optimum
from dualbound.tighten.ascent import climb

SAFE = 0.99
"""The part of the gap that is asked for: the rest is for rounding."""

FINEST = 1e-9
"""The smallest gap asked for: below it, a decision would be about the point found itself."""


def by_decisions(optimum: Optimum, engine: Bab, hints: Objective | None = None) -> None:
    """Close the gap by decisions of the engine ``bab``, each about a larger value.

    A decision either proves that no point has that value, or finds one that has; from there the
    search climbs on.

    Args:
        optimum: what is asked, and takes what is found.
        engine: that decides.
        hints: another objective on the same inputs that is ascended for a first point too.

    Raises:
        InvalidInput: see `decisions_refuse`.

    **Trusts** float64 sums within their worst rounding error; no solver.
    """
    objective, region, clock = optimum.objective, optimum.region, optimum.clock
    refused = decisions_refuse(objective)
    if refused:
        raise InvalidInput(f"The engine bab cannot do this: {refused}; use the engine milp.")
    bounds = directly(optimum, crown, hints)
    chained = objective.along_chain(bounds)
    if optimum.closed or chained is None or optimum.x is None:
        return
    network, direction = chained
    engine.prepare_for(network, optimum.enter)
    slack = objective.rounding(region, bounds)

    def accept(x: Float[np.ndarray, " n"]) -> bool:
        optimum.offer(x[None])
        return float(objective(region.project(x[None]))[0]) >= aim

    optimum.enter("search")
    while not optimum.closed and not clock.expired:
        before = optimum.value
        aim = before + SAFE * max(optimum.gap, FINEST) * max(abs(before), 1.0) + slack
        if optimum.side is not None:
            aim = optimum.side - slack
        decision = Decision(accept, clock)
        criterion = OutputSet([Polyhedron(direction[None], np.array([aim]))])
        engine.decide(network, region, [criterion], decision)
        optimum.nodes += decision.nodes
        if decision.unstable is not None:
            optimum.unstable = decision.unstable
        if decision.found:
            optimum.offer(climb(network, region, direction, optimum.x[None])[1])
        else:
            optimum.prove(aim + max(decision.bound, 0.0) + slack)
        if not decision.found or not optimum.value > before:
            return


def decisions_refuse(objective: Objective) -> str:
    """Why `by_decisions` cannot take a question; empty when it can."""
    if objective.phases:
        return "phases are asked about, which are no continuous function of the input"
    if objective.squares:
        return "squares are asked about"
    if objective.single() is None and not objective.on_chain:
        return "values of several layers are asked about, and the network is no plain chain"
    return ""
