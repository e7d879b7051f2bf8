"""Our nearest query beside the plain Fischetti-Jo program, on the same solver and instances.

For each embedded network the first correctly classified sample images, target (label + 5) mod 10,
ratio 1.2, L1. *Ours* is the default engine. The *rival* is the papers' form: one program over the
box, bounds by interval arithmetic, no starting witness. The two are interleaved, as many images at
a time as there are cores: ours takes them one after the other, with a thread for each core; HiGHS,
whose branch and bound has one thread, takes them side by side. A run that hits its limit counts as
the limit.

Every instance is appended to a CSV file as soon as it is known; a second run goes on after it.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import platform
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import dualbound
from dualbound import Answer, Limits, Milp, Status, Targeted
from dualbound.limits import core_count
from dualbound.phases.tree import prepare
from dualbound.search import Engine

FIELDS = (
    *("network", "image", "target", "who", "status", "value", "bound"),
    *("nodes", "programs", "seconds"),
)


@dataclass(frozen=True)
class Way:
    """How a question is asked: by which engine, with which gap."""

    engine: Engine | None = None
    gap: float = 1e-4

    @property
    def at_a_time(self) -> int:
        """How many questions are asked side by side: HiGHS takes one thread for each."""
        return core_count() if isinstance(self.engine, Milp) else 1


RIVAL = Milp(strategy="direct", formulation="fischetti-jo", bounds="interval", attack=None)
WAYS = {"ours": Way(), "rival": Way(RIVAL)}
"""The first is what the others are compared with."""


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
        "programs": answer.stats.programs,
        "seconds": round(answer.stats.seconds, 3),
    }


def ask(name: str, image: int, target: int, who: str, way: Way, limit: float) -> dict[str, object]:
    """Answer one question."""
    network = dualbound.load(name)
    x = dualbound.load_image(f"sample:{image}", network.input_shape).pixels
    answer = dualbound.nearest(
        network,
        x,
        Targeted(target, ratio=1.2),
        gap=way.gap,
        engine=way.engine,
        limits=Limits(limit),
    )
    if "interrupted" in answer.note:
        raise KeyboardInterrupt
    return row(name, image, target, who, answer)


def measure(
    names: list[str], count: int, limit: float, file: Path, ways: Mapping[str, Way]
) -> None:
    """Ask all questions that the file does not answer yet, batch by batch, a way at a time."""
    done = set()
    if file.exists():
        with file.open(newline="") as old:
            done = {(r["network"], int(r["image"]), r["who"]) for r in csv.DictReader(old)}
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(",".join(FIELDS) + "\n")
    prepare()
    with ProcessPoolExecutor(core_count(), mp_context=get_context("spawn")) as pool:
        for name in names:
            asked = list(instances(dualbound.load(name), count))
            for start in range(0, count, core_count()):
                batch = asked[start : start + core_count()]
                for who, way in ways.items():
                    questions = [
                        (name, image, target, who, way, limit)
                        for image, _, target in batch
                        if (name, image, who) not in done
                    ]
                    if way.at_a_time > 1:
                        answers = pool.map(ask, *zip(*questions, strict=True)) if questions else ()
                    else:
                        answers = itertools.starmap(ask, questions)
                    for found in answers:
                        print(*(f"{found[key]}" for key in FIELDS), flush=True)
                        with file.open("a", newline="") as out:
                            csv.DictWriter(out, FIELDS).writerow(found)


def report(file: Path, limit: float, ways: Mapping[str, Way]) -> None:
    """Print a line for each network and way; a run that is not solved counts as the limit."""
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    head = ("network", "who", "solved", "geo mean s", "median s", "mean s", "max s", "nodes", "LPs")
    print("\n| " + " | ".join((*head, "ratio to ours")) + " |")
    print("|---" * (len(head) + 1) + "|")
    base = next(iter(ways))
    for name in dict.fromkeys(r["network"] for r in rows):
        spent: dict[str, dict[str, float]] = {}
        for who in ways:
            mine = [r for r in rows if r["network"] == name and r["who"] == who]
            if not mine:
                continue
            solved = {r["image"] for r in mine if r["status"] == Status.OPTIMAL.value}
            spent[who] = {
                r["image"]: float(r["seconds"]) if r["image"] in solved else limit for r in mine
            }
            both = [i for i in spent[who] if i in spent.get(base, {})]
            ratio = ""
            if who != base and both:
                ratio = f"{_geometric([spent[who][i] / spent[base][i] for i in both]):.1f}"
            times = list(spent[who].values())
            print(
                f"| {name} | {who} | {len(solved)}/{len(mine)} | {_geometric(times):.2f} | "
                f"{np.median(times):.2f} | {np.mean(times):.2f} | {max(times):.2f} | "
                f"{np.mean([int(r['nodes']) for r in mine]):,.0f} | "
                f"{np.mean([int(r['programs']) for r in mine]):,.0f} | {ratio} |"
            )
        _disagreement(rows, name)


def _geometric(values: list[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))


def _disagreement(rows: list[dict[str, str]], name: str) -> None:
    """Say so if a proved bound of one way is above the value of another."""
    for image in {r["image"] for r in rows if r["network"] == name}:
        mine = [r for r in rows if (r["network"], r["image"]) == (name, image) and r["value"]]
        bound = max((float(r["bound"]) for r in mine), default=0.0)
        value = min((float(r["value"]) for r in mine), default=np.inf)
        if bound > value * (1 + 1e-5):
            raise SystemExit(f"Wrong: {name} image {image} has a bound above a witness: {mine}.")


def run(description: str, ways: Mapping[str, Way], images: int, out: str) -> None:
    """Read the command line, measure and report."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--networks", nargs="+", default=["dnn1", "dnn2", "dnn3", "dnn4", "dnn5"])
    parser.add_argument("--images", type=int, default=images)
    parser.add_argument("--limit", type=float, default=300.0)
    parser.add_argument("--who", nargs="+", default=list(ways), choices=list(ways))
    parser.add_argument("--out", type=Path, default=Path(out))
    chosen = parser.parse_args()
    print(f"dualbound {dualbound.__version__}, {dualbound.Highs().version()}, {platform.machine()}")
    asked = {who: ways[who] for who in chosen.who}
    measure(chosen.networks, chosen.images, chosen.limit, chosen.out, asked)
    report(chosen.out, chosen.limit, ways)


if __name__ == "__main__":
    run(__doc__ or "", WAYS, 5, "out/nearest.csv")
