"""A comparison of networks in files: its tables, its adversaries, and what label each is for."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dualbound.data import Dataset
from dualbound.errors import InvalidInput, OutputError
from dualbound.files import refused, write_whole
from dualbound.queries import Compared, Margin, Side
from dualbound.report.picture import drawable, new_figure, save_figure
from dualbound.report.sheet import Tile, save_sheet
from dualbound.studies.protocols.side_by_side import tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REPORT, MATRICES = "report.md", "matrices.png"
ADVERSARIES, ARCHIVE = "adversaries.png", "adversaries.npz"

TILES = 20
"""At most so many adversaries on a sheet."""

_INK, _QUIET, _NEVER = "#1b1f24", "#6b7280", "#e5e7eb"
_CELL, _LEAST, _SHARP, _PIXELS = 0.34, 2.6, 160, 6000
_NUMBERED = 30
"""With more classes there is no room for numbers."""


def write_report(folder: Path | str, found: Compared, data: Dataset, *, title: str) -> list[str]:
    """Write ``report.md``, ``matrices.png``, ``adversaries.png`` and ``adversaries.npz``.

    The last two only where there are adversaries; those of an earlier report are removed where
    there are none.

    Args:
        folder: made if need be.
        found: what was compared.
        data: on which.
        title: of the report.

    Returns:
        The names of the files.

    Raises:
        OutputError: something cannot be written; all else is.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(refused(folder, error)) from error
    classes = data.classes
    jobs: list[tuple[str, Callable[[Path], None]]] = [
        (MATRICES, lambda path: save_matrices(path, found, classes=classes, title=title)),
    ]
    if any(side.adversaries for side in found.sides):
        jobs += [
            (ADVERSARIES, lambda path: save_adversaries(path, found, data, title=title)),
            (ARCHIVE, lambda path: save_archive(path, found, data)),
        ]
    else:
        jobs += [(ADVERSARIES, _removed), (ARCHIVE, _removed)]
    saved, failed = [], []
    for name, save in jobs:
        try:
            save(folder / name)
        except OutputError as error:
            failed.append(str(error))
            continue
        if save is not _removed:
            saved.append(name)
    try:
        write_whole(folder / REPORT, _page(found, data, title, saved).encode())
    except OutputError as error:
        failed.append(str(error))
    if failed:
        raise OutputError(" ".join(failed))
    return [REPORT, *saved]


