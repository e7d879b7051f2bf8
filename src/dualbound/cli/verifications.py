"""Answers of ``dualbound verify``, in words and as JSON objects."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float
from rich.text import Text

from dualbound.cli.properties import Asked
from dualbound.cli.records import finite
from dualbound.queries import Counterexample, Outcome, Verification
from dualbound.region import norm_named
from dualbound.report.words import CHANGED, counted, rounded_down, rounded_up

FEW = 10
"""At most so many numbers are shown in a row."""

BY_SIGN = 1e-300
"""A smaller distance from 0 says that a bound was proved, and not by how much."""

_STYLES = {
    Outcome.HOLDS: "bold green",
    Outcome.VIOLATED: "bold red",
    Outcome.UNKNOWN: "bold yellow",
}


def headline(found: Verification, asked: Asked) -> Text:
    """How the question ended, in one sentence."""
    said = {Outcome.HOLDS: _holds, Outcome.VIOLATED: _violated, Outcome.UNKNOWN: _unknown}
    words = said[found.outcome](found, asked)
    return Text.assemble((found.outcome.name, _STYLES[found.outcome]), ": ", words)


def _holds(_: Verification, asked: Asked) -> str:
    if asked.image is None:
        return f"no input does {asked.where}."
    if asked.label is not None:
        return f"every input {asked.where} is answered {asked.label}."
    return f"no input {asked.where} reaches {asked.criterion}."


def _violated(found: Verification, asked: Asked) -> str:
    if asked.image is None:
        return f"an input does {asked.where}."
    if asked.label is None or found.witness is None:
        return f"an input {asked.where} reaches {asked.criterion}."
    if found.witness.label == asked.label:
        return f"of an input {asked.where} another label is level with {asked.label}."
    return f"an input {asked.where} is answered {found.witness.label}."


def _unknown(_: Verification, asked: Asked) -> str:
    which = f"does {asked.where}"
    if asked.image is not None:
        which = f"reaches {asked.criterion} {asked.where}"
    return f"found neither an input that {which}, nor a proof that there is none."


def rows(found: Verification, asked: Asked, model: str) -> list[tuple[str, str]]:
    """What there is to know about an answer: a word and a line each."""
    point = found.witness
    listed = [("asked", _asked(asked, model))]
    if asked.image is not None:
        after = "" if point is None else f" → {point.label}"
        listed.append(("label", f"{asked.present}{after}"))
    if point is not None:
        listed += _point(point, asked)
    elif found.bound < math.inf:
        listed.append(("bound", _bound(found.bound)))
    phases = ", ".join(
        f"{name} {seconds:.2f}" for name, seconds in found.phases.items() if seconds >= 0.005
    )
    listed.append(("time", f"{found.seconds:.2f} s" + (f" ({phases})" if phases else "")))
    unstable = "" if found.unstable is None else f", {counted(found.unstable, 'unstable neuron')}"
    listed.append(("effort", f"{counted(found.nodes, 'node')}{unstable}; {found.engine}"))
    if found.note:
        listed.append(("note", found.note))
    return listed


def _asked(asked: Asked, model: str) -> str:
    if asked.image is None or asked.range is None:
        return f"{asked.file} on {model}: {asked.criterion}"
    low, high = asked.range
    return (
        f"{asked.image.name} on {model}: {asked.criterion}, within {asked.eps:.12g} "
        f"({asked.norm_title}), inputs between {low:g} and {high:g}"
    )


def _point(point: Counterexample, asked: Asked) -> list[tuple[str, str]]:
    """What a counterexample is."""
    listed = []
    if asked.image is not None:
        moved = np.abs(point.x - asked.image.pixels)
        listed.append(
            (
                "distance",
                f"{_distance(point, asked):.6f} ({asked.norm_title}); "
                f"{int((moved > CHANGED).sum())} of {moved.size} inputs changed, the largest by "
                f"{moved.max():.4f}",
            )
        )
    elif point.x.size <= FEW:
        listed.append(("input", _few(point.x)))
    if point.outputs.size <= FEW:
        listed.append(("outputs", _few(point.outputs)))
    runs = ", ".join(f"{run.name} answers {run.label}" for run in point.runtimes)
    if asked.image is None:
        runs = " and ".join(run.name for run in point.runtimes) + " agree"
    inside = min(run.slack for run in point.runtimes)
    listed.append(("replay", f"{runs}; inside by {inside:.6f}"))
    return listed


def _few(values: Float[np.ndarray, "..."]) -> str:
    return ", ".join(f"{value:.6g}" for value in values.reshape(-1))


def _bound(bound: float) -> str:
    """What is proved of every input.

    >>> _bound(-0.5), _bound(2.25)
    ('all outputs stay 0.500000 away', 'outputs are inside by at most 2.250000')
    >>> _bound(-1e-308), _bound(-math.inf)
    ('all outputs stay away, by how much was not asked', 'there is no input to ask about')
    """
    if bound == -math.inf:
        return "there is no input to ask about"
    if bound >= 0:
        return f"outputs are inside by at most {rounded_up(bound)}"
    if -bound < BY_SIGN:
        return "all outputs stay away, by how much was not asked"
    return f"all outputs stay {rounded_down(-bound)} away"


def _distance(point: Counterexample, asked: Asked) -> float:
    if asked.image is None or asked.norm is None:
        return math.nan
    start = asked.image.pixels.reshape(-1)
    return float(norm_named(asked.norm).distance(point.x.reshape(-1), start))


def record(
    found: Verification, asked: Asked, *, witness: str | list[float] | None
) -> dict[str, object]:
    """The part of a verify record that the answer gives; null where there is no such figure.

    Args:
        found: the answer.
        asked: the question.
        witness: where it is, or what.
    """
    point = found.witness
    reached = None if point is None or asked.image is None else point.label
    return {
        "status": found.outcome.value,
        "norm": asked.norm,
        "value": None,
        "bound": finite(found.bound),
        "gap": None,
        "label_before": asked.present,
        "label_after": None if point is None else point.label,
        "target": reached if asked.target is None else asked.target,
        "criterion": asked.criterion,
        "replayed": point is not None,
        "seconds": found.seconds,
        "engine": found.engine,
        "solver": None,
        "nodes": found.nodes,
        "unstable": found.unstable,
        "witness": witness,
        "image": None if asked.image is None else asked.image.name,
        "property": asked.file,
        "eps": asked.eps,
        "label": asked.label,
        "range": None if asked.range is None else list(asked.range),
        "note": found.note or None,
    }


def picture_words(point: Counterexample, asked: Asked, model: str) -> tuple[str, str]:
    """Title of the picture of a counterexample, and the line below."""
    if asked.image is None:
        title = f"A counterexample to {Path(str(asked.file)).name} for {model}"
        return title, "replayed in float64 and by onnxruntime, with no tolerance"
    title = f"From {asked.present} to {point.label}: a counterexample for {model}"
    distance = f"{asked.norm_title} distance {_distance(point, asked):.4f}"
    return title, f"{distance}   ·   reaches {asked.criterion}, asked for within {asked.eps:.12g}"


def picture_start(
    point: Counterexample, asked: Asked
) -> tuple[Float[np.ndarray, "..."], tuple[str, str]]:
    """What a counterexample is drawn beside: the image, or the middle of its box; and its name."""
    if asked.image is not None:
        return asked.image.pixels, ("original", f"answered {asked.present}")
    middle = asked.middle(point.x)
    return middle, ("middle of the box", f"answered {int(np.argmax(asked.network(middle)))}")
