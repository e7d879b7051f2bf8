"""The page of questions says what really happens: each refusal that it shows is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.conftest import Cli

PAGE = Path(__file__).parents[2] / "docs" / "questions.md"
REFUSALS = re.findall(r"^\| `(\w+ [^`]+)` \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.M)


def test_refusals_are_found() -> None:
    assert len(REFUSALS) >= 20


@pytest.mark.parametrize(("command", "message"), REFUSALS, ids=[c for c, _ in REFUSALS])
def test_a_refusal(
    cli: Cli, command: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cli(*command.split())
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert not list(tmp_path.iterdir())
