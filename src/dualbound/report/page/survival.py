"""How many questions are proved within how many seconds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float

from dualbound.report.page import numbers
from dualbound.report.page.answers import ACTIVATE, NEAREST, PERFECT, VERIFY, Answers, groups
from dualbound.report.page.drawing import (
    PANELS,
    Panel,
    inlined,
    keys_of,
    named,
    panel_axes,
    percent_axis,
    style_of,
    thinned,
)
from dualbound.report.page.excerpt import Excerpt

LEAST = 1e-3
"""Seconds that are drawn for anything faster."""

LINES = 6
"""At most so many networks in one panel."""


def survival(answers: Answers) -> Excerpt[Panel]:
    """A panel for each series of which anything is proved, a line for each of its networks."""
    drawn: list[Callable[[], Panel]] = []
    frame = answers.of(NEAREST, VERIFY, ACTIVATE, PERFECT)
    for (series,), rows in groups(frame, "name"):
        networks = list(groups(rows, "network"))
        for first in range(0, len(networks), LINES):
            part = {name: of for (name,), of in networks[first : first + LINES]}
            if any(len(solved_within(of)[0]) for of in part.values()):
                drawn.append(partial(_panel, f"survival{len(drawn)}", series, part))
    return Excerpt.of(drawn, PANELS)


def solved_within(rows: pd.DataFrame) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Seconds, ascending, and the share of all these rows that is proved within each.

    >>> rows = pd.DataFrame({"settled": [True, False, True], "seconds": [4.0, 9.0, 1.0]})
    >>> seconds, shares = solved_within(rows)
    >>> seconds.tolist(), [round(float(s), 2) for s in shares]
    ([1.0, 4.0], [0.33, 0.67])
    """
    kept = rows[rows["settled"]]["seconds"].dropna()
    seconds = np.sort(kept.to_numpy(dtype=float))
    return seconds, np.arange(1, len(seconds) + 1) / max(1, len(rows))


def _panel(key: str, series: str, networks: dict[str, pd.DataFrame]) -> Panel:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    figure, ax = panel_axes()
    every = pd.concat(list(networks.values()))["seconds"].dropna().clip(lower=LEAST)
    low, high = float(every.min()) / 1.3, float(every.max()) * 1.3
    said = []
    for k, (name, rows) in enumerate(networks.items()):
        seconds, shares = solved_within(rows)
        x, y = thinned(np.maximum(seconds, LEAST), shares)
        last = y[-1] if len(y) else 0.0
        ax.step(
            np.concatenate([[low], x, [high]]),
            np.concatenate([[0.0], y, [last]]),
            where="post",
            **style_of(k),
        )
        half = f", half within {seconds[_half(rows)]:.2g} s" if last >= 0.5 else ""
        said.append(f"{name}: {numbers.share(len(seconds), len(rows))} proved{half}")
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(FixedLocator(_ticks(low, high)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    percent_axis(ax)
    named(ax, "seconds, logarithmic", "questions proved")
    words = f"Share of the questions of {series} proved within so many seconds. {'. '.join(said)}."
    return Panel(
        series,
        inlined(figure, key, words),
        keys_of(list(networks)),
        f"{'; '.join(said)}. Of {_counts(networks)}.",
    )


def _half(rows: pd.DataFrame) -> int:
    return -(-len(rows) // 2) - 1


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two others: whole decades, or more where these are few.

    >>> _ticks(0.05, 30.0), _ticks(1.61, 2.5)
    ([0.1, 1.0, 10.0], [1.75, 2.0, 2.25, 2.5])
    """
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        ticks = [step * 10.0**k for k in decades for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            return ticks
    from matplotlib.ticker import MaxNLocator

    return [float(tick) for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]


def _counts(networks: dict[str, pd.DataFrame]) -> str:
    return ", ".join(f"{len(rows):,} questions ({name})" for name, rows in networks.items())
