"""``dualbound attack``: a table for people, one object for programs, files, and mistakes."""

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
from dualbound import queries
from dualbound.data import load_dataset

KEYS = {
    *("query", "model", "model_sha256", "version", "status", "data", "split", "range", "mask"),
    *("freeze", "seed", "device", "method", "options", "norm", "count", "clean", "radii"),
    *("seconds", "note", "out"),
}
RADIUS_KEYS = {
    *("eps", "accuracy", "success", "turned", "refused", "replayed", "mean", "median"),
}
ASK = ("attack", "dnn1", "sample", "--count", 20)


def test_a_table_for_people(cli: Cli) -> None:
    outcome = cli(*ASK, "--method", "fgsm", "--eps", "0.01,0.1")
    assert (outcome.code, outcome.err) == (0, "")
    assert re.match(
        r"ATTACKED: of 20 inputs 90\.00 % are answered right, and \d+\.00 % under fgsm within 0\.1",
        outcome.out,
    )
    assert "every adversary in float64" in outcome.out
    assert re.search(r"^0\.01 +\d+\.\d\d %", outcome.out, re.MULTILINE)


def test_json_is_one_object_with_the_documented_keys(cli: Cli) -> None:
    outcome = cli(*ASK, "--steps", 3, "--restarts", 2, "--eps", "0.05", "--json")
    answer = json.loads(outcome.out)
    assert (outcome.code, outcome.err, outcome.out.count("\n")) == (0, "", 1)
    assert set(answer) >= KEYS
    assert (answer["query"], answer["status"], answer["method"]) == ("attack", "complete", "pgd")
    assert answer["options"] == {"steps": 3, "restarts": 2}
    assert (answer["count"], answer["clean"], answer["norm"]) == (20, 0.9, "linf")
    [at] = answer["radii"]
    assert set(at) == RADIUS_KEYS
    assert (at["eps"], at["refused"]) == (0.05, 0)
    assert at["turned"] == round(18 * at["success"])
    assert 0 < at["median"]["linf"] <= 0.05 < at["mean"]["l2"] < at["mean"]["l1"]


def test_every_key_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    part = text[text.index("### `attack`") :]
    part = part[: part.index("\n### ", 5)] + text[text.index("All commands:") :][:300]
    for key in KEYS | RADIUS_KEYS:
        assert f"`{key}`" in part, key


def test_an_attack_for_the_nearest_has_a_last_line_without_a_radius(cli: Cli) -> None:
    asked = (*ASK, "-m", "deepfool", "--norm", "l1", "--eps", 1)
    assert "anywhere" in cli(*asked).out
    radii = json.loads(cli(*asked, "--json").out)["radii"]
    assert [at["eps"] for at in radii] == [1.0, None]
    assert radii[0]["turned"] < radii[1]["turned"]


def test_files(cli: Cli, tmp_path: Path) -> None:
    out, sheet, curve = (tmp_path / name for name in ("a.npz", "sheet.png", "curve.png"))
    outcome = cli(
        *ASK, "-m", "fgsm", "--eps", "0.05,0.1",
        "--out", out, "--save-image", sheet, "--save-curve", curve,
    )  # fmt: skip
    assert outcome.code == 0
    assert f"{out}, {sheet}, {curve}" in outcome.out
    held = dict(np.load(out))
    assert set(held) == {"x_test", "y_test", "classes", "eps", "index", "answers"}
    data = load_dataset("sample", "test")
    np.testing.assert_array_equal(held["y_test"], data.labels[held["index"]])
    moved = np.abs(held["x_test"].astype(float) - data.values(held["index"]).astype(float))
    assert np.all(moved.reshape(len(moved), -1).max(axis=1) <= held["eps"])
    assert np.all(held["answers"] != held["y_test"])
    for picture in (sheet, curve):
        with Image.open(picture) as drawn:
            assert drawn.size[0] > 500
    again = load_dataset(out, "test")
    assert again.shape == (1, 28, 28)


@pytest.mark.parametrize("method", ["fgsm", "deepfool"])
def test_curves_are_drawn_where_nothing_is_turned(cli: Cli, tmp_path: Path, method: str) -> None:
    curve = tmp_path / "curve.svg"
    outcome = cli(*ASK, "-m", method, "--eps", "0", "--save-curve", curve)
    assert outcome.code == 0
    assert curve.exists()


