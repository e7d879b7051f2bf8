"""The tables of a comparison: networks side by side, and the adversaries of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dualbound.queries.compared import Compared, Margin, Side
from dualbound.studies.protocols.protocol import Comparison, number

Row = tuple[object, ...]

STATISTICS = ("count", "mean", "std", "min", "25 %", "50 %", "75 %", "max")


def tables(found: Compared, classes: Sequence[str] | None = None) -> list[Comparison]:
    """All that a comparison found, as tables.

    Args:
        found: what was compared.
        classes: their names; numbers from 0 on where there are none.

    >>> import numpy as np
    >>> margin = Margin(3, 0, 1, -0.5, -0.5, np.zeros(2), 0.1)
    >>> found = Compared((Side("net", 0.9, 12, (margin,), ()),), 0.1, (3,), 2, np.zeros((1, 1)), 1)
    >>> tables(found)[0].lines()
    [['net', '90', '12', '1', '1', '0', '0', '0']]
    """
    names = [str(k) for k in range(found.classes)] if classes is None else list(classes)
    return [
        _networks(found),
        *([_distances(found)] if any(side.distances for side in found.sides) else []),
        _transfer(found),
        _spread(found, "Smallest margins", lambda one: one.value),
        _spread(found, "Seconds for a margin", lambda one: one.seconds),
        _by(found, "Adversaries by original label", "label", names),
        _by(found, "Adversaries by target label", "target", names),
    ]


def statistics(values: Sequence[float]) -> tuple[float | None, ...]:
    """Mean, standard deviation of a sample, least, quartiles and greatest; None where none is.

    >>> statistics([1.0, 2.0, 3.0])
    (2.0, 1.0, 1.0, 1.5, 2.0, 2.5, 3.0)
    >>> statistics([1.0])[:3]
    (1.0, None, 1.0)
    """
    if not values:
        return (None,) * (len(STATISTICS) - 1)
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    ends = [float(one) for one in np.quantile(values, [0, 0.25, 0.5, 0.75, 1])]
    return (float(np.mean(values)), spread, *ends)


def mean_distance(side: Side) -> tuple[float | None, float | None]:
    """The mean distance of the nearest adversaries found, and the mean proved bound of the same."""
    pairs = [(one.value, one.bound) for one in side.distances if one.value is not None]
    if not pairs:
        return None, None
    value, bound = np.mean(pairs, axis=0)
    return float(value), float(bound)


def _per_cent(share: float | None) -> float | None:
    return None if share is None else number(100 * share)


def _networks(found: Compared) -> Comparison:
    rows: list[Row] = []
    for side in found.sides:
        proved, left = side.robust(found.images, found.classes) or (None, None)
        rows.append(
            (
                *(side.name, _per_cent(side.accuracy), side.parameters, len(side.margins)),
                *(len(side.adversaries), side.open, _per_cent(proved), _per_cent(left)),
            )
        )
    return Comparison(
        "Networks",
        (
            *("network", "right, %", "parameters", "asked", "adversaries", "open"),
            *("robust, %", "at most"),
        ),
        rows,
        "Right: of all the data. Asked: questions, each of an image and another label. Robust: of "
        f"the images, those proved to have no adversary within {found.eps:g} (L∞); at "
        "most: those without one so far.",
    )


def _distances(found: Compared) -> Comparison:
    rows: list[Row] = []
    for side in found.sides:
        figures = (None if one is None else number(one) for one in mean_distance(side))
        found_ones = sum(one.value is not None for one in side.distances)
        rows.append((side.name, len(side.distances), found_ones, *figures))
    return Comparison(
        "Distances of the nearest adversaries (L∞)",
        ("network", "images", "found", "mean", "proved"),
        rows,
        "Proved: the mean of the distances below which there are none.",
    )


def _transfer(found: Compared) -> Comparison:
    names = [side.name for side in found.sides]
    rows: list[Row] = [
        (name, *(_per_cent(None if np.isnan(one) else float(one)) for one in line))
        for name, line in zip(names, found.transfer, strict=True)
    ]
    return Comparison(
        "Accuracy on the adversaries, %",
        ("network", *(f"of {name}" for name in names)),
        rows,
        "On the adversaries of each network (column), every network (row).",
    )


def _spread(found: Compared, title: str, value: Callable[[Margin], float | None]) -> Comparison:
    rows: list[Row] = []
    for side in found.sides:
        kinds = {
            "with an adversary": side.adversaries,
            "without": [one for one in side.margins if one.decided and not one.found],
            "open": [one for one in side.margins if not one.decided],
        }
        for kind, margins in kinds.items():
            if kind == "open" and not margins:
                continue
            values = [one for one in map(value, margins) if one is not None]
            figures = (None if one is None else number(one) for one in statistics(values))
            rows.append((f"{side.name}, {kind}", len(values), *figures))
    return Comparison(title, ("questions", *STATISTICS), rows)


def _by(found: Compared, title: str, of: str, names: Sequence[str]) -> Comparison:
    """How many questions of each label, or target, have an adversary."""
    rows: list[Row] = []
    for k, name in enumerate(names):
        mine = [[one for one in side.margins if getattr(one, of) == k] for side in found.sides]
        asked = sum(map(len, mine))
        if asked:
            hits = [sum(one.found for one in margins) for margins in mine]
            rows.append((name, asked, *hits, sum(hits), number(100 * sum(hits) / asked)))
    return Comparison(
        title,
        ("label", "asked", *(side.name for side in found.sides), "total", "rate, %"),
        rows,
        "Asked: questions to all networks together.",
    )
