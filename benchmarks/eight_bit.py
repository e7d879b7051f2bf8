"""Adversaries that are exact 8-bit images, from the command line to the file and back.

Twenty questions on dnn1, dnn2 and dnn3: the first three correctly classified sample images in L1
and in L∞, the first one of dnn1 and dnn2 in L0; target (label + 5) mod 10, ratio 1.2, gap 1e-3,
limit 60 s. Each is asked twice by the command line: between the levels, and with ``--levels 255
--witness FILE.png``. The picture is read by Pillow and classified by onnxruntime on the embedded
network's file; nothing of dualbound is in between. For comparison the answer between the levels is
rounded to 8 bits too.

Every question is appended to a CSV file as soon as it is answered; a second run goes on after it,
and asks again what a smaller limit left open.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

import dualbound
from dualbound.data import networks
from nearest import instances

NETWORKS = ("dnn1", "dnn2", "dnn3")
RATIO, GAP = 1.2, 1e-3
FIELDS = (
    *("network", "image", "target", "norm", "limit"),
    *("between_status", "between_value", "between_bound", "between_seconds", "rounded_reaches"),
    *("status", "value", "bound", "seconds", "png_label", "png_ratio", "png_distance"),
)


def cases() -> Iterator[tuple[str, int, int, str]]:
    """Network, image, target and norm of each."""
    for name in NETWORKS:
        found = list(instances(dualbound.load(name), 3))
        yield from ((name, at, target, norm) for norm in ("l1", "linf") for at, _, target in found)
        if name != "dnn3":
            yield name, found[0][0], found[0][2], "l0"


def asked(
    case: tuple[str, int, int, str], limit: float, *options: str
) -> tuple[dict[str, object], float]:
    """The object that one command line prints, and its seconds."""
    name, image, target, norm = case
    words = [
        *("nearest", name, f"sample:{image}", f"--target={target}", f"--norm={norm}", "--json"),
        *(f"--ratio={RATIO}", f"--gap={GAP}", f"--time-limit={limit}", *options),
    ]
    command = [sys.executable, "-m", "dualbound.cli", *words]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(words)}: {ended.stderr}")
    found = json.loads(ended.stdout)
    return found, round(found["seconds"], 2)


def reached(name: str, pixels: np.ndarray, target: int) -> tuple[int, float]:
    """Label and ratio by onnxruntime, of bytes."""
    session = onnxruntime.InferenceSession(networks.path(name), providers=["CPUExecutionProvider"])
    (read,) = session.get_inputs()
    shape = [size if isinstance(size, int) else 1 for size in read.shape]
    x = (pixels.astype(np.float64) / 255).astype(np.float32).reshape(shape)
    outputs = session.run(None, {read.name: x})[0].reshape(-1)
    others = max(float(np.delete(outputs, target).max()), 0.0)
    return int(outputs.argmax()), float(outputs[target]) / max(others, 1e-9)


def distance(change: np.ndarray, norm: str) -> float:
    """Of bytes, in units of the network's inputs."""
    match norm:
        case "l0":
            return float((change != 0).sum())
        case "l1":
            return float(np.abs(change).sum() / 255)
        case _:
            return float(np.abs(change).max() / 255)


def row(case: tuple[str, int, int, str], limit: float, folder: Path) -> dict[str, object]:
    name, image, target, norm = case
    between, between_seconds = asked(case, limit, "--witness=inline")
    file = folder / f"{name}-{image}-{norm}.png"
    onto, seconds = asked(case, limit, "--levels=255", f"--witness={file}")
    rounded = ratio = label = measured = None
    if between["witness"] is not None:
        pixels = np.rint(np.array(between["witness"]) * 255)
        rounded = reached(name, pixels, target)[1] >= RATIO * (1 - 1e-5)
    if onto["witness"] is not None:
        with Image.open(file) as picture:
            pixels = np.asarray(picture).astype(int)
        label, ratio = reached(name, pixels, target)
        before = np.rint(dualbound.load_image(f"sample:{image}").pixels.reshape(28, 28) * 255)
        measured = distance(pixels - before, norm)
    return {
        "network": name,
        "image": image,
        "target": target,
        "norm": norm,
        "limit": limit,
        "between_status": between["status"],
        "between_value": between["value"],
        "between_bound": between["bound"],
        "between_seconds": between_seconds,
        "rounded_reaches": rounded,
        "status": onto["status"],
        "value": onto["value"],
        "bound": onto["bound"],
        "seconds": seconds,
        "png_label": label,
        "png_ratio": ratio,
        "png_distance": measured,
    }


def measure(limit: float, file: Path) -> None:
    done = set()
    if file.exists():
        with file.open(newline="") as old:
            done = {
                (r["network"], int(r["image"]), r["norm"])
                for r in csv.DictReader(old)
                if proved(r) or float(r["limit"]) >= limit
            }
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(",".join(FIELDS) + "\n")
    for case in cases():
        if (case[0], case[1], case[3]) in done:
            continue
        found = row(case, limit, file.parent)
        print(*(f"{found[key]}" for key in FIELDS), flush=True)
        with file.open("a", newline="") as out:
            csv.DictWriter(out, FIELDS).writerow(found)


def report(file: Path) -> None:
    with file.open(newline="") as lines:
        latest = {(r["network"], r["image"], r["norm"]): r for r in csv.DictReader(lines)}
    print("\nnorm  fooled  proved  at least  exact cost  rounded fools  s between, on levels")
    for norm in ("l1", "linf", "l0", None):
        some = [r for r in latest.values() if norm in (None, r["norm"])]
        of = len(some)
        timed = ("between_seconds", "seconds")
        seconds = [np.median([float(r[key]) for r in some]) for key in timed]
        print(
            f"{norm or 'all':5} {sum(map(fooled, some)):3}/{of:<3} "
            f"{sum(proved(r) for r in some):3}/{of:<3} {sum(map(no_better, some)):4}/{of:<3}  "
            f"{100 * float(np.median([dearer(r) for r in some])):6.2f} %   "
            f"{sum(r['rounded_reaches'] == 'True' for r in some):6}/{of:<3}     "
            f"{seconds[0]:8.1f} {seconds[1]:8.1f}"
        )


def fooled(r: dict[str, str]) -> bool:
    """Whether the picture is classified as asked, and is as near as was said."""
    return (
        r["png_label"] == r["target"]
        and float(r["png_ratio"]) >= RATIO * (1 - 1e-5)
        and abs(float(r["png_distance"]) - float(r["value"])) <= 1e-9
    )


def proved(r: dict[str, str]) -> bool:
    return r["status"] == r["between_status"] == "optimal"


def no_better(r: dict[str, str]) -> bool:
    """Whether the optimum on the levels is not below the one between them.

    Raises:
        SystemExit: two proofs contradict each other.
    """
    if float(r["value"]) < float(r["between_bound"]) * (1 - 1e-9):
        raise SystemExit(f"Wrong: on the levels is nearer than what is proved between them: {r}")
    return float(r["value"]) >= float(r["between_value"]) * (1 - GAP)


def dearer(r: dict[str, str]) -> float:
    """By how much, relatively, the answer on the levels is further away."""
    return float(r["value"]) / float(r["between_value"]) - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=Path("out/eight_bit.csv"))
    chosen = parser.parse_args()
    print(f"dualbound {dualbound.__version__}, {dualbound.Highs().version()}, {platform.machine()}")
    measure(chosen.limit, chosen.out)
    report(chosen.out)


if __name__ == "__main__":
    main()
