"""Bounds by linear and mixed-integer programming, layer by layer (Koot section 3.2.1).

For every neuron in turn, its pre-activation is maximised and minimised over the region and the
layers before it, whose bounds are already tight. What counts is the *dual* bound, so a neuron whose
time runs out still gets a proved bound, only a weaker one.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from dualbound.bounds import Bounds, crown
from dualbound.bounds.layer_bounds import magnitude, rounding
from dualbound.errors import InvalidInput, SoundnessError
from dualbound.limits import Clock, Limits
from dualbound.milp import Program, encode_moderately, lagrangian_bound
from dualbound.network.graph import Network
from dualbound.network.nodes import Affine
from dualbound.region import Region
from dualbound.solvers import Can, Solver, Stop, solver_named
from dualbound.tighten.extreme import maximum
from dualbound.tighten.processes import finished, shared_among

STARTS = 64
"""Points of the region that the search for a neuron's extreme climbs from."""

MILP_SLACK = 1e-6
"""Relative slack by which a mixed-integer dual bound is relaxed: the solver's tolerance."""

CANCELLED_SLACK = 1e-7
"""The same for the magnitudes of a neuron's terms, which may cancel."""


@dataclass(frozen=True)
class Layerwise:
    """How a network's bounds are tightened.

    Args:
        method: ``lp`` solves the triangle relaxation, ``milp`` keeps the binaries, ``exact`` does
            without a solver's proof: our own branch and bound on phases, for plain chains of affine
            maps and rectifiers.
        only_unstable: leave the neurons alone whose sign is already known.
        seconds_per_neuron: limit for each maximum and each minimum; None is exact.
        workers: processes (threads, for ``exact``) that share the neurons of a layer.
        solver: of ``lp`` and ``milp``: its name, or the solver itself.

    Raises:
        InvalidInput: an unknown method, or a limit or a number of workers that makes no sense.
        UnknownSolver: no such solver.
    """

    method: Literal["lp", "milp", "exact"] = "lp"
    only_unstable: bool = False
    seconds_per_neuron: float | None = None
    workers: int = 1
    solver: str | Solver = "highs"

    def __post_init__(self) -> None:
        if self.method not in ("lp", "milp", "exact"):
            raise InvalidInput(
                f"Unknown way to tighten {self.method!r}; known are lp, milp, exact."
            )
        if self.workers < 1:
            raise InvalidInput(f"There must be at least 1 worker, found {self.workers}.")
        Limits(self.seconds_per_neuron)
        solver = solver_named(self.solver)
        if self.method == "lp" and Can.DUALS not in solver.can:
            raise InvalidInput(
                f"Bounds by lp are recomputed from a solver's multipliers, and {solver.name} gives "
                "none; use highs."
            )

    def __call__(
        self,
        network: Network,
        region: Region,
        known: Bounds | None = None,
        *,
        clock: Clock | None = None,
        on_layer: Callable[[str, Bounds], None] | None = None,
    ) -> Bounds:
        """Tighten the bounds of every affine node.

        Args:
            network: any.
            region: of ``n`` inputs.
            known: bounds over the same region, to start from; CROWN's when not given.
            clock: when to stop; layers not reached keep the bounds that they had.
            on_layer: told of every finished layer.

        Returns:
            Bounds at least as tight as those known; ``loose`` names the layers where a limit, or
            rounding, stopped this method.

        **Trusts**, for ``lp``, float64 sums only: bounds are recomputed from the multipliers. For
        ``exact`` also; for ``milp``, the solver's dual bound within its tolerance.
        """
        clock = clock or Clock()
        bounds = replace(crown(network, region, known), loose=frozenset())
        for node in network.nodes:
            if not isinstance(node.op, Affine) or node.reads == (network.input,):
                continue  # Over the region itself the support function is exact.
            chosen = np.arange(node.size)
            if self.only_unstable:
                chosen = np.flatnonzero(bounds.unstable(node.name))
            if not len(chosen):
                continue
            if clock.expired:
                bounds = replace(bounds, loose=bounds.loose | {node.name})
                continue
            layer = self._by_phases if self.method == "exact" else self._by_programs
            bounds = bounds.intersect(layer(network, region, bounds, node.name, chosen, clock))
            bounds = crown(network, region, bounds)
            if on_layer is not None:
                on_layer(node.name, bounds)
        return bounds

    def _by_programs(
        self,
        network: Network,
        region: Region,
        bounds: Bounds,
        name: str,
        chosen: np.ndarray,
        clock: Clock,
    ) -> Bounds:
        part = network.up_to(name)
        mixed = self.method == "milp"
        encoding = encode_moderately(part, region.linear_form(), bounds, integer=mixed)
        value = encoding.values[name]
        program = encoding.builder.build()
        costs = [value.costs(int(j), program.shape[1]) for j in chosen]
        signed = [sign * cost for cost in costs for sign in (1.0, -1.0)]
        limit = self.seconds_per_neuron
        solved = _minima(program, signed, limit, solver_named(self.solver), self.workers, clock)
        found = np.array([bound for bound, _ in solved]).reshape(-1, 2)
        if np.any(found == np.inf):
            raise SoundnessError(
                f"Node {name!r}: the solver claims that the region has no points, but it has. "
                "No figure of this run can be trusted; please report it."
            )
        below, above = found[:, 0] + value.constant[chosen], value.constant[chosen] - found[:, 1]
        slack = rounding(max(program.shape)) * (
            abs(below) + abs(above) + abs(value.constant[chosen])
        )
        if mixed:
            slack += MILP_SLACK * (1 + np.maximum(abs(below), abs(above)))
            slack += CANCELLED_SLACK * magnitude(network, region, bounds, name)[chosen]
        return _narrowed(
            bounds, name, chosen, below - slack, above + slack, all(whole for _, whole in solved)
        )

    def _by_phases(
        self,
        network: Network,
        region: Region,
        bounds: Bounds,
        name: str,
        chosen: np.ndarray,
        clock: Clock,
    ) -> Bounds:
        part = network.up_to(name)
        starts = region.sample(np.random.default_rng(0), STARTS)

        def ask(neuron: int, sign: float) -> tuple[float, bool]:
            if clock.expired:
                return np.inf, False
            limit = self.seconds_per_neuron
            mine = clock if limit is None else clock.within(limit)
            direction = sign * np.eye(part.output_size)[neuron]
            return maximum(part, region, bounds, direction, mine, starts)

        with ThreadPoolExecutor(self.workers) as pool:
            jobs = [pool.submit(ask, int(j), sign) for j in chosen for sign in (1.0, -1.0)]
            solved = [job.result() for job in jobs]
        found = np.array([bound for bound, _ in solved]).reshape(-1, 2)
        return _narrowed(
            bounds, name, chosen, -found[:, 1], found[:, 0], all(whole for _, whole in solved)
        )


