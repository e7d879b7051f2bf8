"""Peers beside us: tools that write a network into a mixed-integer program, on the same instances.

For each network the first correctly classified sample images, target (label + 5) mod 10, ratio 1.2,
L1, gap 1e-4; see `peer_tools` for how each tool is asked. Interleaved, image by image. Every answer
is a process of its own on one core and one thread, measured in seconds of processor time, building
the program included, imports and compilation not: on a machine with nothing else to do that is
the time on the clock, and beside other load it still compares. A process that uses up the limit is
ended and counts as the limit.

Each proved answer is replayed as ours are: as given, then moved into the box. *Short* is a point
that misses the criterion by the shortfall written beside it and still has the target's label,
*lost* one that has it no longer.

Every answer is appended to a CSV file as soon as it is known; a second run goes on after it. Run it
on one core, with ``pip install "dualbound[peers]"``::

    OMP_NUM_THREADS=1 taskset -c 1 python benchmarks/peers.py
"""

from __future__ import annotations

import argparse
import csv
import math
import multiprocessing
import resource
import signal
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

import dualbound
from dualbound import Targeted
from dualbound.limits import core_count
from dualbound.patterns import NearestProblem
from dualbound.queries.nearest import DEFAULT_GAP, nearest_problem
from dualbound.queries.replay import Refused as Unreplayable
from dualbound.queries.replay import replayed
from nearest import instances
from peer_tools import Claim, GurobiMl, Omlt, Ours, PyscipoptMl, Question, Refused, Tool

FIELDS = (
    "network", "image", "target", "who", "versions", "status", "value", "bound", "seconds",
    "replay", "short", "message",
)  # fmt: skip
TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (Ours(), GurobiMl(), Omlt(), PyscipoptMl("sos"), PyscipoptMl("bigm"))
}
USUAL = ["ours", "gurobi-ml", "omlt", "pyscipopt-ml sos"]
PATIENCE = 20
"""Times the limit after which a process is ended that waits instead of working."""

Told = tuple[str, Claim | None, float, str]
"""Status, claim, seconds of processor time, and message."""


def answer(tool: Tool, question: Question, limit: float) -> Told:
    """Ask in a process of its own that may use so many seconds of processor time."""
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=_answer, args=(tool, question, limit, there)
    )
    process.start()
    there.close()
    try:
        if not here.poll(limit * PATIENCE):
            return "limit", None, limit, ""
        return here.recv()
    except EOFError:
        process.join()
        if process.exitcode == -signal.SIGXCPU:
            return "limit", None, limit, ""
        return "failed", None, limit, f"ended with exit code {process.exitcode}"
    finally:
        process.kill()
        process.join()


def _answer(tool: Tool, question: Question, limit: float, back: Connection) -> None:
    start = time.process_time()
    whole = math.ceil(limit + start)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole + 5))
    try:
        claim = tool.solve(question)
    except Refused as refused:
        back.send(("refused", None, 0.0, str(refused)))
        return
    seconds = time.process_time() - start
    status = "limit" if seconds > limit else "proved" if claim.proved else "unproved"
    back.send((status, claim, min(seconds, limit), ""))


def replay(problem: NearestProblem, x: np.ndarray) -> tuple[str, float]:
    """How a point fares in our replay, and by how much it misses the criterion."""
    for how, point in (("as given", x), ("in the box", problem.tidied(x))):
        try:
            replayed(problem, point)
        except Unreplayable:
            continue
        return how, 0.0
    found = problem.evaluations(problem.tidied(x))
    kept = all(problem.criterion.classified(each.outputs) for each in found)
    return "short" if kept else "lost", -float(problem.criterion.slack(found[0].outputs))


def row(tool: Tool, problem: NearestProblem, told: Told) -> dict[str, object]:
    status, claim, seconds, message = told
    found = dict.fromkeys(FIELDS, None) | {
        "who": tool.name,
        "versions": tool.versions,
        "status": status,
        "message": " ".join(message.split()),
    }
    if not tool.may_be_measured:
        return found | ({} if message else {"status": "taken"})
    found["seconds"] = round(seconds, 3)
    if status == "proved" and claim is not None and claim.x is not None:
        found["value"] = float(problem.distance(problem.tidied(claim.x)))
        found["bound"] = claim.bound
        found["replay"], found["short"] = replay(problem, claim.x)
    return found


def asked(names: list[str], count: int) -> Iterator[tuple[str, int, NearestProblem, Question]]:
    """Image by image, the networks in turn."""
    networks = {name: dualbound.load(name) for name in names}
    each = {name: list(instances(network, count)) for name, network in networks.items()}
    for k in range(count):
        for name, network in networks.items():
            image, x, target = each[name][k]
            criterion = Targeted(target, ratio=1.2)
            problem = nearest_problem(network, x, criterion)
            yield name, image, problem, Question(network, problem.center, criterion, DEFAULT_GAP)


