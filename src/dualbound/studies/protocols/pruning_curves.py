"""Pruning by importance beside other rankings: accuracy and exact distance by the share removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from dualbound.criterion import Untargeted
from dualbound.learn.saving import to_onnx
from dualbound.limits import Limits
from dualbound.network import read_onnx
from dualbound.queries import nearest
from dualbound.queries.models import load
from dualbound.studies.experiment import Cell, Kept, Result
from dualbound.studies.protocols.protocol import Comparison, Lines
from dualbound.studies.protocols.pruned_networks import (
    EACH,
    FINE_TUNING,
    FIRST,
    model_of,
    original,
    plan_of,
    right_of_all,
)
from dualbound.studies.protocols.trained import (
    Plan,
    Stopped,
    TrainingProtocol,
    data_of,
    mean_and_error,
    plus_minus,
)

SHARES = (0.0, 0.1, 0.3, 0.5, 0.7)
"""Of the units, removed. With none removed all rankings are one, and it is trained on as well."""

RANKINGS = ("importance", "random", "magnitude", "gradient")
SEEDS = 5
CURVE_IMAGES, NORM = 5, "l1"
CURVE_SECONDS, CURVE_QUESTION = 30.0, 30.0
"""Of the scores, and of a nearest adversary."""


def shortened(
    folder: Path, *, plan: dict[str, Any], ranking: str, share: float, each: int, images: int
) -> Result | None:
    """A network without a share of its units: accuracy before and after training, distances."""
    from dualbound.prune import prune

    asked = Plan.of(plan)
    try:
        asked.carry_out(folder)
    except Stopped:
        return None
    network = load(model_of(folder, asked.name))
    train, test = data_of(asked.data, "train", asked.each), data_of(asked.data, "test")
    found = prune(
        network, train, each=each, ranking=ranking, remove=share, relaxed=True,
        seed=asked.recipe.seed, limits=Limits(CURVE_SECONDS),
        recipe=replace(FINE_TUNING, epochs=2),
    )  # fmt: skip
    accuracies = found.accuracies(test)
    judged = read_onnx(to_onnx(found.after.module, found.after.shape))
    x = test.values().reshape(len(test), -1)
    distances, bounds = [], []
    for k in right_of_all([judged], test, images):
        answer = nearest(
            judged, x[k].astype(float), Untargeted(), norm=NORM, gap=1e-2,
            limits=Limits(CURVE_QUESTION),
        )  # fmt: skip
        if answer.value is not None:
            distances.append(answer.value)
            bounds.append(answer.bound)
    return {
        "accuracy": accuracies,
        "parameters": found.parameters,
        "distance": float(np.mean(distances)) if distances else None,
        "bound": float(np.mean(bounds)) if bounds else None,
    }


def _cells(quick: bool) -> list[Cell]:
    cells = []
    for seed in range(1 if quick else SEEDS):
        plan = asdict(plan_of(FIRST, quick, seed, f"seed {seed}"))
        cells.append(Cell(f"seed {seed}", original, {"plan": plan}))
        for share in SHARES[:2] if quick else SHARES:
            for ranking in RANKINGS if share else ("random",):
                arguments = {
                    "plan": plan, "ranking": ranking, "share": share, "each": 2 if quick else EACH,
                    "images": 1 if quick else CURVE_IMAGES,
                }  # fmt: skip
                name = f"{ranking}, {share:g} removed, seed {seed}"
                cells.append(Cell(name, shortened, arguments, (f"seed {seed}",)))
    return cells


def _curve(kept: Mapping[str, Kept], ranking: str, share: float) -> list[Result]:
    start = f"{ranking if share else 'random'}, {share:g} removed, "
    return [one.result for name, one in kept.items() if name.startswith(start)]


def _compare(kept: Mapping[str, Kept]) -> list[Comparison]:
    tables = []
    for what, title in (
        ("cut", "Accuracy after the cut, %"),
        ("after", "Accuracy after training on, %"),
        ("distance", "Mean L1 distance of the nearest adversary"),
    ):
        rows: list[tuple[object, ...]] = []
        for ranking in RANKINGS:
            row: list[object] = [ranking]
            for share in SHARES:
                found = _curve(kept, ranking, share)
                if what == "distance":
                    values = [one["distance"] for one in found if one["distance"] is not None]
                    row.append(plus_minus(values, digits=3))
                else:
                    row.append(plus_minus((one["accuracy"][what] for one in found), 100))
            rows.append(tuple(row))
        if any(any(cell is not None for cell in row[1:]) for row in rows):
            columns = ("ranked by", *(f"{100 * share:g} % removed" for share in SHARES))
            note = (
                f"784-50-20-10, {SEEDS} networks, mean ± standard error. Scores on {EACH} images "
                f"of each class, {CURVE_SECONDS:g} s by linear programs; then 2 epochs of "
                "training."
            )
            if what == "distance":
                note += _proved(kept)
            tables.append(Comparison(title, columns, rows, note))
    return tables


def _proved(kept: Mapping[str, Kept]) -> str:
    """How far distances are proved."""
    pairs = [
        (one.result["distance"], one.result["bound"])
        for one in kept.values()
        if one.result.get("distance")
    ]
    off = [1 - bound / distance for distance, bound in pairs]
    return (
        f" Distances are those of the first {CURVE_IMAGES} test images answered right, of the "
        f"network trained on, {CURVE_QUESTION:g} s each; what is proved is below them by "
        f"{100 * np.mean(off):.2g} % in the mean of {len(off)} means, {100 * max(off):.2g} % at "
        "most."
    )


def _draw(kept: Mapping[str, Kept]) -> list[Lines]:
    pictures = []
    for what, title, y in (
        ("cut", "After the cut", "accuracy"),
        ("after", "After training on", "accuracy"),
        ("distance", "Nearest adversary", "mean L1 distance"),
    ):
        lines = {}
        for ranking in RANKINGS:
            means = []
            for share in SHARES:
                values = [
                    one["distance"] if what == "distance" else one["accuracy"][what]
                    for one in _curve(kept, ranking, share)
                ]
                known = [one for one in values if one is not None]
                if not known:
                    break
                means.append(mean_and_error(known)[0])
            if means:
                lines[ranking] = means
        if lines:
            pictures.append(
                Lines(what, title, "share of units removed", y, SHARES, lines, what != "distance")
            )
    return pictures


PROTOCOL = TrainingProtocol(
    key="pruning-curves",
    title="Importance beside other rankings",
    source="Pruning, section 3.2, with rankings that it does not compare with",
    cells=_cells,
    compare=_compare,
    draw=_draw,
)
