r"""The closest point of one activation pattern: on it the network is affine, and this is an LP.

.. math:: \min_x \|x - x^0\| \quad\text{s.t.}\quad A(Vx + v) \ge b + \sigma,\;
          \pm(U_j x + u_j) \ge 0,\; x \in \text{box}

where :math:`U_j` is the pre-activation of neuron j on the pattern, with + where it is active.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from dualbound.attacks.problem import NearestProblem
from dualbound.errors import SolverFailed
from dualbound.limits import Clock
from dualbound.milp import Program
from dualbound.network.graph import Pattern, maps_on_pattern
from dualbound.solvers import Solver


@dataclass(frozen=True, eq=False)
class PatternOptimum:
    """The closest point of a pattern, and the neurons whose sign is what holds it back.

    Attributes:
        x: ``(n,)``, in the box.
        distance: from the centre, evaluated at ``x``.
        tight: rectifier name, neuron, and multiplier, the largest multiplier first.
    """

    x: Float[np.ndarray, " n"]
    distance: float
    tight: tuple[tuple[str, int, float], ...]


def closest_on_pattern(
    problem: NearestProblem,
    pattern: Pattern | None,
    solver: Solver,
    clock: Clock,
    *,
    linearised_at: Pattern | None = None,
    inside: float = 1e-7,
) -> PatternOptimum | None:
    """Solve the LP above.

    Args:
        problem: what is asked.
        pattern: the signs to keep; None keeps none and only linearises, at ``linearised_at``.
        solver: any that solves linear programs.
        clock: when to stop.
        linearised_at: the pattern whose affine map is used when no signs are kept.
        inside: how far inside the criterion the point must be, in units of the input: every row is
            scaled to a largest coefficient of 1, so that this is above the solver's tolerance.

    Returns:
        The optimum. None if no point of the pattern reaches the criterion, or if the numbers are
        beyond the solver: an attack does without.
    """
    signs = pattern if pattern is not None else linearised_at
    if signs is None:
        return None
    network = problem.network
    maps = maps_on_pattern(network, signs)
    weight, bias = maps[network.output]
    a, b = problem.criterion.rows(network.output_size)
    matrices, offsets = [a @ weight], [a @ bias - b]
    neurons: list[tuple[str, int]] = []
    for relu in network.relus if pattern is not None else ():
        weight, bias = maps[relu.reads[0]]
        sign = np.where(signs[relu.name], 1.0, -1.0)
        matrices.append(sign[:, None] * weight)
        offsets.append(sign * bias)
        neurons += [(relu.name, j) for j in range(relu.size)]
    form = problem.norm.distance_form(problem.center, problem.box)
    stacked, offset = np.vstack(matrices), np.concatenate(offsets)
    if not (np.isfinite(stacked).all() and np.isfinite(offset).all()):
        return None
    largest = np.abs(stacked).max(axis=1)
    scale = np.where(largest > 0, largest, 1.0)
    stacked, offset = stacked / scale[:, None], offset / scale
    offset[: len(a)] -= inside
    rows = sp.vstack([sp.csr_array(stacked @ form.transform), form.rows], format="csr")
    lower = np.concatenate(
        [-(offset + stacked @ form.offset), np.full(len(form.row_upper), -np.inf)]
    )
    upper = np.concatenate([np.full(len(offset), np.inf), form.row_upper])
    program = Program(
        cost=form.cost,
        lower=form.lower,
        upper=form.upper,
        integer=np.zeros(len(form.cost), dtype=bool),
        matrix=rows,
        row_lower=lower,
        row_upper=upper,
        column_names=form.names,
        row_names=tuple(f"r{i}" for i in range(len(lower))),
    )
    try:
        solution = solver.solve(program, clock)
    except SolverFailed:
        return None
    if solution.x is None:
        return None
    x = problem.box.project((form.offset + form.transform @ solution.x)[None])[0]
    return PatternOptimum(
        x, float(problem.distance(x)), _tight(solution.row_duals, len(a), neurons)
    )


def _tight(
    duals: np.ndarray | None, skipped: int, neurons: list[tuple[str, int]]
) -> tuple[tuple[str, int, float], ...]:
    if duals is None:
        return ()
    found = [
        (name, j, float(duals[skipped + k]))
        for k, (name, j) in enumerate(neurons)
        if duals[skipped + k] > 1e-9
    ]
    return tuple(sorted(found, key=lambda item: -item[2]))
