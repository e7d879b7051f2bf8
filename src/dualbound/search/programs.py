"""The two programs of a nearest query: margin inside a ball, and distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dualbound.bounds import Bounds
from dualbound.milp import Encoding, Expression, Formulation, Program, encode_moderately
from dualbound.milp.scaling import unit_of
from dualbound.patterns import NearestProblem
from dualbound.region import LinearForm, Region


@dataclass(frozen=True, eq=False)
class NearestProgram:
    """A program with the encoding that reads its solutions.

    Attributes:
        program: to be solved.
        encoding: of the network inside it.
    """

    program: Program
    encoding: Encoding


def margin_program(
    problem: NearestProblem,
    region: Region,
    bounds: Bounds,
    formulation: Formulation,
    *,
    least: float,
    most: float,
) -> NearestProgram:
    r"""Maximise how far inside the criterion a point of a region can be.

    .. math:: \max t \quad A\,o(x) - b \ge t,\; x \in \text{region},\; t \in [t^-, t^+]

    If no point of the region reaches the criterion, the optimum is negative. Unlike the distance
    program its relaxation has a bound that means something.

    Args:
        problem: what is asked.
        region: a ball around the centre, cut with the problem's box.
        bounds: over that region.
        formulation: of the rectifiers.
        least: lower bound of ``t``, in the unit of the rows: slightly below 0, so that a point
            which reaches the criterion is never lost to the solver's tolerance.
        most: upper bound of ``t``, in that of the outputs.
    """
    form = _on_grid(problem, region.linear_form())
    encoding = encode_moderately(problem.network, form, bounds, formulation=formulation)
    builder = encoding.builder
    inside, unit = _inside(problem, encoding)
    t = builder.columns(["margin"], lower=least, upper=max(most / unit, least), cost=-1.0)
    inside.rows_at_least(builder, _names(inside), np.zeros(len(inside.constant)), minus=t)
    return NearestProgram(builder.build(), encoding)


def distance_program(
    problem: NearestProblem, bounds: Bounds, formulation: Formulation, *, relaxed: float = 0.0
) -> NearestProgram:
    """Minimise the distance over all points of the box that reach the criterion.

    The papers' form (Schoenfeld section 4.1, Koot section 3.4).

    Args:
        problem: what is asked.
        bounds: over the problem's whole box; or over a part of it, of which alone the answer then
            says something.
        formulation: of the rectifiers.
        relaxed: by how much the criterion may be missed, in the unit of its rows.
    """
    form = _on_grid(problem, problem.norm.distance_form(problem.center, problem.box))
    encoding = encode_moderately(problem.network, form, bounds, formulation=formulation)
    inside, _ = _inside(problem, encoding)
    least = np.full(len(inside.constant), -relaxed)
    inside.rows_at_least(encoding.builder, _names(inside), least)
    return NearestProgram(encoding.builder.build(), encoding)


def _on_grid(problem: NearestProblem, form: LinearForm) -> LinearForm:
    return form if problem.grid is None else problem.grid.form(form)


def _inside(problem: NearestProblem, encoding: Encoding) -> tuple[Expression, float]:
    """How far inside the criterion the outputs are, row by row, and the unit of that.

    Logits of 1e-4 are far below what a solver's tolerance leaves alone, and those of 1e9 above it.
    """
    a, b = problem.criterion.rows(problem.network.output_size)
    outputs = encoding.values[problem.network.output].mapped(a, -b)
    unit = unit_of(float(np.abs(outputs.coefficients.data).max(initial=0.0)))
    return Expression(outputs.coefficients / unit, outputs.constant / unit), unit


def _names(inside: Expression) -> list[str]:
    return [f"criterion{i}" for i in range(len(inside.constant))]