def _narrowed(
    bounds: Bounds, name: str, chosen: np.ndarray, low: np.ndarray, high: np.ndarray, whole: bool
) -> Bounds:
    """One node's bounds with those of some neurons narrowed, if they are narrower.

    Whether they contradict each other is for `Bounds.intersect` to say.
    """
    lower, upper = bounds.lower[name].copy(), bounds.upper[name].copy()
    lower[chosen] = np.maximum(lower[chosen], low)
    upper[chosen] = np.minimum(upper[chosen], high)
    return Bounds({name: lower}, {name: upper}, frozenset() if whole else frozenset({name}))


def _minima(
    program: Program,
    costs: list[np.ndarray],
    seconds: float | None,
    solver: Solver,
    workers: int,
    clock: Clock,
) -> list[tuple[float, bool]]:
    """See `minima`; minus infinity where the clock left no time."""
    if workers == 1 or len(costs) <= 2:
        return minima(program, costs, seconds, solver, clock)
    with shared_among(workers) as submit:
        left = clock.remaining
        jobs = [submit(_in_worker, program, [cost], seconds, solver, left) for cost in costs]
        return [finished(job, clock, otherwise=[(-np.inf, False)])[0] for job in jobs]


def _in_worker(
    program: Program, costs: list[np.ndarray], seconds: float | None, solver: Solver, left: float
) -> list[tuple[float, bool]]:
    clock = Clock(Limits(left) if 0 < left < np.inf else None)
    return minima(program, costs, seconds, solver, clock)


def minima(
    program: Program,
    costs: list[np.ndarray],
    seconds: float | None,
    solver: Solver,
    clock: Clock,
) -> list[tuple[float, bool]]:
    """Minimise each cost over one program, which is loaded once.

    Returns:
        For each a proved lower bound, and whether the solver went all the way.
    """
    session = solver.open(program)
    found: list[tuple[float, bool]] = []
    for cost in costs:
        if clock.expired:
            found.append((-np.inf, False))
            continue
        part = clock if seconds is None else clock.within(seconds)
        solution = session.solve(part, cost=cost)
        bound = np.inf if solution.stop is Stop.INFEASIBLE else -np.inf
        if program.is_mixed_integer and solution.bound is not None:
            bound = solution.bound
        elif not program.is_mixed_integer and solution.row_duals is not None:
            bound = lagrangian_bound(program, solution.row_duals, cost)
        found.append((bound, solution.stop in (Stop.OPTIMAL, Stop.INFEASIBLE)))
    return found