def _removed(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(refused(path, error)) from error


def _page(found: Compared, data: Dataset, title: str, saved: Sequence[str]) -> str:
    asked = (
        f"{len(found.images)} images of {data.name} ({data.split}) that all networks answer "
        f"right, within {found.eps:g} (L∞)."
    )
    parts = [f"# {title}\n", f"{asked}\n"]
    parts += [f"Stopped early: {found.note}.\n"] if found.note else []
    parts += [one.markdown() for one in tables(found, data.classes)]
    if MATRICES in saved:
        parts.append(f"### Adversaries, label by label\n\n![{MATRICES}]({MATRICES})\n")
    if not any(side.adversaries for side in found.sides):
        parts.append("No adversary was found.\n")
    if ADVERSARIES in saved:
        parts.append(f"### Some adversaries\n\n![{ADVERSARIES}]({ADVERSARIES})\n")
    if ARCHIVE in saved:
        parts.append(f"All of them, as a data set: [{ARCHIVE}]({ARCHIVE}).\n")
    return "\n".join(parts)


def save_matrices(
    path: Path | str, found: Compared, *, classes: Sequence[str] | None = None, title: str = ""
) -> None:
    """Draw how many adversaries of each label are for each target, network by network.

    What was not asked is grey.

    Args:
        path: ``.png``, ``.pdf`` or ``.svg``.
        found: what was compared.
        classes: the names of the labels; numbers where there are none.
        title: above it.

    Raises:
        OutputError: another suffix, or the file cannot be written.
    """
    path = drawable(path)
    names = [str(k) for k in range(found.classes)] if classes is None else list(classes)
    side = max(_CELL * len(names), _LEAST)
    room = 0.09 * max(len(name) for name in names) + 0.6
    figure = new_figure(len(found.sides) * (side + room), side + room + 0.7)
    panels = figure.subplots(1, len(found.sides), squeeze=False)[0]
    most = max(int(one.matrix(len(names)).max()) for one in found.sides)
    for axes, one in zip(panels, found.sides, strict=True):
        _matrix(axes, one, names, max(most, 1))
    panels[0].set_ylabel("label", color=_QUIET)
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold", color=_INK, parse_math=False)
    figure.tight_layout()
    save_figure(path, figure, min(_SHARP, _PIXELS / figure.get_figwidth()))


def _matrix(axes: Axes, side: Side, names: Sequence[str], most: int) -> None:
    counts, asked = side.matrix(len(names)), side.asked(len(names))
    axes.set_facecolor(_NEVER)
    shown = np.ma.masked_where(asked == 0, counts)
    axes.imshow(shown, cmap="Reds", vmin=0, vmax=2.0 * most, interpolation="nearest")
    if len(names) <= _NUMBERED:
        ticks = range(len(names))
        axes.set_xticks(ticks, names, rotation=90 if max(map(len, names)) > 2 else 0, fontsize=8)
        axes.set_yticks(ticks, names, fontsize=8)
        for row, column in np.argwhere(asked > 0):
            colour = _INK if counts[row, column] else _QUIET
            axes.text(
                column, row, str(counts[row, column]),
                ha="center", va="center", fontsize=8, color=colour,
            )  # fmt: skip
    axes.tick_params(length=0, colors=_QUIET)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("target", color=_QUIET)
    total = f"{int(counts.sum()):,} of {int(asked.sum()):,}"
    axes.set_title(f"{side.name}\n{total}", loc="left", fontsize=10, color=_INK, parse_math=False)


def save_adversaries(path: Path | str, found: Compared, data: Dataset, *, title: str = "") -> None:
    """Draw the first adversaries of every network, at most `TILES` in all.

    Args:
        path: ``.png``, ``.pdf`` or ``.svg``.
        found: what was compared.
        data: on which.
        title: of the sheet.

    Raises:
        InvalidInput: there are none.
        OutputError: another suffix, or the file cannot be written.
    """
    each: list[list[tuple[int, Margin]]] = [
        [(k, one) for one in side.adversaries] for k, side in enumerate(found.sides, 1)
    ]
    turns = [one for one in chain.from_iterable(zip_longest(*each)) if one is not None][:TILES]
    tiles = [
        Tile(
            f"{data.classes[one.label]} → {data.classes[one.target]}",
            None if one.x is None else one.x.reshape(data.shape),
            f"{k}: input {one.index}",
            True,
        )
        for k, one in sorted(turns, key=lambda turn: turn[0])
    ]
    line = ", ".join(f"{k}: {side.name}" for k, side in enumerate(found.sides, 1))
    save_sheet(path, tiles, title=title, subtitle=f"within {found.eps:g} (L∞); {line}")


def save_archive(path: Path, found: Compared, data: Dataset) -> None:
    """Write all adversaries as ``.npz``: the test set of a data set, and what they are.

    ``x_test`` is in float64, as it was found; with each come the ``network`` (its name) that it
    turns, the ``index`` of its image, the ``target`` and the ``margin``.

    Raises:
        InvalidInput: there are none.
        OutputError: it cannot be written.
    """
    made = [(side.name, one) for side in found.sides for one in side.adversaries]
    if not made:
        raise InvalidInput("There is nothing to write: no adversary was found.")
    held = io.BytesIO()
    np.savez_compressed(
        held,
        x_test=np.stack([one.x.reshape(data.shape) for _, one in made if one.x is not None]),
        y_test=np.array([one.label for _, one in made]),
        classes=np.array(data.classes),
        network=np.array([name for name, _ in made]),
        index=np.array([one.index for _, one in made]),
        target=np.array([one.target for _, one in made]),
        margin=np.array([one.value for _, one in made], dtype=float),
    )
    write_whole(path, held.getvalue())
