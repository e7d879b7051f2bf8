"""How effort grows with a network's width and depth, and where it stops working.

Networks of equal hidden layers, 784-w-...-w-10, are trained on MNIST by the script that trained
the embedded ones, for fewer epochs, and kept. Each is asked the nearest input of label + 5 for its
first correctly classified sample images, ratio 1.2, L1, gap 1e-4, by the default engine. A run that
is not proved counts as the limit.

Every answer is appended to a CSV file as soon as it is known, and the picture is drawn from what is
there; a second run goes on after it.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

import dualbound
from dualbound import Limits, Status, Targeted
from dualbound.report.picture import new_figure
from nearest import instances

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from train_embedded import Digits, Plan, Recipe, accuracy, to_onnx, train

WIDTHS, DEPTHS = (8, 16, 32, 64), (2, 4, 6, 8)
RECIPE = Recipe(epochs=8)
FIELDS = (
    *("width", "depth", "accuracy", "image", "status", "value", "bound"),
    *("unstable", "nodes", "programs", "seconds"),
)


def network_file(width: int, depth: int, folder: Path) -> tuple[Path, float]:
    """The trained network, made if it is not there, and its accuracy on the test set."""
    folder.mkdir(parents=True, exist_ok=True)
    found = list(folder.glob(f"{width}x{depth}-*.onnx"))
    if found:
        return found[0], float(found[0].stem.split("-")[1])
    plan = Plan((784, *[width] * depth, 10), 1, "")
    model = to_onnx(f"{width}x{depth}", train(plan, RECIPE, Digits.of("train")))
    right = accuracy(model, Digits.of("test"))
    file = folder / f"{width}x{depth}-{right:.4f}.onnx"
    file.write_bytes(model)
    return file, right


def measure(file: Path, folder: Path, images: int, limit: float) -> None:
    done = set()
    if file.exists():
        with file.open(newline="") as old:
            done = {
                (int(r["width"]), int(r["depth"]), int(r["image"])) for r in csv.DictReader(old)
            }
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(",".join(FIELDS) + "\n")
    for depth in DEPTHS:
        for width in WIDTHS:
            path, right = network_file(width, depth, folder)
            if right < 0.5:
                print(f"{width}x{depth} learnt nothing: accuracy {right:.1%}", flush=True)
                continue
            network = dualbound.load(path)
            for image, x, target in instances(network, images):
                if (str(width), str(depth), str(image)) in done:
                    continue
                answer = dualbound.nearest(
                    network, x, Targeted(target, ratio=1.2), limits=Limits(limit)
                )
                stats = answer.stats
                row = (
                    *(width, depth, right, image, answer.status.value, answer.value, answer.bound),
                    *(stats.unstable, stats.nodes, stats.programs, round(stats.seconds, 3)),
                )
                print(*row, flush=True)
                with file.open("a", newline="") as out:
                    csv.writer(out).writerow(row)
                if "interrupted" in answer.note:
                    raise SystemExit(130)


def report(file: Path, limit: float, picture: Path) -> None:
    """A table, and seconds and nodes against depth, a line for each width."""
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    figure = new_figure(9.0, 3.6)
    figure.set_layout_engine("constrained")
    seconds, nodes = figure.subplots(1, 2)
    print("\n| width | depth | accuracy | proved | geo mean s | nodes | mean gap of the open |")
    print("|---" * 7 + "|")
    for width in WIDTHS:
        points = []
        for depth in DEPTHS:
            mine = [r for r in rows if (int(r["width"]), int(r["depth"])) == (width, depth)]
            if not mine:
                continue
            solved = [r["status"] == Status.OPTIMAL.value for r in mine]
            spent = [float(r["seconds"]) if s else limit for r, s in zip(mine, solved, strict=True)]
            geometric = float(np.exp(np.mean(np.log(spent))))
            looked = float(np.mean([int(r["nodes"]) for r in mine]))
            gaps = [
                1 - float(r["bound"]) / float(r["value"])
                for r, s in zip(mine, solved, strict=True)
                if not s and r["value"]
            ]
            points.append((depth, geometric, looked, all(solved)))
            print(
                f"| {width} | {depth} | {float(mine[0]['accuracy']):.1%} | "
                f"{sum(solved)}/{len(mine)} | {geometric:.2f} | {looked:,.0f} | "
                f"{f'{np.mean(gaps):.0%}' if gaps else ''} |"
            )
        for axes, at in ((seconds, 1), (nodes, 2)):
            line = axes.plot([p[0] for p in points], [p[at] for p in points], label=f"{width} wide")
            for p in points:
                fill = "full" if p[3] else "none"
                axes.plot(p[0], p[at], "o", color=line[0].get_color(), fillstyle=fill)
    for axes, name in ((seconds, "seconds, geometric mean"), (nodes, "nodes, mean")):
        axes.set(xlabel="hidden layers", ylabel=name, yscale="log", xticks=DEPTHS)
        axes.spines[["top", "right"]].set_visible(False)
    seconds.axhline(limit, color="0.6", linewidth=0.8, linestyle=":")
    seconds.annotate("limit", (DEPTHS[0], limit), va="bottom", color="0.4", fontsize=8)
    figure.legend(
        *seconds.get_legend_handles_labels(),
        loc="outside right center",
        frameon=False,
        title="hollow:\nnot all proved",
    )
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=3)
    parser.add_argument("--limit", type=float, default=60.0)
    parser.add_argument("--networks", type=Path, default=Path("out/growth"))
    parser.add_argument("--out", type=Path, default=Path("out/growth.csv"))
    parser.add_argument("--picture", type=Path, default=Path("docs/images/growth.png"))
    chosen = parser.parse_args()
    measure(chosen.out, chosen.networks, chosen.images, chosen.limit)
    report(chosen.out, chosen.limit, chosen.picture)


if __name__ == "__main__":
    main()
