"""An answer in words, for people."""

from __future__ import annotations

import math

import numpy as np
from rich.table import Table
from rich.text import Text

from dualbound.data.images import Image
from dualbound.queries import Answer, Status
from dualbound.report.words import (
    bound_words,
    counted,
    distance_words,
    is_changed,
    nothing_nearer,
    rounded_down,
    rounded_up,
    whole,
)

_STYLES = {
    Status.OPTIMAL: "bold green",
    Status.INFEASIBLE: "bold green",
    Status.FEASIBLE: "bold yellow",
    Status.UNKNOWN: "bold yellow",
}


def headline(answer: Answer, *, restricted: bool = False) -> Text:
    """How the question ended, in one sentence; see `nothing_nearer`."""
    goal = answer.criterion.goal
    match answer.status:
        case Status.OPTIMAL:
            nothing = nothing_nearer(answer, restricted=restricted)
            said = "PROVED OPTIMAL", f"{nothing} reaches {goal}."
        case Status.INFEASIBLE:
            said = "PROVED INFEASIBLE", f"no allowed input reaches {goal}."
        case Status.FEASIBLE:
            said = "STOPPED, GAP OPEN", _between(answer)
        case Status.UNKNOWN:
            nothing = nothing_nearer(answer, restricted=restricted)
            said = (
                "STOPPED, ANSWER OPEN",
                f"no input that reaches {goal} was found; {nothing} does ({answer.norm_title}).",
            )
    return Text.assemble((said[0], _STYLES[answer.status]), ": ", said[1])


def _between(answer: Answer) -> str:
    goal = answer.criterion.goal
    if answer.is_count:
        return (
            f"to reach {goal} at least {counted(whole(answer.bound), 'input')} must change, and "
            f"{distance_words(answer)} are enough."
        )
    return (
        f"the nearest input that reaches {goal} is between {rounded_down(answer.bound)} and "
        f"{rounded_up(answer.value or 0.0)} away ({answer.norm_title})."
    )


def answer_rows(
    answer: Answer, image: Image, model: str, allowed: str = ""
) -> list[tuple[str, str]]:
    """What there is to know about an answer: a word and a line each.

    Args:
        answer: that was given.
        image: asked about.
        model: its name.
        allowed: which inputs were, if not all of the range.
    """
    stats, found = answer.stats, answer.witness
    nearest = f"nearest in {answer.norm_title}"
    if answer.levels is not None:
        nearest += f" on {counted(answer.levels, 'level')}"
    rows = [("asked", f"{image.name} on {model}: {answer.criterion}, {nearest}")]
    if allowed:
        rows.append(("allowed", allowed))
    if found is None:
        rows.append(("label", f"{answer.label_before} before"))
    else:
        rows.append(("label", f"{answer.label_before} → {found.label}"))
        rows.append(("distance", _distance(answer, np.abs(found.x - image.pixels))))
    if math.isfinite(answer.bound):
        open_gap = "" if answer.gap is None else f"; gap {answer.gap:.4%}".replace("%", " %")
        rows.append(("bound", f"{bound_words(answer)}{open_gap}"))
    if answer.then is not None:
        rows.append(("then", _then_line(answer.then)))
    if found is not None:
        replays = ", ".join(f"{run.name} answers {run.label}" for run in found.runtimes)
        rows.append(("replay", f"{replays}; margin {found.margin:.6f}"))
    phases = ", ".join(
        f"{name} {seconds:.2f}" for name, seconds in stats.phases.items() if seconds >= 0.005
    )
    rows.append(("time", f"{stats.seconds:.2f} s" + (f" ({phases})" if phases else "")))
    unstable = "" if stats.unstable is None else f", {counted(stats.unstable, 'unstable neuron')}"
    effort = f"{counted(stats.nodes, 'node')}{unstable}; {stats.engine}, {stats.solver}"
    rows.append(("effort", effort))
    if answer.note:
        rows.append(("note", answer.note))
    return rows


def _distance(answer: Answer, moved: np.ndarray) -> str:
    changed = int(is_changed(answer, moved).sum())
    inputs = f"{changed} of {moved.size} inputs changed, the largest by {moved.max():.4f}"
    if answer.is_count:
        return f"{inputs} (L0)"
    return f"{distance_words(answer)} ({answer.norm_title}); {inputs}"


def _then_line(then: Answer) -> str:
    """How the second question ended, in one line."""
    norm, bound = then.norm_title, bound_words(then)
    if then.status is Status.OPTIMAL:
        said = f"{distance_words(then)} ({norm}); proved: of the inputs as near, none below {bound}"
    else:
        value = "no witness" if then.value is None else distance_words(then)
        said = f"{value} ({norm}); open: of the inputs as near, proved so far is {bound}"
    return f"{said}; {then.note}" if then.note else said


def listing(rows: list[tuple[str, str]]) -> Text:
    """Words and lines in two columns; wide lines are left to the terminal."""
    width = max(len(word) for word, _ in rows)
    return Text("\n").join(
        Text.assemble(("  " + word.ljust(width), "dim"), "  ", line) for word, line in rows
    )


def table(*columns: str, title: str | None = None) -> Table:
    """A plain table: the first column of words, the others of numbers."""
    drawn = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for at, name in enumerate(columns):
        drawn.add_column(name, justify="left" if at == 0 else "right", header_style="dim")
    return drawn


def outputs_table(
    before: np.ndarray, after: np.ndarray, label_before: int, label_after: int
) -> Table:
    """The network's outputs for the image and for the witness; the answers stand out."""
    drawn = table("label", "before", "after")
    for label, pair in enumerate(zip(before, after, strict=True)):
        cells = [
            Text(f"{value:.4f}", "bold green" if label == answered else "")
            for value, answered in zip(pair, (label_before, label_after), strict=True)
        ]
        named = (("before", label_before), ("after", label_after))
        marks = [text for text, answered in named if answered == label]
        drawn.add_row(f"{label}" + (f"  ← {' and '.join(marks)}" if marks else ""), *cells)
    return drawn
