"""Nearest questions class by class, and which label goes to which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from dualbound.region import NORMS
from dualbound.report.page import numbers
from dualbound.report.page.answers import NEAREST, Answers, called, groups
from dualbound.report.page.excerpt import Excerpt
from dualbound.report.page.tables import Line, Table

LABELS = 24
"""A matrix of more labels than this is no picture any more."""

MATRICES = 16
"""At most so many."""


@dataclass(frozen=True)
class Cell:
    """From one label to another.

    Attributes:
        count: how many witnesses.
        mean: of their distances, in words.
        heat: the count as a part of the largest one, from 0 to 1.
        words: all of it, for whoever does not see the colour.
    """

    count: int
    mean: str
    heat: float
    words: str


@dataclass(frozen=True)
class Matrix:
    """Which label goes to which, for one series and network.

    Attributes:
        heading: of both, and the norm.
        reached: labels of the columns.
        rows: original label, its cells (None on the diagonal), and their sum.
    """

    heading: str
    reached: tuple[int, ...]
    rows: tuple[tuple[int, tuple[Cell | None, ...], int], ...]


def by_class(answers: Answers) -> Table | None:
    """A row for each series, network and original label; None where there is nothing."""
    frame = answers.of(NEAREST)
    frame = frame[frame["label_before"].notna()]
    if frame.empty:
        return None
    lines = []
    for (series, network), rows in groups(frame):
        for label, of in rows.groupby("label_before", sort=True):
            value = of["value"].dropna().astype(float)
            figures = [value.mean(), value.median(), value.min()] if len(value) else [None] * 3
            misread = (of["label"].notna() & (of["label"] != of["label_before"])).fillna(False)
            lines.append(
                Line(
                    (
                        series,
                        network,
                        str(label),
                        numbers.integer(len(of)),
                        numbers.integer(int(misread.sum())),
                        numbers.share(int(of["settled"].sum()), len(of)),
                        *(numbers.number(v) for v in figures),
                        _reached(of),
                    )
                )
            )
    return Table(
        "by-class",
        "By original label, which is what the network answers for the unchanged image. Misread are "
        "those of which the true label is known and another one.",
        (
            "series", "network", "label", "questions", "misread", "proved", "mean value",
            "median value", "least value", "most often reached",
        ),
        (3, 4, 5, 6, 7, 8, 9),
        tuple(lines),
        f"dualbound study table {answers.folder} --by name,network,label_before --of value",
        filtered=len(lines) > 12,
    )  # fmt: skip


def matrices(answers: Answers) -> Excerpt[Matrix]:
    """For each series and network a table from original to reached label."""
    frame = answers.of(NEAREST)
    frame = frame[frame["label_before"].notna() & frame["label_after"].notna()]
    found: list[Callable[[], Matrix]] = []
    for (series, network), rows in groups(frame):
        labels = sorted(
            {int(v) for v in rows["label_before"]} | {int(v) for v in rows["label_after"]}
        )
        if len(labels) <= LABELS:
            title = NORMS[str(rows["asked_norm"].iloc[0])].title
            found.append(partial(_matrix, f"{called(series, network)} · {title}", labels, rows))
    return Excerpt.of(found, MATRICES)


def _matrix(heading: str, labels: list[int], rows: pd.DataFrame) -> Matrix:
    before, after = (rows[name].to_numpy(dtype=int) for name in ("label_before", "label_after"))
    value = rows["value"].to_numpy(dtype=float)
    at = {label: k for k, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    sums = np.zeros((len(labels), len(labels)))
    for one, other, distance in zip(before, after, value, strict=True):
        counts[at[one], at[other]] += 1
        sums[at[one], at[other]] += distance
    most = max(1, int(counts.max()))
    drawn = []
    for one in labels:
        cells = tuple(
            None
            if one == other and not counts[at[one], at[other]]
            else _cell(one, other, int(counts[at[one], at[other]]), sums[at[one], at[other]], most)
            for other in labels
        )
        drawn.append((one, cells, int(counts[at[one]].sum())))
    return Matrix(heading, tuple(labels), tuple(drawn))


def _cell(one: int, other: int, count: int, total: float, most: int) -> Cell:
    mean = numbers.number(float(total) / count, 3) if count else ""
    words = f"{one} to {other}: {count}" + (f", mean distance {mean}" if count else "")
    return Cell(count, mean, count / most, words)


def _reached(rows: pd.DataFrame) -> str:
    found = rows["label_after"].dropna().value_counts()
    return ", ".join(f"{label} ({count}×)" for label, count in found.head(3).items())
