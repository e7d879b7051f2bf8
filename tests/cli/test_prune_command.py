"""``dualbound prune``: files for people and programs, and mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import dualbound
from cli.conftest import Cli
from dualbound import load_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded digits, of which some become the test part."""
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    sample = load_dataset("sample", "test")
    np.savez(path, x=sample.inputs, y=sample.labels)
    return path


@pytest.mark.slow
def test_the_command_writes_a_network_a_card_pictures_and_a_report(
    cli: Cli, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "small"
    outcome = cli(
        "prune", "mlp-50-20", "--data", data, "--each", 2, "--remove", 0.2, "--relaxed",
        "--epochs", 1, "--time-limit", 4, "--out", out, "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    record = json.loads(outcome.out)
    assert record["units"] == {"before": 70, "after": 56}
    assert {path.name for path in out.iterdir()} >= {
        "model.onnx", "card.json", "layers.png", "report.md",
    }  # fmt: skip
    assert sum(len(one["kept"]) for one in record["layers"]) == 56
    small = dualbound.load(out / "model.onnx")
    assert sum(relu.size for relu in small.relus) == 56
    assert "| as it was | 70 |" in (out / "report.md").read_text()


def test_the_command_says_what_is_wrong(cli: Cli, data: Path, tmp_path: Path) -> None:
    asked = ("prune", "dnn1", "--data", data, "--out", tmp_path / "x")
    for options, message in (
        (("--by", "luck"), "ranked by"),
        (("--by", "random"), "say what share"),
        (("--threshold", "median", "--relaxed", "--each", 1, "--time-limit", 3), "or 'mean'"),
        (("--threshold", 0.1, "--remove", 0.1), "give one of them"),
        (("--epochs", -1), "--epochs is -1"),
        (("--eps", 0.1, "--each", 1), "use the loss 'hinge'"),
        (("--each", 10**6), ""),
        (("--by", "random", "--remove", 0.1, "--loss", "hinge"), "--loss means nothing to --by"),
        (("--by", "random", "--remove", 0.1, "--each", 3), "or say --by importance or gradient"),
        (("--by", "gradient", "--remove", 0.1, "--relaxed"), "--relaxed means nothing to --by"),
        (("--by", "magnitude", "--remove", 0.1, "--time-limit", 3), "--time-limit means nothing"),
        (("--by", "random", "--remove", 0.1, "--seed", -1), "A seed is a number from 0"),
        (("--epochs", 0, "--rate", 0.1), "--rate means nothing to --epochs 0"),
    ):
        outcome = cli(*asked, *options)
        assert outcome.code == 2, options
        assert message in " ".join(outcome.err.split())


@pytest.mark.slow
def test_the_network_that_is_read_is_not_overwritten(cli: Cli, data: Path, tmp_path: Path) -> None:
    asked = ("--data", data, "--by", "magnitude", "--remove", 0.2, "--epochs", 0, "--out", tmp_path)
    assert cli("prune", "dnn1", *asked).code == 0
    before = (tmp_path / "model.onnx").read_bytes()
    outcome = cli("prune", tmp_path / "model.onnx", *asked)
    assert outcome.code == 2
    assert "which is read as MODEL" in " ".join(outcome.err.split())
    assert (tmp_path / "model.onnx").read_bytes() == before


@pytest.mark.slow
def test_another_threshold_needs_no_new_scores(cli: Cli, data: Path, tmp_path: Path) -> None:
    asked = ("prune", "dnn1", "--data", data, "--each", 1, "--relaxed", "--time-limit", 5)
    asked = (*asked, "--epochs", 0, "--out", tmp_path / "x", "--json")
    first = json.loads(cli(*asked).out)
    again = json.loads(cli(*asked, "--threshold", "mean").out)
    assert again["scores"]["seconds"] == first["scores"]["seconds"]
    assert [one["scores"] for one in again["layers"]] == [one["scores"] for one in first["layers"]]
    (tmp_path / "x" / "scores.json").write_text("{")
    outcome = cli(*asked)
    assert outcome.code == 2
    assert "delete it to seek scores anew" in " ".join(outcome.err.split())


@pytest.mark.slow
def test_every_key_is_documented(cli: Cli, data: Path, tmp_path: Path) -> None:
    asked = ("prune", "dnn1", "--data", data, "--by", "magnitude", "--remove", 0.1, "--epochs", 0)
    record = json.loads(cli(*asked, "--out", tmp_path / "x", "--json").out)
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    part = text[text.index("### `prune`") :]
    part = part[: part.index("\n### ", 5)] + text[text.index("All commands:") :][:300]
    for key in {*record, *record["layers"][0]}:
        assert f"`{key}`" in part, key


@pytest.mark.slow
def test_people_read_tables(cli: Cli, data: Path, tmp_path: Path) -> None:
    asked = ("prune", "dnn1", "--data", data, "--by", "magnitude", "--remove", 0.25)
    outcome = cli(*asked, "--epochs", 0, "--out", tmp_path / "x")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("PRUNED: 6 of 24 units removed")
    assert "pixels.png" in outcome.out or "layers.png" in outcome.out
