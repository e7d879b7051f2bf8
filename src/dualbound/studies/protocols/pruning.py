"""Pruning by importance, and what it does to accuracy, robustness and transfer."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from dualbound.criterion import Untargeted
from dualbound.data import Dataset
from dualbound.files import write_whole
from dualbound.learn import Recipe, evaluate
from dualbound.learn.saving import to_onnx
from dualbound.limits import Limits
from dualbound.network import Network, read_onnx
from dualbound.queries import nearest
from dualbound.queries.compare import Margin, smallest_margin
from dualbound.queries.models import load
from dualbound.studies.experiment import Cell, Kept, Result
from dualbound.studies.protocols.protocol import Comparison, Lines, number
from dualbound.studies.protocols.side_by_side import STATISTICS, statistics
from dualbound.studies.protocols.trained import (
    MODELS,
    Plan,
    Stopped,
    TrainingProtocol,
    data_of,
    mean_and_error,
    plus_minus,
)

WEIGHT = 5.0
"""Of the loss (the papers' lambda)."""

EACH = 20
"""Inputs of each class that units are scored on."""

SECONDS = 240.0
"""Of a search for scores."""

QUICK_EACH, QUICK_SECONDS = 200, 5.0
"""Of a quick run: inputs of each class to train on, and seconds of a search."""

FINE_TUNING = Recipe(epochs=10, rate=0.02, warmup=0.5)
EPS = 0.043
"""The radius, L∞, in which about 8 % of the questions about the original have an adversary; the
papers state the share and not the radius."""

IMAGES, CHUNK = 200, 5
QUESTION_SECONDS = 300.0

NETWORKS = {
    "mlp-50-20 on MNIST": ("mlp-50-20", "mnist", Recipe(epochs=20, rate=0.05, warmup=0.5)),
    "mlp-50-20 on Fashion-MNIST": (
        "mlp-50-20",
        "fashion-mnist",
        Recipe(epochs=20, rate=0.05, warmup=0.5),
    ),
    "cnn-small on MNIST": ("cnn-small", "mnist", Recipe(epochs=6, rate=0.05, warmup=0.5)),
}
PUBLISHED_ACCURACY = {"mlp-50-20 on MNIST": (97.05, 97.11)}
FIRST = "mlp-50-20 on MNIST"
SIDES = ("original", "pruned")


def _model(folder: Path, name: str) -> Path:
    return folder / MODELS / name / "model.onnx"


def original(folder: Path, *, plan: dict[str, Any]) -> Result | None:
    """A network as it is trained."""
    from dualbound.prune.removal import parameters

    asked = Plan.of(plan)
    try:
        found = asked.carry_out(folder)
    except Stopped:
        return None
    accuracy = evaluate(found.module, data_of(asked.data, "test")).accuracy
    return {"accuracy": accuracy, "parameters": parameters(found.module)}


def pruned(
    folder: Path, *, network: str, data: str, each: int, seconds: float, tuning: dict[str, Any],
    train_each: int | None,
) -> Result | None:  # fmt: skip
    """The network without the units whose scores are below the threshold, trained on."""
    from dualbound.prune import prune

    place = folder / MODELS / f"{network} pruned"
    place.mkdir(parents=True, exist_ok=True)
    test = data_of(data, "test")
    found = prune(
        load(_model(folder, network)), data_of(data, "train", train_each), each=each,
        weight=WEIGHT, recipe=Recipe(**tuning), folder=place, limits=Limits(seconds),
    )  # fmt: skip
    if not found.finished or found.scores is None:
        return None
    write_whole(place / "model.onnx", found.models()["after"])
    scores = found.scores
    return {
        "accuracy": found.accuracies(test),
        "parameters": found.parameters,
        "units": found.units,
        "layers": {
            layer.name: {
                "scores": scores.scores[layer.name].tolist(),
                "keep": found.keep[layer.name].tolist(),
            }
            for layer in found.layers
        },
        "value": scores.value,
        "bound": scores.bound,
        "loss": scores.loss,
        "loss_before": scores.loss_before,
        "seconds": scores.seconds,
    }


def margins(folder: Path, *, side: str, first: int, count: int, eps: float) -> Result:
    """The smallest margin of some images over every other label, found and proved."""
    network = load(_model(folder, _name(side)))
    both = [load(_model(folder, _name(one))) for one in SIDES]
    data = data_of("mnist", "test")
    chosen = _right(both, data, first + count)[first:]
    x = data.values().reshape(len(data), -1)
    found = [
        smallest_margin(
            network, x[k].astype(float), int(data.labels[k]), target, eps, index=int(k),
            limits=Limits(QUESTION_SECONDS),
        )
        for k in chosen
        for target in range(10)
        if target != data.labels[k]
    ]  # fmt: skip
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
    return {
        "margins": [
            [one.index, one.label, one.target, one.value, one.bound, one.seconds] for one in found
        ]
    }


def _name(side: str) -> str:
    return FIRST if side == "original" else f"{FIRST} pruned"


def _adversaries(folder: Path, side: str, first: int) -> Path:
    return folder / "adversaries" / f"{side}-{first}.npz"


def _right(networks: list[Network], data: Dataset, count: int) -> np.ndarray:
    """The first inputs that all networks answer right."""
    x = data.subset(slice(2 * count + 100)).values()
    rows = x.reshape(len(x), -1)
    right = np.all(
        [network(rows).argmax(axis=1) == data.labels[: len(x)] for network in networks], axis=0
    )
    return np.flatnonzero(right)[:count]


def transfer(folder: Path, *, chunks: list[int]) -> Result:
    """How each network answers the adversaries of each."""
    table: Result = {}
    for made_of in SIDES:
        parts = [np.load(_adversaries(folder, made_of, first)) for first in chunks]
        x = np.concatenate([part["x"] for part in parts])
        y = np.concatenate([part["y"] for part in parts])
        for asked in SIDES:
            answers = load(_model(folder, _name(asked)))(x).argmax(axis=1) if len(x) else y
            table[f"{asked} on {made_of}"] = float((answers == y).mean()) if len(x) else None
    return table


# What is measured.


def _cells(quick: bool) -> list[Cell]:
    cells: list[Cell] = []
    few = QUICK_EACH if quick else None
    for name, (architecture, data, recipe) in NETWORKS.items():
        asked = replace(recipe, epochs=2) if quick else recipe
        plan = Plan(name, architecture, data, asked, each=few)
        cells.append(Cell(name, original, {"plan": asdict(plan)}))
        tuning = asdict(replace(FINE_TUNING, epochs=1) if quick else FINE_TUNING)
        arguments = {
            "network": name,
            "data": data,
            "each": (2 if quick else EACH) if name != "cnn-small on MNIST" else 2,
            "seconds": QUICK_SECONDS if quick else SECONDS,
            "tuning": tuning,
            "train_each": few,
        }
        cells.append(Cell(f"{name} pruned", pruned, arguments, (name,)))
        if quick:
            break
    images, size = (2, 1) if quick else (IMAGES, CHUNK)
    chunks = list(range(0, images, size))
    needs = (FIRST, f"{FIRST} pruned")
    asked_of = [(side, first) for first in chunks for side in SIDES]
    for side, first in asked_of:
        arguments = {"side": side, "first": first, "count": size, "eps": EPS}
        cells.append(Cell(f"margins of {side}, from {first}", margins, arguments, needs))
    done = tuple(f"margins of {side}, from {first}" for side, first in asked_of)
    cells.append(Cell("transfer", transfer, {"chunks": chunks}, done))
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
            "Of test images that both networks answer right, each against nine labels; every "
            "question is answered by the smallest margin, found and proved to 1 %. Seconds are of "
            "one thread. Published: mean 6.3 s with an adversary, 5.0 s without, at most 338 s.",
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


# Which units matter for accuracy, and which for robustness.

ROBUST_EACH, ROBUST_EPS, ROBUST_SECONDS = 2, 0.02, 900.0


def critical(
    folder: Path, *, plan: dict[str, Any], network: str, eps: float, each: int, seconds: float
) -> Result | None:
    """Scores by the margin's hinge, at the inputs or at the worst ones near them."""
    from dualbound.prune import importance

    asked = Plan.of(plan)
    try:
        asked.carry_out(folder)
    except Stopped:
        return None
    drawn = data_of("mnist", "train").balanced(each, 0)
    found = importance(
        load(_model(folder, network)), drawn.values(), np.asarray(drawn.labels, dtype=int),
        loss="hinge", weight=WEIGHT, eps=eps, limits=Limits(seconds),
    )  # fmt: skip
    return {
        "scores": {name: one.tolist() for name, one in found.scores.items()},
        "value": found.value,
        "bound": found.bound,
        "seconds": found.seconds,
    }


def _critical_cells(quick: bool) -> list[Cell]:
    architecture, data, recipe = NETWORKS[FIRST]
    plan = asdict(
        Plan(
            FIRST, architecture, data, replace(recipe, epochs=2) if quick else recipe,
            each=QUICK_EACH if quick else None,
        )
    )  # fmt: skip
    arguments = {
        "network": FIRST,
        "data": data,
        "each": 2 if quick else EACH,
        "seconds": QUICK_SECONDS if quick else SECONDS,
        "tuning": asdict(replace(FINE_TUNING, epochs=1) if quick else FINE_TUNING),
        "train_each": QUICK_EACH if quick else None,
    }
    cells = [
        Cell(FIRST, original, {"plan": plan}),
        Cell(f"{FIRST} pruned", pruned, arguments, (FIRST,)),
    ]
    for side in SIDES:
        for what, eps in (("accuracy", 0.0), ("robustness", ROBUST_EPS)):
            asked = {
                "plan": plan, "network": _name(side), "eps": eps,
                "each": 1 if quick else ROBUST_EACH,
                "seconds": QUICK_SECONDS if quick else ROBUST_SECONDS,
            }  # fmt: skip
            cells.append(Cell(f"{what} of {side}", critical, asked, (f"{FIRST} pruned",)))
    return cells


def _critical_compare(kept: Mapping[str, Kept]) -> list[Comparison]:
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
    return [Comparison("Critical units", columns, rows, note)] if rows else []


def _critical_draw(kept: Mapping[str, Kept]) -> list[Lines]:
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
            pictures.append(Lines(side, title, "unit", "score", at, lines, share=True))
    return pictures


# Curves.

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
RANKINGS = ("importance", "random", "magnitude", "gradient")
SEEDS, CURVE_IMAGES = 5, 10
CURVE_SECONDS, CURVE_QUESTION = 30.0, 20.0


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
    network = load(_model(folder, asked.name))
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
    for k in _right([judged], test, images):
        answer = nearest(
            judged, x[k].astype(float), Untargeted(), norm="linf", gap=1e-2,
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


def _curve_cells(quick: bool) -> list[Cell]:
    architecture, data, recipe = NETWORKS[FIRST]
    cells = []
    for seed in range(1 if quick else SEEDS):
        asked = replace(recipe, seed=seed, epochs=1 if quick else recipe.epochs)
        plan = asdict(
            Plan(f"seed {seed}", architecture, data, asked, each=QUICK_EACH if quick else None)
        )
        cells.append(Cell(f"seed {seed}", original, {"plan": plan}))
        for share in SHARES[:1] if quick else SHARES:
            for ranking in RANKINGS:
                arguments = {
                    "plan": plan, "ranking": ranking, "share": share, "each": 2 if quick else EACH,
                    "images": 1 if quick else CURVE_IMAGES,
                }  # fmt: skip
                name = f"{ranking}, {share:g} removed, seed {seed}"
                cells.append(Cell(name, shortened, arguments, (f"seed {seed}",)))
    return cells


def _curve(kept: Mapping[str, Kept], ranking: str, share: float) -> list[Result]:
    start = f"{ranking}, {share:g} removed, "
    return [one.result for name, one in kept.items() if name.startswith(start)]


def _curve_compare(kept: Mapping[str, Kept]) -> list[Comparison]:
    tables = []
    for what, title in (
        ("cut", "Accuracy after the cut, %"),
        ("after", "Accuracy after training on, %"),
        ("distance", "Mean L∞ distance of the nearest adversary"),
    ):
        rows: list[tuple[object, ...]] = []
        for ranking in RANKINGS:
            row: list[object] = [ranking]
            for share in SHARES:
                found = _curve(kept, ranking, share)
                if what == "distance":
                    values = [one["distance"] for one in found if one["distance"] is not None]
                    row.append(plus_minus(values, digits=4))
                else:
                    row.append(plus_minus((one["accuracy"][what] for one in found), 100))
            rows.append(tuple(row))
        if any(any(cell is not None for cell in row[1:]) for row in rows):
            columns = ("ranked by", *(f"{100 * share:g} % removed" for share in SHARES))
            note = (
                f"784-50-20-10, {SEEDS} networks, mean ± standard error. Scores on {EACH} images "
                "of each class; 2 epochs of training after the cut; distances of the first "
                f"{CURVE_IMAGES} test images answered right, of the network trained on."
            )
            tables.append(Comparison(title, columns, rows, note))
    return tables


def _curve_draw(kept: Mapping[str, Kept]) -> list[Lines]:
    pictures = []
    for what, title, y in (
        ("cut", "After the cut", "accuracy"),
        ("after", "After training on", "accuracy"),
        ("distance", "Nearest adversary", "mean L∞ distance"),
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


PROTOCOLS = (
    TrainingProtocol(
        key="pruning",
        title="Pruned by importance: accuracy, robustness, transfer",
        source="Pruning, sections 3 and 4",
        cells=_cells,
        compare=_compare,
    ),
    TrainingProtocol(
        key="pruning-critical",
        title="Units that matter for accuracy, and for robustness",
        source="Pruning, section 5",
        cells=_critical_cells,
        compare=_critical_compare,
        draw=_critical_draw,
    ),
    TrainingProtocol(
        key="pruning-curves",
        title="Importance beside other rankings",
        source="Pruning, section 3.2, with rankings that it does not compare with",
        cells=_curve_cells,
        compare=_curve_compare,
        draw=_curve_draw,
    ),
)
