"""A node in which every phase is decided: one linear program tells all about it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from dualbound.bounds import Bounds
from dualbound.bounds.layer_bounds import magnitude, rounding
from dualbound.errors import SolverError
from dualbound.milp import ProgramBuilder, lagrangian_bound
from dualbound.network.elementwise import Relu
from dualbound.network.nodes import Affine
from dualbound.network.patterns import maps_on_pattern
from dualbound.region import Box, L2Ball, Region
from dualbound.search.bab.question import Question
from dualbound.solvers import Highs


def at_leaf(
    question: Question, polyhedron: int, bounds: Bounds, phases: Mapping[str, np.ndarray]
) -> tuple[float, Float[np.ndarray, " n"] | None]:
    r"""Whether a polyhedron is reached on an activation pattern.

    .. math:: \max t \quad \text{s.t.} \quad A o - b \ge t, \quad s_j v_j \ge t

    over the region, with every rectifier replaced by what it is on the pattern: the linear program
    has a point whatever the pattern, and a bound below 0 closes the node, be it for the outputs or
    because the pattern is empty. Of an L2 ball, which has no rows, the program is that of the box
    around it; its multipliers are then made better for the ball.

    Args:
        question: what is asked.
        polyhedron: its number.
        bounds: of every node over the region.
        phases: for every rectifier the decided phases ``s_j`` (1, -1; 0 where it is stable).

    Returns:
        A proved lower bound of ``-t``, and the program's best input.

    **Trusts** nothing of the solver: the bound is recomputed from its multipliers.
    """
    network, region = question.network, question.region
    rows = Box(region.lower, region.upper) if isinstance(region, L2Ball) else region
    form = rows.linear_form()
    pattern = {
        relu.name: (phases[relu.name] > 0)
        | ((phases[relu.name] == 0) & (bounds.lower[relu.reads[0]] >= 0))
        for relu in network.relus
    }
    maps = maps_on_pattern(network, pattern)
    goals = question.owner == polyhedron
    weight, bias = maps[network.output]
    matrices = [-question.rows[goals] @ weight]
    constants = [-question.rows[goals] @ bias - question.sides[goals]]
    for relu in network.relus:
        sign = phases[relu.name]
        decided = sign != 0
        weight, bias = maps[relu.reads[0]]
        matrices.append(sign[decided, None] * weight[decided])
        constants.append(sign[decided] * bias[decided])
    plain, shift = np.vstack(matrices), np.concatenate(constants)
    constant = shift + plain @ form.offset
    matrix = plain @ form.transform
    most = np.abs(matrix) @ np.maximum(np.abs(form.lower), np.abs(form.upper)) + np.abs(constant)
    builder = ProgramBuilder()
    columns = builder.columns(list(form.names), lower=form.lower, upper=form.upper)
    limit = float(most.max()) + 1.0
    [t] = builder.columns(["t"], lower=-limit, upper=limit, cost=-1.0)
    builder.matrix_rows("region", form.rows, columns=columns, upper=form.row_upper)
    all_of_them = np.append(columns, t)
    builder.rows(
        [f"row{i}" for i in range(len(matrix))],
        [all_of_them] * len(matrix),
        [np.append(row, -1.0) for row in matrix],
        lower=-constant,
    )
    program = builder.build()
    try:
        outcome = Highs().solve(program)
    except SolverError:  # numbers that it does not take
        return -np.inf, None
    x = None if outcome.x is None else form.offset + form.transform @ outcome.x[:-1]
    if outcome.row_duals is None:
        return -np.inf, x
    own = _errs(question, goals, bounds, phases)
    if isinstance(region, L2Ball):
        return _in_ball(region, plain, shift, own, outcome.row_duals[form.rows.shape[0] :])
    errs = np.concatenate([np.zeros(form.rows.shape[0]), own])
    err = float(np.abs(outcome.row_duals) @ errs)
    bound = lagrangian_bound(program, outcome.row_duals) - err
    return (bound if np.isfinite(bound) else -np.inf), x


def _in_ball(
    region: L2Ball,
    matrix: Float[np.ndarray, "r n"],
    constant: Float[np.ndarray, " r"],
    errs: Float[np.ndarray, " r"],
    start: Float[np.ndarray, " r"],
) -> tuple[float, Float[np.ndarray, " n"]]:
    r"""The bound of the best weights of the rows that are found, and a point that is best for them.

    .. math:: \max_x \min_i (M x + k)_i \le \max_x \lambda^\top (M x + k), \quad
        \lambda \ge 0, \sum \lambda = 1

    The right-hand side is convex in the weights; all weights are valid.
    """

    def over(weight: Float[np.ndarray, " r"]) -> tuple[float, Float[np.ndarray, " r"]]:
        x = region.maximiser((weight @ matrix)[None])[0]
        rise = matrix @ x + constant
        return float(weight @ rise), rise

    first = np.abs(start) + 1e-3 / len(start)
    found = minimize(
        over,
        first / first.sum(),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(first),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        options={"maxiter": 200, "ftol": 1e-13},
    )
    weight = np.maximum(found.x, 0.0)
    weight /= weight.sum()
    slope = weight @ matrix
    size = np.abs(weight) @ (np.abs(constant) + np.abs(matrix) @ _furthest(region))
    bound = float(region.support(slope[None])[0] + weight @ constant)
    bound += rounding(matrix.size) * size + float(weight @ errs)
    x = region.maximiser(slope[None])[0]
    return (-bound if np.isfinite(bound) else -np.inf), x


def _furthest(region: Region) -> Float[np.ndarray, " n"]:
    return np.maximum(np.abs(region.lower), np.abs(region.upper))


def _errs(
    question: Question, goals: np.ndarray, bounds: Bounds, phases: Mapping[str, np.ndarray]
) -> Float[np.ndarray, " r"]:
    """By how much rounding may change the values of the program's rows: those of composed maps.

    The errors of a node are those of what it reads, carried on, and its own.
    """
    network, region = question.network, question.region
    err: dict[str, np.ndarray] = {network.input: np.zeros(network.input_size)}
    unit = 4 * rounding(max(node.size for node in network.nodes) + network.input_size)
    for node in network.nodes:
        match node.op:
            case Affine():
                own = unit * magnitude(network, region, bounds, node.name)
                for part, name in zip(node.op.magnitudes, node.reads, strict=True):
                    own = own + part.apply(err[name][None])[0]
                err[node.name] = own
            case Relu():
                err[node.name] = err[node.reads[0]]
    rows, sides = np.abs(question.rows[goals]), np.abs(question.sides[goals])
    reached = np.maximum(np.abs(bounds.lower[network.output]), np.abs(bounds.upper[network.output]))
    parts = [rows @ (err[network.output] + unit * reached) + unit * sides]
    parts += [err[relu.reads[0]][phases[relu.name] != 0] for relu in network.relus]
    return np.concatenate(parts)
