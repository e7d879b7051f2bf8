"""A node in which every phase is decided: one linear program tells all about it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from dualbound.bounds import Bounds
from dualbound.bounds.layer_bounds import magnitude, rounding
from dualbound.errors import SolverError
from dualbound.milp import ProgramBuilder, lagrangian_bound
from dualbound.network.graph import Affine, Relu, maps_on_pattern
from dualbound.region import Box, L2Ball
from dualbound.search.bab.question import Question
from dualbound.solvers import Highs


def at_leaf(
    question: Question, polyhedron: int, bounds: Bounds, phases: Mapping[str, np.ndarray]
) -> tuple[float, Float[np.ndarray, " n"] | None]:
    r"""Whether a polyhedron is reached on an activation pattern.

    .. math:: \max t \quad \text{s.t.} \quad A o - b \ge t, \quad s_j v_j \ge t

    over the region, with every rectifier replaced by what it is on the pattern: the linear program
    has a point whatever the pattern, and a bound below 0 closes the node, be it for the outputs or
    because the pattern is empty.

    Args:
        question: what is asked; of an L2 ball, the box around it is looked at, which proves less.
        polyhedron: its number.
        bounds: of every node over the region.
        phases: for every rectifier the decided phases ``s_j`` (1, -1; 0 where it is stable).

    Returns:
        A proved lower bound of ``-t``, and the program's best input.

    **Trusts** nothing of the solver: the bound is recomputed from its multipliers.
    """
    network, region = question.network, question.region
    if isinstance(region, L2Ball):
        region = Box(region.lower, region.upper)
    form = region.linear_form()
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
    matrix, constant = np.vstack(matrices), np.concatenate(constants)
    constant = constant + matrix @ form.offset
    matrix = matrix @ form.transform
    most = np.abs(matrix) @ np.maximum(np.abs(form.lower), np.abs(form.upper)) + np.abs(constant)
    builder = ProgramBuilder()
    columns = builder.columns(list(form.names), lower=form.lower, upper=form.upper)
    limit = float(most.max()) + 1.0
    [t] = builder.columns(["t"], lower=-limit, upper=limit, cost=-1.0)
    for i in range(form.rows.shape[0]):
        part = slice(form.rows.indptr[i], form.rows.indptr[i + 1])
        indices = columns[form.rows.indices[part]]
        builder.rows(
            [f"region{i}"], [indices], [form.rows.data[part]], upper=form.row_upper[i : i + 1]
        )
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
    errs = np.concatenate([np.zeros(form.rows.shape[0]), _errs(question, goals, bounds, phases)])
    err = float(np.abs(outcome.row_duals) @ errs)
    bound = lagrangian_bound(program, outcome.row_duals) - err
    return (bound if np.isfinite(bound) else -np.inf), x


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
