"""What activates a neuron most: ours beside the best of a thousand gradient ascents.

Every hidden neuron of dnn3 (pre-activations, all layers) and every logit of mlp-64-64, over [0, 1]
for every input. The rival is plain projected gradient ascent in torch, in float32: a thousand
random starts, a hundred steps along the signs of the gradient, and the best value of all steps. It
proves nothing; ours must not be worse, and its bound must lie above both.

Every neuron is appended to a CSV file as soon as it is known; a second run goes on after it.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

import dualbound
from dualbound.queries import Activation, layer_node

FIELDS = (
    *("network", "layer", "neuron", "limit", "status", "value", "bound", "gap", "nodes"),
    *("seconds", "ascent", "ascent_seconds"),
)
TOLERANCE = 1e-4
"""Relative: what float32 may do to the rival's values."""


def ascent(
    network: dualbound.Network, layer: int | str, neuron: int, restarts: int, steps: int
) -> tuple[float, float]:
    """The best value of projected gradient ascent, and the seconds that it took."""
    started = time.perf_counter()
    part = network.up_to(layer_node(network, layer))
    affine = [node.op for node in part.nodes if isinstance(node.op, dualbound.network.Affine)]
    layers = [
        (torch.tensor(op.weight, dtype=torch.float32), torch.tensor(op.bias, dtype=torch.float32))
        for op in affine
    ]
    x = torch.rand((restarts, network.input_size), generator=torch.Generator().manual_seed(0))
    best = -np.inf
    for k in range(steps):
        x.requires_grad_()
        value = x
        for weight, bias in layers[:-1]:
            value = torch.relu(value @ weight.T + bias)
        wanted = value @ layers[-1][0][neuron] + layers[-1][1][neuron]
        best = max(best, float(wanted.detach().max()))
        (slope,) = torch.autograd.grad(wanted.sum(), x)
        x = (x.detach() + 0.1 * (1 - k / steps) * torch.sign(slope)).clamp(0, 1)
    return best, time.perf_counter() - started


def questions() -> list[tuple[str, int | str, int]]:
    """Network, layer and neuron."""
    dnn3, wide = dualbound.load("dnn3"), dualbound.load("mlp-64-64")
    hidden = [
        ("dnn3", k, j) for k, relu in enumerate(dnn3.relus, start=1) for j in range(relu.size)
    ]
    return [*hidden, *(("mlp-64-64", "logits", j) for j in range(wide.output_size))]


def checked(answer: Activation, best: float, name: str) -> None:
    """Stop at an answer that is wrong or worse than the rival's."""
    if answer.value is None or answer.bound < answer.value:
        raise SystemExit(f"{name}: value {answer.value}, bound {answer.bound}")
    slack = TOLERANCE * (1 + abs(best))
    if answer.bound < best - slack:
        raise SystemExit(f"{name}: bound {answer.bound} below {best}, which ascent reached")
    if answer.value < best - slack:
        print(f"{name}: worse than ascent, {answer.value} and {best}", flush=True)


def read(file: Path) -> dict[tuple[str, str, int], dict[str, str]]:
    """What is known already."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(",".join(FIELDS) + "\n")
    with file.open(newline="") as lines:
        return {(r["network"], r["layer"], int(r["neuron"])): r for r in csv.DictReader(lines)}


def table(rows: list[dict[str, str]]) -> None:
    """A line for each layer."""
    layers = defaultdict(list)
    for row in rows:
        layers[row["network"], row["layer"]].append(row)
    for (network, layer), part in layers.items():
        value, best = (np.array([float(row[key]) for row in part]) for key in ("value", "ascent"))
        slack = TOLERANCE * (1 + np.abs(best))
        better = (value - best) / np.maximum(np.abs(best), 1)
        gaps = np.array([float(row["gap"]) for row in part])
        print(
            f"{network} layer {layer}: {len(part)} neurons, proved "
            f"{sum(row['status'] == 'optimal' for row in part)}, not worse "
            f"{int((value >= best - slack).sum())}, better by more than 1 % "
            f"{int((better > 0.01).sum())} (most {better.max():.1%}), median gap "
            f"{np.median(gaps):.2%}, median seconds "
            f"{np.median([float(row['seconds']) for row in part]):.1f} and "
            f"{np.median([float(row['ascent_seconds']) for row in part]):.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for each neuron")
    parser.add_argument("--restarts", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("out/ascent.csv"))
    chosen = parser.parse_args()
    known = read(chosen.out)
    for network_name, layer, neuron in questions():
        if (network_name, str(layer), neuron) in known:
            continue
        network = dualbound.load(network_name)
        best, seconds = ascent(network, layer, neuron, chosen.restarts, chosen.steps)
        answer = dualbound.activate(
            network, dualbound.Neuron(layer, neuron), limits=dualbound.Limits(chosen.limit)
        )
        checked(answer, best, f"{network_name} layer {layer} neuron {neuron}")
        row = [
            *(network_name, layer, neuron, chosen.limit, answer.status.value),
            *(answer.value, answer.bound, answer.gap, answer.stats.nodes),
            *(round(answer.stats.seconds, 2), best, round(seconds, 2)),
        ]
        with chosen.out.open("a", newline="") as out:
            csv.writer(out).writerow(row)
        print(*row, flush=True)
    table(list(read(chosen.out).values()))


if __name__ == "__main__":
    main()
