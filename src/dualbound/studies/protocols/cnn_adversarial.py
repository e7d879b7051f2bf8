"""Convolutional networks under attack: FGSM, PGD, adversarial training, voting."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dualbound.learn import Recipe
from dualbound.learn.evaluation import Batches, device_of, evaluating, is_right
from dualbound.studies.experiment import Cell, Kept, Result, say
from dualbound.studies.protocols.cnn import cell, quick_plan
from dualbound.studies.protocols.protocol import Comparison, Lines, number
from dualbound.studies.protocols.trained import Plan, Stopped, TrainingProtocol, data_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dualbound.data import Dataset

PGD_STEPS = 40
PGD_IMAGES, QUICK_IMAGES = 1000, 100
"""The first test images, on which PGD is run; FGSM on all of them."""


Answer = Callable[["Tensor"], "Tensor"]
"""From inputs to labels, -1 where two are level."""


def attacked(
    folder: Path, *, plan: dict[str, Any], attack: str, eps: list[float], images: int | None
) -> Result | None:
    """The accuracy of a network on adversaries made against it."""
    asked = Plan.of(plan)
    try:
        module = asked.carry_out(folder).module
    except Stopped:
        return None
    data = data_of(asked.data, "test").subset(slice(images))
    accuracies = []
    for radius in eps:
        say(f"{asked.name}: {attack}, eps {radius}")
        found = accuracies_at(module, data, attack, radius, {"own": labels_of(module)})
        accuracies.append(found["own"])
    return {"eps": eps, "accuracy": accuracies, "images": len(data)}


def accuracies_at(
    target: nn.Module, data: Dataset, attack: str, eps: float, answers: Mapping[str, Answer]
) -> dict[str, float]:
    """How many adversaries against a module are answered right, by it or by others.

    Args:
        target: what they are made against.
        data: inputs and labels.
        attack: ``fgsm`` or ``pgd``.
        eps: radius, L∞; 0 leaves the inputs as they are.
        answers: of whom, by name.
    """
    import torch

    from dualbound.attacks import fgsm, pgd

    right = dict.fromkeys(answers, 0)
    with evaluating(target):
        for x, y in Batches(data, np.arange(len(data)), 250, device_of(target)):
            if eps == 0:
                adversaries = x
            elif attack == "fgsm":
                adversaries = fgsm(target, x, y, eps=eps)
            else:
                length = 2.5 * eps / PGD_STEPS
                adversaries = pgd(target, x, y, eps=eps, steps=PGD_STEPS, step=length)
            with torch.no_grad():
                for name, answer in answers.items():
                    right[name] += int((answer(adversaries) == y).sum())
    return {name: count / len(data) for name, count in right.items()}


def labels_of(module: nn.Module) -> Answer:
    """A module's answers, in evaluation mode."""

    def answer(x: Tensor) -> Tensor:
        with evaluating(module):
            outputs = module(x)
        labels = outputs.argmax(dim=1)
        return labels.where(is_right(outputs, labels), -1)

    return answer


# Accuracy against eps.

_EPS = {
    "mnist": [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4],
    "cifar10": [0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1],
}
_TRAINED_AT = {"mnist": 0.3, "cifar10": 0.05}
_ROBUST = Recipe(epochs=8, rate=0.02, warmup=1.0)
_ARCHITECTURE = {"mnist": "cnn-cleverhans", "cifar10": "32c3p1-m2-64c3p1-m2-256-10"}
"""The network of appendix C; of CIFAR-10 one that two cores can train four times in an hour or two.
The paper's own, ``cnn-cifar``, takes them a day."""

_PUBLISHED = {
    ("mnist", "plain"): (0.3, 0.012),
    ("mnist", "fgsm"): (0.3, 0.8405),
    ("cifar10", "plain"): (0.05, 0.157),
    ("cifar10", "fgsm"): (0.05, 0.5065),
}
_METHODS = {
    "plain": "plain",
    "fgsm": "FGSM, half of the loss",
    "fast": "one PGD step from a random start",
    "virtual": "virtual adversarial",
}


