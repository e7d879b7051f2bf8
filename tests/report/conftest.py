from __future__ import annotations

import numpy as np
import pytest

from dualbound.studies import Study
from dualbound.studies.question import Question
from dualbound.studies.row import Row
from report.fabricated import fabricate, nearest_row, question

EVERYTHING = """
title = "Everything a study asks"
networks = ["dnn1"]
images = ["sample:0-8"]

[[questions]]
name = "any L1"
query = "nearest"
count = 3
seconds = 60

[[questions]]
name = "capped L∞"
query = "nearest"
target = "+5"
norm = "linf"
cap = 0.01
count = 2
seconds = 60

[[questions]]
name = "repair"
query = "nearest"
target = "repair"
keep = "misread"
count = 1
seconds = 60

[[questions]]
name = "stopped"
query = "nearest"
norm = "l0"
count = 1
seconds = 0.001

[[questions]]
query = "activate"
layer = 1
neuron = 3
seconds = 60

[[questions]]
name = "minimal"
query = "activate"
layer = "logits"
neuron = 0
maximise = false
seconds = 0.001

[[questions]]
query = "perfect"
label = 3
seconds = 0.01

[[questions]]
query = "bounds"

[[questions]]
query = "forward"
count = 2
"""


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """One small question of every kind, really asked."""
    folder = tmp_path_factory.mktemp("studies") / "everything"
    folder.mkdir()
    (folder / "study.toml").write_text(EVERYTHING, encoding="utf-8")
    study = Study.open(folder)
    study.run(executor="serial")
    return study


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Ten thousand answers that nobody computed, of four networks in two norms."""
    return fabricate(tmp_path_factory.mktemp("studies") / "large", many(1250))


@pytest.fixture(scope="session")
def long(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Eight hundred of them, for a browser."""
    return fabricate(tmp_path_factory.mktemp("studies") / "long", many(100))


def many(each: int) -> list[tuple[Question, Row | None]]:
    rng = np.random.default_rng(0)
    return [
        (
            question(k, name=f"any {norm}", network=network, options={"norm": norm}, label=k % 10),
            nearest_row(rng, norm=norm, witness=k < 20),
        )
        for network in ("dnn1", "dnn2", "dnn3", "dnn4")
        for norm in ("l1", "l0")
        for k in range(each)
    ]
