"""Which units matter for accuracy, and which for robustness, before and after pruning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dualbound.limits import Limits
from dualbound.queries.models import load
from dualbound.studies.experiment import Cell, Kept, Result
from dualbound.studies.protocols.protocol import Comparison, Lines, number
from dualbound.studies.protocols.pruned_networks import (
    FIRST,
    QUICK_SECONDS,
    SIDES,
    WEIGHT,
    cells_of,
    model_of,
    name_of,
)
from dualbound.studies.protocols.trained import TrainingProtocol, data_of

ROBUST_EACH, ROBUST_EPS, ROBUST_SECONDS = 2, 0.02, 300.0


def critical(folder: Path, *, network: str, eps: float, each: int, seconds: float) -> Result:
    """Scores by the margin's hinge, at the inputs or at the worst ones near them."""
    from dualbound.prune import importance

    drawn = data_of("mnist", "train").balanced(each, 0)
    found = importance(
        load(model_of(folder, network)), drawn.values(), np.asarray(drawn.labels, dtype=int),
        loss="hinge", weight=WEIGHT, eps=eps, limits=Limits(seconds),
    )  # fmt: skip
    return {
        "scores": {name: one.tolist() for name, one in found.scores.items()},
        "value": found.value,
        "bound": found.bound,
        "seconds": found.seconds,
    }


def _cells(quick: bool) -> list[Cell]:
    cells = cells_of(FIRST, quick)
    for side in SIDES:
        for what, eps in (("accuracy", 0.0), ("robustness", ROBUST_EPS)):
            asked = {
                "network": name_of(side), "eps": eps,
                "each": 1 if quick else ROBUST_EACH,
                "seconds": QUICK_SECONDS if quick else ROBUST_SECONDS,
            }  # fmt: skip
            cells.append(Cell(f"{what} of {side}", critical, asked, (f"{FIRST} pruned",)))
    return cells


def _compare(kept: Mapping[str, Kept]) -> list[Comparison]:
    rows: list[tuple[object, ...]] = []
    for side in SIDES:
        pair = [kept.get(f"{what} of {side}") for what in ("accuracy", "robustness")]
        if pair[0] is None or pair[1] is None:
            continue
        first, second = pair[0].result, pair[1].result
        for name in first["scores"]:
            a, b = (np.array(one["scores"][name]) >= 1e-3 for one in (first, second))
            either = int((a | b).sum())
            rows.append(
                (
                    side,
                    name,
                    len(a),
                    int(a.sum()),
                    int(b.sum()),
                    int((a & b).sum()),
                    number(int((a & b).sum()) / either) if either else None,
                )
            )
    note = (
        f"Scores by the hinge of the margin on {ROBUST_EACH} images of each class, at the images "
        f"and at the worst inputs within {ROBUST_EPS} (L∞) of them, at most {ROBUST_SECONDS:g} s "
        "each. The share is of the units that are critical for either."
    )
    columns = (
        "network", "layer", "units", "critical for accuracy", "for robustness", "for both", "share",
    )  # fmt: skip
    proofs: list[tuple[object, ...]] = [
        (side, what, number(one.result["value"]), number(one.result["bound"]))
        for side in SIDES
        for what in ("accuracy", "robustness")
        if (one := kept.get(f"{what} of {side}")) is not None
    ]
    found = Comparison(
        "What was found and proved",
        ("network", "scores for", "value", "no scores are below"),
        proofs,
        "The value for robustness is a proved upper bound of the loss at the worst inputs.",
    )
    return [Comparison("Critical units", columns, rows, note), found] if rows else []


def _draw(kept: Mapping[str, Kept]) -> list[Lines]:
    pictures = []
    for side in SIDES:
        lines = {}
        for what in ("accuracy", "robustness"):
            one = kept.get(f"{what} of {side}")
            if one is not None:
                every = np.concatenate([np.array(s) for s in one.result["scores"].values()])
                lines[f"for {what}"] = every.tolist()
        if lines:
            at = [float(k) for k in range(len(next(iter(lines.values()))))]
            title = f"Scores of the {side} network's units"
            pictures.append(Lines(side, title, "unit", "score", at, lines, share=True, apart=True))
    return pictures


PROTOCOL = TrainingProtocol(
    key="pruning-critical",
    title="Units that matter for accuracy, and for robustness",
    source="Pruning, section 5",
    cells=_cells,
    compare=_compare,
    draw=_draw,
)
