"""A picture of a witness: the original, the adversary, and the signed change between them."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from dualbound.criterion import Class
from dualbound.errors import InvalidInput, OutputError
from dualbound.files import write_whole
from dualbound.queries import Answer, Status
from dualbound.report.words import counted, distance_words, is_changed, nothing_nearer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

SUFFIXES = (".png", ".pdf", ".svg")

Heads = tuple[tuple[str, str], tuple[str, str]]
"""Name of the original and its answer, and the same of what was found."""

_INK, _QUIET, _RULE = "#1b1f24", "#6b7280", "#d5d9e0"
_UP, _DOWN = "#b2182b", "#2166ac"  # the ends of the colour map RdBu, red for more
WIDTH, HEIGHT, SHARP = 9.6, 4.25, 200
"""Inches of a picture, and pixels to an inch."""

_MANY = 80
"""Changes of more inputs than this are drawn as lines without room between."""


def save_picture(
    path: Path | str,
    original: Float[np.ndarray, "..."],
    answer: Answer,
    *,
    model: str = "",
    beside: str = "",
) -> None:
    """Draw original, adversary and change side by side, with labels, distance and proof.

    Images are ``(28, 28)``, ``(1, 28, 28)``, flat squares, or colour ``(3, H, W)``; the change of
    a colour pixel is that of its most changed channel. Of other inputs the changes are drawn as
    bars.

    Args:
        path: ``.png``, ``.pdf`` or ``.svg``.
        original: the input that was asked about.
        answer: of `dualbound.nearest`, with a witness.
        model: its name, for the caption.
        beside: what else was asked, in words that end the sentence of the proof.

    Raises:
        InvalidInput: the answer has no witness.
        OutputError: another suffix, or the file cannot be written.
    """
    path = drawable(path)
    if answer.witness is None:
        raise InvalidInput("There is no witness to draw.")
    figure = new_figure(WIDTH, HEIGHT)
    draw(figure, original, answer, model=model, beside=beside)
    save_figure(path, figure, SHARP)


def drawable(path: Path | str) -> Path:
    """A path that a picture can be written to.

    Raises:
        OutputError: another suffix.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"A picture is written as {' or '.join(SUFFIXES)}, found {path.name!r}.")
    return path


def save_figure(path: Path, figure: Figure, sharp: float) -> None:
    """Write a figure with so many pixels to an inch.

    Raises:
        OutputError: it cannot be written.
    """
    held = io.BytesIO()
    figure.savefig(held, format=path.suffix.lower()[1:], dpi=sharp, facecolor="white")
    write_whole(path, held.getvalue())


def draw(
    figure: FigureBase,
    original: Float[np.ndarray, "..."],
    answer: Answer,
    *,
    model: str = "",
    number: int | None = None,
    beside: str = "",
) -> None:
    """Draw a witness into a figure of `WIDTH` by `HEIGHT` inches, or into such a part of one.

    Args:
        figure: empty.
        original: the input that was asked about.
        answer: with a witness.
        model: its name, for the caption.
        number: of the answer, if it is one of several.
        beside: what else is asked of it, in words that end the sentence of the proof.
    """
    if answer.witness is None:
        return
    heads = (
        ("original", f"answered {answer.label_before}"),
        (_found(answer), f"answered {answer.witness.label}"),
    )
    draw_pair(figure, original, answer.witness.x, heads, lambda change: is_changed(answer, change))
    _caption(figure, answer, model, number, beside)


def draw_pair(
    figure: FigureBase,
    original: Float[np.ndarray, "..."],
    found: Float[np.ndarray, "..."],
    heads: Heads,
    counts: Callable[[np.ndarray], np.ndarray],
) -> None:
    """Draw two inputs and the signed change between them; of what is no image, bars.

    Args:
        figure: of `WIDTH` by `HEIGHT` inches, or such a part of one; room for `caption` is left.
        original: of any shape.
        found: of as many values.
        heads: name and answer of each.
        counts: which changes count as such.
    """
    before, after = np.asarray(original, dtype=float), found
    pixels = as_image(before)
    if pixels is None:
        _bars(figure, before.reshape(-1), after.reshape(-1), (heads[0][0], heads[1][0]))
    else:
        _panels(figure, pixels, as_image(after.reshape(before.shape)), heads, counts)


def caption(figure: FigureBase, head: str, line: str) -> None:
    """Write a title and a line below it, above what `draw_pair` draws."""
    figure.text(0.03, 0.93, head, fontsize=14, fontweight="bold", color=_INK, va="center")
    figure.text(0.03, 0.855, line, fontsize=10.5, color=_QUIET, va="center")


def as_image(x: np.ndarray) -> np.ndarray | None:
    """Height x width, or height x width x 3, or None for what is no image.

    >>> as_image(np.zeros((1, 28, 28))).shape, as_image(np.zeros(784)).shape
    ((28, 28), (28, 28))
    >>> as_image(np.zeros((3, 8, 9))).shape, as_image(np.zeros(5))
    ((8, 9, 3), None)
    """
    while x.ndim > 1 and x.shape[0] == 1:
        x = x[0]
    if x.ndim == 1:
        side = math.isqrt(x.size)
        return x.reshape(side, side) if side * side == x.size and side > 3 else None
    if x.ndim == 2:
        return x
    if x.ndim == 3 and x.shape[0] == 3:
        return x.transpose(1, 2, 0)
    if x.ndim == 3 and x.shape[2] in (1, 3):
        return x[..., 0] if x.shape[2] == 1 else x
    return None


