"""The inputs of activate and perfect questions, as sheets of small pictures."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from dualbound.report.page import pictures
from dualbound.report.page.answers import (
    ACTIVATE,
    PERFECT,
    Answers,
    bound_of,
    called,
    groups,
    options_of,
    value_of,
)
from dualbound.report.page.pictures import Picture

TILES = 240
"""At most so many in all."""


@dataclass(frozen=True)
class Shown:
    """A tile of a sheet.

    Attributes:
        name: above it.
        value: with its proof or its bound.
        proved: whether it is the best that there is.
        picture: of the input; None where none was found.
    """

    name: str
    value: str
    proved: bool
    picture: Picture | None


@dataclass(frozen=True)
class Sheet:
    """The inputs of one series and network.

    Attributes:
        heading: of both.
        tiles: in the order of the questions.
        left_out: how many are not shown.
    """

    heading: str
    tiles: tuple[Shown, ...]
    left_out: int


def sheets(answers: Answers) -> list[Sheet]:
    """A sheet for each series and network, within `TILES` in all."""
    found, left = [], TILES
    frame = answers.of(ACTIVATE, PERFECT)
    for (series, network), rows in groups(frame[~frame["failed"]]):
        shown = rows.head(left)
        left -= len(shown)
        tiles = tuple(_tile(answers, int(str(number)), row) for number, row in shown.iterrows())
        found.append(Sheet(called(series, network), tiles, len(rows) - len(shown)))
    return found


def _tile(answers: Answers, number: int, row: pd.Series) -> Shown:
    query, options, name = str(row["query"]), options_of(str(row["options"])), str(row["subject"])
    x = answers.store.witness(number)
    value, bound = value_of(options, row["value"]), bound_of(query, options, row["bound"])
    sign = "≤" if query == ACTIVATE and options.get("maximise") is not False else "≥"
    proved = bool(row["settled"])
    low, high = options.get("range") or (0.0, 1.0)
    words = f"{value} proved" if proved else f"{value} {sign} {bound}"
    picture = None if x is None else pictures.grey(x, f"{name}: {words}", (low, high))
    return Shown(name, words, proved, picture)
