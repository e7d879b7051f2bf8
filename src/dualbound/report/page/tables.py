"""Tables of the page, as text in cells: grouped figures, and a row for each answer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pandas as pd

from dualbound.report.page import numbers
from dualbound.report.page.answers import (
    FORWARD,
    VERIFY,
    Answers,
    bound_of,
    groups,
    options_of,
    state,
    value_of,
)
from dualbound.studies.tables import verified

KINDS = {"open": "o", "no witness": "o", "differs": "o", "failed": "f"}
"""Classes of rows that stand out, by the state of their question."""


@dataclass(frozen=True)
class Line:
    """A row of a table.

    Attributes:
        cells: as text.
        kind: its class; empty where it does not stand out.
    """

    cells: tuple[str, ...]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        key: its id.
        caption: what it shows.
        columns: their names.
        numeric: which of them (from 1) are numbers.
        lines: in order.
        command: that prints it, or its data.
        filtered: whether it has a text filter.
        state: the column (from 1) that is coloured in rows that stand out; 0 for none.
    """

    key: str
    caption: str
    columns: tuple[str, ...]
    numeric: tuple[int, ...]
    lines: tuple[Line, ...] = field(repr=False)
    command: str = ""
    filtered: bool = False
    state: int = 0


_DECIDED = ("certified", "refuted")


def headline(answers: Answers) -> Table:
    """The figures that are read first: one row for each series and network."""
    lines = []
    states = verified(answers.frame)
    for (series, network), rows in groups(answers.frame):
        is_open = rows[~rows["settled"] & ~rows["failed"]]
        decided = [] if states is None else [states[name][rows.index].sum() for name in _DECIDED]
        has_any = (rows["query"] == VERIFY).any()
        lines.append(
            Line(
                (
                    series,
                    network,
                    numbers.integer(len(rows)),
                    numbers.share(int(rows["settled"].sum()), len(rows)),
                    *(numbers.integer(n) if has_any else numbers.NOTHING for n in decided),
                    numbers.number(_mean(rows["value"])),
                    numbers.number(_median(rows["value"])),
                    numbers.integer(len(is_open)),
                    numbers.gap(_mean(is_open["gap"])),
                    numbers.fixed(_median(rows["seconds"]), 2),
                    numbers.integer(_mean(rows["nodes"])),
                )
            )
        )
    return Table(
        "headline",
        "Each series and network. Means and medians of values are over the questions that have a "
        "witness, proved or open; the gap is that of the open ones"
        + ("; an image that is misread counts as refuted" if states is not None else "")
        + (
            "; of forward questions, proved means that the program's outputs are the network's."
            if (answers.frame["query"] == FORWARD).any()
            else "."
        ),
        (
            "series", "network", "questions", "proved",
            *(() if states is None else _DECIDED),
            "mean value", "median value", "open", "mean gap of open", "median seconds",
            "mean nodes",
        ),
        tuple(range(3, 11 if states is None else 13)),
        tuple(lines),
        f"dualbound study table {answers.folder}",
    )  # fmt: skip


def distributions(answers: Answers) -> Table:
    """Mean, deviation, least, quartiles and largest of value and seconds."""
    lines = []
    for (series, network), rows in groups(answers.frame):
        for column, decimals in (("value", None), ("seconds", 2), ("nodes", 0)):
            kept = rows[column].dropna().astype("float64")
            if kept.empty:
                continue
            figures = [
                float(one)
                for one in (
                    kept.mean(), kept.std(), kept.min(), kept.quantile(0.25), kept.median(),
                    kept.quantile(0.75), kept.max(),
                )
            ]  # fmt: skip
            written = [
                numbers.number(v) if decimals is None else numbers.fixed(v, decimals)
                for v in figures
            ]
            lines.append(Line((series, network, column, numbers.integer(len(kept)), *written)))
    return Table(
        "distributions",
        "How values, seconds and nodes are distributed. Failed questions have none of them.",
        (
            "series", "network", "of", "count", "mean", "deviation", "least", "25 %", "median",
            "75 %", "largest",
        ),
        tuple(range(4, 12)),
        tuple(lines),
        f"dualbound study table {answers.folder} --by name,network --of value,seconds,nodes",
        filtered=len(lines) > 12,
    )  # fmt: skip


_WANTED = {
    "network": ("network", False),
    "subject": ("asked about", False),
    "asked_norm": ("norm", False),
    "label": ("true label", True),
    "label_before": ("before", True),
    "label_after": ("after", True),
}
"""Columns of the table of answers that are shown if any row has something in them."""


def every_answer(answers: Answers) -> Table:
    """A row for each answer."""
    frame = answers.frame
    shown = [
        name for name in _WANTED if (frame[name].notna() & (frame[name].astype(str) != "")).any()
    ]
    columns = [
        "no.", "series", *(_WANTED[name][0] for name in shown), "state", "value", "bound", "gap",
        "seconds", "nodes",
    ]  # fmt: skip
    words = {name: [_cell(value) for value in frame[name]] for name in shown}
    lines = []
    for k, row in enumerate(frame.itertuples()):
        options, found = options_of(str(row.options)), state(str(row.query), str(row.status))
        value, bound = numbers.plain(row.value), numbers.plain(row.bound)
        if row.status == "infeasible" and bound is None:
            bound = math.inf
        cells = (
            str(row.Index),
            str(row.name),
            *(words[name][k] for name in shown),
            found,
            value_of(options, value),
            bound_of(str(row.query), options, bound),
            numbers.gap(numbers.plain(row.gap)),
            numbers.fixed(numbers.plain(row.seconds), 2),
            numbers.integer(numbers.plain(row.nodes)),
        )
        lines.append(Line(cells, KINDS.get(found, "")))
    numeric = {"no.", "value", "bound", "gap", "seconds", "nodes"} | {
        title for title, is_number in _WANTED.values() if is_number
    }
    return Table(
        "answers",
        "Every answer. A bound is rounded to the side on which it is proved; where it is proved "
        "that there is no such input, it is infinite.",
        tuple(columns),
        tuple(k for k, name in enumerate(columns, 1) if name in numeric),
        tuple(lines),
        f"dualbound study table {answers.folder} --rows --out answers.csv",
        filtered=True,
        state=columns.index("state") + 1,
    )


def failures(answers: Answers) -> Table | None:
    """Why questions failed, the most frequent reason first; None if none did."""
    failed = answers.frame[answers.frame["failed"]]
    if failed.empty:
        return None
    lines = []
    reasons = failed["note"].fillna("no reason was kept")
    for (reason,), rows in sorted(
        groups(failed.assign(note=reasons), "note"), key=lambda item: -len(item[1])
    ):
        who = [f"no. {k}: {_words(row)}" for k, row in rows.head(3).iterrows()]
        more = f" and {len(rows) - 3:,} more" if len(rows) > 3 else ""
        lines.append(Line((reason, numbers.integer(len(rows)), "; ".join(who) + more)))
    return Table(
        "failures",
        "Questions that were given up, by reason.",
        ("reason", "questions", "which"),
        (2,),
        tuple(lines),
        f"dualbound study table {answers.folder} --rows --where status=failed",
    )


def _words(row: pd.Series) -> str:
    return " · ".join(str(row[part]) for part in ("name", "network", "subject") if row[part])


def _cell(value: object) -> str:
    return str(value) if numbers.known(value) else ""


def _mean(column: pd.Series) -> float | None:
    kept = column.dropna()
    return None if kept.empty else float(kept.astype("float64").mean())


def _median(column: pd.Series) -> float | None:
    kept = column.dropna()
    return None if kept.empty else float(kept.astype("float64").median())
