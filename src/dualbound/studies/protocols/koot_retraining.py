"""Koot, section 3.5: does a network that has seen minimal adversaries resist them better?"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from dualbound.criterion import Targeted
from dualbound.data import Dataset
from dualbound.files import write_whole
from dualbound.learn import Recipe, evaluate
from dualbound.learn.exact import adversaries, stacked
from dualbound.queries.models import load
from dualbound.studies.experiment import Cell, Kept, Result
from dualbound.studies.protocols.protocol import Comparison, number
from dualbound.studies.protocols.trained import (
    MODELS,
    Plan,
    Stopped,
    TrainingProtocol,
    data_of,
    history_of,
    taught,
)

ARCHITECTURE = "dnn1"
RECIPE = Recipe(epochs=50, rate=0.05, warmup=1.0, seed=1)
RATIO = 1.2
SECONDS, GAP = 10.0, 1e-3
"""Of an adversary for training: the limit, and how near to the best is near enough."""

JUDGED_SECONDS = 60.0
COUNTS = (3000, 6000, 9000, 12000)
PUBLISHED = {"none": 6.12, 3000: 5.07, 6000: 4.71, 9000: 5.67, 12000: 4.48}
"""Table 5: mean smallest L1 distance over 100 images."""

ROUNDS, CHUNK, JUDGED = 3, 100, 100
QUICK_EACH = 500
CAP = 0.2
EPS = 0.1
"""Of PGD and interval training, L∞."""


def target_of(label: int) -> Targeted:
    """What an image of a label is moved to: five labels on."""
    return Targeted((label + 5) % 10, ratio=RATIO)


def trained(
    folder: Path, *, plan: dict[str, Any], added: list[str], each: int | None
) -> Result | None:
    """A network that has seen adversaries beside the data."""
    asked = Plan.of(plan)
    data = with_adversaries(data_of("mnist", "train", each), folder, added)
    try:
        if added:
            test = data_of("mnist", "test")
            found = taught(folder, asked.name, asked.architecture, data, asked.recipe, test=test)
        else:
            found = asked.carry_out(folder)
    except Stopped:
        return None
    accuracy = evaluate(found.module, data_of("mnist", "test")).accuracy
    return {"accuracy": accuracy, "history": history_of(found), "inputs": len(data)}


def with_adversaries(data: Dataset, folder: Path, names: list[str]) -> Dataset:
    """The data, and the adversaries of some chunks with the labels that they should have."""
    inputs, labels = [data.values()], [data.labels]
    for name in names:
        with np.load(_chunk(folder, name)) as content:
            inputs.append(content["x"].reshape(-1, *data.shape))
            labels.append(content["y"])
    if not names:
        return data
    return replace(data, inputs=np.concatenate(inputs), labels=np.concatenate(labels))


def chunk(
    folder: Path, *, network: str, first: int, count: int, cap: float | None
) -> Result | None:
    """The nearest adversaries of some training images, kept in a file."""
    model = load(folder / MODELS / network / "model.onnx")
    data = data_of("mnist", "train").subset(slice(first, first + count))
    found = list(
        adversaries(
            model, data.values(), data.labels, criterion_of=target_of, cap=cap, gap=GAP,
            seconds=SECONDS,
        )
    )  # fmt: skip
    kept = stacked(found, data.labels)
    x, y = (np.zeros((0, *data.shape), np.float32), data.labels[:0]) if kept is None else kept
    held = io.BytesIO()
    np.savez(held, x=x, y=y)
    path = _chunk(folder, chunk_name(network, first, cap))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, held.getvalue())
    return {
        "asked": len(found),
        "found": len(x),
        "proved": sum(one.proved for one in found),
        "distance": fmean([one.value for one in found if one.value is not None] or [0.0]),
        "seconds": sum(one.seconds for one in found),
    }


def chunk_name(network: str, first: int, cap: float | None) -> str:
    """Of a chunk's cell and file."""
    capped = "" if cap is None else f", cap {cap}"
    return f"adversaries of {network}{capped}, from {first}"


def _chunk(folder: Path, name: str) -> Path:
    return folder / "adversaries" / f"{name.replace(' ', '-').replace(',', '')}.npz"


def judged(folder: Path, *, network: str, images: int) -> Result | None:
    """The smallest L1 distance of the first test images that the network answers right."""
    model = load(folder / MODELS / network / "model.onnx")
    data = data_of("mnist", "test").subset(slice(3 * images))
    found = []
    for one in adversaries(
        model, data.values(), data.labels, criterion_of=target_of, seconds=JUDGED_SECONDS
    ):
        found.append(one)
        if len(found) == images:
            break
    return {
        "values": [one.value for one in found],
        "bounds": [one.bound for one in found],
        "proved": sum(one.proved for one in found),
        "seconds": sum(one.seconds for one in found),
    }


# What is measured.


