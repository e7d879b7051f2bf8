"""``dualbound compare``: tables for people, one object for programs, files, and mistakes."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cli.conftest import Cli
from cli.test_errors import refused
from dualbound import load_dataset, queries
from dualbound.network import Network, write_onnx

KEYS = {
    *("query", "version", "status", "data", "split", "classes", "count", "gap", "question_limit"),
    *("processes", "eps", "images", "networks", "transfer", "tables", "seconds", "note", "out"),
}
NETWORK_KEYS = {
    *("name", "model", "model_sha256", "softmax", "accuracy", "parameters", "asked"),
    *("adversaries", "open", "robust", "matrix", "mean_distance", "margins", "distances"),
}
MARGIN_KEYS = {"index", "label", "target", "value", "bound", "seconds"}
DISTANCE_KEYS = {"index", "value", "bound", "decided"}
TABLE_KEYS = {"title", "columns", "rows", "note"}
FILES = {"report.md", "matrices.png", "adversaries.png", "adversaries.npz"}


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks of four inputs and two labels, and data of three that they answer right."""
    folder = tmp_path_factory.mktemp("toys")
    for name, shift in (("a", 0.0), ("b", 0.3)):
        weights = [[[1.0, -1, 0, 0], [0, 0, 1, -1]], [[1.0, 0], [0, 1 + shift]]]
        (folder / f"{name}.onnx").write_bytes(write_onnx(Network.dense(weights, [[0, 0], [0, 0]])))
    x = np.array([[0.9, 0.1, 0.2, 0.1], [0.5, 0.1, 0.6, 0.1], [0.9, 0.5, 0.4, 0.2]])
    np.savez(folder / "x.npz", x_train=x, y_train=[0, 1, 0], x_test=x, y_test=[0, 1, 0])
    return folder


@pytest.fixture
def ask(toys: Path) -> tuple[object, ...]:
    """By hand: only the last image has adversaries within 0.1, of either network."""
    return (
        "compare", toys / "a.onnx", toys / "b.onnx", "--data", toys / "x.npz",
        "--eps", 0.1, "--processes", 1,
    )  # fmt: skip


def test_tables_for_people(cli: Cli, toys: Path, ask: tuple[object, ...]) -> None:
    outcome = cli(*ask, "--distances", 1)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(
        f"COMPARED: within 0.1 (L∞) of 3 images of {toys / 'x.npz'}, 3 questions to each network, "
        f"the adversaries are 2 of {toys / 'a.onnx'}, "
    )
    for title in (
        "Networks",
        "Distances of the nearest adversaries (L∞)",
        "Accuracy on the adversaries, %",
        "Smallest margins",
        "Seconds for a margin",
        "Adversaries by original label",
        "Adversaries by target label",
    ):
        assert f"\n{title}\n" in outcome.out


def test_a_network_given_twice_has_two_names(cli: Cli, toys: Path) -> None:
    model = toys / "a.onnx"
    asked = ("compare", model, model, "--data", toys / "x.npz", "--eps", 0.1, "--processes", 1)
    first, second = json.loads(cli(*asked, "--json").out)["networks"]
    assert (first["name"], second["name"]) == (str(model), f"{model} (2)")
    assert first["model"] == second["model"] == str(model)
    values = [[one["value"] for one in net["margins"]] for net in (first, second)]
    assert values[0] == values[1]


