"""Studies that verify: what is certified, refuted and open, and that it is what `nearest` says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dualbound.errors import InvalidInput
from dualbound.report.page import as_page
from dualbound.studies import Study
from dualbound.studies.specification import Specification
from dualbound.studies.tables import grouped, written
from studies.conftest import Make

RADII = (0.02, 0.1, 0.3)

TEXT = f"""
networks = ["a.onnx"]
images = [{{images}}]

[[questions]]
name = "near"
query = "nearest"
norm = "{{norm}}"
margin = 1e-6

[[questions]]
name = "balls"
query = "verify"
norm = "{{norm}}"
eps = {list(RADII)}
seconds = 60
"""

TOML = """
networks = ["dnn1"]
images = ["sample:7-9"]
[[questions]]
query = "verify"
"""


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_ball_holds_up_to_the_nearest_other_answer(make: Make, norm: str) -> None:
    folder = make(4, TEXT.replace("{norm}", norm))
    study = Study.open(folder)
    assert study.run(executor="serial").settled == 4 + 4 * len(RADII)
    frame = study.frame()
    near = frame[frame["query"] == "nearest"].set_index("image")
    balls = frame[frame["query"] == "verify"]
    seen = set()
    for number, row in balls.iterrows():
        [eps] = [e for e in RADII if row["criterion"] == f"any other label within {e:g}"]
        x = study.witness(number)
        if eps < 0.999 * near["bound"][row["image"]]:
            assert row["status"] == "holds"
        elif eps > 1.001 * near["value"][row["image"]]:
            assert row["status"] == "violated"
        if row["status"] == "violated":
            assert x is not None
            start = np.load(folder / row["image"])
            order = np.inf if norm == "linf" else 2
            assert np.linalg.norm((x - start).reshape(-1), order) <= eps * (1 + 1e-9)
            assert row["label_after"] != row["label_before"]
        else:
            assert x is None
            assert row["bound"] < 0
        seen.add(row["status"])
    assert seen == {"holds", "violated"}


def test_a_misread_image_is_refuted_by_itself(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(TOML + "eps = 0.001\n")
    study = Study.open(tmp_path)
    study.run(executor="serial")
    frame = study.frame().set_index("image")
    assert frame["status"].to_dict() == {
        "sample:7": "holds",
        "sample:8": "violated",
        "sample:9": "holds",
    }
    assert (frame["label"]["sample:8"], frame["label_before"]["sample:8"]) == (5, 4)
    assert frame["largest"]["sample:8"] < 1e-7
    row = grouped(study.frame()).iloc[0]
    counts = [row["", name] for name in ("count", "solved", "certified", "refuted", "open")]
    assert counts == [3, 3, 2, 1, 0]
    assert "Robust accuracy" in as_page(study)


def test_tables_count_as_a_plain_count() -> None:
    rng = np.random.default_rng(0)
    n = 200
    frame = pd.DataFrame(
        {
            "network": rng.choice(["a", "b", "c"], n),
            "query": np.where(rng.random(n) < 0.6, "verify", "nearest"),
            "status": rng.choice(["holds", "violated", "unknown", "failed"], n),
            "label": pd.array(rng.integers(0, 3, n), dtype="Int64"),
            "label_before": pd.array(rng.integers(0, 3, n), dtype="Int64"),
            "seconds": rng.random(n),
        }
    )
    frame.loc[frame.index % 5 == 0, "label"] = pd.NA
    frame.loc[frame["status"] == "failed", "label_before"] = pd.NA
    frame.loc[frame["network"] == "c", "query"] = "nearest"
    table = grouped(frame, ["network"], ["seconds"])
    for network in ("a", "b"):
        part = [r for _, r in frame.iterrows() if (r["network"], r["query"]) == (network, "verify")]
        misread = [
            not pd.isna(r["label"])
            and not pd.isna(r["label_before"])
            and r["label"] != r["label_before"]
            for r in part
        ]
        pairs = list(zip(part, misread, strict=True))
        row = table.loc[network]
        assert row["", "certified"] == sum(r["status"] == "holds" and not m for r, m in pairs)
        assert row["", "refuted"] == sum(r["status"] == "violated" or m for r, m in pairs)
        open_ = sum(r["status"] == "unknown" and not m for r, m in pairs)
        assert row["", "open"] == open_
        of = frame[frame["network"] == network]
        assert row["", "failed"] == (of["status"] == "failed").sum()
    assert pd.isna(table.loc["c"]["", "certified"])
    assert "certified" in written(table, "text", None)
    assert "certified" in written(table, "csv", None)
    only = grouped(frame[frame["query"] == "nearest"], ["network"], ["seconds"])
    assert ("", "certified") not in only.columns


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "eps is missing"),
        ("eps = -0.1", "eps takes numbers of at least 0, found -0.1"),
        ("eps = [0.1, nan]", "eps takes numbers of at least 0"),
        ("eps = []", "eps takes numbers of at least 0"),
        ('eps = "far"', "eps takes a number or a list of numbers"),
        ('eps = 0.1\nnorm = "l9"', "Unknown norm 'l9'"),
        ('eps = 0.1\nbranching = "luck"', "Unknown branching 'luck'; known are auto"),
        ('eps = 0.1\nnorm = "l1"\nbranching = "inputs"', "halves boxes"),
        ("eps = 0.1\nlabel = 3\nmargin = 0.1", "label and margin do not go together"),
        ("eps = 0.1\nmargin = 0.0", "above 0"),
        ("eps = 0.1\nseconds = 0", "greater than 0"),
        ("eps = 0.1\nepsilon = 0.2", "unknown key 'epsilon'; did you mean 'eps'?"),
        ("eps = 0.1\nrange = [0.5, 1]", "outside of the region"),
    ],
)
def test_what_makes_no_sense_is_refused(lines: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        list(Specification.parse(f"{TOML}{lines}\n", Path("here")).questions())
    assert said in str(refused.value)


def test_a_label_that_there_is_not_leaves_nothing_to_ask() -> None:
    with pytest.raises(InvalidInput, match="Label 12 is out of range"):
        list(Specification.parse(f"{TOML}eps = 0.1\nlabel = 12\n", Path("here")).questions())