def signed_change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """One number a pixel: its change, of a colour pixel that of its most changed channel."""
    change = after - before
    if change.ndim == 2:
        return change
    most = np.abs(change).argmax(axis=2)[..., None]
    return np.take_along_axis(change, most, axis=2)[..., 0]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, that belongs to no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def _panels(
    figure: FigureBase,
    before: np.ndarray,
    after: np.ndarray | None,
    heads: Heads,
    counts: Callable[[np.ndarray], np.ndarray],
) -> None:
    if after is None:
        raise InvalidInput("The witness has another shape than the original.")
    grid = figure.add_gridspec(1, 3, left=0.03, right=0.91, top=0.745, bottom=0.05, wspace=0.08)
    axes = [figure.add_subplot(grid[0, k]) for k in range(3)]
    change = signed_change(before, after)
    changed = counts(change)
    titles = (*heads, ("change", counted(int(changed.sum()), "pixel")))
    for ax, (name, what) in zip(axes, titles, strict=True):
        _frame(ax, name, what)
    for ax, image in zip(axes, (before, after), strict=False):
        ax.imshow(image.clip(0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    bar = axes[2].inset_axes((1.06, 0, 0.045, 1))
    _draw_change(figure, axes[2], bar, before, change, changed)


def _draw_change(
    figure: FigureBase,
    ax: Axes,
    bar: Axes,
    before: np.ndarray,
    change: np.ndarray,
    changed: np.ndarray,
) -> None:
    most = float(np.abs(change).max()) or 1.0
    grey = before if before.ndim == 2 else before.mean(axis=2)
    ax.imshow(grey.clip(0, 1), cmap="Greys", vmin=0, vmax=7, interpolation="nearest")
    shown = np.ma.masked_where(~changed, change)
    colours = ax.imshow(shown, cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
    scale = figure.colorbar(colours, cax=bar)
    scale.set_ticks([-most, 0.0, most], labels=[f"−{most:.2g}", "0", f"+{most:.2g}"])
    scale.outline.set_visible(False)
    bar.tick_params(labelsize=9, length=0, colors=_QUIET)


def _bars(
    figure: FigureBase, before: np.ndarray, after: np.ndarray, names: tuple[str, str]
) -> None:
    change, at = after - before, np.arange(before.size)
    top, bottom = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"left": 0.08, "right": 0.98, "top": 0.76, "bottom": 0.1}
    )
    size = 6.0 if before.size <= _MANY else 2.0
    top.plot(at, before, "o", color=_QUIET, fillstyle="none", markersize=size, label=names[0])
    top.plot(at, after, "o", color=_INK, markersize=size / 2, label=names[1])
    top.legend(
        frameon=False, fontsize=9, ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0
    )
    colours = np.where(change > 0, _UP, _DOWN)
    bottom.bar(at, change, width=0.7 if before.size <= _MANY else 1.0, color=colours)
    bottom.axhline(0, color=_RULE, linewidth=1)
    for ax, name in ((top, "value"), (bottom, "change")):
        ax.set_ylabel(name, fontsize=10, color=_QUIET)
        ax.tick_params(labelsize=9, colors=_QUIET, length=0)
        for side in ax.spines.values():
            side.set_visible(False)
    if before.size <= 30:
        bottom.set_xticks(at)
    figure.align_ylabels()


def _found(answer: Answer) -> str:
    """What to call the witness."""
    return "repaired" if isinstance(answer.criterion, Class) else "adversary"


def _step(answer: Answer, model: str) -> str:
    """What to call the way to it."""
    if isinstance(answer.criterion, Class):
        return "repair" + (f" for {model}" if model else "")
    return "adversary" + (f" of {model}" if model else "")


def _frame(ax: Axes, name: str, what: str) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_color(_RULE)
    ax.set_title(name, loc="left", fontsize=10, color=_QUIET, pad=6)
    ax.set_title(what, loc="right", fontsize=10, color=_INK, fontweight="bold", pad=6)


def _caption(
    figure: FigureBase, answer: Answer, model: str, number: int | None, beside: str
) -> None:
    found = answer.witness
    if found is None:
        return
    step = _step(answer, model)
    proved, best = "proved so far", f"the best {step} so far"
    if answer.status is Status.OPTIMAL:
        proved, best = "proved", f"the nearest {step}"
    proof = f"{proved}: {nothing_nearer(answer, 4)} reaches {answer.criterion.goal}{beside}"
    head = f"From {answer.label_before} to {found.label}: {best}"
    if number is not None:
        head = f"{number}.  From {answer.label_before} to {found.label}"
    caption(figure, head, f"{answer.norm_title} distance {distance_words(answer, 4)}   ·   {proof}")
