"""``dualbound study`` and ``reproduce``: words, files, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cli.conftest import Cli

ARGUMENTS = ("-n", "tiny.onnx", "-i", "point.csv", "--target", "1", "--keep", "all")


@pytest.fixture
def folder(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the tiny network and its image."""
    for file in tiny.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_study_from_its_first_line_to_its_tables(cli: Cli, folder: Path) -> None:
    made = cli("study", "new", "demo", *ARGUMENTS)
    assert (made.code, made.out) == (
        0,
        "Wrote demo/study.toml: 1 question. Next: dualbound study run demo\n",
    )
    assert 'networks = ["../tiny.onnx"]' in (folder / "demo" / "study.toml").read_text()
    run = cli("study", "run", "demo", "--executor", "serial")
    assert run.code == 0
    assert "demo: 1 of 1 answered" in run.out
    assert "1 of 1 answered: 1 proved" in run.err
    status = json.loads(cli("study", "status", "demo", "--json").out)
    assert status == {
        "query": "study", "study": "demo", "title": "demo", "edited": False,
        "answers": {"optimal": 1},
    }  # fmt: skip
    table = cli("study", "table", "demo", "--by", "norm", "--of", "value")
    assert "count  solved" in table.out
    assert cli("study", "table", "demo", "--rows", "--out", "rows.parquet").code == 0
    assert pd.read_parquet("rows.parquet")["status"].tolist() == ["optimal"]
    assert cli("study", "table", "demo", "--out", "t.tex").out == "Wrote t.tex: 1 row.\n"
    assert "tabular" in Path("t.tex").read_text()
    export = cli("study", "export", "demo", "--out", "answers")
    assert export.out == "Wrote 1 answer to answers, 1 with a witness.\n"
    assert np.load("answers/1.npy").size == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("new", "demo", "-n", "no.onnx", "-i", "point.csv"), "There is no file"),
        (("new", "demo", "-n", "dnn1", "-i", "sample:0", "--target", "seven"), "target takes"),
        (("new", "demo", "-n", "dnn1", "-i", "sample:0", "--keep", "misread"), "asks nothing"),
        (("run", "nowhere"), "there is no nowhere/study.toml"),
        (("status", "nowhere"), "is no study"),
        (("table", "nowhere"), "is no study"),
    ],
)
def test_what_makes_no_sense_is_said_and_nothing_is_written(
    cli: Cli, folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    outcome = cli("study", *arguments)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())
    assert not (folder / "demo").exists()


def test_a_folder_of_the_name_of_an_embedded_network_is_no_network(cli: Cli, folder: Path) -> None:
    (folder / "dnn1").mkdir()
    assert cli("study", "new", "demo", "-n", "dnn1", "-i", "sample:0").code == 0
    assert 'networks = ["dnn1"]' in (folder / "demo" / "study.toml").read_text()


def test_a_study_is_never_written_over(cli: Cli, folder: Path) -> None:
    cli("study", "new", "demo", *ARGUMENTS)
    again = cli("study", "new", "demo", *ARGUMENTS)
    assert (again.code, "exists already" in again.err) == (2, True)


def test_files_of_a_study_are_never_written_over(cli: Cli, folder: Path) -> None:
    cli("study", "new", "demo", *ARGUMENTS)
    cli("study", "run", "demo", "--executor", "serial")
    before = {path: path.read_bytes() for path in (folder / "demo").iterdir()}
    for name in ("answers.sqlite", "study.toml", ".lock", "../tiny.onnx", "../point.csv"):
        outcome = cli("study", "table", "demo", "--format", "csv", "--out", f"demo/{name}")
        assert (outcome.code, "is a file of the study itself" in outcome.err) == (2, True)
    table = "a,b,c,label\n" + "0.8,0.2,0.4,0\n0.1,0.9,0.4,1\n" * 6
    (folder / "digits.csv").write_text(table)
    cli(
        "study",
        "new",
        "of-a-table",
        "-n",
        "tiny.onnx",
        "-i",
        "digits.csv:test:0",
        "--target",
        "any",
    )
    assert cli("study", "run", "of-a-table", "--executor", "serial").code == 0
    outcome = cli("study", "table", "of-a-table", "--out", "digits.csv")
    assert (outcome.code, "is a file of the study itself" in outcome.err) == (2, True)
    assert (folder / "digits.csv").read_text() == table
    assert "../digits.csv:test:0" in (folder / "of-a-table" / "study.toml").read_text()
    for out in ("demo", "."):
        outcome = cli("study", "export", "demo", "--out", out)
        assert (outcome.code, "which no export has written" in outcome.err) == (2, True)
    assert {path: path.read_bytes() for path in (folder / "demo").iterdir()} == before


def test_an_export_replaces_an_earlier_one(cli: Cli, folder: Path) -> None:
    cli("study", "new", "demo", *ARGUMENTS)
    cli("study", "run", "demo", "--executor", "serial")
    cli("study", "export", "demo", "--out", "out")
    (folder / "out" / "99.npy").write_bytes(b"")
    assert cli("study", "export", "demo", "--out", "out").code == 0
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["1.npy", "answers.csv"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--by", ""), "at least one column"),
        (("--where", "name=nope"), "There is no answer with name=nope"),
        (("--where", "id=7"), "There is no answer with id=7"),
    ],
)
def test_tables_of_nothing_are_refused(
    cli: Cli, folder: Path, options: tuple[str, ...], said: str
) -> None:
    cli("study", "new", "demo", *ARGUMENTS)
    cli("study", "run", "demo", "--executor", "serial")
    assert cli("study", "table", "demo", "--where", "status==optimal", "--by", "id").code == 0
    outcome = cli("study", "table", "demo", *options)
    assert (outcome.code, said in outcome.err) == (2, True)


def test_tables_of_no_answers_say_what_to_do(cli: Cli, folder: Path) -> None:
    cli("study", "new", "demo", *ARGUMENTS)
    outcome = cli("study", "table", "demo")
    assert outcome.code == 2
    assert "dualbound study run demo" in outcome.err


def test_failed_questions_are_counted_with_their_reason(cli: Cli, folder: Path) -> None:
    cli("study", "new", "demo", *ARGUMENTS)
    path = folder / "demo" / "study.toml"
    path.write_text(path.read_text() + 'norm = "l2"\nsolver = "highs"\n')
    path.write_text(path.read_text().replace('norm = "l1"\n', ""))
    run = cli("study", "run", "demo", "--executor", "serial")
    assert run.code == 3
    assert "cannot do quadratic objectives" in run.out


@pytest.mark.slow
def test_experiments_are_listed_and_run(cli: Cli, folder: Path) -> None:
    assert "koot-adversaries" in cli("reproduce", "--list").out
    run = cli("reproduce", "schoenfeld-forward", "--quick", "--executor", "serial")
    assert run.code == 0
    assert "published" in run.out
    assert (folder / "schoenfeld-forward-quick" / "tables.md").read_text().startswith("# The")
    assert cli("reproduce").code == 2
    assert "did you mean" in cli("reproduce", "koot-bonds").err
