"""Pictures of several witnesses, one under another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidInput
from dualbound.queries import Answer
from dualbound.report.picture import HEIGHT, SHARP, WIDTH, draw, drawable, new_figure, save_figure

_PIXELS = 30_000
"""At most so many from top to bottom."""


def save_rows(
    path: Path | str,
    original: Float[np.ndarray, "..."],
    answers: Sequence[Answer],
    *,
    model: str = "",
    distinct: str = "label",
) -> None:
    """Draw every witness of a listing as `save_picture` does, one under another.

    Args:
        path: ``.png``, ``.pdf`` or ``.svg``.
        original: the input that was asked about.
        answers: of `dualbound.nearest_several`; those without a witness are left out.
        model: its name, for the captions.
        distinct: by what the answers differ.

    Raises:
        InvalidInput: no answer has a witness.
        OutputError: another suffix, or the file cannot be written.
    """
    path = drawable(path)
    found = [answer for answer in answers if answer.witness is not None]
    if not found:
        raise InvalidInput("There is no witness to draw.")
    figure = new_figure(WIDTH, HEIGHT * len(found))
    parts = figure.subfigures(len(found), 1, squeeze=False)[:, 0]
    for number, (part, answer) in enumerate(zip(parts, found, strict=True), 1):
        beside = " in a pattern not shown above" if distinct == "pattern" and number > 1 else ""
        draw(part, original, answer, model=model, number=number, beside=beside)
    save_figure(path, figure, min(SHARP, _PIXELS / (HEIGHT * len(found))))
