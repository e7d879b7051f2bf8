"""Proved bounds of every neuron over a region, by any method or up to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dualbound.bounds import METHODS as DIRECT
from dualbound.bounds import Bounds
from dualbound.errors import InvalidInput
from dualbound.limits import Clock, Limits
from dualbound.network import Affine, Network
from dualbound.region import L0Ball, L2Ball, Region
from dualbound.solvers import Solver, solver_named
from dualbound.tighten import Layerwise

METHODS = ("interval", "crown", "lp", "milp", "exact")
STEPS = {"lp": ("lp",), "milp": ("lp", "milp"), "exact": ("exact",)}
"""What follows CROWN."""

SAMPLES = 1000


def bounds(
    network: Network,
    region: Region,
    *,
    method: str = "crown",
    seconds_per_neuron: float | None = None,
    workers: int = 1,
    solver: str | Solver = "highs",
    limits: Limits | None = None,
    on_layer: Callable[[str, Bounds], None] | None = None,
) -> Bounds:
    """Bound every neuron over a region, and check the bounds against sampled points.

    Methods build on one another, and their results intersect: each is at least as tight as those
    before it, ``interval``, ``crown``, ``lp``, ``milp``. The last is exact unless a limit stops it;
    so is ``exact``, which follows ``crown`` and needs no solver's proof (plain chains only).

    Args:
        network: from `dualbound.load`.
        region: of the network's inputs: a `Box` or a ball.
        method: one of the five.
        seconds_per_neuron: limit for each maximum and minimum of ``lp``, ``milp`` and ``exact``.
        workers: processes (threads, for ``exact``) that share the neurons of a layer.
        solver: of ``lp`` or ``milp``, its name or the solver itself; the ``lp`` before a ``milp``
            is always HiGHS's.
        limits: for the whole; layers not reached keep the bounds of the methods before.
        on_layer: told of every layer that ``lp``, ``milp`` or ``exact`` has finished.

    Returns:
        Bounds of every node. ``loose`` names the layers where a limit, Ctrl-C or rounding left some
        that are not as tight as the method makes them; all of them hold.

    Raises:
        InvalidInput: an unknown method, or an option that makes no sense; ``lp`` and ``milp`` over
            an L2 ball.
        SoundnessError: a sampled point lies outside.

    >>> from dualbound import Box, Network
    >>> net = Network.dense([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> [round(float(bounds(net, Box([-1], [2]), method=m).upper["affine2"][0]), 3)
    ...  for m in ("interval", "milp")]
    [3.0, 2.0]
    """
    if method not in METHODS:
        raise InvalidInput(f"Unknown method {method!r}; known are {', '.join(METHODS)}.")
    region = region.sized(network.input_size)
    if method in ("lp", "milp") and isinstance(region, L2Ball):
        raise InvalidInput(
            f"The method {method} needs a region of linear rows, and an L2 ball is none: use "
            "interval, crown or exact."
        )
    Layerwise(seconds_per_neuron=seconds_per_neuron, workers=workers)
    solver_named(solver)
    if method == "exact":
        from dualbound.phases.tree import prepare

        prepare()
    with Clock(limits).catching_ctrl_c() as clock:
        found = DIRECT["interval" if method == "interval" else "crown"](network, region)
        for programs in STEPS.get(method, ()):
            tighten = Layerwise(
                programs,  # type: ignore[arg-type]
                seconds_per_neuron=seconds_per_neuron,
                workers=workers,
                solver=solver if programs == method else "highs",
            )
            found = tighten(network, region, found, clock=clock, on_layer=on_layer)
    if method in ("milp", "exact") and isinstance(region, L0Ball) and region.weights is not None:
        found = replace(found, loose=found.loose | _first_layer(network))
    found.check(network, region.sample(np.random.default_rng(0), SAMPLES))
    return found


def _first_layer(network: Network) -> set[str]:
    """The nodes bounded by a region's support function, which is not tight in weighted L0 balls."""
    return {
        node.name
        for node in network.nodes
        if isinstance(node.op, Affine) and network.input in node.reads
    }
