"""Pictures of a protocol: figures against a figure, one line for each way."""

from __future__ import annotations

from pathlib import Path

from dualbound.report.picture import drawable, new_figure, save_figure
from dualbound.studies.protocols import Lines

_WIDTH, _HEIGHT, _SHARP = 6.4, 4.0, 160
_BESIDE = 0.4
_COLOURS = ("#2166ac", "#b2182b", "#1b7837", "#e08214", "#762a83", "#6b7280")


def save_lines(path: Path | str, picture: Lines) -> None:
    """Draw lines into a file.

    Args:
        path: ``.png``, ``.pdf`` or ``.svg``.
        picture: what to draw.

    Raises:
        OutputError: another suffix, or the file cannot be written.
    """
    path = drawable(path)
    figure = new_figure(_WIDTH, _HEIGHT)
    axes = figure.subplots()
    for k, (name, values) in enumerate(picture.lines.items()):
        at = picture.at[: len(values)]
        colour = _COLOURS[k % len(_COLOURS)]
        if picture.apart:
            beside = [one + _BESIDE * (k - (len(picture.lines) - 1) / 2) for one in at]
            axes.vlines(beside, 0.0, values, color=colour, linewidth=1.0)
            axes.plot(beside, values, label=name, color=colour, marker="o", ls="", markersize=2.5)
            continue
        marker = "o" if len(at) < 15 else ""
        axes.plot(at, values, label=name, color=colour, marker=marker, markersize=3.5)
    axes.set_xlabel(picture.x)
    axes.set_ylabel(picture.y)
    axes.set_title(picture.title, loc="left", fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    if picture.share:
        axes.set_ylim(-0.02, 1.02)
    if picture.apart:  # points are everywhere
        axes.legend(frameon=False, ncols=2, loc="upper right", bbox_to_anchor=(1.0, -0.1))
    else:
        axes.legend(frameon=False)
    figure.tight_layout()
    save_figure(path, figure, _SHARP)
