"""Our nearest query beside the plain Fischetti-Jo program, on the same solver and instances.

For each embedded network the first correctly classified sample images, target (label + 5) mod 10,
ratio 1.2, L1. *Ours* is the default engine. The *rival* is the papers' form: one program over the
box, bounds by interval arithmetic, no starting witness. The two are interleaved in one process;
ours looks at nodes with as many threads as there are cores, HiGHS's branch and bound has one. A run
that hits its limit counts as the limit.

Every instance is appended to a CSV file as soon as it is known; a second run goes on after it.
"""

from __future__ import annotations

import argparse
import csv
import platform
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import dualbound
from dualbound import Answer, Limits, Milp, Status, Targeted

FIELDS = ("network", "image", "target", "who", "status", "value", "bound", "nodes", "seconds")
WAYS = {
    "ours": None,
    "rival": Milp(strategy="direct", formulation="fischetti-jo", bounds="interval", attack=None),
}


def instances(network: dualbound.Network, count: int) -> Iterator[tuple[int, np.ndarray, int]]:
    """The first correctly classified images of the embedded sample, with their targets."""
    index = found = 0
    while found < count:
        image = dualbound.load_image(f"sample:{index}", network.input_shape)
        if dualbound.classify(network, image.pixels).label == image.label:
            found += 1
            yield index, image.pixels, (image.label + 5) % 10
        index += 1


def row(name: str, image: int, target: int, who: str, answer: Answer) -> dict[str, object]:
    return {
        "network": name,
        "image": image,
        "target": target,
        "who": who,
        "status": answer.status.value,
        "value": answer.value,
        "bound": answer.bound,
        "nodes": answer.stats.nodes,
        "seconds": round(answer.stats.seconds, 3),
    }


def measure(names: list[str], count: int, limit: float, file: Path, ways: list[str]) -> None:
    done = set()
    if file.exists():
        with file.open(newline="") as old:
            done = {(r["network"], int(r["image"]), r["who"]) for r in csv.DictReader(old)}
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(",".join(FIELDS) + "\n")
    for name in names:
        network = dualbound.load(name)
        for image, x, target in instances(network, count):
            for who in ways:
                if (name, image, who) in done:
                    continue
                answer = dualbound.nearest(
                    network,
                    x,
                    Targeted(target, ratio=1.2),
                    engine=WAYS[who],
                    limits=Limits(limit),
                )
                found = row(name, image, target, who, answer)
                print(*(f"{found[key]}" for key in FIELDS), flush=True)
                with file.open("a", newline="") as out:
                    csv.DictWriter(out, FIELDS).writerow(found)
                if "interrupted" in answer.note:
                    raise SystemExit(130)


def report(file: Path, limit: float) -> None:
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    print(f"\n{'network':10} {'who':6} {'solved':>7} {'median s':>9} {'mean s':>8} {'max s':>8}")
    for name in dict.fromkeys(r["network"] for r in rows):
        seconds: dict[str, dict[str, float]] = {}
        for who in WAYS:
            mine = [r for r in rows if r["network"] == name and r["who"] == who]
            if not mine:
                continue
            spent = {
                r["image"]: float(r["seconds"]) if r["status"] == Status.OPTIMAL.value else limit
                for r in mine
            }
            seconds[who] = spent
            solved = sum(r["status"] == Status.OPTIMAL.value for r in mine)
            times = list(spent.values())
            print(
                f"{name:10} {who:6} {solved:3}/{len(mine):<3} {np.median(times):9.2f} "
                f"{np.mean(times):8.2f} {max(times):8.2f}"
            )
        if len(seconds) == len(WAYS):
            both = [i for i in seconds["ours"] if i in seconds["rival"]]
            ratios = [seconds["rival"][i] / seconds["ours"][i] for i in both]
            print(f"{name:10} geometric-mean ratio {np.exp(np.mean(np.log(ratios))):.1f}")
        _disagreement(rows, name)


def _disagreement(rows: list[dict[str, str]], name: str) -> None:
    """Say so if two proved answers to one question differ."""
    proved: dict[str, list[float]] = {}
    for r in rows:
        if r["network"] == name and r["status"] == Status.OPTIMAL.value:
            proved.setdefault(r["image"], []).append(float(r["value"]))
    for image, values in proved.items():
        if max(values) - min(values) > 2e-4 * max(values):
            raise SystemExit(f"Wrong: {name} image {image} has the proved values {values}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=["dnn1", "dnn2", "dnn3", "dnn4", "dnn5"])
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--limit", type=float, default=300.0)
    parser.add_argument("--who", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--out", type=Path, default=Path("out/nearest.csv"))
    chosen = parser.parse_args()
    print(f"dualbound {dualbound.__version__}, {dualbound.Highs().version()}, {platform.machine()}")
    measure(chosen.networks, chosen.images, chosen.limit, chosen.out, chosen.who)
    report(chosen.out, chosen.limit)


if __name__ == "__main__":
    main()
