"""A picture of a counterexample: where it starts from, what it is, and the change between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from dualbound.queries import Counterexample
from dualbound.report.picture import (
    HEIGHT,
    SHARP,
    WIDTH,
    caption,
    draw_pair,
    drawable,
    new_figure,
    save_figure,
)
from dualbound.report.words import CHANGED


def save_counterexample(
    path: Path | str,
    original: Float[np.ndarray, "..."],
    found: Counterexample,
    *,
    head: tuple[str, str],
    title: str,
    line: str,
) -> None:
    """Draw an input, a counterexample and the change between them side by side.

    Args:
        path: ``.png``, ``.pdf`` or ``.svg``.
        original: the image that was asked about, or the middle of a box; of any shape that
            `save_picture` draws.
        found: the counterexample.
        head: what the original is, and what the network answers there.
        title: above the picture.
        line: below the title.

    Raises:
        OutputError: another suffix, or the file cannot be written.
    """
    path = drawable(path)
    figure = new_figure(WIDTH, HEIGHT)
    heads = (head, ("counterexample", f"answered {found.label}"))
    draw_pair(figure, original, found.x, heads, lambda change: np.abs(change) > CHANGED)
    caption(figure, title, line)
    save_figure(path, figure, SHARP)
