"""The process that answers one instance: ``python -m dualbound.studies.competition.worker``.

A line of JSON on standard input says what to answer. Lines of JSON on standard output say that the
libraries are loaded (``ready``), how the search is doing (``tell``), and what came of it
(``answer``). Whatever a library prints goes to standard error.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from dualbound.search.bab import Decision
from dualbound.studies.competition.answering import answered, load_libraries

TELL_EVERY = 0.5
"""Seconds between two words about the search."""


def main() -> None:
    """Answer the instance that standard input names."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        job = json.loads(sys.stdin.readline())
        load_libraries()
        _say(out, {"ready": True})
        _say(out, {"answer": _answer(job, out)})


def _answer(job: dict[str, Any], out: IO[str]) -> dict[str, Any]:
    last = 0.0

    def tell(now: Decision) -> None:
        nonlocal last
        if time.perf_counter() - last > TELL_EVERY:
            last = time.perf_counter()
            bound = now.bound if math.isfinite(now.bound) else None
            told = {"phase": now.phase, "bound": bound, "nodes": now.nodes, "open": now.open}
            _say(out, {"tell": told})

    return asdict(answered(Path(job["onnx"]), Path(job["vnnlib"]), job["seconds"], tell))


def _say(out: IO[str], message: dict[str, Any]) -> None:
    out.write(json.dumps(message, allow_nan=False) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
