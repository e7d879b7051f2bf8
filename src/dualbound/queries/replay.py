"""The replay: a witness is checked outside the solver, in the user's units, and fails closed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dualbound.patterns import NearestProblem
from dualbound.queries.answer import Runtime, Witness


class Refused(Exception):
    """A point that the replay does not accept; says why."""


def replayed(problem: NearestProblem, x: Float[np.ndarray, " n"]) -> Witness:
    """Evaluate a point in float64 and by onnxruntime on the file as given, and check everything.

    Args:
        problem: what was asked.
        x: ``(n,)``.

    Returns:
        The witness.

    Raises:
        Refused: the point leaves the box (caps and masks included, no tolerance) or the grid, does
            not reach the criterion in float64 (no tolerance), is labelled otherwise by
            onnxruntime, or has a pattern that does not count.
    """
    outside = float(problem.box.violation(x[None])[0])
    if not outside == 0.0:
        raise Refused(f"the point leaves the allowed box by {outside:.3g}")
    if problem.grid is not None and not problem.grid.contains(x).all():
        raise Refused(f"the point is not on the grid of {problem.grid.levels} levels")
    if not problem.counts(x):
        raise Refused("the point's activation pattern is one of those listed before")
    criterion, runtimes = problem.criterion, []
    evaluations = problem.evaluations(x)
    for found in evaluations:
        slack, label = float(criterion.slack(found.outputs)), int(np.argmax(found.outputs))
        if not criterion.reached(found.outputs, rounding=found.rounding):
            raise Refused(
                f"{found.name} answers label {label} with a criterion slack of {slack:.3g}; at "
                "least 0 and a strict answer are needed"
            )
        runtimes.append(Runtime(found.name, label, slack))
    exact = evaluations[0].outputs
    label = int(np.argmax(exact))
    return Witness(
        x=x.reshape(problem.network.input_shape),
        outputs=exact,
        label=label,
        margin=float(exact[label] - np.delete(exact, label).max()),
        distance=float(problem.distance(x)),
        runtimes=tuple(runtimes),
    )
