"""How distances are distributed: a small histogram for each series and network, norm by norm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float

from dualbound.region import NORMS
from dualbound.report.page import numbers
from dualbound.report.page.answers import NEAREST, Answers, called, groups
from dualbound.report.page.drawing import (
    INK,
    OPEN,
    PANELS,
    QUIET,
    RULE,
    SERIES,
    SIZE,
    WIDTH,
    Panel,
    inlined,
)
from dualbound.report.page.excerpt import Excerpt
from dualbound.report.page.tables import Line, Table
from dualbound.report.picture import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 48

ROWS = 8
"""At most so many histograms in one panel."""

INTERVALS = 24
"""At most so many open questions are drawn below a histogram, the widest ones."""

_FEW = 8
"""So many intervals have room for a mark at their end."""

_ROW, _HEAD, _FOOT, _LONGEST = 62.0, 8.0, 40.0, 46
"""Heights in a panel, and letters of a name."""


@dataclass(frozen=True, eq=False)
class Distances:
    """The distances of one series and network.

    Attributes:
        name: of both.
        proved: values that are proved.
        bounds, values: of the open questions that have a witness, the widest interval first.
    """

    name: str
    proved: Float[np.ndarray, " n"]
    bounds: Float[np.ndarray, " m"]
    values: Float[np.ndarray, " m"]

    @classmethod
    def of(cls, name: str, rows: pd.DataFrame) -> Distances:
        """Of answers in one norm."""
        found = rows[rows["value"].notna()]
        proved = found[found["settled"]]["value"].to_numpy(dtype=float)
        left = found[~found["settled"]]
        values = left["value"].to_numpy(dtype=float)
        bounds = left["bound"].fillna(0.0).to_numpy(dtype=float)
        order = np.argsort(bounds - values, kind="stable")
        return cls(name, proved, bounds[order], values[order])

    @property
    def words(self) -> str:
        """In one sentence."""
        parts = []
        if len(self.proved):
            middle = numbers.number(float(np.median(self.proved)))
            ends = [numbers.number(float(v)) for v in (self.proved.min(), self.proved.max())]
            parts.append(
                f"{len(self.proved):,} proved, from {ends[0]} to {ends[1]}, median {middle}"
            )
        if len(self.values):
            widest = float((self.values - self.bounds).max())
            parts.append(f"{len(self.values):,} open, widest interval {numbers.number(widest)}")
        return f"{self.name}: {'; '.join(parts)}"


def distances(answers: Answers) -> Excerpt[Panel]:
    """For each norm a panel, or some if there are many series and networks."""
    frame = answers.of(NEAREST)
    drawn: list[Callable[[], Panel]] = []
    for norm in NORMS:
        rows = frame[(frame["asked_norm"] == norm) & frame["value"].notna()]
        of = [Distances.of(called(*key), part) for key, part in groups(rows)]
        for first in range(0, len(of), ROWS):
            key = f"distances{len(drawn)}"
            drawn.append(partial(_panel, key, NORMS[norm].title, of[first : first + ROWS]))
    return Excerpt.of(drawn, PANELS)


def _panel(key: str, title: str, rows: list[Distances]) -> Panel:
    height = _HEAD + _ROW * len(rows) + _FOOT
    figure = new_figure(WIDTH / 72, height / 72)
    ends = [part.max() for row in rows for part in (row.proved, row.values) if len(part)]
    end = float(max(ends)) * 1.02 or 1.0
    for k, row in enumerate(rows):
        bottom = height - _HEAD - _ROW * (k + 1)
        ax = figure.add_axes((12 / WIDTH, bottom / height, 1 - 32 / WIDTH, (_ROW - 4) / height))
        _row(ax, row, end)
        last = k == len(rows) - 1
        ax.tick_params(
            length=0, pad=4, labelsize=SIZE, labelcolor=QUIET, labelbottom=last, labelleft=False
        )
        if last:
            ax.set_xlabel(
                f"distance in {title}", fontsize=SIZE, color=QUIET, loc="right", labelpad=4
            )
    words = f"Distances in {title}. " + ". ".join(row.words for row in rows) + "."
    proved, left = (sum(len(part) for part in parts) for parts in (
        [row.proved for row in rows], [row.values for row in rows]
    ))  # fmt: skip
    note = f"{proved:,} proved distances" + (f", {left:,} open." if left else ".")
    return Panel(title, inlined(figure, key, words), note=note, table=_numbers(key, title, rows))


def _numbers(key: str, title: str, rows: list[Distances]) -> Table:
    lines = []
    for row in rows:
        ends = np.quantile(row.proved, [0, 0.5, 1]) if len(row.proved) else [None] * 3
        figures = [numbers.number(None if end is None else float(end)) for end in ends]
        widest = float((row.values - row.bounds).max()) if len(row.values) else None
        lines.append(
            Line(
                (
                    row.name,
                    numbers.integer(len(row.proved)),
                    *figures,
                    numbers.integer(len(row.values)),
                    numbers.number(widest),
                )
            )
        )
    return Table(
        f"{key}-numbers",
        f"Distances in {title}; least, median and largest of the proved ones.",
        ("series and network", "proved", "least", "median", "largest", "open", "widest interval"),
        tuple(range(2, 8)),
        tuple(lines),
    )


def _row(ax: Axes, row: Distances, end: float) -> None:
    for side in ax.spines.values():
        side.set_visible(False)
    ax.set_xlim(0, end)
    ax.set_ylim(-0.55, 1.75)
    ax.grid(axis="x", color=RULE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set_yticks([])
    ax.axhline(0, color=RULE, linewidth=1)
    name = row.name if len(row.name) <= _LONGEST else row.name[: _LONGEST - 1] + "…"
    ax.text(0.004, 0.995, name, transform=ax.transAxes, fontsize=SIZE, color=INK, va="top",
            parse_math=False)  # fmt: skip
    if len(row.proved):
        counts, edges = np.histogram(row.proved, bins=BINS, range=(0, end))
        ax.stairs(counts / counts.max(), edges, fill=True, color=SERIES[0], alpha=0.75, linewidth=0)
        middle = float(np.median(row.proved))
        ax.plot([middle, middle], [0, 1.05], color=INK, linewidth=1.2)
    lines = min(len(row.values), INTERVALS)
    if lines:
        at = -0.5 * (np.arange(lines) + 1) / (lines + 1)
        few = lines <= _FEW
        ends = (row.bounds[:lines], row.values[:lines])
        ax.hlines(at, *ends, color=OPEN, linewidth=1.4 if few else 0.7)
        if few:
            ax.plot(ends[1], at, "|", color=OPEN, markersize=3.5, markeredgewidth=1.2)
