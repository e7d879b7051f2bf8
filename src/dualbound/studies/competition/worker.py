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
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dualbound.search.bab import Decision
from dualbound.studies.competition.answering import answered, load_libraries

TELL_EVERY = 0.5
"""Seconds between two words about the search."""


Say = Callable[[dict[str, Any]], None]
"""Sends a message."""


def main() -> None:
    """Answer the instance that standard input names."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)

        def say(message: dict[str, Any]) -> None:
            out.write(json.dumps(message, allow_nan=False) + "\n")
            out.flush()

        job = json.loads(sys.stdin.readline())
        threading.Thread(target=_end_with_parent, daemon=True).start()
        load_libraries()
        say({"ready": True})
        say({"answer": _answer(job, say)})


def _end_with_parent() -> None:
    """End when standard input is closed: whoever asked is gone, however it ended."""
    while os.read(0, 4096):
        pass
    os._exit(1)


def _answer(job: dict[str, Any], say: Say) -> dict[str, Any]:
    last = 0.0

    def tell(now: Decision) -> None:
        nonlocal last
        if time.perf_counter() - last > TELL_EVERY:
            last = time.perf_counter()
            bound = now.bound if math.isfinite(now.bound) else None
            say(
                {"tell": {"phase": now.phase, "bound": bound, "nodes": now.nodes, "open": now.open}}
            )

    return asdict(answered(Path(job["onnx"]), Path(job["vnnlib"]), job["seconds"], tell))


if __name__ == "__main__":
    main()
