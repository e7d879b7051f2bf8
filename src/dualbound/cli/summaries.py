"""An answer in words, for people."""

from __future__ import annotations

import math

import numpy as np
from rich.table import Table
from rich.text import Text

from dualbound.data.images import Image
from dualbound.queries import Answer, Status
from dualbound.report import CHANGED

NORMS = {"l1": "L1", "linf": "L∞"}
_STYLES = {
    Status.OPTIMAL: "bold green",
    Status.INFEASIBLE: "bold green",
    Status.FEASIBLE: "bold yellow",
    Status.UNKNOWN: "bold yellow",
}


def rounded_down(value: float) -> str:
    """Six decimals, never more than the value: what is printed of a bound is proved too.

    >>> rounded_down(1.9999999)
    '1.999999'
    """
    return f"{math.floor(value * 1e6) / 1e6:.6f}"


def rounded_up(value: float) -> str:
    """Six decimals, never less than the value.

    >>> rounded_up(1.0000001)
    '1.000001'
    """
    return f"{math.ceil(value * 1e6) / 1e6:.6f}"


def counted(count: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "node"), counted(1200, "node")
    ('1 node', '1,200 nodes')
    """
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def headline(answer: Answer) -> Text:
    """How the question ended, in one sentence."""
    norm, bound = NORMS.get(answer.norm, answer.norm), answer.bound
    goal = answer.criterion.goal
    match answer.status:
        case Status.OPTIMAL:
            said = "PROVED OPTIMAL", f"nothing closer than {rounded_down(bound)} reaches {goal}."
        case Status.INFEASIBLE:
            said = "PROVED INFEASIBLE", f"no allowed input reaches {goal}."
        case Status.FEASIBLE:
            said = (
                "STOPPED, GAP OPEN",
                f"the nearest input that reaches {goal} is between {rounded_down(bound)} and "
                f"{rounded_up(answer.value or 0.0)} away ({norm}).",
            )
        case Status.UNKNOWN:
            said = (
                "STOPPED, ANSWER OPEN",
                f"no input that reaches {goal} was found; nothing closer than "
                f"{rounded_down(bound)} does ({norm}).",
            )
    return Text.assemble((said[0], _STYLES[answer.status]), ": ", said[1])


def answer_rows(answer: Answer, image: Image, model: str) -> list[tuple[str, str]]:
    """What there is to know about an answer: a word and a line each."""
    norm, stats, found = NORMS.get(answer.norm, answer.norm), answer.stats, answer.witness
    rows = [("asked", f"{image.name} on {model}: {answer.criterion}, nearest in {norm}")]
    if found is None:
        rows.append(("label", f"{answer.label_before} before"))
    else:
        moved = np.abs(found.x - image.pixels)
        rows.append(("label", f"{answer.label_before} → {found.label}"))
        rows.append(
            (
                "distance",
                f"{found.distance:.6f} ({norm}); {(moved > CHANGED).sum()} of {moved.size} inputs "
                f"changed, the largest by {moved.max():.4f}",
            )
        )
    if math.isfinite(answer.bound):
        open_gap = "" if answer.gap is None else f"; gap {answer.gap:.4%}".replace("%", " %")
        rows.append(("bound", f"{rounded_down(answer.bound)}{open_gap}"))
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
