"""The networks of the pruning experiments: trained, and pruned by importance."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from dualbound.data import Dataset
from dualbound.files import write_whole
from dualbound.learn import Recipe, evaluate
from dualbound.limits import Limits
from dualbound.network import Network
from dualbound.queries.models import load
from dualbound.studies.experiment import Cell, Result
from dualbound.studies.protocols.trained import MODELS, Plan, Stopped, data_of

WEIGHT = 5.0
"""Of the loss (the papers' lambda)."""

EACH = 20
"""Inputs of each class that units are scored on."""

SECONDS = 240.0
"""Of a search for scores."""

QUICK_EACH, QUICK_SECONDS = 200, 5.0
"""Of a quick run: inputs of each class to train on, and seconds of a search."""

FINE_TUNING = Recipe(epochs=10, rate=0.02, warmup=0.5)
NETWORKS = {
    "mlp-50-20 on MNIST": ("mlp-50-20", "mnist", Recipe(epochs=20, rate=0.05, warmup=0.5)),
    "mlp-50-20 on Fashion-MNIST": (
        "mlp-50-20",
        "fashion-mnist",
        Recipe(epochs=20, rate=0.05, warmup=0.5),
    ),
    "cnn-small on MNIST": ("cnn-small", "mnist", Recipe(epochs=6, rate=0.05, warmup=0.5)),
}
FIRST = "mlp-50-20 on MNIST"
SIDES = ("original", "pruned")


def model_of(folder: Path, name: str) -> Path:
    """The file of a network."""
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
        load(model_of(folder, network)), data_of(data, "train", train_each), each=each,
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


def name_of(side: str) -> str:
    """Of the first network, which of `SIDES`."""
    return FIRST if side == "original" else f"{FIRST} pruned"


def right_of_all(networks: list[Network], data: Dataset, count: int) -> np.ndarray:
    """The first inputs that all networks answer right."""
    x = data.subset(slice(2 * count + 100)).values()
    rows = x.reshape(len(x), -1)
    right = np.all(
        [network(rows).argmax(axis=1) == data.labels[: len(x)] for network in networks], axis=0
    )
    return np.flatnonzero(right)[:count]


def plan_of(name: str, quick: bool, seed: int = 0, called: str | None = None) -> Plan:
    """How one of `NETWORKS` is trained, and under which name it is kept."""
    architecture, data, recipe = NETWORKS[name]
    asked = replace(recipe, seed=seed, epochs=2 if quick else recipe.epochs)
    return Plan(called or name, architecture, data, asked, each=QUICK_EACH if quick else None)


def cells_of(name: str, quick: bool) -> list[Cell]:
    """One of `NETWORKS`, trained, and pruned."""
    plan = plan_of(name, quick)
    tuning = replace(FINE_TUNING, epochs=1) if quick else FINE_TUNING
    arguments = {
        "network": name,
        "data": plan.data,
        "each": 2 if quick or name.startswith("cnn") else EACH,
        "seconds": QUICK_SECONDS if quick else SECONDS,
        "tuning": asdict(tuning),
        "train_each": plan.each,
    }
    return [
        Cell(name, original, {"plan": asdict(plan)}),
        Cell(f"{name} pruned", pruned, arguments, (name,)),
    ]
