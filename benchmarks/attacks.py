"""How far from optimal is each attack? Its smallest distance beside the proved minimum.

For each network and norm, the first sample images that it answers right. The minimum to any other
label is proved by `dualbound.nearest`. An attack within a radius is run at every radius of a search
for the smallest at which it succeeds: doubled until it does, then halved between twelve times; the
nearest adversary of all runs counts. Attacks for the nearest adversary run once. Every adversary is
replayed by the network in float64, and a distance below the proved bound ends the program.

All attacks have their defaults, on one thread. What is finished is kept in a JSON file, and a
second run goes on after it.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import dualbound
from dualbound import Columns, Limits, Linearised, Untargeted
from dualbound.attacks import classifier, distance, method_named
from dualbound.data import load_dataset
from dualbound.limits import Clock
from dualbound.queries.nearest import nearest_problem
from dualbound.solvers import Highs

TABLES = {
    "linf": ("dnn1", "dnn2", "dnn3"),
    "l1": ("dnn1", "dnn2", "dnn3"),
}
"""Norms and networks."""

WITHIN: dict[str, dict[str, Any]] = {
    "fgsm": {},
    "momentum": {},
    "pgd": {},
    "pgd, 10 restarts": {"restarts": 10, "early": True},
    "virtual": {},
}
"""Attacks within a radius; the name up to a comma is the method's."""

NEAREST = {
    "linf": ("deepfool", "foolbox:deepfool", "foolbox:fmn", "foolbox:brendel-bethge"),
    "l1": ("deepfool", "foolbox:ead", "foolbox:fmn", "foolbox:brendel-bethge"),
}
"""Attacks for the nearest adversary."""

PROGRAMS = "linearised (linear programs)"
"""The attack by which our own engines find their first witness."""

UNIT = "pgd"
"""Whose time the others are compared with, measured side by side."""

SMALLEST = {"linf": 1e-3, "l1": 1e-2}
HALVINGS = 12
MARGIN = 1e-6
"""Of the criterion of the proofs: 0 is no margin there."""

SLACK = 1e-4
"""Relative: by how much an attack, whose margin is none, may be nearer than a proof with one."""


@dataclass(frozen=True)
class Part:
    """One network in one norm, and the images that it answers right."""

    name: str
    norm: str
    images: tuple[int, ...]
    x: Tensor
    y: Tensor

    @property
    def network(self) -> dualbound.Network:
        """What is attacked."""
        return dualbound.load(self.name)

    def key(self, what: str) -> str:
        """Of a cell, in the file of what is finished."""
        return f"{self.name}/{self.norm}/{what}"

    def distances(self, points: Tensor) -> np.ndarray:
        """How far each is; infinite where the network in float64 does not answer otherwise."""
        outputs = self.network(points.double().numpy().reshape(len(points), -1))
        own = outputs[np.arange(len(outputs)), self.y.numpy()]
        far = distance(points, self.x, self.norm).numpy()
        return np.where(outputs.max(axis=1) > own, far, np.inf)


def part_of(name: str, norm: str, count: int) -> Part:
    data, network = load_dataset("sample", "test"), dualbound.load(name)
    answers = network(data.values().reshape(len(data), -1)).argmax(axis=1)
    images = np.flatnonzero(answers == data.labels)[:count]
    x, y = torch.as_tensor(data.values(images)), torch.as_tensor(data.labels[images])
    return Part(name, norm, tuple(int(k) for k in images), x, y)


def proved(part: Part, image: int, limit: float) -> dict[str, Any]:
    """The minimum, or what is known of it after so many seconds."""
    at = part.images.index(image)
    answer = dualbound.nearest(
        part.network,
        part.x[at].numpy().astype(float),
        Untargeted(margin=MARGIN),
        norm=part.norm,
        engine=Columns(threads=1),
        limits=Limits(limit),
    )
    if "interrupted" in answer.note:
        raise SystemExit(130)
    return {
        "status": answer.status.value,
        "value": answer.value,
        "bound": answer.bound,
        "seconds": answer.stats.seconds,
    }


def smallest(part: Part, attack: Callable[[Tensor], Tensor]) -> np.ndarray:
    """The least distance of all adversaries, while radii are doubled and then halved."""
    best = np.full(len(part.x), np.inf)
    low, high = np.zeros(len(part.x)), np.full(len(part.x), np.inf)
    radius = np.full(len(part.x), SMALLEST[part.norm])
    most = float(distance(torch.ones_like(part.x[:1]), torch.zeros_like(part.x[:1]), part.norm))
    for _ in range(int(np.ceil(np.log2(most / radius[0]))) + HALVINGS):
        far = part.distances(attack(torch.as_tensor(radius)))
        turned = np.isfinite(far)
        best = np.minimum(best, far)
        high = np.where(turned, np.minimum(radius, high), high)
        low = np.where(turned, low, np.maximum(radius, low))
        radius = np.where(np.isfinite(high), (low + high) / 2, np.minimum(2 * radius, most))
    return best


def attacked(part: Part, name: str, limit: float) -> np.ndarray:
    """The least distance at which an attack turns each image."""
    if name == PROGRAMS:
        return programs(part, limit)
    net, (x, y, norm) = classifier(part.network), (part.x, part.y, part.norm)
    if name not in WITHIN:
        points = method_named(name, norm).run(net, x, y, eps=float("inf"), norm=norm)
        return part.distances(points)
    method = method_named(name.split(",")[0], norm, **WITHIN[name])
    return smallest(part, lambda eps: method.run(net, x, y, eps=eps, norm=norm))