def _plans(data: str) -> list[Plan]:
    eps = {"plain": None, "fgsm": _TRAINED_AT[data], "fast": _TRAINED_AT[data], "virtual": 2.0}
    recipe = replace(_ROBUST, nesterov=data == "cifar10")
    return [
        Plan(method, _ARCHITECTURE[data], data, recipe, method, eps[method]) for method in _METHODS
    ]


def _curve_cells(data: str, quick: bool) -> list[Cell]:
    cells = []
    for plan in _plans(data)[:: 2 if quick else 1]:
        asked = quick_plan(plan) if quick else plan
        cells.append(cell(plan, quick))
        for attack in ("fgsm", "pgd"):
            images = QUICK_IMAGES if quick else PGD_IMAGES if attack == "pgd" else None
            eps = _EPS[data]
            few = eps[:: max(2, len(eps) // 2)] if quick else eps
            cells.append(
                Cell(
                    f"{plan.name} under {attack}",
                    attacked,
                    {"plan": asdict(asked), "attack": attack, "eps": few, "images": images},
                    needs=(plan.name,),
                )
            )
    return cells


def _curves(data: str, kept: Mapping[str, Kept]) -> list[Comparison]:
    tables = []
    for attack, title in (("fgsm", "FGSM"), ("pgd", f"PGD, {PGD_STEPS} steps")):
        found = {
            method: kept[f"{method} under {attack}"].result
            for method in _METHODS
            if f"{method} under {attack}" in kept
        }
        if not found:
            continue
        first = next(iter(found.values()))
        rows: list[tuple[object, ...]] = []
        for method, result in found.items():
            at, published = _PUBLISHED.get((data, method), (None, None))
            shown = f"{published} at {at}" if attack == "fgsm" and published else None
            rows.append((_METHODS[method], shown, *map(number, result["accuracy"])))
        columns = ("trained by", "published", *(f"ε {eps:g}" for eps in first["eps"]))
        note = (
            f"Adversaries against the network itself ({_ARCHITECTURE[data]}), of "
            f"{first['images']:,} test images. Trained with ε {_TRAINED_AT[data]}."
        )
        if attack == "pgd":
            note += (
                " What stands against FGSM need not stand: a network can learn to hide its "
                "gradients from one step. This table is what is left of it."
            )
        tables.append(Comparison(f"Accuracy under {title}", columns, rows, note))
    return tables


def _draw_curves(kept: Mapping[str, Kept]) -> list[Lines]:
    pictures = []
    for attack in ("fgsm", "pgd"):
        found = {
            name.removesuffix(f" under {attack}"): one.result
            for name, one in kept.items()
            if name.endswith(f" under {attack}")
        }
        if found:
            lines = {_METHODS[name]: result["accuracy"] for name, result in found.items()}
            eps = next(iter(found.values()))["eps"]
            title = f"Accuracy under {attack.upper()}"
            pictures.append(Lines(attack, title, "ε", "accuracy", eps, lines, share=True))
    return pictures


# Voting.

MEMBERS = 5


def voted(folder: Path, *, plans: list[dict[str, Any]], eps: float, images: int) -> Result | None:
    """Members and their vote, on adversaries against one, against each, and against all."""
    from dualbound.learn.ensemble import Ensemble

    try:
        members = [Plan.of(plan).carry_out(folder).module for plan in plans]
    except Stopped:
        return None
    data = data_of(plans[0]["data"], "test").subset(slice(images))
    everyone = Ensemble(members).eval()
    answers: dict[str, Answer] = {
        **{str(k): labels_of(member) for k, member in enumerate(members)},
        "vote": everyone.vote,
        "mean": labels_of(everyone),
    }
    result: Result = {"images": len(data), "members": len(members)}
    for attack in ("fgsm", "pgd"):
        say(f"{attack} against each member and all of them")
        against = [accuracies_at(one, data, attack, eps, answers) for one in members]
        rows = {
            "clean": _row([accuracies_at(members[0], data, attack, 0.0, answers)], [None]),
            "one": _row(against[:1], [0]),
            "each": _row(against, list(range(len(members)))),
            "all": _row([accuracies_at(everyone, data, attack, eps, answers)], [None]),
        }
        result[attack] = rows
    return result


def _row(found: list[dict[str, float]], targets: list[int | None]) -> dict[str, float | None]:
    """Means over who was attacked: of it, of the others, of the vote, of the mean outputs."""
    own = [one[str(k)] for one, k in zip(found, targets, strict=True) if k is not None]
    others = [
        accuracy
        for one, k in zip(found, targets, strict=True)
        for name, accuracy in one.items()
        if name not in ("vote", "mean", str(k))
    ]
    return {
        "attacked": float(np.mean(own)) if own else None,
        "others": float(np.mean(others)),
        "vote": float(np.mean([one["vote"] for one in found])),
        "mean": float(np.mean([one["mean"] for one in found])),
    }


def _voters(data: str) -> list[Plan]:
    recipe = replace(_ROBUST, epochs=10)
    return [
        Plan(
            f"{data} member {k}", "cnn-small", data, replace(recipe, seed=k), "fgsm",
            _TRAINED_AT[data],
        )
        for k in range(MEMBERS)
    ]  # fmt: skip


def _voting_cells(quick: bool) -> list[Cell]:
    cells = []
    for data in ("mnist",) if quick else ("mnist", "cifar10"):
        plans = _voters(data)[: 3 if quick else MEMBERS]
        cells += [cell(plan, quick) for plan in plans]
        asked = [asdict(quick_plan(plan) if quick else plan) for plan in plans]
        images = QUICK_IMAGES if quick else PGD_IMAGES
        arguments = {"plans": asked, "eps": _TRAINED_AT[data], "images": images}
        needs = tuple(plan.name for plan in plans)
        cells.append(Cell(f"{data} vote", voted, arguments, needs))
    return cells


_ROWS = {
    "clean": "none",
    "one": "the first member",
    "each": "each member in turn",
    "all": "the mean outputs of all",
}
_VOTES = {"mnist": (0.84, 0.90), "cifar10": (0.5065, 0.899)}


def _votes(kept: Mapping[str, Kept]) -> list[Comparison]:
    tables = []
    for data, (before, after) in _VOTES.items():
        one = kept.get(f"{data} vote")
        if one is None:
            continue
        for attack in ("fgsm", "pgd"):
            found = one.result[attack]
            rows = [
                (
                    _ROWS[key],
                    number(row["attacked"]),
                    number(row["others"]),
                    number(row["vote"]),
                    number(row["mean"]),
                )
                for key, row in found.items()
            ]
            note = (
                f"{one.result['members']} networks trained with FGSM, ε {_TRAINED_AT[data]}, of "
                f"{one.result['images']:,} test images. Published: {before} of one network, "
                f"{after} of five by majority. {_verdict(found, after)}"
            )
            columns = (
                "adversaries against", "the attacked member", "other members", "majority",
                "mean outputs",
            )  # fmt: skip
            title = f"{data}: voting under {attack.upper()}"
            tables.append(Comparison(title, columns, rows, note))
    return tables


def _verdict(found: Mapping[str, Mapping[str, float | None]], published: float) -> str:
    """Which row the published figure can have been."""
    votes = {key: float(row["vote"] or 0.0) for key, row in found.items()}
    nearest = min(votes, key=lambda key: abs(votes[key] - published))
    said = (
        f"The majority's figure nearest to the published one is that against "
        f"'{_ROWS[nearest]}' ({votes[nearest]:.3f})"
    )
    if nearest == "all":
        return f"{said}."
    return (
        f"{said}; where all members are attacked at once it is {votes['all']:.3f}, so the "
        "published one is no figure of that."
    )


PROTOCOLS = (
    *(
        TrainingProtocol(
            key="cnn-fgsm" if data == "mnist" else "cnn-fgsm-cifar",
            title=f"Accuracy under attack, before and after adversarial training, {name}",
            source=f"CNN, section {section}, appendices C to E",
            cells=functools.partial(_curve_cells, data),
            compare=functools.partial(_curves, data),
            executor="serial",
            draw=_draw_curves,
        )
        for data, name, section in (("mnist", "MNIST", "4.3"), ("cifar10", "CIFAR-10", "4.4"))
    ),
    TrainingProtocol(
        key="cnn-voting",
        title="Five networks vote",
        source="CNN, sections 4.3 and 4.4",
        cells=_voting_cells,
        compare=_votes,
    ),
)
