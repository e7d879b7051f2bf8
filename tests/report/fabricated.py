"""Studies whose answers nobody computed: written straight into their stores."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dualbound.studies import Store, Study
from dualbound.studies.asks import KINDS, Ask, ask_from
from dualbound.studies.question import Question
from dualbound.studies.row import Row
from dualbound.studies.task import Outcome

TEXT = """
networks = ["dnn1"]
images = ["sample:0-9"]
[[questions]]
query = "nearest"
"""

VERSIONS = {"python": "3.12.0", "dualbound": "0.1.0"}


def question(
    k: int,
    *,
    name: str = "nearest",
    query: str = "nearest",
    network: str = "dnn1",
    image: str | None = "",
    label: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> Question:
    """The k-th of a study; an image of its own where none is named."""
    ask = _ask(query, json.dumps(options or {}))
    image = f"sample:{k}" if image == "" else image
    return Question(name, ask, network, "0" * 64, image, f"{k:064}", label)


@functools.cache
def _ask(query: str, options: str) -> Ask:
    return ask_from(KINDS[query], json.loads(options), "here")


def fabricate(
    folder: Path,
    asked: list[tuple[Question, Row | None]],
    *,
    text: str = TEXT,
    outcome: Callable[[int, Row], Outcome] | None = None,
) -> Study:
    """A study with these answers; None leaves a question unanswered."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.toml").write_text(text, encoding="utf-8")
    with Store(folder, writable=True) as store:
        store._sql.execute("PRAGMA synchronous = OFF")  # thousands of rows, and nothing to lose
        store.take_up([one for one, _ in asked], text)
        for one, (_, row) in zip(
            sorted(store.unanswered(), key=lambda one: one.id), asked, strict=True
        ):
            if row is not None:
                made = outcome(one.id, row) if outcome else came_of(row)
                store.write(one.id, made)
    return Study.open(folder)


def came_of(row: Row, *, machine: str = "Linux x86_64, 4 cores", version: str = "0.1.0") -> Outcome:
    """Of a question that this row answers."""
    return Outcome(row, 1_700_000_000.0, machine, VERSIONS | {"dualbound": version})


def nearest_row(rng: np.random.Generator, *, norm: str = "l1", witness: bool = False) -> Row:
    """An answer such as a nearest question may have: proved, open, none, unknown or failed."""
    fate = rng.choice(["optimal", "feasible", "infeasible", "unknown", "failed"],
                      p=[0.7, 0.15, 0.05, 0.05, 0.05])  # fmt: skip
    if fate == "failed":
        return Row.failed(f"it went wrong in way {rng.integers(3)}")
    value = float(rng.gamma(4.0, 0.6))
    value = float(np.ceil(value * 3)) if norm == "l0" else value
    before = int(rng.integers(10))
    found = fate in ("optimal", "feasible")
    bound = {"optimal": value, "infeasible": None}.get(fate, value * float(rng.uniform(0.2, 0.9)))
    return Row(
        status=str(fate),
        norm=norm,
        value=value if found else None,
        bound=bound,
        gap=(value - (bound or 0.0)) / value if found else None,
        label_before=before,
        label_after=int((before + rng.integers(1, 10)) % 10) if found else None,
        criterion="any other label, margin 0.0001",
        replayed=found,
        seconds=float(rng.lognormal(0.0, 1.2)),
        engine="columns",
        solver="none",
        nodes=int(rng.integers(2000)),
        unstable=int(rng.integers(40)),
        witness=rng.random((1, 28, 28)) if found and witness else None,
    )
