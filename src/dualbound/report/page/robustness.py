"""Robust accuracy against radius: what is certified, what is refuted, and what is open."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from dualbound.criterion.targeted import how_clearly
from dualbound.region import NORMS
from dualbound.report.page import numbers
from dualbound.report.page.answers import NEAREST, VERIFY, Answers, groups, options_of
from dualbound.report.page.drawing import (
    PANELS,
    SERIES,
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
from dualbound.report.page.survival import LINES
from dualbound.report.page.tables import Line, Table
from dualbound.report.words import counted, whole
from dualbound.studies.row import CERTIFIED, REFUTED

RADII = 7
"""At about so many the numbers stand below a panel, where none were asked about."""


@dataclass(frozen=True, eq=False)
class Robustness:
    """What questions about one network say of every radius.

    Attributes:
        certified_below: for each question the radius below which nothing is reached, ascending.
        refuted_from: for each question the radius from which on something is, ascending; infinite
            where nothing was found.
        misread: how many images the network misreads.
        what: is counted: questions, or images.
    """

    certified_below: Float[np.ndarray, " n"]
    refuted_from: Float[np.ndarray, " n"]
    misread: int
    what: str = "answered question"

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Robustness:
        """Of the answers to nearest or to verify questions in one norm, failed ones among them.

        A question is certified at a radius below its bound, or at every one if it is proved that
        nothing reaches what was asked; it is refuted from its witness's distance on. An image that
        is misread is refuted at every radius. What is neither is open.
        """
        if (rows["query"] == VERIFY).all():
            return cls._of_balls(rows)
        bound = rows["bound"].to_numpy(dtype=float, na_value=-math.inf)
        value = rows["value"].to_numpy(dtype=float, na_value=math.inf)
        bound = np.where(np.isnan(bound), -math.inf, bound)
        value = np.where(np.isnan(value), math.inf, value)
        bound = np.where(rows["status"] == "infeasible", math.inf, bound)
        counts = (rows["asked_norm"] == "l0").to_numpy() & np.isfinite(bound)
        bound[counts] = [whole(one) for one in bound[counts]]
        wrong = _misread(rows)
        bound[wrong], value[wrong] = -math.inf, 0.0
        return cls(np.sort(bound), np.sort(value), int(wrong.sum()))

    @classmethod
    def _of_balls(cls, rows: pd.DataFrame) -> Robustness:
        """Of verify questions: each image up to its largest proof, and from its refutation on."""
        radius = np.array([float(options_of(str(text))["eps"]) for text in rows["options"]])
        holds = (rows["status"] == CERTIFIED).to_numpy(bool)
        violated = (rows["status"] == REFUTED).to_numpy(bool)
        wrong = _misread(rows)
        above = np.nextafter(radius, np.inf)  # the radius itself is certified
        below = np.where(holds & ~wrong, above, -math.inf)
        start = np.where(wrong, 0.0, np.where(violated, radius, math.inf))
        of_images = pd.DataFrame(
            {"image": rows["image"], "below": below, "start": start, "wrong": wrong}
        ).groupby("image", sort=False)
        return cls(
            np.sort(of_images["below"].max().to_numpy()),
            np.sort(of_images["start"].min().to_numpy()),
            int(of_images["wrong"].any().sum()),
            "image",
        )

    @property
    def count(self) -> int:
        """Of questions."""
        return len(self.refuted_from)

    def certified(self, radii: Float[np.ndarray, " r"]) -> Float[np.ndarray, " r"]:
        """The share of questions that is certified at each radius: its bound is above."""
        below = np.searchsorted(self.certified_below, radii, side="right")
        return (self.count - below) / self.count

    def refuted(self, radii: Float[np.ndarray, " r"]) -> Float[np.ndarray, " r"]:
        """The share of questions that is refuted at each radius: a witness is as near."""
        return np.searchsorted(self.refuted_from, radii, side="right") / self.count

    @property
    def steps(self) -> Float[np.ndarray, " r"]:
        """Every radius at which a share changes, and 0."""
        ends = np.concatenate([[0.0], self.certified_below, self.refuted_from])
        return np.unique(ends[np.isfinite(ends) & (ends >= 0)])


def _misread(rows: pd.DataFrame) -> Bool[np.ndarray, " n"]:
    """Whether the network's answer for the unchanged image is not the true label."""
    label, before = rows["label"], rows["label_before"]
    wrong = label.notna() & before.notna() & (label != before)
    return wrong.fillna(False).to_numpy(bool)


def robustness(answers: Answers) -> Excerpt[Panel]:
    """A panel for each series of nearest or verify questions, norm by norm; none for repairs."""
    frame = answers.of(NEAREST, VERIFY)
    frame = frame[frame["target_kind"] != "repair"]
    drawn: list[Callable[[], Panel]] = []
    norms = [norm for norm in NORMS if (frame["asked_norm"] == norm).any()]
    for norm in norms:
        for (series,), rows in groups(frame[frame["asked_norm"] == norm], "name"):
            networks = list(groups(rows, "network"))
            for first in range(0, len(networks), LINES):
                part = {name: of for (name,), of in networks[first : first + LINES]}
                curves = {name: Robustness.of(rows) for name, rows in part.items()}
                if max(float(curve.steps[-1]) for curve in curves.values()) > 0:
                    key = f"robust{len(drawn)}"
                    drawn.append(partial(_panel, key, norm, series, part, curves, answers))
    return Excerpt.of(drawn, PANELS)


