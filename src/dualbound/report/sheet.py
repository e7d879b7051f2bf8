"""A contact sheet: many inputs as one picture, each with its name, its value and its proof."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidInput, OutputError
from dualbound.files import write_whole
from dualbound.queries import Activation, Status
from dualbound.report.picture import SUFFIXES, as_image, new_figure
from dualbound.report.words import rounded_down, rounded_up

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _QUIET, _RULE, _OPEN = "#1b1f24", "#6b7280", "#d5d9e0", "#b45309"
_GAP, _WORDS, _MARGIN, _HEAD = 0.18, 0.42, 0.3, 0.85
"""Inches: between tiles, for a tile's two lines, around the sheet, above it."""

_SIDES = {1: 3.4, 2: 2.6, 4: 1.9}
"""Inches: side of a tile on a sheet of at most so many; smaller on larger ones."""

_SIDE, _NARROWEST = 1.45, 6.4

_SHARP, _PIXELS = 150, 6000
"""Pixels to an inch, and at most across a large sheet."""


@dataclass(frozen=True, eq=False)
class Tile:
    """One input on a sheet.

    Attributes:
        name: above it.
        x: in the network's input shape; None leaves the tile empty.
        value: in words, with its proof or its bound.
        proved: whether the value is proved to be the best; what is open stands out.
    """

    name: str
    x: Float[np.ndarray, "*shape"] | None
    value: str
    proved: bool


def tile_of(name: str, answer: Activation) -> Tile:
    """The tile of an answer: its value, and the bound where that is not closed."""
    proved = answer.status is Status.OPTIMAL
    sign, bound = (
        ("≤", rounded_up(answer.bound, 2))
        if answer.maximise
        else ("≥", rounded_down(answer.bound, 2))
    )
    value = "none" if answer.value is None else f"{answer.value:.2f}"
    return Tile(name, answer.x, f"{value} proved" if proved else f"{value} {sign} {bound}", proved)


def save_sheet(
    path: Path | str,
    tiles: Sequence[Tile],
    *,
    title: str,
    subtitle: str = "",
    limits: tuple[float, float] = (0.0, 1.0),
) -> None:
    """Draw inputs in a grid, all in the same greys.

    Args:
        path: ``.png``, ``.pdf`` or ``.svg``.
        tiles: in order, row by row.
        title: of the sheet.
        subtitle: a line below it.
        limits: the values drawn black and white.

    Raises:
        InvalidInput: there are no tiles.
        OutputError: another suffix, or the file cannot be written.
    """
    path = Path(path)
    if not tiles:
        raise InvalidInput("There is nothing to draw: a sheet needs at least one input.")
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"A picture is written as {' or '.join(SUFFIXES)}, found {path.name!r}.")
    figure = _drawn(tiles, title, subtitle, limits)
    held = io.BytesIO()
    dpi = min(_SHARP, _PIXELS / figure.get_figwidth())
    figure.savefig(held, format=path.suffix.lower()[1:], dpi=dpi, facecolor="white")
    write_whole(path, held.getvalue())


def columns_for(count: int) -> int:
    """A grid somewhat wider than high, without a nearly empty last row where that is possible.

    >>> [columns_for(n) for n in (1, 8, 10, 20, 64)]
    [1, 4, 5, 5, 8]
    """
    if count <= 5:
        return count
    widest = math.ceil(math.sqrt(2 * count))
    least = max(4, math.ceil(math.sqrt(count)))
    return min(range(least, widest + 1), key=lambda n: (-count % n, n))


def _drawn(tiles: Sequence[Tile], title: str, subtitle: str, limits: tuple[float, float]) -> Figure:
    across = columns_for(len(tiles))
    down = math.ceil(len(tiles) / across)
    side = next((size for most, size in _SIDES.items() if len(tiles) <= most), _SIDE)
    wide, high = side + _GAP, side + _WORDS + _GAP
    width = max(across * wide - _GAP + 2 * _MARGIN, _NARROWEST)
    height = down * high + _HEAD + _MARGIN - _GAP
    figure = new_figure(width, height)
    for k, tile in enumerate(tiles):
        row, column = divmod(k, across)
        x = _MARGIN + column * wide
        y = height - _HEAD - row * high - _WORDS - side
        ax = figure.add_axes((x / width, y / height, side / width, side / height))
        _draw(ax, tile, limits)
        above = (y + side) / height
        for text, line, weight, colour in (
            (tile.name, 0.24, "bold", _INK),
            (tile.value, 0.06, "normal", _QUIET if tile.proved else _OPEN),
        ):
            figure.text(
                x / width,
                above + line / height,
                text,
                fontsize=8.5,
                fontweight=weight,
                color=colour,
                va="bottom",
            )
    start = _MARGIN / width
    figure.text(
        start, 1 - 0.3 / height, title, fontsize=13, fontweight="bold", color=_INK, va="center"
    )
    figure.text(start, 1 - 0.58 / height, subtitle, fontsize=9.5, color=_QUIET, va="center")
    return figure


def _draw(ax: Axes, tile: Tile, limits: tuple[float, float]) -> None:
    low, high = limits
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_color(_RULE)
    if tile.x is None:
        return
    pixels = as_image(tile.x)
    if pixels is None:
        ax.bar(np.arange(tile.x.size), tile.x.reshape(-1) - low, bottom=low, color=_INK, width=0.8)
        ax.set_ylim(low, high if high > low else low + 1)
        return
    scaled = (pixels - low) / ((high - low) or 1.0)
    ax.imshow(scaled.clip(0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
