"""Pruning by importance, and what it does to accuracy, robustness and transfer."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dualbound.files import write_whole
from dualbound.limits import Limits
from dualbound.queries.compare import smallest_margin
from dualbound.queries.compared import Margin
from dualbound.queries.models import load
from dualbound.studies.experiment import Cell, Kept, Result
from dualbound.studies.protocols.protocol import Comparison, number
from dualbound.studies.protocols.pruned_networks import (
    EACH,
    FINE_TUNING,
    FIRST,
    NETWORKS,
    SECONDS,
    SIDES,
    WEIGHT,
    cells_of,
    model_of,
    name_of,
    right_of_all,
)
from dualbound.studies.protocols.side_by_side import STATISTICS, statistics
from dualbound.studies.protocols.trained import TrainingProtocol, data_of

EPS = 0.043
"""The radius, L∞, in which about 8 % of the questions about the original have an adversary; the
papers state the share and not the radius."""

IMAGES, CHUNK = 200, 5
QUESTION_SECONDS = 300.0
"""Of a question, at most."""

CHECKED, CHECKED_GAP = 5, 0.05
"""The margins of so many images are proved to this, to see what the others lack."""

PUBLISHED_ACCURACY = {"mlp-50-20 on MNIST": (97.05, 97.11)}


def margins(
    folder: Path, *, side: str, first: int, count: int, eps: float, gap: float | None
) -> Result:
    """The smallest margins of some images over every other label, their signs proved.

    With a gap the margins themselves are proved too.
    """
    network = load(model_of(folder, name_of(side)))
    both = [load(model_of(folder, name_of(one))) for one in SIDES]
    data = data_of("mnist", "test")
    chosen = right_of_all(both, data, first + count)[first:]
    x = data.values().reshape(len(data), -1)
    found = [
        smallest_margin(
            network, x[k].astype(float), int(data.labels[k]), target, eps, index=int(k),
            gap=gap, limits=Limits(QUESTION_SECONDS),
        )
        for k in chosen
        for target in range(10)
        if target != data.labels[k]
    ]  # fmt: skip
    result = {
        "margins": [
            [one.index, one.label, one.target, one.value, one.bound, one.seconds] for one in found
        ]
    }
    if gap is not None:
        return result
    made = [(one.x, one.label) for one in found if one.found and one.x is not None]
    held = io.BytesIO()
    np.savez(
        held,
        x=np.array([point for point, _ in made]).reshape(-1, x.shape[1]),
        y=np.array([label for _, label in made], dtype=int),
    )
    path = _adversaries(folder, side, first)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, held.getvalue())
    return result


def _adversaries(folder: Path, side: str, first: int) -> Path:
    return folder / "adversaries" / f"{side}-{first}.npz"


def transfer(folder: Path, *, chunks: list[int]) -> Result:
    """How each network answers the adversaries of each."""
    table: Result = {}
    for made_of in SIDES:
        parts = [np.load(_adversaries(folder, made_of, first)) for first in chunks]
        x = np.concatenate([part["x"] for part in parts])
        y = np.concatenate([part["y"] for part in parts])
        for asked in SIDES:
            answers = load(model_of(folder, name_of(asked)))(x).argmax(axis=1) if len(x) else y
            table[f"{asked} on {made_of}"] = float((answers == y).mean()) if len(x) else None
    return table


# What is measured.


def _cells(quick: bool) -> list[Cell]:
    cells = [cell for name in ([FIRST] if quick else NETWORKS) for cell in cells_of(name, quick)]
    images, size = (2, 1) if quick else (IMAGES, CHUNK)
    chunks = list(range(0, images, size))
    needs = (FIRST, f"{FIRST} pruned")
    asked_of = [(side, first) for first in chunks for side in SIDES]
    for side, first in asked_of:
        arguments = {"side": side, "first": first, "count": size, "eps": EPS, "gap": None}
        cells.append(Cell(f"margins of {side}, from {first}", margins, arguments, needs))
    done = tuple(f"margins of {side}, from {first}" for side, first in asked_of)
    cells.append(Cell("transfer", transfer, {"chunks": chunks}, done))
    proved = {"first": 0, "count": 1 if quick else CHECKED, "eps": EPS, "gap": CHECKED_GAP}
    for side in SIDES:
        cells.append(Cell(f"{side}, proved to a gap", margins, {"side": side, **proved}, done))
    return cells


# What is said of it.

PUBLISHED_COUNTS = {"original": 148, "pruned": 139}
PUBLISHED_TRANSFER = {"original on pruned": 14.39, "pruned on original": 22.30}
PUBLISHED_LABELS = {
    "original": (1, 38, 10, 5, 34, 6, 12, 17, 1, 24),
    "pruned": (2, 36, 8, 6, 35, 9, 6, 10, 1, 26),
}
PUBLISHED_ASKED = (144, 252, 144, 198, 252, 126, 180, 270, 36, 198)
PUBLISHED_TARGETS = {
    "original": (2, 6, 8, 36, 5, 19, 7, 16, 27, 22),
    "pruned": (0, 6, 8, 28, 4, 13, 10, 28, 23, 19),
}
PUBLISHED_TARGETED = (184, 172, 184, 178, 172, 186, 180, 170, 196, 178)
PUBLISHED_STATISTICS = {
    "adversary": (
        (287, -3.38663, 2.80574, -13.2354, -4.90792, -2.53535, -1.25681, -0.0173092),
        (287, 6.3261, 7.63883, 0.663828, 2.57388, 4.16219, 7.10247, 60.0291),
    ),
    "none": (
        (1513, 9.97858, 6.87621, 0.0544291, 4.57773, 8.76774, 14.1734, 39.9802),
        (1513, 5.01184, 10.2095, 0.376705, 2.1257, 3.3787, 5.3636, 337.692),
    ),
}


def _compare(kept: Mapping[str, Kept]) -> list[Comparison]:
    return [
        *_pruning_tables(kept),
        *_margin_tables(kept),
        *_transfer_tables(kept),
    ]


def _pruning_tables(kept: Mapping[str, Kept]) -> list[Comparison]:
    rows: list[tuple[object, ...]] = []
    for name in NETWORKS:
        one = kept.get(f"{name} pruned")
        if one is None:
            continue
        found = one.result
        published = PUBLISHED_ACCURACY.get(name, (None, None))
        accuracy = {key: number(100 * value) for key, value in found["accuracy"].items()}
        gap = (found["value"] - found["bound"]) / max(1.0, abs(found["value"]))
        rows.append(
            (
                name,
                f"{found['units'][0]} → {found['units'][1]}",
                f"{found['parameters'][0]:,} → {found['parameters'][1]:,}",
                published[0],
                accuracy["before"],
                accuracy["cut"],
                published[1],
                accuracy["after"],
                number(found["value"]),
                number(found["bound"]),
                number(100 * gap),
                number(found["seconds"]),
            )
        )
    if not rows:
        return []
    return [
        Comparison(
            "Pruned by importance, threshold 0.001",
            (
                "network", "units", "parameters", "published, original", "original, %", "cut, %",
                "published, pruned", "pruned and trained on, %", "value", "bound", "gap, %", "s",
            ),
            rows,
            f"Scores on {EACH} images of each class (2 for the convolutional network), weight of "
            f"the softmax loss {WEIGHT:g}, at most {SECONDS:g} s by HiGHS; then "
            f"{FINE_TUNING.epochs} epochs. 'value' is of the objective at the scores, 'bound' what "
            "no scores are below.",
        )
    ]  # fmt: skip


def _all_margins(kept: Mapping[str, Kept], side: str) -> list[Margin]:
    return [
        Margin(index, label, target, value, bound, None, seconds)
        for name, one in kept.items()
        if name.startswith(f"margins of {side}, ")
        for index, label, target, value, bound, seconds in one.result["margins"]
    ]


def _margin_tables(kept: Mapping[str, Kept]) -> list[Comparison]:
    sides = {side: _all_margins(kept, side) for side in SIDES}
    if not all(sides.values()):
        return []
    counts: list[tuple[object, ...]] = []
    for side, found in sides.items():
        adversaries = sum(one.found for one in found)
        counts.append(
            (
                side,
                f"{PUBLISHED_COUNTS[side]} of 1,800",
                f"{adversaries} of {len(found):,}",
                number(100 * adversaries / len(found)),
                sum(not one.decided for one in found),
                number(float(np.mean([one.seconds for one in found]))),
                number(max(one.seconds for one in found)),
            )
        )
    tables = [
        Comparison(
            f"Adversaries within {EPS} (L∞)",
            ("network", "published", "found", "%", "open", "mean s", "longest s"),
            counts,
            "Of test images that both networks answer right, each against nine labels; of every "
            "question it is proved whether the margin can be negative. Seconds are of one thread. "
            "Published: mean 6.3 s with an adversary, 5.0 s without, at most 338 s."
            + _checked(kept),
        )
    ]
    for of, published, asked in (
        ("label", PUBLISHED_LABELS, PUBLISHED_ASKED),
        ("target", PUBLISHED_TARGETS, PUBLISHED_TARGETED),
    ):
        rows: list[tuple[object, ...]] = []
        for k in range(10):
            mine = {
                side: [one for one in found if getattr(one, of) == k]
                for side, found in sides.items()
            }
            hits = {side: sum(one.found for one in found) for side, found in mine.items()}
            total = len(mine["original"])
            rows.append(
                (
                    k,
                    asked[k],
                    published["original"][k],
                    published["pruned"][k],
                    total,
                    hits["original"],
                    hits["pruned"],
                    number((hits["original"] + hits["pruned"]) / (2 * total)) if total else None,
                )
            )
        tables.append(
            Comparison(
                f"Adversaries by {'original label' if of == 'label' else 'target'}",
                (
                    of, "published, asked of both", "published, original", "published, pruned",
                    "asked of each", "original", "pruned", "rate",
                ),
                rows,
            )
        )  # fmt: skip
    for side, found in sides.items():
        matrix = np.zeros((10, 10), dtype=int)
        for one in found:
            matrix[one.label, one.target] += one.found
        tables.append(
            Comparison(
                f"Adversaries of the {side} network: label (row) to target (column)",
                ("label", *map(str, range(10))),
                [(k, *map(int, row)) for k, row in enumerate(matrix)],
            )
        )
    return [*tables, *_statistics(sides)]


def _checked(kept: Mapping[str, Kept]) -> str:
    """How far the margins that were found are from the smallest, where those were proved."""
    found = {
        (one.index, one.target, side): one for side in SIDES for one in _all_margins(kept, side)
    }
    off = []
    for side in SIDES:
        cell = kept.get(f"{side}, proved to a gap")
        for index, _label, target, value, _bound, _seconds in (
            cell.result["margins"] if cell else []
        ):
            other = found.get((index, target, side))
            if other is not None and other.value is not None:
                off.append((other.value - value) / max(1.0, abs(value)))
    if not off:
        return ""
    return (
        f" The margins below are the smallest found. Of {len(off)} the smallest were sought and "
        f"proved to {100 * CHECKED_GAP:g} %: those found are above them by "
        f"{100 * float(np.mean(off)):.2g} % in the mean and {100 * max(off):.2g} % at most (of 1 "
        "for margins below 1)."
    )


def _statistics(sides: Mapping[str, list[Margin]]) -> list[Comparison]:
    both = [one for found in sides.values() for one in found]
    tables = []
    for kind, title in (("adversary", "with an adversary"), ("none", "without an adversary")):
        chosen = [one for one in both if one.found == (kind == "adversary")]
        values = [one.value for one in chosen if one.value is not None]
        if not values:
            continue
        published = PUBLISHED_STATISTICS[kind]
        seconds = [one.seconds for one in chosen]
        ours = [(float(len(one)), *statistics(one)) for one in (values, seconds)]
        rows: list[tuple[object, ...]] = [
            (name, published[0][k], number(ours[0][k]), published[1][k], number(ours[1][k]))
            for k, name in enumerate(STATISTICS)
        ]
        tables.append(
            Comparison(
                f"Questions {title}, both networks",
                ("", "published margin", "margin", "published s", "s"),
                rows,
            )
        )
    return tables


def _transfer_tables(kept: Mapping[str, Kept]) -> list[Comparison]:
    one = kept.get("transfer")
    if one is None:
        return []
    rows = [
        (name, PUBLISHED_TRANSFER.get(name), None if share is None else number(100 * share))
        for name, share in one.result.items()
    ]
    columns = ("network on the adversaries of", "published, % right", "% right")
    return [Comparison("Transfer", columns, rows)]


PROTOCOL = TrainingProtocol(
    key="pruning",
    title="Pruned by importance: accuracy, robustness, transfer",
    source="Pruning, sections 3 and 4",
    cells=_cells,
    compare=_compare,
)
