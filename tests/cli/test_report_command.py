"""``dualbound report``: where the page goes, and what is refused before there is one."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import Cli
from dualbound.report.page import as_page
from dualbound.studies import Study
from report.fabricated import fabricate, nearest_row, question


@pytest.fixture
def study(tmp_path: Path) -> Study:
    rng = np.random.default_rng(0)
    rows = [(question(k), nearest_row(rng, witness=True)) for k in range(30)]
    return fabricate(tmp_path / "a study", rows)


def test_the_page_is_written_into_the_folder_or_elsewhere(
    study: Study, tmp_path: Path, cli: Cli
) -> None:
    path = study.folder / "report.html"
    outcome = cli("report", study.folder)
    assert (outcome.code, outcome.out, outcome.err) == (0, f"{path}\n", "")
    assert path.read_text(encoding="utf-8") == as_page(study)
    outcome = cli("report", study.folder, "--out", tmp_path / "b.html")
    assert (outcome.code, outcome.out) == (0, f"{tmp_path / 'b.html'}\n")


@pytest.mark.parametrize(
    ("out", "message"),
    [("no/such/a.html", "cannot be written"), ("a.pdf", "A report is written as .html or .htm")],
)
def test_a_file_that_cannot_be_written_is_refused_before_work(
    study: Study, tmp_path: Path, cli: Cli, out: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dualbound.report.page.save_page", lambda *_: pytest.fail("worked"))
    outcome = cli("report", study.folder, "--out", tmp_path / out)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err


def test_what_is_no_study_or_has_no_answers_is_refused(tmp_path: Path, cli: Cli) -> None:
    outcome = cli("report", tmp_path / "nothing")
    assert outcome.code == 2
    assert "is no study" in outcome.err
    empty = fabricate(tmp_path / "empty", [(question(0), None)])
    outcome = cli("report", empty.folder)
    assert (outcome.code, outcome.out) == (2, "")
    assert "no answers yet, so there is nothing to report" in outcome.err
    assert not (empty.folder / "report.html").exists()


@pytest.mark.slow
def test_commands_on_the_page_run(
    study: Study, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study.folder.parent)
    made = as_page(Study.open("a study"))
    commands = {html.unescape(one) for one in re.findall(r"<code>(dualbound [^<]*)</code>", made)}
    assert len(commands) >= 8
    for command in commands:
        words = command.removeprefix("dualbound ").replace("'a study'", "\0").split()
        if words[:2] != ["study", "run"]:
            outcome = cli(*("a study" if word == "\0" else word for word in words))
            assert outcome.code == 0, (command, outcome.err)
