"""Exact bounds of every neuron of the embedded networks over [0, 1] for every input (Koot, 3.2.1).

Layer by layer, each neuron's largest and smallest pre-activation by our own branch and bound, the
layers before it bounded exactly. Published seconds of this step, on another machine and with a
commercial solver: 30, 169, 765, 1845, 10096 for DNN1 to DNN5.

Every extreme is appended to a CSV file as soon as it is known; a second run goes on after it. One
that hits the limit counts as what was proved by then, and is tried again by a run with a larger
limit.
"""

from __future__ import annotations

import argparse
import csv
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import dualbound
from dualbound.bounds import crown
from dualbound.limits import Clock, Limits, core_count
from dualbound.network import Affine
from dualbound.phases.tree import prepare
from dualbound.tighten.extreme import extreme

FIELDS = ("network", "layer", "neuron", "side", "bound", "exact", "limit", "seconds")
Known = dict[tuple[str, str, int, int], dict[str, str]]


def read(file: Path) -> Known:
    """What is known already, the last word on each extreme."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(",".join(FIELDS) + "\n")
    with file.open(newline="") as lines:
        return {
            (r["network"], r["layer"], int(r["neuron"]), int(r["side"])): r
            for r in csv.DictReader(lines)
        }


def measure(name: str, limit: float, file: Path) -> None:
    """Bound one network, and print a line a layer."""
    network, known = dualbound.load(name), read(file)
    region = dualbound.Box(0, 1).sized(network.input_size)
    bounds = crown(network, region)
    for node in network.nodes:
        if not isinstance(node.op, Affine):
            continue
        found: list[tuple[float, bool, float]] = []
        if node.reads[0] != network.input:  # there the support function of the region is exact
            found = extremes(name, network.up_to(node.name), region, bounds, limit, file, known)
            ends = np.array([bound for bound, _, _ in found]).reshape(-1, 2)
            narrower = dualbound.Bounds({node.name: -ends[:, 1]}, {node.name: ends[:, 0]})
            bounds = crown(network, region, bounds.intersect(narrower))
        low, high = bounds.lower[node.name], bounds.upper[node.name]
        print(
            f"{name} {node.name:7} {node.size:3} neurons {int(((low < 0) & (high > 0)).sum()):3} "
            f"unstable  mean width {(high - low).mean():8.3f}  exact "
            f"{sum(exact for _, exact, _ in found)}/{len(found)}  "
            f"{sum(seconds for _, _, seconds in found):8.1f} s",
            flush=True,
        )
    bounds.check(network, region.sample(np.random.default_rng(1), 10_000))


def extremes(
    name: str,
    part: dualbound.Network,
    region: dualbound.Box,
    bounds: dualbound.Bounds,
    limit: float,
    file: Path,
    known: Known,
) -> list[tuple[float, bool, float]]:
    """Bound, whether it is exact, and seconds of each largest and (negated) smallest output."""
    starts = region.sample(np.random.default_rng(0), 64)

    def answer(question: tuple[int, int]) -> tuple[float, bool, float]:
        i, side = question
        row = known.get((name, part.output, i, side))
        if row is not None and (row["exact"] == "True" or float(row["limit"]) >= limit):
            return float(row["bound"]), row["exact"] == "True", float(row["seconds"])
        started = time.perf_counter()
        direction = side * np.eye(part.output_size)[i]
        found = extreme(part, region, bounds, direction, Clock(Limits(limit)), starts)
        bound, exact = found.bound, found.closed
        seconds = time.perf_counter() - started
        with file.open("a", newline="") as out:
            csv.writer(out).writerow(
                [name, part.output, i, side, bound, exact, limit, round(seconds, 2)]
            )
        return bound, exact, seconds

    with ThreadPoolExecutor(core_count()) as pool:
        return list(pool.map(answer, [(i, s) for i in range(part.output_size) for s in (1, -1)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=["dnn1", "dnn2", "dnn3", "dnn4", "dnn5"])
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for each extreme")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("bounds.csv"))
    chosen = parser.parse_args()
    prepare()
    for name in chosen.networks:
        measure(name, chosen.limit, chosen.out)


if __name__ == "__main__":
    main()
