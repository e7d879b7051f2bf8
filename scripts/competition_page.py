"""Write a page of what `dualbound vnncomp` has answered, and check its counterexamples anew.

    python scripts/competition_page.py BENCHMARKS RESULTS PAGE.md --words "on what machine"

BENCHMARKS holds a folder for each benchmark, RESULTS a CSV for each, as the command writes it. The
check has nothing of dualbound: a reader of SMT-LIB of its own, whose numbers are those of float64
and are then computed with exactly, and onnxruntime.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import re
import statistics
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnxruntime as ort

SCORES = {True: 10, False: -150}


def read(path: Path) -> bytes:
    packed = path.with_name(f"{path.name}.gz")
    return gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()


def expressions(text: str) -> list:
    """Nested lists of an SMT-LIB text."""
    stack: list[list] = [[]]
    for token in re.findall(r"[()]|[^\s()]+", re.sub(r";[^\n]*", "", text)):
        if token == "(":
            stack.append([])
        elif token == ")":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    return stack[0]


def value(expression: str | list, known: dict[str, Fraction]) -> Fraction | bool:
    """An expression over the variables, exactly."""
    if isinstance(expression, str):
        return known[expression] if expression in known else Fraction(float(expression))
    head, *rest = expression
    parts = [value(one, known) for one in rest]
    match head:
        case "and":
            return all(parts)
        case "or":
            return any(parts)
        case "<=":
            return parts[0] <= parts[1]
        case ">=":
            return parts[0] >= parts[1]
        case "+":
            return sum(parts, start=Fraction(0))
        case "-":
            return -parts[0] if len(parts) == 1 else parts[0] - sum(parts[1:])
        case "*":
            return parts[0] * parts[1]
    raise ValueError(f"unknown operator {head}")


def is_violated(folder: Path, network: str, prop: str, counterexample: Path) -> bool:
    """Whether a point is in the box exactly and onnxruntime's outputs meet the property's set."""
    found = dict(pair for pair in expressions(counterexample.read_text())[0])
    x = [float(found[f"X_{k}"]) for k in range(sum(name.startswith("X_") for name in found))]
    session = ort.InferenceSession(read(folder / network), providers=["CPUExecutionProvider"])
    [entry] = session.get_inputs()
    shape = [size if isinstance(size, int) else 1 for size in entry.shape]
    given = np.array(x, dtype=np.float32)
    if given.astype(float).tolist() != x:
        return False
    [outputs, *_] = session.run(None, {entry.name: given.reshape(shape)})
    known = {f"X_{k}": Fraction(v) for k, v in enumerate(x)}
    known |= {f"Y_{k}": Fraction(float(v)) for k, v in enumerate(outputs.reshape(-1))}
    claims = [one[1] for one in expressions(read(folder / prop).decode()) if one[0] == "assert"]
    return all(value(claim, known) for claim in claims)


def page(benchmarks: Path, results: Path, words: str) -> str:
    text = [
        "# The verification competition's benchmarks",
        "",
        f"`dualbound vnncomp DIR --timeout 60`, {words}.",
        "",
        "The score is that of VNN-COMP since 2023: 10 for each correct answer, -150 for each",
        "wrong one. Every counterexample was checked anew by `scripts/competition_page.py`: in the",
        "box exactly, and onnxruntime's outputs in the set with no tolerance. An instance is open",
        "where the 60 seconds were over. Of each benchmark the instances listed below were at",
        "hand, which need not be all of it.",
        "",
        "| benchmark | solved | unsat | sat | wrong | median of the solved | score |",
        "|---|---|---|---|---|---|---|",
    ]
    tables: list[str] = []
    for path in sorted(results.glob("*.csv")):
        rows = list(csv.DictReader(path.open()))
        solved = [row for row in rows if row["result"] in ("sat", "unsat")]
        right = [row["expected"] in ("", row["result"]) for row in solved]
        for row in solved:
            if row["result"] == "sat":
                network, prop = row["instance"].split()
                file = path.parent / row["counterexample"]
                if not is_violated(benchmarks / path.stem, network, prop, file):
                    raise SystemExit(f"{row['instance']}: {file} is no counterexample")
        counts = {r: sum(row["result"] == r for row in solved) for r in ("unsat", "sat")}
        seconds = statistics.median(float(row["seconds"]) for row in solved)
        score = sum(SCORES[ok] for ok in right)
        text.append(
            f"| {path.stem} | {len(solved)} of {len(rows)} | {counts['unsat']} | {counts['sat']} | "
            f"{right.count(False)} | {seconds:.2f} s | {score:,} of {10 * len(rows):,} |"
        )
        tables += ["", f"## {path.stem}", "", "| instance | expected | answer | seconds | nodes |"]
        tables.append("|---|---|---|---|---|")
        for row in rows:
            name = row["instance"].replace("onnx/", "").replace("vnnlib/", "")
            nodes = f"{int(row['nodes']):,}" if row["nodes"] else ""
            expected = row["expected"] or "not agreed"
            tables.append(f"| {name} | {expected} | {row['result']} | {row['seconds']} | {nodes} |")
    return "\n".join([*text, *tables, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmarks", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("page", type=Path)
    parser.add_argument("--words", required=True)
    given = parser.parse_args()
    given.page.write_text(page(given.benchmarks, given.results, given.words), encoding="utf-8")


if __name__ == "__main__":
    main()
