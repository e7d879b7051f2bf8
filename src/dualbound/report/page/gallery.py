"""Original, adversary and change of some questions: the nearest, the median, the furthest, open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from dualbound.data.images import Image, needs_download
from dualbound.errors import DualboundError
from dualbound.network import Network
from dualbound.region import NORMS
from dualbound.report.page import numbers, pictures
from dualbound.report.page.answers import (
    NEAREST,
    Answers,
    bound_of,
    called,
    groups,
    options_of,
    value_of,
)
from dualbound.report.page.excerpt import Excerpt
from dualbound.report.page.pictures import Picture
from dualbound.report.words import CHANGED, counted

TRIPLES = 72
"""At most so many in all."""

OPEN = 2
"""So many open questions of each series and network, those with the widest gap."""


@dataclass(frozen=True)
class Triple:
    """One question in pictures.

    Attributes:
        place: why it is shown: ``nearest``, ``median``, ``furthest`` or ``open``.
        name: of the question.
        labels: what the network answers before and after.
        distance: in words.
        proof: its state, in words.
        proved: whether that is the nearest.
        pictures: original, adversary and change, each with its title; the first and the last are
            missing where the original cannot be read.
    """

    place: str
    name: str
    labels: str
    distance: str
    proof: str
    proved: bool
    pictures: tuple[tuple[str, str, Picture], ...]


@dataclass(frozen=True)
class Wall:
    """The triples of one series and network.

    Attributes:
        heading: of both.
        triples: in order.
    """

    heading: str
    triples: tuple[Triple, ...]


def galleries(answers: Answers) -> Excerpt[Wall]:
    """For each series of nearest questions and network some triples, within `TRIPLES` in all.

    What is left out are triples.
    """
    originals = _Originals(answers)
    walls, left = [], TRIPLES
    left_out = 0
    frame = answers.of(NEAREST)
    for (series, network), rows in groups(frame[frame["replayed"].fillna(False)]):
        triples = []
        for place, number in chosen(rows):
            if left == 0:
                left_out += 1
            else:
                triple = _triple(answers, originals, place, number, rows.loc[[number]].iloc[0])
                triples += [] if triple is None else [triple]
                left -= 1
        if triples:
            walls.append(Wall(called(series, network), tuple(triples)))
    return Excerpt(tuple(walls), left_out)


def chosen(rows: pd.DataFrame) -> Iterator[tuple[str, int]]:
    """Which answers of a series and network are shown, and why; each once.

    >>> rows = pd.DataFrame({"settled": [True, True, True, False], "value": [3.0, 1.0, 2.0, 9.0],
    ...                      "gap": [0, 0, 0, 0.5]}, index=[7, 8, 9, 10])
    >>> list(chosen(rows))
    [('nearest', 8), ('median', 9), ('furthest', 7), ('open', 10)]
    """
    proved = rows[rows["settled"] & rows["value"].notna()].sort_values("value", kind="stable")
    places = {"nearest": 0, "median": (len(proved) - 1) // 2, "furthest": len(proved) - 1}
    seen: set[int] = set()
    for place, at in places.items():
        if len(proved) and int(proved.index[at]) not in seen:
            seen.add(int(proved.index[at]))
            yield place if len(proved) > 1 else "proved", int(proved.index[at])
    left = rows[~rows["settled"] & rows["value"].notna()]
    for number in left.sort_values("gap", ascending=False, kind="stable").index[:OPEN]:
        yield "open", int(number)


class _Originals:
    """Images as they were asked about; each network is read once."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._networks: dict[str, Network | None] = {}

    def of(self, row: pd.Series) -> Image | None:
        """None where it cannot be read any more, not without a download, or is another one now."""
        if needs_download(str(row["image"])):
            return None
        specification, name = self._answers.specification, str(row["network"])
        try:
            if name not in self._networks:
                self._networks[name] = None
                self._networks[name] = specification.network(name)
            network = self._networks[name]
            image = None if network is None else specification.image(str(row["image"]), network)
        except (DualboundError, OSError):
            return None
        return image if image is not None and image.sha256 == row["image_sha256"] else None


def _triple(
    answers: Answers, originals: _Originals, place: str, number: int, row: pd.Series
) -> Triple | None:
    witness = answers.store.witness(number)
    if witness is None:
        return None
    options = options_of(str(row["options"]))
    limits = tuple(options.get("range") or (0.0, 1.0))
    before, after = numbers.integer(row["label_before"]), numbers.integer(row["label_after"])
    found = "repaired" if row["target_kind"] == "repair" else "adversary"
    image = originals.of(row)
    shown = [
        (found, f"answered {after}", pictures.grey(
            witness, f"{found} of {row['image']}, answered {after}", limits))
    ]  # fmt: skip
    if image is not None:
        x = image.pixels.reshape(witness.shape)
        shown = [
            *_around(x, witness, str(row["image"]), before, options.get("norm"), shown, limits)
        ]
    norm = NORMS[str(row["asked_norm"])].title
    proved = bool(row["settled"])
    bound = bound_of(NEAREST, options, row["bound"])
    return Triple(
        place,
        f"no. {number} · {row['image']}",
        f"{before} → {after}",
        f"{norm} distance {value_of(options, row['value'])}",
        f"proved: nothing below {bound}" if proved else f"open: nothing below {bound} so far",
        proved,
        tuple(shown),
    )


def _around(
    x: Float[np.ndarray, "..."],
    witness: Float[np.ndarray, "..."],
    name: str,
    before: str,
    norm: object,
    shown: list[tuple[str, str, Picture]],
    limits: tuple[float, ...],
) -> Iterator[tuple[str, str, Picture]]:
    """The original, what was found, and the change."""
    low, high = limits
    changed = np.abs(witness - x) > (0.0 if norm == "l0" else CHANGED)
    count = int(changed.sum())
    largest = float(np.abs(witness - x).max())
    yield (
        "original",
        f"answered {before}",
        pictures.grey(x, f"original {name}, answered {before}", (low, high)),
    )
    yield from shown
    what = f"change of {name}: {counted(count, 'input')}, the largest by {largest:.3f}"
    yield (
        "change",
        counted(count, "input"),
        pictures.change(x, witness, changed, what, (low, high)),
    )
