"""Grouped tables: figures as a slow twin computes them, in every format."""

from __future__ import annotations

import io
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dualbound.errors import InvalidInput, OutputError
from dualbound.studies.tables import FORMATS, grouped, select, written


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 60
    rows = pd.DataFrame(
        {
            "name": ["one"] * n,
            "network": rng.choice(["a_1", "b"], n),
            "norm": rng.choice(["l1", "linf"], n),
            "status": rng.choice(["optimal", "feasible", "infeasible", "failed"], n),
            "value": np.where(rng.random(n) < 0.2, np.nan, rng.random(n)),
            "gap": rng.random(n),
            "seconds": rng.random(n),
            "nodes": pd.array(rng.integers(0, 9, n), dtype="Int64"),
        }
    )
    rows.index.name = "id"
    return rows


def test_figures_are_those_of_a_plain_computation(frame: pd.DataFrame) -> None:
    table = grouped(frame, ["network", "norm"], ["value", "nodes"])
    for (network, norm), row in table.iterrows():
        part = [r for _, r in frame.iterrows() if (r["network"], r["norm"]) == (network, norm)]
        values = [r["value"] for r in part if r["value"] == r["value"]]
        assert row["", "count"] == len(part)
        assert row["", "solved"] == sum(r["status"] in ("optimal", "infeasible") for r in part)
        assert row["value", "mean"] == pytest.approx(statistics.mean(values))
        assert row["value", "std"] == pytest.approx(statistics.stdev(values))
        assert row["value", "50%"] == pytest.approx(statistics.median(values))
        assert (row["value", "min"], row["value", "max"]) == (min(values), max(values))
        assert row["nodes", "25%"] == pytest.approx(np.percentile([r["nodes"] for r in part], 25))


def test_rows_are_selected_by_conditions(frame: pd.DataFrame) -> None:
    found = select(frame, ["network=a_1", "status!=failed"])
    assert set(found["network"]) == {"a_1"}
    assert "failed" not in set(found["status"])
    assert len(found) == sum((frame["network"] == "a_1") & (frame["status"] != "failed"))


def test_every_format_is_written_and_read_back(frame: pd.DataFrame, tmp_path: Path) -> None:
    table = grouped(frame, ["network"], ["value"])
    assert "mean" in written(table, "text", None)
    flat = pd.read_csv(io.StringIO(written(table, "csv", None)))
    np.testing.assert_allclose(flat["value mean"], table["value", "mean"])
    assert r"a\_1" in written(table, "latex", None)
    assert written(table, "parquet", tmp_path / "t.parquet") == ""
    np.testing.assert_allclose(
        pd.read_parquet(tmp_path / "t.parquet")["value max"], table["value", "max"]
    )


def test_rows_come_back_from_parquet_as_they_were(frame: pd.DataFrame, tmp_path: Path) -> None:
    written(frame, "parquet", tmp_path / "rows.parquet")
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "rows.parquet").set_index("id"), frame, check_dtype=False
    )


@pytest.mark.parametrize(
    ("by", "of", "said"),
    [
        (["netwrok"], ["value"], "did you mean 'network'"),
        (["network"], ["valu"], "did you mean 'value'"),
        (["network"], ["status"], "'status' has no numbers"),
    ],
)
def test_columns_that_make_no_sense_are_named(
    frame: pd.DataFrame, by: list[str], of: list[str], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        grouped(frame, by, of)


def test_conditions_and_formats_that_make_no_sense_are_named(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="COLUMN=VALUE"):
        select(frame, ["network"])
    with pytest.raises(InvalidInput, match="no column 'net'"):
        select(frame, ["net=a"])
    with pytest.raises(InvalidInput, match="Unknown format 'excel'"):
        written(frame, "excel", None)
    with pytest.raises(InvalidInput, match="name a file"):
        written(frame, "parquet", None)
    with pytest.raises(OutputError, match="cannot be written"):
        written(frame, "csv", tmp_path / "no" / "folder.csv")
    assert set(FORMATS) == {"text", "csv", "latex", "parquet"}


def test_conditions_compare_numbers_as_numbers(frame: pd.DataFrame) -> None:
    frame = frame.assign(
        gap=[0.0, 0.5, np.nan] * 20,
        replayed=pd.array([True, False, None] * 20, dtype="boolean"),
        criterion="a!=b",
    )
    assert (select(frame, ["gap=0"])["gap"] == 0).all()
    assert len(select(frame, ["gap!=0"])) == 40
    assert len(select(frame, ["gap!=0", "gap!="])) == 20
    assert select(frame, ["gap="])["gap"].isna().all()
    assert len(select(frame, ["nodes=3.0"])) == (frame["nodes"] == 3).sum()
    assert select(frame, ["replayed=true"])["replayed"].all()
    assert len(select(frame, ["replayed=False"])) == 20
    assert select(frame, ["id=7"]).index.tolist() == [7]
    assert len(select(frame, ["criterion=a!=b"])) == 60
    with pytest.raises(InvalidInput, match="gap has numbers, found 'none'"):
        select(frame, ["gap=none"])
    with pytest.raises(InvalidInput, match="replayed is true or false, found '2'"):
        select(frame, ["replayed=2"])


def test_failed_questions_and_the_number_behind_a_mean_are_counted(frame: pd.DataFrame) -> None:
    table = grouped(frame, ["network"], ["value", "id"])
    for network, row in table.iterrows():
        of = frame[frame["network"] == network]
        assert row["", "failed"] == (of["status"] == "failed").sum()
        assert row["value", "count"] == of["value"].notna().sum()
        assert row["id", "max"] == of.index.max()
    assert ("", "failed") not in grouped(frame[frame["status"] != "failed"]).columns


def test_times_are_printed_as_people_read_them(frame: pd.DataFrame) -> None:
    rows = frame.assign(started=1.7e9, finished=1.7e9 + 1)
    assert "2023-11-14 22:13:20" in written(rows, "text", None)
    assert "1700000001.0" in written(rows, "csv", None)
