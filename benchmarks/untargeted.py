"""One untargeted question beside the nine targeted ones whose minimum it is.

For each network the first correctly classified sample images, L1, default margin, gap 1e-4. The ten
questions of an image are asked in one process with the same engine, on one thread; the untargeted
one comes first, second, third, … in turn. A run that hits its limit counts as the seconds it took.

Every question is appended to a CSV file as soon as it is answered; a second run goes on after it.
"""

from __future__ import annotations

import argparse
import csv
import platform
from pathlib import Path

import numpy as np

import dualbound
from dualbound import Answer, Columns, Criterion, Limits, Status, Targeted, Untargeted
from nearest import instances

FIELDS = ("network", "image", "target", "status", "value", "bound", "label", "nodes", "seconds")
ANY = "any"
LABELS = range(10)


def questions(present: int, turn: int) -> dict[str, Criterion]:
    """All ten, the untargeted one in another place each time."""
    targeted = [(str(label), Targeted(label)) for label in LABELS if label != present]
    at = turn % (len(targeted) + 1)
    return dict([*targeted[:at], (ANY, Untargeted()), *targeted[at:]])


def row(name: str, image: int, target: str, answer: Answer) -> dict[str, object]:
    return {
        "network": name,
        "image": image,
        "target": target,
        "status": answer.status.value,
        "value": answer.value,
        "bound": answer.bound,
        "label": None if answer.witness is None else answer.witness.label,
        "nodes": answer.stats.nodes,
        "seconds": round(answer.stats.seconds, 3),
    }


def measure(names: list[str], count: int, limit: float, file: Path) -> None:
    done = set()
    if file.exists():
        with file.open(newline="") as old:
            done = {(r["network"], int(r["image"]), r["target"]) for r in csv.DictReader(old)}
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(",".join(FIELDS) + "\n")
    for name in names:
        network = dualbound.load(name)
        _, x, target = next(instances(network, 1))
        dualbound.nearest(network, x, Targeted(target), engine=Columns(threads=1))  # to warm up
        for turn, (image, x, _) in enumerate(instances(network, count)):
            present = dualbound.classify(network, x).label
            for target, criterion in questions(present, turn).items():
                if (name, image, target) in done:
                    continue
                answer = dualbound.nearest(
                    network, x, criterion, engine=Columns(threads=1), limits=Limits(limit)
                )
                found = row(name, image, target, answer)
                print(*(f"{found[key]}" for key in FIELDS), flush=True)
                with file.open("a", newline="") as out:
                    csv.DictWriter(out, FIELDS).writerow(found)
                if "interrupted" in answer.note:
                    raise SystemExit(130)


def report(file: Path) -> None:
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    print("\nnetwork   agree  one, s  nine, s  ratio (of each image)")
    for name in dict.fromkeys(r["network"] for r in rows):
        by_image: dict[str, dict[str, dict[str, str]]] = {}
        for r in rows:
            if r["network"] == name:
                by_image.setdefault(r["image"], {})[r["target"]] = r
        whole = [found for found in by_image.values() if len(found) == len(LABELS)]
        if not whole:
            continue
        agreed = sum(agrees(name, found) for found in whole)
        one = np.array([float(found[ANY]["seconds"]) for found in whole])
        nine = np.array([sum(float(r["seconds"]) for r in targeted(found)) for found in whole])
        ratios = one / nine
        left = (
            open_ones([found[ANY] for found in whole]),
            open_ones([r for found in whole for r in targeted(found)]),
        )
        print(
            f"{name:8} {agreed:3}/{len(whole):<3} {one.sum():7.1f} {nine.sum():8.1f}  "
            f"{one.sum() / nine.sum():.3f} ({ratios.min():.3f} to {ratios.max():.3f}, median "
            f"{np.median(ratios):.3f}); limits hit: {left[0]} untargeted, {left[1]} targeted"
        )


def targeted(found: dict[str, dict[str, str]]) -> list[dict[str, str]]:
    return [r for target, r in found.items() if target != ANY]


def open_ones(rows: list[dict[str, str]]) -> int:
    return sum(r["status"] in (Status.FEASIBLE.value, Status.UNKNOWN.value) for r in rows)


def agrees(name: str, found: dict[str, dict[str, str]]) -> bool:
    """Whether the proved minimum of the nine is the proved untargeted value.

    Raises:
        SystemExit: two proofs contradict each other.
    """
    least = {
        key: min(float(r[key] or "inf") for r in targeted(found)) for key in ("value", "bound")
    }
    value, bound = float(found[ANY]["value"] or "inf"), float(found[ANY]["bound"])
    if bound > least["value"] * (1 + 1e-6) or least["bound"] > value * (1 + 1e-6):
        raise SystemExit(f"Wrong: {name} image {found[ANY]['image']}: {found}")
    close = abs(value - least["value"]) <= 2e-4 * value
    return close and found[ANY]["status"] == Status.OPTIMAL.value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=["dnn1", "dnn2", "dnn3"])
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--limit", type=float, default=100.0)
    parser.add_argument("--out", type=Path, default=Path("out/untargeted.csv"))
    chosen = parser.parse_args()
    print(f"dualbound {dualbound.__version__}, {dualbound.Highs().version()}, {platform.machine()}")
    measure(chosen.networks, chosen.images, chosen.limit, chosen.out)
    report(chosen.out)


if __name__ == "__main__":
    main()
