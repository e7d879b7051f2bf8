"""Robust accuracy of questions at fixed radii, as a slow twin counts it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dualbound.report.page import as_page
from dualbound.report.page.answers import looked_at, state
from dualbound.report.page.robustness import Robustness
from dualbound.studies.row import Row
from report.fabricated import fabricate, question

RADII = (0.01, 0.02, 0.05)
TEXT = """
networks = ["dnn1"]
images = ["sample:0-9"]
[[questions]]
name = "balls"
query = "verify"
eps = [0.01, 0.02, 0.05]
"""


def row(status: str, before: int) -> Row:
    return Row(status=status, norm="linf", bound=-0.5, label_before=before, seconds=0.1, nodes=1)


def test_shares_are_those_of_a_slow_twin(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    asked, known = [], []
    for image in range(60):
        edges = sorted(rng.integers(0, 4, 2))  # certified below the first, refuted from the second
        label, before = (None if image % 4 == 0 else int(rng.integers(2))), int(rng.integers(2))
        statuses = ["holds" if k < edges[0] else "violated" if k >= edges[1] else "unknown"
                    for k in range(3)]  # fmt: skip
        known.append((statuses, label is not None and label != before))
        for k, (eps, status) in enumerate(zip(RADII, statuses, strict=True)):
            options = {"eps": eps, "label": label}
            one = question(
                3 * image + k, name="balls", query="verify", image=f"x{image}", label=label,
                options=options,
            )  # fmt: skip
            asked.append((one, row(status, before)))
    study = fabricate(tmp_path / "s", asked, text=TEXT)
    with looked_at(study) as answers:
        curve = Robustness.of(answers.frame)
    assert (curve.count, curve.what) == (60, "image")
    for k, eps in enumerate(RADII):
        safe = sum(statuses[k] == "holds" and not wrong for statuses, wrong in known)
        changed = sum(statuses[k] == "violated" or wrong for statuses, wrong in known)
        assert curve.certified(np.array([eps]))[0] == pytest.approx(safe / 60)
        assert curve.refuted(np.array([eps]))[0] == pytest.approx(changed / 60)
    assert curve.certified(np.array([0.051]))[0] == 0
    assert curve.misread == sum(wrong for _, wrong in known)
    page = as_page(study)
    for word in ("Robust accuracy", "60 images", "certified", "refuted", "another label than the"):
        assert word in page


def test_states_are_named() -> None:
    states = [state("verify", s) for s in ("holds", "violated", "unknown", "failed")]
    assert states == ["certified", "refuted", "open", "failed"]