def test_json_is_one_object_with_the_documented_keys(
    cli: Cli, toys: Path, ask: tuple[object, ...]
) -> None:
    outcome = cli(*ask, "--distances", 2, "--json")
    answer = json.loads(outcome.out)
    assert (outcome.code, outcome.err, outcome.out.count("\n")) == (0, "", 1)
    assert set(answer) == KEYS
    assert (answer["query"], answer["status"], answer["note"]) == ("compare", "complete", None)
    assert (answer["images"], answer["eps"], answer["out"]) == ([0, 1, 2], 0.1, None)
    assert answer["classes"] == ["0", "1"]
    for one in answer["networks"]:
        assert set(one) == NETWORK_KEYS
        assert (one["accuracy"], one["asked"], one["open"]) == (1.0, 3, 0)
        assert one["adversaries"] == sum(m["value"] < 0 for m in one["margins"])
        assert one["robust"]["proved"] == one["robust"]["not_refuted"]
        assert np.sum(one["matrix"]) == one["adversaries"]
        assert all(set(m) == MARGIN_KEYS and m["bound"] <= m["value"] for m in one["margins"])
        assert all(set(d) == DISTANCE_KEYS and d["decided"] for d in one["distances"])
        assert len(one["distances"]) == 2
    # The second layer of the first network is the identity, which is left out as it is read.
    assert [one["parameters"] for one in answer["networks"]] == [8 + 2, 8 + 2 + 4 + 2]
    # By hand: each of the four inputs moves the margin by eps.
    assert answer["networks"][0]["margins"][0]["value"] == pytest.approx(0.8 - 0.1 - 4 * 0.1)
    assert answer["networks"][0]["margins"][1]["value"] == pytest.approx(0.5 - 0.4 - 4 * 0.1)
    assert answer["transfer"][0][0] == 0
    assert all(set(one) == TABLE_KEYS for one in answer["tables"])
    assert len(answer["tables"]) == 7


def test_signs_alone(cli: Cli, ask: tuple[object, ...]) -> None:
    proved, signs = (json.loads(cli(*ask, *more, "--json").out) for more in ((), ("--signs",)))
    assert (proved["gap"], signs["gap"]) == (0.01, None)
    for one, other in zip(proved["networks"], signs["networks"], strict=True):
        assert one["adversaries"] == other["adversaries"] > 0
        assert other["open"] == 0
        for there, here in zip(one["margins"], other["margins"], strict=True):
            assert (there["value"] < 0) == (here["value"] < 0)
            assert here["bound"] >= 0 or here["value"] < 0
    outcome = cli(*ask, "--signs", "--gap", 0.1)
    assert outcome.code == 2
    assert "leave --gap out" in " ".join(outcome.err.split())


def test_every_key_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    part = text[text.index("### `compare`") :]
    part = part[: part.index("\n### ", 5)] + text[text.index("All commands:") :][:300]
    keys = KEYS | NETWORK_KEYS | MARGIN_KEYS | DISTANCE_KEYS | TABLE_KEYS
    for key in {*keys, "proved", "not_refuted"}:
        assert f"`{key}`" in part, key


def test_files(cli: Cli, toys: Path, ask: tuple[object, ...], tmp_path: Path) -> None:
    out = tmp_path / "deep" / "report"
    outcome = cli(*ask, "--out", out)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"{out}/ (" in outcome.out
    assert {one.name for one in out.iterdir()} == FILES
    report = (out / "report.md").read_text()
    assert "### Adversaries by target label" in report
    for picture in ("matrices.png", "adversaries.png"):
        assert f"]({picture})" in report
        with Image.open(out / picture) as drawn:
            assert drawn.size[0] > 500
    held = dict(np.load(out / "adversaries.npz"))
    assert set(held) == {"x_test", "y_test", "classes", "network", "index", "target", "margin"}
    given = load_dataset(toys / "x.npz", "test")
    assert np.abs(held["x_test"] - given.values(held["index"])).max() <= 0.1 + 1e-9
    np.testing.assert_array_equal(held["y_test"], given.labels[held["index"]])
    assert np.all(held["margin"] < 0)
    assert np.all(held["target"] != held["y_test"])
    assert load_dataset(out / "adversaries.npz", "test").shape == (4,)


def test_without_adversaries_none_are_left(
    cli: Cli, ask: tuple[object, ...], tmp_path: Path
) -> None:
    assert cli(*ask, "--out", tmp_path, "--count", 2).code == 0
    assert {one.name for one in tmp_path.iterdir()} == FILES
    assert cli(*ask, "--eps", 0.01, "--out", tmp_path, "--count", 1).code == 0
    assert {one.name for one in tmp_path.iterdir()} == {"report.md", "matrices.png"}
    assert "No adversary was found." in (tmp_path / "report.md").read_text()


