"""Pictures of an attack: accuracy against the radius, and some of its adversaries."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dualbound.errors import InvalidInput
from dualbound.queries import Attacked
from dualbound.region import norm_named
from dualbound.report.picture import drawable, new_figure, save_figure
from dualbound.report.sheet import Tile, save_sheet

TILES = 20
"""At most so many adversaries on a sheet."""

_INK, _LINE = "#1b1f24", "#b2182b"
_WIDTH, _HEIGHT, _SHARP = 6.4, 3.8, 160


def save_attack_curve(path: Path | str, found: Attacked, *, title: str) -> None:
    """Draw the share of inputs that are answered right, against the radius of the attack.

    Of an attack within given radii these are its points; of one that looks for the nearest
    adversary it is the whole curve.

    Args:
        path: ``.png``, ``.pdf`` or ``.svg``.
        found: what an attack does.
        title: above it.

    Raises:
        OutputError: another suffix, or the file cannot be written.
    """
    from matplotlib.ticker import PercentFormatter

    path = drawable(path)
    figure = new_figure(_WIDTH, _HEIGHT)
    axes = figure.subplots()
    within = sorted((one.eps, one.accuracy) for one in found.at if np.isfinite(one.eps))
    radii, shares = zip(*[(0.0, found.clean), *within], strict=True)
    if found.method.minimal:
        ends = np.sort(found.nearest[np.isfinite(found.nearest)])
        steps = np.concatenate([[0.0], ends, [max(radii[-1], ends[-1] if len(ends) else 0.0)]])
        axes.step(steps, [found.accuracy(one) for one in steps], where="post", color=_LINE)
        axes.plot(radii, shares, "o", color=_LINE, markersize=4)
    else:
        axes.plot(radii, shares, "o-", color=_LINE)
    axes.set_ylim(0, 1.02)
    axes.set_xlim(left=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel(f"radius ({norm_named(found.norm).title})")
    axes.set_ylabel("answered right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold", color=_INK)
    figure.tight_layout()
    save_figure(path, figure, _SHARP)


def save_adversaries(
    path: Path | str,
    found: Attacked,
    *,
    title: str,
    limits: tuple[float, float] = (0.0, 1.0),
) -> None:
    """Draw the first adversaries within the largest radius that was asked for.

    Args:
        path: ``.png``, ``.pdf`` or ``.svg``.
        found: what an attack does.
        title: of the sheet.
        limits: the values drawn black and white.

    Raises:
        InvalidInput: there are none.
        OutputError: another suffix, or the file cannot be written.
    """
    widest = max(found.at, key=lambda one: one.eps)
    if not len(widest.turned):
        raise InvalidInput("There is nothing to draw: the attack turned no input.")
    name = norm_named(found.norm).title
    tiles = [
        Tile(
            f"{found.labels[which]} → {answer}",
            x.astype(float),
            f"input {which}, {name} {found.nearest[which]:.3g}"
            if found.method.minimal
            else f"input {which}",
            True,
        )
        for which, x, answer in list(
            zip(widest.turned, widest.adversaries, widest.answers, strict=True)
        )[:TILES]
    ]
    line = f"{found.method.name}, {name}" + (
        f" within {widest.eps:g}" if np.isfinite(widest.eps) else ""
    )
    save_sheet(path, tiles, title=title, subtitle=line, limits=limits)
