"""The same bounds on a GPU and on the processor: oval21's networks, in one run on one machine.

    python benchmarks/devices.py BENCHMARKS/oval21

For each network its first property: seconds of alpha-CROWN for every neuron, and nodes a second
that a tree over phases bounds (ten steps of ascent each, by batch size). Without a GPU it says so
and measures the processor alone.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import torch

import dualbound
from dualbound.bounds.batched import Propagator, alpha_crown, rooms_of
from dualbound.criterion import read_vnnlib
from dualbound.search.bab.node_bounds import NodeBounds, Nodes
from dualbound.search.bab.question import Question

BATCHES = (64, 1024, 8192)


def first_of_each(folder: Path) -> list[tuple[Path, Path]]:
    """The first property of every network of a benchmark."""
    with (folder / "instances.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    pairs: dict[str, str] = {}
    for row in rows:
        pairs.setdefault(row["onnx"], row["vnnlib"])
    return [(_file(folder / a), _file(folder / b)) for a, b in pairs.items()]


def _file(path: Path) -> Path:
    return path if path.exists() else path.with_name(f"{path.name}.gz")


def measured(model: Path, prop: Path, device: str) -> dict[str, float]:
    """Seconds and rates on one device."""
    net = dualbound.load(model)
    asked = read_vnnlib(prop, inputs=net.input_size, outputs=net.output_size)
    [case] = asked.cases
    exact = Propagator(net, device=device)
    fast = Propagator(net, dtype=torch.float32, device=device)
    rooms = rooms_of(case.region, device=device)
    spans = exact.crown(rooms, output=False)
    fast.rounding.settle_as(exact.rounding)

    def slopes() -> None:
        alpha_crown(exact, rooms, known=spans, steps=10, fast=fast)

    found = {"alpha-CROWN, s": _seconds(slopes, device)}
    question = Question.of(net, case.region, [case.criterion])
    relaxation = NodeBounds(question, rooms, spans, exact=exact, fast=fast)
    for batch in BATCHES:
        nodes = relaxation.root()
        times = -(-batch // len(nodes))
        many = Nodes.joined([nodes] * times)[:batch]
        seconds = _seconds(lambda: relaxation.ascend(many[:], 10), device)  # noqa: B023
        found[f"nodes/s, batch {batch}"] = batch / seconds
    return found


def _seconds(work: object, device: str) -> float:
    """The best of three runs after one to warm up."""
    best = float("inf")
    for _ in range(4):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()  # type: ignore[operator]
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, nargs="*", default=[2])
    arguments = parser.parse_args()
    has_gpu = torch.cuda.is_available()
    print("GPU:", torch.cuda.get_device_name() if has_gpu else "none at hand")
    for model, prop in first_of_each(arguments.folder):
        columns: dict[str, dict[str, float]] = {}
        for threads in arguments.threads:
            torch.set_num_threads(threads)
            columns[f"processor, {threads} threads"] = measured(model, prop, "cpu")
        if has_gpu:
            columns["GPU"] = measured(model, prop, "cuda")
        print(model.name)
        for key in next(iter(columns.values())):
            print(f"  {key:24s}", "  ".join(f"{n} {c[key]:.4g}" for n, c in columns.items()))


if __name__ == "__main__":
    main()