def test_without_adversaries_there_is_no_picture_but_an_answer(cli: Cli, tmp_path: Path) -> None:
    outcome = cli(*ASK, "-m", "fgsm", "--eps", "0", "--save-image", tmp_path / "a.png")
    assert outcome.code == 2
    assert "90.00 %" in outcome.out
    assert "the attack turned no input" in outcome.err


def test_masks(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "a.npz"
    cli(*ASK, "--eps", "0.3", "--mask", "10:18,5:20", "--out", out)
    held, data = dict(np.load(out)), load_dataset("sample", "test")
    moved = held["x_test"] != data.values(held["index"])
    assert moved.any()
    assert not moved[:, :, :10].any()
    assert not moved[:, :, :, 20:].any()


def test_options_of_an_attack(cli: Cli) -> None:
    outcome = cli(
        *ASK, "-m", "virtual", "--norm", "l2", "--eps", 1,
        "--option", "xi=1e-3", "--option", "iterations=2", "--json",
    )  # fmt: skip
    assert json.loads(outcome.out)["options"] == {"xi": 0.001, "iterations": 2}


def test_ctrl_c_keeps_what_is_done(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = queries.attack

    def interrupted(*arguments: Any, **options: Any) -> Any:
        def stop(_: object) -> None:
            signal.raise_signal(signal.SIGINT)

        return asked(*arguments, **{**options, "on_progress": stop})

    monkeypatch.setattr(queries, "attack", interrupted)
    outcome = cli(*ASK, "-m", "fgsm", "--batch", 5)
    assert outcome.code == 3
    assert outcome.out.startswith("STOPPED: of 5 inputs ")
    assert "interrupted after 5 of 20 inputs" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("--eps", "wide"), "--eps is 'wide'; expected a number", id="eps"),
        pytest.param(("--eps", "0.1,-1"), "finite and at least 0", id="negative"),
        pytest.param(("--norm", "l0"), "pgd measures in linf or l2 or l1", id="norm"),
        pytest.param(("--method", "magic"), "no attack 'magic'", id="method"),
        pytest.param(("--method", "fgsm", "--steps", 3), "no option 'steps'", id="steps"),
        pytest.param(("--option", "steps"), "NAME=NUMBER", id="option"),
        pytest.param(("--steps", 3, "--option", "steps=3"), "given twice", id="twice"),
        pytest.param(("--option", "steps=2.5"), "steps of pgd is 2.5", id="kind"),
        pytest.param(("--count", 0), "count is 0", id="count"),
        pytest.param(("--split", "train"), "no split 'train'", id="split"),
        pytest.param(("--device", "abacus"), "no device 'abacus'", id="device"),
        pytest.param(("--range", 0, 0.5), "outside of their bounds", id="range"),
        pytest.param(("--mask", "0:99,0:1"), "beyond the image", id="mask"),
        pytest.param(("--out", "a.npy"), "written as .npz", id="out"),
        pytest.param(("--save-image", "a.txt"), "written as .png", id="picture"),
        pytest.param(("--save-image", "a.png", "--save-curve", "a.png"), "both name", id="both"),
        pytest.param(("--time-limit", 0), "time limit must be greater", id="limit"),
    ],
)
def test_mistakes(cli: Cli, arguments: tuple[object, ...], message: str) -> None:
    refused(cli, *ASK, *arguments, message=message)


def test_data_of_another_shape(cli: Cli, tmp_path: Path) -> None:
    np.savez(tmp_path / "wide.npz", x=np.zeros((12, 3, 8, 8)), y=np.arange(12) % 2)
    refused(
        cli, "attack", "dnn1", tmp_path / "wide.npz",
        message=r"shape \(3, 8, 8\); the network reads",
    )  # fmt: skip


def test_labels_that_the_network_does_not_have(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "many.npz", x=np.zeros((60, 3)), y=np.arange(60) % 5)
    refused(
        cli, "attack", tiny / "tiny.onnx", tmp_path / "many.npz",
        message="labels up to 4; the network has 2 outputs",
    )  # fmt: skip


def test_data_that_are_not_there(cli: Cli) -> None:
    refused(cli, "attack", "dnn1", "minst", message="no data set 'minst'.*mnist")


def test_what_it_writes_is_data_that_it_reads_whole(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "a.npz"
    first = json.loads(cli(*ASK, "-m", "fgsm", "--eps", 0.1, "--out", out, "--json").out)
    again = cli("attack", ASK[1], out, "-m", "fgsm", "--eps", 0.1, "--json")
    assert json.loads(again.out)["count"] == first["radii"][-1]["turned"]
    assert json.loads(again.out)["clean"] == 0.0
