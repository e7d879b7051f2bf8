"""Convolutional networks on MNIST and CIFAR-10: training, and one figure of it at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dualbound.learn import Recipe, evaluate
from dualbound.studies.experiment import Cell, Kept, Result
from dualbound.studies.protocols.protocol import Comparison, Lines, number
from dualbound.studies.protocols.trained import (
    Plan,
    Stopped,
    TrainingProtocol,
    data_of,
    history_of,
)

SIMPLE = "32c3-m2-d{dropout}-128-d{dropout}-10"
"""The paper's beginning: one convolution."""

FIRST = Recipe(epochs=20, rate=0.01, momentum=0.0, schedule="constant", decay=1e-3)
BEST = Recipe(epochs=20, rate=0.05, decay=1e-4)
CIFAR = Recipe(epochs=20, batch=64, rate=0.02, nesterov=True, warmup=0.5)

QUICK_EACH, QUICK_EPOCHS = 200, 2
"""Of a quick run: inputs of each class, and epochs."""

_OTHERS = "Published figures are of other software and another machine: context, no comparison."


def trained(folder: Path, *, plan: dict[str, Any]) -> Result | None:
    """A network, how it answers the test set, and its learning curve."""
    asked = Plan.of(plan)
    try:
        found = asked.carry_out(folder)
    except Stopped:
        return None
    score = evaluate(found.module, data_of(asked.data, "test"))
    history = history_of(found)
    return {"accuracy": score.accuracy, "loss": score.loss, "history": history}


def cell(plan: Plan, quick: bool) -> Cell:
    """The cell that trains a network; quickly: less data and fewer epochs."""
    return Cell(plan.name, trained, {"plan": asdict(quick_plan(plan) if quick else plan)})


def quick_plan(plan: Plan) -> Plan:
    """The same with less data and fewer epochs."""
    epochs = min(plan.recipe.epochs, QUICK_EPOCHS)
    return replace(plan, each=QUICK_EACH, recipe=replace(plan.recipe, epochs=epochs))


