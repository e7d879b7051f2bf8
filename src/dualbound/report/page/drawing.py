"""Figures as SVG inside the page: drawn by matplotlib, coloured by the page's style sheet.

A colour of the style sheet has a stand-in while a figure is drawn; in the SVG the stand-in becomes
a CSS variable, so that one drawing serves light and dark. Text is text, in the page's font.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from dualbound.report.page.tables import Table
from dualbound.report.picture import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STAND_IN = "#0c01"
INK, QUIET, RULE, OPEN = (f"{_STAND_IN}f{k}" for k in range(4))
_VARIABLES = {INK: "ink", QUIET: "quiet", RULE: "rule", OPEN: "open"}

SERIES = tuple(f"{_STAND_IN}0{k}" for k in range(1, 7))
"""Colours that tell lines apart; each goes with a dash of `DASHES`."""

DASHES = ("", "6 2.5", "1.5 2", "8 2 1.5 2", "3 1.5", "10 4")

WIDTH, HEIGHT = 480.0, 290.0
"""Of a panel, in the units of its SVG, which are pixels on a wide screen."""

SIZE = 11.5
"""Of its text."""

PANELS = 24
"""At most so many to a part of the page."""

POINTS = 240
"""At most so many to a line: more cannot be told apart in a panel."""


@dataclass(frozen=True)
class Key:
    """What a line of a panel stands for.

    Attributes:
        name: of the line.
        colour: its CSS variable.
        dash: of `DASHES`.
    """

    name: str
    colour: str
    dash: str


@dataclass(frozen=True)
class Panel:
    """One drawing with what stands around it.

    Attributes:
        heading: above it.
        svg: the drawing, with its alternative text; HTML that is escaped already.
        keys: of its lines.
        note: below it.
        table: its numbers.
    """

    heading: str
    svg: str = field(repr=False)
    keys: tuple[Key, ...] = ()
    note: str = ""
    table: Table | None = None


def keys_of(names: Sequence[str]) -> tuple[Key, ...]:
    """A key for each name, as `style_of` draws its line."""
    return tuple(
        Key(name, f"c{k % len(SERIES) + 1}", DASHES[k % len(DASHES)])
        for k, name in enumerate(names)
    )


def style_of(k: int) -> dict[str, Any]:
    """How the k-th line is drawn."""
    dash = [float(part) for part in DASHES[k % len(DASHES)].split()]
    return {
        "color": SERIES[k % len(SERIES)],
        "linestyle": (0, tuple(dash)) if dash else "-",
        "linewidth": 1.8,
    }


def panel_axes(width: float = WIDTH, height: float = HEIGHT) -> tuple[Figure, Axes]:
    """An empty panel: no frame, a faint grid."""
    figure = new_figure(width / 72, height / 72)  # one unit of the SVG is a point of matplotlib
    ax = figure.add_axes((46 / width, 42 / height, 1 - 62 / width, 1 - 54 / height))
    for side in ax.spines.values():
        side.set_visible(False)
    ax.spines["bottom"].set(visible=True, color=RULE, linewidth=1)
    ax.grid(axis="y", color=RULE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(length=0, pad=6, labelsize=SIZE, labelcolor=QUIET)
    return figure, ax


def named(ax: Axes, x: str, y: str) -> None:
    """Name the axes: the x axis below it, the y axis above its upper end."""
    ax.set_xlabel(x, fontsize=SIZE, color=QUIET, loc="right", labelpad=4)
    ax.set_title(y, fontsize=SIZE, color=QUIET, loc="left", pad=8, x=-46 / (WIDTH - 62))


def percent_axis(ax: Axes) -> None:
    """From 0 to 100 percent."""
    ax.set_ylim(0, 1.015)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "25", "50", "75", "100 %"])


def thinned(
    x: Float[np.ndarray, " n"], *ys: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " m"], ...]:
    """So few points of lines over the same x that a panel can show them; the ends stay."""
    if len(x) <= POINTS:
        return (x, *ys)
    kept = np.unique(np.linspace(0, len(x) - 1, POINTS).round().astype(int))
    return tuple(line[kept] for line in (x, *ys))


def inlined(figure: Figure, key: str, words: str) -> str:
    """A figure as part of an HTML page.

    Args:
        figure: drawn with the colours of this file.
        key: of letters and digits, of its own in the page: what its ids begin with.
        words: what there is to see, for whoever does not.
    """
    import matplotlib

    held = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": key}):
        figure.savefig(held, format="svg", transparent=True, metadata={"Date": None})
    drawn = held.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", drawn, flags=re.S)
    drawn = _with_ids(drawn, key)
    drawn = re.sub(r"font-family:[^;\"]*;? ?", "", drawn)
    drawn = re.sub(r' transform="rotate\(-?0 [^"]*\)"', "", drawn)
    drawn = re.sub(r"<[^>]*>", _shorter, drawn)
    for colour, variable in _VARIABLES.items():
        drawn = drawn.replace(colour, f"var(--{variable})")
    drawn = re.sub(f"{_STAND_IN}0([1-6])", r"var(--c\1)", drawn)
    drawn = re.sub(r">\s+<", "><", drawn)
    box = re.search(r'viewBox="[^"]*"', drawn)
    said = html.escape(words)
    head = (
        f'<svg class="drawn" {box.group() if box else ""} role="img" aria-label="{said}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{said}</title>'
    )
    return head + drawn[drawn.index(">") + 1 :].strip()


def _shorter(tag: re.Match[str]) -> str:
    """A tag with two decimals to a coordinate; the text between tags is somebody's number."""
    return re.sub(r"(\d+\.\d\d)\d+", r"\1", tag[0])


def _with_ids(drawn: str, key: str) -> str:
    """Only ids that something refers to, each with the key before it."""
    wanted = set(re.findall(r'(?:href="|url\()#([^")]+)', drawn))

    def renamed(match: re.Match[str]) -> str:
        return f' id="{key}-{match[1]}"' if match[1] in wanted else ""

    drawn = re.sub(r' id="([^"]*)"', renamed, drawn)
    drawn = re.sub(r'xlink:href="#', f'href="#{key}-', drawn)
    return drawn.replace("url(#", f"url(#{key}-")