def _panel(
    key: str,
    norm: str,
    series: str,
    networks: Mapping[str, pd.DataFrame],
    curves: Mapping[str, Robustness],
    answers: Answers,
) -> Panel:
    end = max(float(curve.steps[-1]) for curve in curves.values())
    figure, ax = panel_axes()
    shade = max(0.08, 0.3 / len(curves))  # many of them lie over one another
    for k, curve in enumerate(curves.values()):
        radii = np.append(curve.steps, end * 1.04)
        x, low, high = thinned(radii, curve.certified(radii), 1 - curve.refuted(radii))
        ax.fill_between(x, low, high, step="post", color=SERIES[k], alpha=shade, linewidth=0)
        ax.step(x, low, where="post", **style_of(k))
        ax.step(x, high, where="post", **{**style_of(k), "linewidth": 0.9})
    ax.set_xlim(0, end * 1.04)
    percent_axis(ax)
    title = NORMS[norm].title
    named(ax, f"radius in {title}", "not changed within the radius")
    asked = _asked_radii(networks)
    radii = asked if len(asked) else _round_radii(end, whole_only=norm == "l0")
    table = _numbers(key, title, curves, radii, answers)
    words = f"Robust accuracy against the {title} radius, series {series}. " + " ".join(
        _said(name, [line for line in table.lines if line.cells[0] == name]) for name in curves
    )
    options = options_of(str(next(iter(networks.values()))["options"].iloc[0]))
    return Panel(
        series if title in series else f"{series} · {title}",
        inlined(figure, key, words),
        keys_of(list(networks)),
        f"Counted as changed: {_reached(options, networks)}. {_counts(curves)}",
        table,
    )


def _numbers(
    key: str,
    title: str,
    curves: Mapping[str, Robustness],
    radii: Float[np.ndarray, " r"],
    answers: Answers,
) -> Table:
    lines = []
    for name, curve in curves.items():
        shares = zip(radii, curve.certified(radii), curve.refuted(radii), strict=True)
        for radius, safe, changed in shares:
            parts = [round(float(part) * curve.count) for part in (safe, changed)]
            counts = (parts[0], curve.count - sum(parts), parts[1])
            lines.append(
                Line(
                    (
                        name,
                        f"{radius:.6g}",
                        *(numbers.share(count, curve.count, 1) for count in counts),
                    )
                )
            )
    return Table(
        f"{key}-numbers",
        f"Shares at some radii in {title}.",
        ("network", "radius", "certified", "open", "refuted"),
        (2, 3, 4, 5),
        tuple(lines),
        f"dualbound report {answers.folder}",
    )


def _said(network: str, lines: list[Line]) -> str:
    some = lines[:: max(1, len(lines) // 3)]
    return (
        f"{network}: "
        + ", ".join(
            f"at radius {line.cells[1]} {line.cells[2]} certified and {line.cells[4]} refuted"
            for line in some
        )
        + "."
    )


def _round_radii(end: float, *, whole_only: bool) -> Float[np.ndarray, " r"]:
    """Round numbers from 0 to an end."""
    rough = end / RADII
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough)
    step = max(1.0, round(step)) if whole_only else step
    return np.arange(0, end + step / 2, step)[: RADII + 2]


def _asked_radii(networks: Mapping[str, pd.DataFrame]) -> Float[np.ndarray, " r"]:
    """The radii of verify questions, the smallest first; none of nearest questions."""
    asked = {
        float(options_of(str(text))["eps"])
        for rows in networks.values()
        for text in rows[rows["query"] == VERIFY]["options"]
    }
    return np.array(sorted(asked))


def _reached(options: Mapping[str, Any], networks: Mapping[str, pd.DataFrame]) -> str:
    """What a witness reaches, and among which inputs it was looked for."""
    kinds = {str(kind) for rows in networks.values() for kind in rows["target_kind"]}
    what = "the network answers any other label" if kinds == {"any"} else "it answers the target"
    clearly = how_clearly(options.get("ratio"), options.get("margin"))
    if "eps" in options:
        what = "the network answers another label than the true one"
        clearly = clearly if options.get("margin") is not None else "or is undecided"
    words = [f"{what} ({clearly})"]
    low, high = options.get("range") or (0.0, 1.0)
    words.append(f"inputs between {low:g} and {high:g}")
    if options.get("cap") is not None:
        words.append(f"none moved by more than {options['cap']:g}")
    if options.get("levels") is not None:
        words.append(f"on {options['levels'] + 1} values")
    return ", ".join(words)


def _counts(curves: Mapping[str, Robustness]) -> str:
    """How many questions stand behind each line."""
    parts = []
    for name, curve in curves.items():
        which = "images that it misreads" if curve.what == "image" else "of images that it misreads"
        misread = f", {curve.misread:,} of them {which}" if curve.misread else ""
        parts.append(f"{name}: {counted(curve.count, curve.what)}{misread}")
    return "; ".join(parts) + "."
