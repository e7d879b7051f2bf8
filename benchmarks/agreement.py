"""Two solvers on the same real questions, in every norm: do they agree?

First correctly classified sample images of `dnn1`, `dnn2` and `dnn3`, the network's own runner-up
as target, ratio 1.2, gap 1e-5: 27 questions in each of L0, L1, L2 and L-infinity. *Ours* is the
engine columns, which trusts no solver in L1, L2 and L-infinity. *Theirs* is SCIP: the margin inside
the witness's ball, and in L2 the squared distance, a quadratic objective. Each answer is replayed;
proved values must agree to 1e-4, and no bound may exceed the other's value.

Every answer is appended to a CSV file as soon as it is known; a second run goes on after it.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import dualbound
from dualbound import Answer, Columns, Limits, Milp, Targeted
from dualbound.search import Engine
from nearest import instances

FIELDS = ("network", "image", "target", "norm", "who", "status", "value", "bound", "seconds")
NORMS = ("l1", "linf", "l0", "l2")
IMAGES = {"dnn1": 21, "dnn2": 2, "dnn3": 4}
GAP, AGREED = 1e-5, 1e-4


def ways() -> dict[str, Engine]:
    return {"ours": Columns(threads=1), "scip": Milp(solver="scip")}


def questions(
    networks: list[str], norms: list[str]
) -> Iterator[tuple[str, int, np.ndarray, int, str]]:
    for name in networks:
        count = IMAGES[name]
        network = dualbound.load(name)
        for image, x, _ in instances(network, count):
            target = int(np.argsort(network(x.reshape(-1)))[-2])
            for norm in norms:
                yield name, image, x, target, norm


def ask(file: Path, limit: float, networks: list[str], norms: list[str]) -> None:
    done: set[tuple[str, ...]] = set()
    if file.exists():
        with file.open(newline="") as old:
            done = {(r["network"], r["image"], r["norm"], r["who"]) for r in csv.DictReader(old)}
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(",".join(FIELDS) + "\n")
    for name, image, x, target, norm in questions(networks, norms):
        for who, engine in ways().items():
            if (name, str(image), norm, who) in done:
                continue
            answer = dualbound.nearest(
                dualbound.load(name),
                x,
                Targeted(target, ratio=1.2),
                norm=norm,
                gap=GAP,
                engine=engine,
                limits=Limits(limit),
            )
            found = _row(answer, name, image, target, norm, who)
            print(*(f"{found[key]}" for key in FIELDS), flush=True)
            with file.open("a", newline="") as out:
                csv.DictWriter(out, FIELDS).writerow(found)
            if "interrupted" in answer.note:
                raise SystemExit(130)


def _row(
    answer: Answer, name: str, image: int, target: int, norm: str, who: str
) -> dict[str, object]:
    figures = (answer.status.value, answer.value, answer.bound, round(answer.stats.seconds, 2))
    return dict(zip(FIELDS, (name, image, target, norm, who, *figures), strict=True))


def report(file: Path) -> None:
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    print(
        f"\n{'norm':5} {'questions':>9} {'ours proved':>12} {'scip proved':>12} {'both agree':>11}"
    )
    wrong = []
    for norm in NORMS:
        pairs: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
        for r in rows:
            if r["norm"] == norm:
                pairs.setdefault((r["network"], r["image"]), {})[r["who"]] = r
        whole = [pair for pair in pairs.values() if len(pair) == 2]
        proved = {who: sum(p[who]["status"] == "optimal" for p in whole) for who in ways()}
        both = [p for p in whole if all(r["status"] == "optimal" for r in p.values())]
        agree = sum(_far(p["ours"]["value"], p["scip"]["value"]) <= AGREED for p in both)
        wrong += [p for p in both if _far(p["ours"]["value"], p["scip"]["value"]) > AGREED]
        wrong += [
            p for p in whole if _crossed(p["ours"], p["scip"]) or _crossed(p["scip"], p["ours"])
        ]
        print(
            f"{norm:5} {len(whole):9} {proved['ours']:12} {proved['scip']:12} "
            f"{agree:5} of {len(both):<3}"
        )
    if wrong:
        raise SystemExit(f"Wrong: {wrong}")


def _far(one: str, other: str) -> float:
    return abs(float(one) - float(other)) / max(1.0, abs(float(one)))


def _crossed(one: dict[str, str], other: dict[str, str]) -> bool:
    """Whether the bound of one is above the value of the other."""
    return bool(other["value"]) and float(one["bound"]) > float(other["value"]) * (1 + AGREED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(IMAGES), choices=list(IMAGES))
    parser.add_argument("--norms", nargs="+", default=list(NORMS), choices=list(NORMS))
    parser.add_argument("--limit", type=float, default=300.0)
    parser.add_argument("--out", type=Path, default=Path("out/agreement.csv"))
    chosen = parser.parse_args()
    print(f"dualbound {dualbound.__version__}, SCIP {dualbound.Scip().version()}")
    ask(chosen.out, chosen.limit, chosen.networks, chosen.norms)
    report(chosen.out)


if __name__ == "__main__":
    main()
