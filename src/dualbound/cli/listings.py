"""Several answers at once, for people and for programs; see `dualbound.nearest_several`."""

from __future__ import annotations

import numpy as np
from rich.table import Table
from rich.text import Text

from dualbound.cli import exit_codes
from dualbound.cli.summaries import table
from dualbound.data.images import Image
from dualbound.network import Network
from dualbound.network.patterns import pattern_at
from dualbound.queries import Answer, Status
from dualbound.report.words import bound_words, counted, distance_words, is_changed

Answers = tuple[Answer, ...]


def status_of(answers: Answers, count: int) -> Status:
    """How a listing ended: OPTIMAL too where there are fewer than asked for, and that is proved."""
    last = answers[-1]
    if last.status is Status.INFEASIBLE and len(answers) > 1:
        return status_of(answers[:-1], len(answers) - 1)
    proved = all(answer.status is Status.OPTIMAL for answer in answers)
    if proved and len(answers) == count:
        return Status.OPTIMAL
    return Status.FEASIBLE if answers[0].witness is not None else last.status


def listing_code(answers: Answers, count: int) -> int:
    """The exit code of a listing."""
    return exit_codes.OF_STATUS[status_of(answers, count)]


def listing_headline(answers: Answers, count: int, distinct: str) -> Text:
    """How a listing ended, in one sentence."""
    goal, left = answers[0].criterion.goal, answers[-1].criterion.goal
    status, last = status_of(answers, count), answers[-1].status
    if status is Status.INFEASIBLE:
        said = "PROVED INFEASIBLE", f"no allowed input reaches {goal}.", "bold green"
    elif status is Status.OPTIMAL and last is Status.INFEASIBLE:
        further = " in a further pattern" if distinct == "pattern" else ""
        said = "PROVED, AND NO MORE", f"no allowed input reaches {left}{further}.", "bold green"
    elif status is Status.OPTIMAL:
        what = f"the nearest {counted(count, 'input')}" if count > 1 else "the nearest input"
        said = "PROVED IN ORDER", f"{what} of different {distinct}s to reach {goal}.", "bold green"
    else:
        proved = sum(answer.status is Status.OPTIMAL for answer in answers)
        what = f"{proved} of {counted(count, 'input')} to reach {goal}"
        said = "STOPPED, LIST OPEN", f"proved {what}.", "bold yellow"
    return Text.assemble((said[0], said[2]), ": ", said[1])


def listing_rows(
    answers: Answers, distinct: str, image: Image, model: str
) -> list[tuple[str, str]]:
    """What there is to know about a listing as a whole: a word and a line each."""
    first, found = answers[0], [a.witness for a in answers if a.witness is not None]
    nearest = f"nearest in {first.norm_title}"
    if first.levels is not None:
        nearest += f" on {counted(first.levels, 'level')}"
    asked = f"{image.name} on {model}: {first.criterion}, {nearest}, one of each {distinct}"
    rows = [("asked", asked)]
    if found:
        names = ", ".join(run.name for run in found[0].runtimes)
        rows.append(("replay", f"{names} agree on {counted(len(found), 'input')}"))
    seconds = sum(answer.stats.seconds for answer in answers)
    nodes = counted(sum(answer.stats.nodes for answer in answers), "node")
    rows.append(("time", f"{seconds:.2f} s"))
    rows.append(("effort", f"{nodes}; {first.stats.engine}, {first.stats.solver}"))
    rows += [(f"note {k}", answer.note) for k, answer in enumerate(answers, 1) if answer.note]
    return rows


def listing_table(answers: Answers, distinct: str, network: Network, image: Image) -> Table:
    """A row for each answer; of patterns also how many neurons switched since the first.

    Args:
        answers: in order.
        distinct: by what they differ.
        network: that was asked about.
        image: that the changes are counted from.
    """
    by_pattern = distinct == "pattern"
    drawn = table(
        "", "label", "distance", "bound", "changed", *(["switched"] if by_pattern else [])
    )
    first: np.ndarray | None = None
    for number, answer in enumerate(answers, 1):
        found = answer.witness
        if found is None:
            closed = answer.status is Status.INFEASIBLE
            cells = ("none", "proved", "", "") if closed else ("open", "", bound_words(answer), "")
            drawn.add_row(f"{number}", *cells, *([""] if by_pattern else []))
            continue
        changed = int(is_changed(answer, np.abs(found.x - image.pixels)).sum())
        row = [
            f"{answer.label_before} → {found.label}",
            distance_words(answer),
            bound_words(answer) + ("" if answer.status is Status.OPTIMAL else " open"),
            f"{changed}",
        ]
        if by_pattern:
            signs = np.concatenate([*pattern_at(network, found.x.reshape(-1)).values(), []])
            first = signs if first is None else first
            row.append(f"{int((signs != first).sum())}")
        drawn.add_row(f"{number}", *row)
    return drawn


def pattern_record(answer: Answer, distinct: str, network: Network) -> dict[str, str] | None:
    """For each rectifier node a 1 where a neuron is active and a 0 where it is not."""
    if distinct != "pattern" or answer.witness is None:
        return None
    pattern = pattern_at(network, answer.witness.x.reshape(-1))
    return {name: "".join("1" if on else "0" for on in active) for name, active in pattern.items()}
