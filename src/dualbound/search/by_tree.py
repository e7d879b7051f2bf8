"""The largest value by our own branch and bound on phases."""

from __future__ import annotations

from dualbound.bounds import crown
from dualbound.errors import InvalidInput
from dualbound.phases import reference_of, room_of
from dualbound.region import L2Ball, Region
from dualbound.search.direct import directly
from dualbound.search.objective import Objective
from dualbound.search.optimum import Optimum
from dualbound.tighten.extreme import extreme


def by_tree(optimum: Optimum, threads: int, hints: Objective | None = None) -> None:
    """Close the gap by branch and bound on phases.

    Args:
        optimum: what is asked, and takes what is found.
        threads: how many look at nodes.
        hints: another objective on the same inputs that is ascended for a first point too.

    Raises:
        InvalidInput: see `tree_refuses`.

    **Trusts** float64 sums within the slack of `phases.propagation`; solvers with nothing.
    """
    objective, region = optimum.objective, optimum.region
    refused = tree_refuses(objective, region)
    if refused:
        other = "bab" if isinstance(region, L2Ball) else "milp"
        raise InvalidInput(f"The engine columns cannot do this: {refused}; use the engine {other}.")
    bounds = directly(optimum, crown, hints)
    chained = objective.along_chain(bounds)
    if optimum.closed or chained is None or optimum.x is None:
        return
    optimum.enter("search")
    network, direction = chained
    slack = objective.rounding(region, bounds)

    def tell(value: float, bound: float, nodes: int) -> None:
        optimum.report(value=value, bound=bound + slack, extra_nodes=nodes)

    found = extreme(
        network,
        region,
        crown(network, region),
        direction,
        optimum.clock,
        optimum.x[None],
        gap=optimum.gap * 0.99,
        threads=threads,
        tell=tell,
    )
    optimum.nodes, optimum.unstable = found.nodes, found.unstable
    optimum.offer(found.x[None])
    optimum.prove(found.bound + slack)


def tree_refuses(objective: Objective, region: Region) -> str:
    """Why `by_tree` cannot take a question; empty when it can."""
    if objective.phases:
        return "phases are asked about, which are no continuous function of the input"
    if objective.squares:
        return "squares are asked about"
    if not objective.on_chain:
        return "the network is no plain chain of affine maps and rectifiers"
    try:
        room_of(region, reference_of(region))
    except InvalidInput as error:
        return str(error).partition(":")[0].rstrip(".")
    return ""