def measure(names: list[str], count: int, limit: float, file: Path, who: list[str]) -> None:
    done = set()
    if file.exists():
        with file.open(newline="") as old:
            done = {(r["network"], int(r["image"]), r["who"]) for r in csv.DictReader(old)}
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(",".join(FIELDS) + "\n")
    for tool in (TOOLS[name] for name in who):
        try:
            tool.prepare()
        except ImportError as error:
            raise SystemExit(
                f'{tool.name} is not installed ({error}): pip install "dualbound[peers]", '
                "or choose others with --who."
            ) from error
    for name, image, problem, question in asked(names, count):
        for tool in (TOOLS[each] for each in who):
            if (name, image, tool.name) in done:
                continue
            found = row(tool, problem, answer(tool, question, limit))
            found |= {"network": name, "image": image, "target": question.criterion.target}
            print(*(f"{found[key]}" for key in FIELDS if key != "versions"), flush=True)
            with file.open("a", newline="") as out:
                csv.DictWriter(out, FIELDS).writerow(found)


def report(file: Path, limit: float) -> None:
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    print()
    for who in dict.fromkeys(r["who"] for r in rows):
        print(f"{who}: {next(r['versions'] for r in rows if r['who'] == who)}")
    print(
        f"\n{'network':8} {'who':17} {'solved':>7} {'geo-mean s':>10} {'of ours':>7} "
        f"{'as given':>8} {'in box':>6} {'short':>5} {'by':>7} {'lost':>4}"
    )
    for name in dict.fromkeys(r["network"] for r in rows):
        ours = _spent([r for r in rows if r["network"] == name and r["who"] == "ours"], limit)
        for who in dict.fromkeys(r["who"] for r in rows):
            mine = [r for r in rows if r["network"] == name and r["who"] == who]
            if not TOOLS[who].may_be_measured:
                said = [f"{r['status']} {r['message']}".strip() for r in mine]
                words = (f"{said.count(each)} {each}" for each in dict.fromkeys(said))
                print(f"{name:8} {who:17} {'; '.join(words)}")
                continue
            spent = _spent(mine, limit)
            both = [i for i in spent if i in ours]
            ratio = _mean([spent[i] / ours[i] for i in both]) if both else math.nan
            proved = [r for r in mine if r["status"] == "proved"]
            fared = [r["replay"] for r in proved]
            worst = max((float(r["short"]) for r in proved), default=0.0)
            mean = _mean(list(spent.values()))
            print(
                f"{name:8} {who:17} {len(proved):3}/{len(mine):<3} {mean:10.2f} "
                f"{ratio:7.1f} {fared.count('as given'):8} {fared.count('in the box'):6} "
                f"{fared.count('short'):5} {worst:7.0e} {fared.count('lost'):4}"
            )
            for r in mine:
                if r["message"]:
                    print(f"    image {r['image']}: {r['status']}: {r['message']}")
    wrong = list(_contradictions(rows))
    print("\n".join(wrong) or "\nNo two proved answers to one question contradict each other.")
    if wrong:
        raise SystemExit(1)


def _spent(rows: list[dict[str, str]], limit: float) -> dict[str, float]:
    """Seconds by image; the limit for what is not proved."""
    return {r["image"]: float(r["seconds"]) if r["status"] == "proved" else limit for r in rows}


def _mean(seconds: list[float]) -> float:
    """The geometric mean."""
    return float(np.exp(np.mean(np.log(np.maximum(seconds, 1e-3)))))


def _contradictions(rows: list[dict[str, str]]) -> Iterator[str]:
    """Bounds above a point that another tool found, and proved values that differ."""
    proved = [r for r in rows if r["status"] == "proved" and r["value"]]
    for one in proved:
        for other in proved:
            if (one["network"], one["image"]) != (other["network"], other["image"]):
                continue
            if float(one["bound"]) > float(other["value"]) * (1 + DEFAULT_GAP):
                yield (
                    f"Wrong: {one['network']} image {one['image']}: {one['who']} proves "
                    f"{one['bound']}, {other['who']} has a point ({other['replay']}) at "
                    f"{other['value']}."
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", default=["dnn1", "dnn2", "dnn3"])
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--limit", type=float, default=100.0, help="processor seconds an answer")
    parser.add_argument("--who", nargs="+", default=USUAL, choices=list(TOOLS))
    parser.add_argument("--out", type=Path, default=Path("out/peers.csv"))
    parser.add_argument("--report", action="store_true", help="of what is in the file already")
    chosen = parser.parse_args()
    if not chosen.report:
        if core_count() > 1:
            parser.error("each tool must have the same one core: taskset -c 1 python ...")
        measure(chosen.networks, chosen.images, chosen.limit, chosen.out, chosen.who)
    report(chosen.out, chosen.limit)


if __name__ == "__main__":
    main()