def _cells(quick: bool) -> list[Cell]:
    maker = _Maker(quick)
    maker.network("original", "plain")
    for count in COUNTS[:1] if quick else COUNTS:
        maker.retrained(f"exact {count}", "original", count)
    for cap in (None, CAP):
        last = "original"
        for k in range(1, ROUNDS + 1):
            name = f"exact {COUNTS[0]}, round {k}" + ("" if cap is None else f", cap {cap}")
            if cap is None and k == 1:
                last = f"exact {COUNTS[0]}"  # the first round is there already
                continue
            if quick and k > 1:
                break
            last = maker.retrained(name, last, COUNTS[0], cap)
    maker.network("pgd", "pgd", EPS)
    maker.network("interval", "interval", EPS)
    return maker.cells


class _Maker:
    """Cells in their order, each once."""

    def __init__(self, quick: bool) -> None:
        self.cells: list[Cell] = []
        self._quick = quick
        self._recipe = replace(RECIPE, epochs=3) if quick else RECIPE
        self._each = QUICK_EACH if quick else None
        self._images = 5 if quick else JUDGED
        self._known: dict[str, tuple[str, ...]] = {}

    def network(self, name: str, method: str, eps: float | None = None) -> None:
        """A network of the data alone."""
        plan = Plan(name, ARCHITECTURE, "mnist", self._recipe, method, eps, self._each)
        self._train(plan, ())

    def retrained(self, name: str, of: str, count: int, cap: float | None = None) -> str:
        """A network of the data and of adversaries of another, and of those that one has seen."""
        size = 10 if self._quick else CHUNK
        total = 20 if self._quick else count
        chunks = [chunk_name(of, first, cap) for first in range(0, total, size)]
        known = {cell.name for cell in self.cells}
        for first, chunk_cell in zip(range(0, total, size), chunks, strict=True):
            if chunk_cell not in known:
                arguments = {"network": of, "first": first, "count": size, "cap": cap}
                self.cells.append(Cell(chunk_cell, chunk, arguments, (f"train {of}",)))
        before = self._known.get(of, ())
        plan = Plan(name, ARCHITECTURE, "mnist", self._recipe, each=self._each)
        self._train(plan, (*before, *chunks))
        return name

    def _train(self, plan: Plan, added: tuple[str, ...]) -> None:
        self._known[plan.name] = added
        asked = {"plan": asdict(plan), "added": list(added), "each": self._each}
        made = Cell(f"train {plan.name}", trained, asked, added)
        judge = {"network": plan.name, "images": self._images}
        self.cells += [made, Cell(f"distance of {plan.name}", judged, judge, (made.name,))]


# What is said of it.


def _compare(kept: Mapping[str, Kept]) -> list[Comparison]:
    rows: list[tuple[object, ...]] = []
    for name, one in kept.items():
        if not name.startswith("distance of "):
            continue
        network = name.removeprefix("distance of ")
        values = [value for value in one.result["values"] if value is not None]
        made = kept[f"train {network}"].result
        count = network.removeprefix("exact ")
        published = PUBLISHED.get("none" if network == "original" else _whole(count))
        rows.append(
            (
                network,
                made["inputs"],
                number(100 * made["accuracy"]),
                published,
                number(fmean(values)) if values else None,
                number(stdev(values)) if len(values) > 1 else None,
                number(stdev(values) / len(values) ** 0.5) if len(values) > 1 else None,
                f"{one.result['proved']} of {len(one.result['values'])}",
            )
        )
    chunks = [one.result for name, one in kept.items() if name.startswith("adversaries of ")]
    tables = [
        Comparison(
            "Smallest L1 distance to the label five on, ratio 1.2, over test images",
            (
                "trained on",
                "inputs",
                "test accuracy, %",
                "published mean",
                "mean distance",
                "standard deviation",
                "standard error",
                "proved",
            ),
            rows,
            f"784-8-8-8-10, {RECIPE.epochs} epochs each. 'exact N': the 60,000 images and the "
            "minimal adversaries of the first N of them that the network before answers right, "
            "with the right labels; 'round k': those of the network of the round before are added; "
            f"'cap': no pixel moves by more than {CAP}; 'pgd' and 'interval': trained against all "
            f"of an L∞ ball of {EPS}.",
        )
    ]
    if chunks:
        asked = sum(one["asked"] for one in chunks)
        seconds = sum(one["seconds"] for one in chunks)
        figures: list[tuple[object, ...]] = [
            ("adversaries", sum(one["found"] for one in chunks)),
            ("proved, %", number(100 * sum(one["proved"] for one in chunks) / asked)),
            ("a second of one core", number(asked / seconds)),
        ]
        tables.append(Comparison("Adversaries for training", ("figure", "measured"), figures))
    return tables


def _whole(text: str) -> int | None:
    return int(text) if text.isdigit() else None


PROTOCOL = TrainingProtocol(
    key="koot-retraining",
    title="Training with minimal adversaries, and what it does to the exact distance",
    source="Koot, section 3.5, table 5",
    cells=_cells,
    compare=_compare,
)