def test_a_file_that_cannot_be_written_loses_no_answer(
    cli: Cli, ask: tuple[object, ...], tmp_path: Path
) -> None:
    (tmp_path / "matrices.png").mkdir()
    outcome = cli(*ask, "--out", tmp_path)
    assert outcome.code == 2
    assert outcome.out.startswith("COMPARED: ")
    assert re.search(r"matrices\.png cannot be written", outcome.err)
    assert (tmp_path / "adversaries.npz").is_file()
    assert "matrices.png" not in (tmp_path / "report.md").read_text()


def test_ctrl_c_keeps_what_is_done(
    cli: Cli, ask: tuple[object, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = queries.compare

    def interrupted(*arguments: Any, **options: Any) -> Any:
        def stop(_: object) -> None:
            signal.raise_signal(signal.SIGINT)

        return asked(*arguments, **{**options, "on_progress": stop})

    monkeypatch.setattr(queries, "compare", interrupted)
    outcome = cli(*ask, "--out", tmp_path)
    assert outcome.code == 3
    assert outcome.out.startswith("STOPPED: within 0.1")
    assert "interrupted: 5 of 6 questions not answered" in outcome.out
    assert "Stopped early: interrupted" in (tmp_path / "report.md").read_text()


def test_before_the_first_answer_there_are_tables_without_figures(
    cli: Cli, ask: tuple[object, ...], tmp_path: Path
) -> None:
    asked = (*ask, "--time-limit", 1e-6, "--distances", 1)
    outcome = cli(*asked, "--out", tmp_path)
    assert outcome.code == 3
    assert "the time was over: 8 of 8 questions not answered" in outcome.out
    assert json.loads(cli(*asked, "--json").out)["networks"][0]["robust"] == {
        "proved": None,
        "not_refuted": None,
    }


def test_a_question_that_stays_open(cli: Cli) -> None:
    outcome = cli(
        "compare", "dnn1", "dnn1", "-d", "sample", "--eps", 0.05, "--count", 1,
        "--question-limit", 1e-6, "--processes", 1,
    )  # fmt: skip
    assert outcome.code == 3
    assert outcome.out.startswith("COMPARED: ")
    assert re.search(r"open +\d+ questions; see --question-limit", outcome.out)
    assert "dnn1 (2), open" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("--eps", 0), "radius eps must be above 0", id="eps"),
        pytest.param(("--count", 0), "at least one image", id="count"),
        pytest.param(("--gap", 1), "gap must be", id="gap"),
        pytest.param(("--question-limit", 0), "time limit must be greater", id="question"),
        pytest.param(("--time-limit", 0), "time limit must be greater", id="limit"),
        pytest.param(("--processes", 0), "--processes is 0", id="processes"),
        pytest.param(("--split", "dev"), "no split 'dev'", id="split"),
        pytest.param(("--data", "minst"), "no data set 'minst'", id="data"),
    ],
)
def test_mistakes(
    cli: Cli, ask: tuple[object, ...], arguments: tuple[object, ...], message: str
) -> None:
    refused(cli, *ask, *arguments, message=message)


def test_networks_that_cannot_be_compared(cli: Cli, toys: Path, ask: tuple[object, ...]) -> None:
    rest = ("--data", toys / "x.npz", "--eps", 0.1)
    refused(cli, "compare", "dnn1", *rest, message="dnn1 is alone; name two networks")
    refused(cli, "compare", "dnn1", toys / "a.onnx", *rest, message="dnn1 reads 784 numbers")
    refused(cli, "compare", "dnn9", "dnn1", *rest, message="no file 'dnn9'")


def test_folders_that_cannot_be_used(cli: Cli, toys: Path, ask: tuple[object, ...]) -> None:
    refused(cli, *ask, "--out", toys / "a.onnx", message="cannot be written")
    own = toys / "adversaries.npz"
    own.write_bytes((toys / "x.npz").read_bytes())
    refused(cli, *ask, "--data", own, "--out", toys, message="would overwrite")