def _score_rows(
    kept: Mapping[str, Kept], published: Mapping[str, tuple[float | None, float | None]]
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for name, one in kept.items():
        history = one.result["history"]
        accuracy, loss = published.get(name, (None, None))
        rows.append(
            (
                name,
                one.cell.arguments["plan"]["architecture"],
                len(history),
                accuracy,
                number(one.result["accuracy"]),
                loss,
                number(one.result["loss"]),
                number(sum(epoch["seconds"] for epoch in history) / 60, 3),
            )
        )
    return rows


_SCORES = (
    "network",
    "layers",
    "epochs",
    "published accuracy",
    "accuracy",
    "published loss",
    "loss",
    "minutes",
)


def _mnist(kept: Mapping[str, Kept]) -> list[Comparison]:
    published = {"simple": (0.965, 0.114), "best": (0.9907, 0.0293)}
    rows = _score_rows(kept, published)
    return [Comparison("MNIST, 10,000 test images", _SCORES, rows, _OTHERS)]


def _cifar(kept: Mapping[str, Kept]) -> list[Comparison]:
    rows = _score_rows(kept, {"cnn-cifar": (0.833, 0.544)})
    note = _OTHERS + " The paper trains for 20 epochs; loss and accuracy of its simple start: "
    return [Comparison("CIFAR-10, 10,000 test images", _SCORES, rows, note + "0.579 and 0.819.")]


def _draw_histories(kept: Mapping[str, Kept]) -> list[Lines]:
    pictures = []
    for name, one in kept.items():
        history = one.result["history"]
        at = [epoch["epoch"] for epoch in history]
        for what in ("loss", "accuracy"):
            lines = {
                "training, while it ran": [epoch[what] for epoch in history],
                "test": [epoch[f"test_{what}"] for epoch in history],
            }
            title, share = f"{name}: {what}", what == "accuracy"
            pictures.append(Lines(f"{name}-{what}", title, "epoch", what, at, lines, share))
    return pictures


# One figure at a time.

SWEEPS: dict[str, tuple[str | float, ...]] = {
    "layers": (
        "784-128-10",
        "32c3-m2-128-10",
        "32c3-64c3-m2-128-10",
        "32c3-64c3-m2-64c3-m2-128-10",
    ),
    "dropout": (0.0, 0.25, 0.5, 0.75, 0.9, 1.0),
    "rate": (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    "decay": (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
}
_BASE = Recipe(epochs=20, rate=0.01, schedule="constant")
_DROPOUT = 0.25
SWEEP_EACH = 1000
"""Inputs of each class that a sweep trains on."""


def _swept(quick: bool) -> list[Cell]:
    cells = []
    for what, values in SWEEPS.items():
        for value in values[:: 2 if quick else 1]:
            layers = SIMPLE.format(dropout=value if what == "dropout" else _DROPOUT)
            recipe = _BASE
            if what == "rate":
                recipe = replace(_BASE, rate=float(value))
            if what == "decay":
                recipe = replace(_BASE, decay=float(value))
            architecture = str(value) if what == "layers" else layers
            plan = Plan(f"{what} {value}", architecture, "mnist", recipe, each=SWEEP_EACH)
            cells.append(cell(plan, quick))
    return cells


def _sweep_tables(kept: Mapping[str, Kept]) -> list[Comparison]:
    tables = []
    for what in SWEEPS:
        rows = [
            (
                name.removeprefix(f"{what} "),
                number(one.result["accuracy"]),
                number(one.result["loss"]),
                number(one.result["history"][-1]["accuracy"]),
                number(one.result["history"][-1]["loss"]),
                _fit(one.result),
            )
            for name, one in kept.items()
            if name.startswith(f"{what} ")
        ]
        columns = (what, "accuracy", "loss", "training accuracy", "training loss", "fit")
        note = (
            f"{10 * SWEEP_EACH:,} images to train on, 20 epochs, all else as in the middle. "
            "Training figures are those of the last epoch while it ran, with dropout. 'over': the "
            "test loss rose by more than a tenth from its lowest; 'under': less than 9 in 10 right "
            "in training."
        )
        tables.append(Comparison(f"MNIST: {what}", columns, rows, note))
    return tables


def _fit(result: Mapping[str, Any]) -> str:
    losses = [one["test_loss"] for one in result["history"]]
    if result["accuracy"] < 0.15:
        return "nothing learnt"
    if result["history"][-1]["accuracy"] < 0.9:
        return "under"
    return "over" if losses[-1] > 1.1 * min(losses) else "well"


def _draw_sweeps(kept: Mapping[str, Kept]) -> list[Lines]:
    pictures = []
    for what in SWEEPS:
        lines = {
            name: [one["test_loss"] for one in found.result["history"]]
            for name, found in kept.items()
            if name.startswith(f"{what} ")
        }
        if lines:
            at = list(range(1, 1 + max(map(len, lines.values()))))
            pictures.append(Lines(what, f"MNIST: {what}", "epoch", "test loss", at, lines))
    return pictures


PROTOCOLS = (
    TrainingProtocol(
        key="cnn-mnist",
        title="A convolutional network on MNIST",
        source="CNN, section 4.1",
        cells=lambda quick: [
            cell(Plan("simple", SIMPLE.format(dropout=0.25), "mnist", FIRST), quick),
            cell(Plan("best", "cnn-paper", "mnist", BEST), quick),
        ],
        compare=_mnist,
        executor="serial",
        draw=_draw_histories,
    ),
    TrainingProtocol(
        key="cnn-cifar",
        title="A convolutional network on CIFAR-10",
        source="CNN, section 4.2",
        cells=lambda quick: [cell(Plan("cnn-cifar", "cnn-cifar", "cifar10", CIFAR), quick)],
        compare=_cifar,
        executor="serial",
        draw=_draw_histories,
    ),
    TrainingProtocol(
        key="cnn-sweeps",
        title="One figure of the training at a time",
        source="CNN, sections 4.1 and 4.2, figures 4-1 to 4-21",
        cells=_swept,
        compare=_sweep_tables,
        draw=_draw_sweeps,
    ),
)