def programs(part: Part, limit: float) -> np.ndarray:
    """Of the linearised attack, within the time that a proof may take."""
    found = []
    for x, y in zip(part.x, part.y, strict=True):
        start = x.numpy().astype(float).reshape(-1)
        problem = nearest_problem(part.network, start, Untargeted(margin=MARGIN), norm=part.norm)
        point = Linearised()(problem, Highs(), Clock(Limits(limit)))
        good = point is not None and int(np.argmax(part.network(point))) != int(y)
        found.append(float(problem.distance(point)) if good else np.inf)
    return np.array(found)


def measure(parts: list[Part], limit: float, file: Path) -> dict[str, Any]:
    """All cells, those in the file first."""
    cells: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    file.parent.mkdir(parents=True, exist_ok=True)

    def keep(key: str, cell: dict[str, Any]) -> None:
        cells[key] = cell
        file.write_text(json.dumps(cells, indent=1))
        print(key, {k: v for k, v in cell.items() if k != "distances"}, flush=True)

    for part in parts:
        for image in part.images:
            key = part.key(f"image {image}")
            if key not in cells:
                keep(key, proved(part, image, limit))
        for name in (*WITHIN, *NEAREST[part.norm], PROGRAMS):
            key = part.key(name)
            if cells.get(key, {}).get("images") != list(part.images):
                started = time.perf_counter()
                found = attacked(part, name, limit)
                seconds = (time.perf_counter() - started) / len(part.images)
                known = [float(one) if np.isfinite(one) else None for one in found]
                keep(key, {"images": list(part.images), "distances": known, "seconds": seconds})
    return cells


def table(part: Part, cells: dict[str, Any]) -> list[str]:
    """Lines of markdown: a row for each attack, the best first."""
    exact = [cells[part.key(f"image {image}")] for image in part.images]
    closed = np.array([one["status"] == "optimal" for one in exact])
    bounds = np.array([one["bound"] for one in exact])
    values = np.array([np.nan if one["value"] is None else one["value"] for one in exact])
    base = cells[part.key(UNIT)]["seconds"]
    median = np.median([one["seconds"] for one in exact]) / base
    rows = []
    for name in (*WITHIN, *NEAREST[part.norm], PROGRAMS):
        cell = cells[part.key(name)]
        far = np.array([np.inf if one is None else one for one in cell["distances"]])
        if np.any(far < bounds * (1 - SLACK)):
            raise SystemExit(f"{part.key(name)}: nearer than what is proved to be nearest")
        ratios = far[closed] / values[closed]
        rows.append((float(np.median(ratios)), name, ratios, cell["seconds"] / base))
    lines = [
        f"### {part.name} in {'L∞' if part.norm == 'linf' else 'L1'}",
        "",
        f"{int(closed.sum())} of {len(closed)} minima proved, in the median in {median:,.0f} times "
        f"what {UNIT} takes.",
        "",
        "| attack | found | median | mean | largest | within 1 % | time |",
        "|---|---|---|---|---|---|---|",
    ]
    for _, name, ratios, times in sorted(rows):
        found = ratios[np.isfinite(ratios)]
        mean, most = (f"{found.mean():.3f}", f"{found.max():.2f}") if len(found) else ("–", "–")
        middle = np.median(ratios) if len(ratios) else np.inf
        lines.append(
            f"| {name} | {len(found)} of {len(ratios)} | "
            f"{f'{middle:.3f}' if np.isfinite(middle) else '–'} | {mean} | {most} | "
            f"{int((ratios <= 1.01).sum())} | {f'{times:.0f}' if times > 10 else f'{times:.2g}'} |"
        )
    return [*lines, ""]


def page(parts: list[Part], cells: dict[str, Any], count: int, limit: float) -> str:
    """The whole page."""
    machine = platform.processor() or platform.machine()
    command = f"python benchmarks/attacks.py --count {count} --limit {limit:g}"
    head = f"""# How far from optimal is each attack?

{date.today().isoformat()}, dualbound {dualbound.__version__}, torch {torch.__version__},
{machine}, one thread, `{command}`

The first {count} images of the sample that each network answers right. The nearest input with any
other label is proved by `dualbound.nearest`, in at most {limit:g} s an image; the figures below are
the distance of the nearest adversary that an attack found, divided by that proved minimum: 1 is
optimal. Only images whose minimum is proved count; no attack was nearer than a proved bound, on any
image.

Attacks within a radius were run at every radius of a search for the smallest one at which they
succeed, and their time is that of all of it; the others look for the nearest adversary by
themselves. All have their default options. What begins with `foolbox:` is from the package foolbox.
Times are those of an image, in units of what {UNIT} takes, measured in the same run; attacks were
given all images at once, proofs and linear programs one by one. Every adversary was replayed in
float64; one of foolbox's that is misread by a hair was moved on by at most a thousandth of its
distance. An attack that found nothing for an image counts as infinite in the median, and not in
the mean.
"""
    return "\n".join([head, *(line for part in parts for line in table(part, cells))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="images for each network")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for each proof")
    parser.add_argument("--only", help="a network")
    parser.add_argument("--out", type=Path, default=Path("out/attacks.json"))
    parser.add_argument("--page", type=Path, default=Path("docs/results/attacks.md"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    parts = [
        part_of(name, norm, chosen.count)
        for norm, names in TABLES.items()
        for name in names
        if chosen.only in (None, name)
    ]
    cells = measure(parts, chosen.limit, chosen.out)
    text = page(parts, cells, chosen.count, chosen.limit)
    chosen.page.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
