"""What `activate` and `perfect` print: words for people, records for programs, files."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from dualbound.cli.records import finite, numbers
from dualbound.queries import Activation, Status
from dualbound.report.words import counted, rounded_down, rounded_up

EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="auto|columns|bab|milp",
        help="Our own branch and bound (columns: of plain chains; bab: of graphs that branch too), "
        "or one program for a solver.",
    ),
]
Gap = Annotated[
    float,
    typer.Option(
        "--gap",
        metavar="G",
        help="Between value and bound, that counts as proved: relative, absolute for values below "
        "1.",
    ),
]


def headline(answer: Activation, what: str) -> Text:
    """How the question ended, in one sentence about a quantity."""
    more, outer, inner = (
        ("larger", rounded_up, rounded_down)
        if answer.maximise
        else ("smaller", rounded_down, rounded_up)
    )
    bound = outer(answer.bound)
    match answer.status:
        case Status.OPTIMAL:
            said = ("PROVED OPTIMAL", "bold green")
            told = f"no allowed input makes {what} {more} than {bound}."
        case Status.FEASIBLE:
            said = ("STOPPED, GAP OPEN", "bold yellow")
            ends = sorted([(answer.value or 0.0, inner), (answer.bound, outer)], key=lambda e: e[0])
            low, high = (rounded(value) for value, rounded in ends)
            which = "largest" if answer.maximise else "smallest"
            told = f"the {which} that an input makes {what} is between {low} and {high}."
        case _:
            said = ("STOPPED, ANSWER OPEN", "bold yellow")
            told = f"no input was found; none makes {what} {more} than {bound}."
    return Text.assemble(said, ": ", told)


def rows(answer: Activation, asked: str) -> list[tuple[str, str]]:
    """What there is to know about an answer: a word and a line each."""
    outer = rounded_up if answer.maximise else rounded_down
    found = [("asked", asked)]
    if answer.value is not None:
        found.append(("value", f"{answer.value:.6f}"))
    open_gap = "" if answer.gap is None else f"; gap {answer.gap:.4%}".replace("%", " %")
    found.append(("bound", f"{outer(answer.bound)}{open_gap}"))
    if answer.outputs is not None and answer.label is not None:
        found.append(("label", f"{answer.label}, with the output {answer.outputs.max():.6f}"))
        onnx = "the same outputs up to rounding"
        if answer.runtime_value is not None:
            onnx = f"{answer.runtime_value:.6f}"
        found.append(("replay", f"dualbound float64 {answer.value:.6f}, onnxruntime {onnx}"))
    stats = answer.stats
    phases = ", ".join(
        f"{name} {seconds:.2f}" for name, seconds in stats.phases.items() if seconds >= 0.005
    )
    found.append(("time", f"{stats.seconds:.2f} s" + (f" ({phases})" if phases else "")))
    unstable = "" if stats.unstable is None else f", {counted(stats.unstable, 'unstable neuron')}"
    engine = ", ".join(part for part in (stats.engine, stats.solver) if part)
    found.append(("effort", f"{counted(stats.nodes, 'node')}{unstable}; {engine}"))
    if answer.note:
        found.append(("note", answer.note))
    return found


def record(answer: Activation) -> dict[str, object]:
    """The part of a record that an answer gives; null where there is no such figure."""
    return {
        "status": answer.status.value,
        "value": answer.value,
        "bound": finite(answer.bound),
        "gap": answer.gap,
        "label": answer.label,
        "outputs": None if answer.outputs is None else numbers(answer.outputs),
        "runtime_value": answer.runtime_value,
        "replayed": answer.x is not None,
        "seconds": answer.stats.seconds,
        "engine": answer.stats.engine,
        "solver": answer.stats.solver or None,
        "nodes": answer.stats.nodes,
        "unstable": answer.stats.unstable,
        "note": answer.note or None,
    }
