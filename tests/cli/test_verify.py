"""``dualbound verify``: what holds, what is violated, and what cannot be asked."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

import dualbound
from cli.conftest import Cli
from cli.test_errors import refused
from dualbound import queries
from dualbound.criterion import write_vnnlib
from dualbound.network import replay
from dualbound.search.bab import Bab

KEYS = {
    *("query", "status", "norm", "value", "bound", "gap", "label_before", "label_after"),
    *("target", "criterion", "replayed", "seconds", "engine", "solver", "nodes", "unstable"),
    *("witness", "model", "model_sha256", "softmax", "image", "property", "version", "note"),
    *("eps", "label", "range"),
}


def ask(tiny: Path, *options: object) -> tuple[object, ...]:
    return ("verify", tiny / "tiny.onnx", tiny / "point.csv", *options)


@pytest.fixture(scope="session")
def files(tiny: Path) -> Path:
    """Properties of the tiny network: ``holds`` within 0.01 of its point, ``violated`` within 1."""
    network = dualbound.load(tiny / "tiny.onnx")
    for name, eps in (("holds", 0.01), ("violated", 1.0)):
        asked = dualbound.robustness(network, [0.8, 0.2, 0.4], eps)
        (tiny / f"{name}.vnnlib").write_text(write_vnnlib(asked))
    return tiny


class TestImages:
    @pytest.mark.parametrize("norm", ["linf", "l1", "l2"])
    def test_it_holds_up_to_the_nearest_other_answer(self, cli: Cli, tiny: Path, norm: str) -> None:
        nearest = json.loads(
            cli(
                *("nearest", tiny / "tiny.onnx", tiny / "point.csv", "--any", "--norm", norm),
                *("--margin", 1e-6, "--json"),
            ).out
        )
        below, above = 0.99 * nearest["bound"], 1.01 * nearest["value"]
        inside = cli(*ask(tiny, "--eps", below, "--norm", norm, "--json"))
        beyond = cli(*ask(tiny, "--eps", above, "--norm", norm, "--json"))
        assert (inside.code, json.loads(inside.out)["status"]) == (0, "holds")
        assert (beyond.code, json.loads(beyond.out)["status"]) == (1, "violated")

    def test_json_is_one_object_with_the_documented_keys(self, cli: Cli, tiny: Path) -> None:
        outcome = cli(*ask(tiny, "--eps", 1, "--json", "--witness", "inline"))
        answer = json.loads(outcome.out)
        assert (outcome.code, outcome.err, outcome.out.count("\n")) == (1, "", 1)
        assert set(answer) == KEYS
        assert (answer["query"], answer["status"], answer["norm"]) == ("verify", "violated", "linf")
        assert (answer["label_before"], answer["label_after"], answer["target"]) == (0, 1, 1)
        assert (answer["value"], answer["gap"], answer["solver"]) == (None, None, None)
        assert (answer["criterion"], answer["label"]) == ("any other label than 0", 0)
        assert (answer["eps"], answer["range"], answer["property"]) == (1.0, [0.0, 1.0], None)
        assert answer["replayed"] is True
        x = np.array(answer["witness"])
        assert np.all((x >= 0) & (x <= 1))
        network = dualbound.load(tiny / "tiny.onnx")
        assert np.argmax(network(x)) == np.argmax(replay(network, x).outputs) == 1

    def test_every_key_is_documented(self) -> None:
        text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
        part = text[text.index("### `verify`") :]
        part = part[: part.index("\n### ", 5)] + text[text.index("All commands:") :][:300]
        for key in KEYS:
            assert f"`{key}`" in part, key

    def test_what_holds_has_a_negative_bound_and_no_witness(self, cli: Cli, tiny: Path) -> None:
        answer = json.loads(cli(*ask(tiny, "--eps", 0.01, "--json", "--witness", "inline")).out)
        assert answer["bound"] < 0
        assert answer["witness"] is answer["label_after"] is answer["target"] is None
        assert answer["replayed"] is False

    def test_words_say_how_it_ended(self, cli: Cli, tiny: Path) -> None:
        point = tiny / "point.csv"
        held = cli(*ask(tiny, "--eps", 0.01)).out
        assert held.startswith(f"HOLDS: every input within 0.01 of {point} (L∞) is answered 0.\n")
        assert re.search(r"bound +all outputs stay 0\.[0-9]+ away", held)
        found = cli(*ask(tiny, "--eps", 1, "--norm", "l1")).out
        assert found.startswith(f"VIOLATED: an input within 1 of {point} (L1) is answered 1.\n")
        for word in ("0 → 1", "distance", "of 3 inputs changed", "onnxruntime answers 1"):
            assert word in found

    def test_a_misread_image_violates_by_itself(self, cli: Cli, tiny: Path) -> None:
        answer = json.loads(
            cli(*ask(tiny, "--eps", 0.1, "--label", 1, "--json", "--witness", "inline")).out
        )
        assert answer["status"] == "violated"
        np.testing.assert_allclose(answer["witness"], [0.8, 0.2, 0.4], atol=1e-7)
        assert answer["target"] == answer["label_after"] == 0

    def test_only_some_labels_may_be_forbidden(self, cli: Cli) -> None:
        asked = ("verify", "dnn1", "sample:0", "--eps", 0.05)
        anything = json.loads(cli(*asked, "--json").out)
        assert (anything["status"], anything["label_before"]) == ("violated", 7)
        one = cli(*asked, "-t", 6)
        assert one.code == 0
        assert one.out.startswith("HOLDS: no input within 0.05 of sample:0 (L∞) reaches label 6.\n")
        assert json.loads(cli(*asked, "-t", 6, "--json").out)["target"] == 6
        two = json.loads(cli(*asked, "--targets", "2,6", "--margin", 0.1, "--json").out)
        assert (two["status"], two["target"]) == ("violated", 2)
        assert two["criterion"] == "label 2 or 6, margin 0.1"
        far = json.loads(cli(*asked, "--margin", 100, "--json").out)
        assert (far["status"], far["criterion"]) == ("holds", "any other label, margin 100")

    def test_a_limit_and_ctrl_c_leave_the_answer_open(
        self, cli: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Bab, "decide", lambda *a: a[-1].clock.interrupt())
        stopped = cli(*ask(tiny, "--eps", 0.01, "--json"))
        assert (stopped.code, json.loads(stopped.out)["note"]) == (3, "interrupted")
        assert json.loads(stopped.out)["bound"] is None
        monkeypatch.setattr(Bab, "decide", lambda *a: None)
        late = cli(*ask(tiny, "--eps", 0.01, "--time-limit", 1e-9))
        assert late.code == 3
        assert late.out.startswith("UNKNOWN: found neither an input that reaches any other label")
        assert "the time limit was reached" in late.out

    def test_an_image_from_standard_input(
        self, cli: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import io
        import sys

        monkeypatch.setattr(sys, "stdin", io.StringIO("0.8 0.2 0.4"))
        assert cli("verify", tiny / "tiny.onnx", "-", "--eps", 0.01).code == 0


class TestProperties:
    def test_they_are_answered_as_the_same_question_of_an_image(
        self, cli: Cli, files: Path
    ) -> None:
        for name, code in (("holds", 0), ("violated", 1)):
            outcome = cli(
                "verify", files / "tiny.onnx", "--property", files / f"{name}.vnnlib", "--json"
            )
            answer = json.loads(outcome.out)
            assert (outcome.code, answer["status"]) == (code, name)
            assert set(answer) == KEYS
            assert answer["property"] == str(files / f"{name}.vnnlib")
            for key in ("image", "norm", "eps", "label", "label_before", "target", "range"):
                assert answer[key] is None

    def test_in_words(self, cli: Cli, files: Path) -> None:
        asked = ("verify", files / "tiny.onnx", "--property")
        file = files / "violated.vnnlib"
        outcome = cli(*asked, file)
        assert outcome.out.startswith(f"VIOLATED: an input does what {file} asserts.\n")
        for word in ("input ", "outputs ", "dualbound float64 and onnxruntime agree; inside by"):
            assert word in outcome.out
        file = files / "holds.vnnlib"
        assert cli(*asked, file).out.startswith(f"HOLDS: no input does what {file} asserts.\n")

    def test_of_another_network(self, cli: Cli, files: Path) -> None:
        refused(cli, "verify", "dnn1", "--property", files / "holds.vnnlib", message="784 inputs")

    def test_a_file_that_is_not_there_or_not_understood(self, cli: Cli, files: Path) -> None:
        asked = ("verify", files / "tiny.onnx", "--property")
        refused(cli, *asked, "nowhere.vnnlib", message="nowhere.vnnlib: cannot be read: No such")
        (files / "odd.vnnlib").write_text("(assert (<= X_0")
        refused(cli, *asked, files / "odd.vnnlib", message="odd.vnnlib: ")


class TestFiles:
    def test_a_counterexample_can_be_asked_about(
        self, cli: Cli, tiny: Path, tmp_path: Path
    ) -> None:
        place, picture = tmp_path / "found.npy", tmp_path / "found.svg"
        outcome = cli(*ask(tiny, "--eps", 1, "--json", "--witness", place, "--save-image", picture))
        assert json.loads(outcome.out)["witness"] == str(place)
        assert cli("classify", tiny / "tiny.onnx", place).out.startswith("1: ")
        assert "a counterexample" in picture.read_text(encoding="utf-8")

    @pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
    def test_a_picture_beside_the_image_or_the_middle_of_the_box(
        self, cli: Cli, tmp_path: Path, suffix: str
    ) -> None:
        picture = tmp_path / f"a{suffix}"
        cli("verify", "dnn1", "sample:0", "--eps", 0.05, "--save-image", picture)
        assert picture.stat().st_size > 1000
        network = dualbound.load("dnn1")
        asked = dualbound.robustness(network, np.full(784, 0.5), 0.5)
        (tmp_path / "p.vnnlib").write_text(write_vnnlib(asked))
        other = tmp_path / f"b{suffix}"
        outcome = cli("verify", "dnn1", "--property", tmp_path / "p.vnnlib", "--save-image", other)
        assert f"saved    {other}" in outcome.out
        if suffix == ".svg":
            drawn = other.read_text(encoding="utf-8")
            assert "middle of the box" in drawn
            assert "A counterexample to p.vnnlib for dnn1" in drawn

    def test_nothing_is_written_where_it_holds(self, cli: Cli, tiny: Path, tmp_path: Path) -> None:
        place = tmp_path / "found.npy"
        assert "saved" not in cli(*ask(tiny, "--eps", 0.01, "--witness", place)).out
        assert not place.exists()

    def test_what_cannot_be_written_is_refused_before_the_search(
        self, cli: Cli, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queries, "verify", lambda *a, **k: pytest.fail("searched"))
        asked = ask(tiny, "--eps", 0.01)
        refused(cli, *asked, "--witness", tmp_path / "no" / "a.npy", message="cannot be written")
        refused(cli, *asked, "--witness", "a.png", message="written as .npy, found")
        refused(cli, *asked, "--save-image", "a.doc", message="written as .png or")
        refused(cli, *asked, "--witness", "inline", message="add --json")
        refused(cli, *asked, "--witness", tiny / "point.csv", message="read as the IMAGE")

    def test_nor_is_the_property_overwritten(self, cli: Cli, files: Path) -> None:
        file = files / "holds.vnnlib"
        asked = ("verify", files / "tiny.onnx", "--property", file)
        refused(cli, *asked, "--save-image", file, message="which is read as --property")

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a full disk")
    def test_the_answer_is_printed_when_writing_fails(
        self, cli: Cli, tiny: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "full.npy").symlink_to("/dev/full")
        outcome = cli(*ask(tiny, "--eps", 1, "--json", "--witness", tmp_path / "full.npy"))
        answer = json.loads(outcome.out)
        assert (outcome.code, answer["status"], answer["witness"]) == (2, "violated", None)
        assert "No space left" in outcome.err


class TestRefusals:
    @pytest.fixture(autouse=True)
    def _no_search(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Bab, "decide", lambda *a: pytest.fail("searched"))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ((), "Say what shall hold: an IMAGE and --eps E, or --property FILE.vnnlib"),
            (("sample:0",), "Say how far around the IMAGE: --eps E"),
            (("--eps", 0.1), "Say what shall hold: an IMAGE"),
            (("sample:0", "--property", "p.vnnlib"), "ask different questions: leave one"),
            (("--property", "p.vnnlib", "--eps", 0.1), "--eps is about an IMAGE, and --property"),
            (("--property", "p.vnnlib", "--range", 0, 1), "--range is about an IMAGE"),
            (("--property", "p.vnnlib", "--label", 3), "--label is about an IMAGE"),
            (("sample:0", "--eps", -1), "radius eps must be at least 0 and finite, found -1"),
            (("sample:0", "--eps", "nan"), "at least 0 and finite, found nan"),
            (("sample:0", "--eps", "inf"), "at least 0 and finite, found inf"),
            (("sample:0", "--eps", "far"), "--eps.*valid"),
            (("sample:0", "--eps", 0.1, "--norm", "l7"), "Unknown norm 'l7'.*l1, l2, linf"),
            (("sample:0", "--eps", 0.1, "--label", 10), "Label 10 is out of range: .* 0 to 9"),
            (("sample:0", "--eps", 0.1, "--label", -1), "Label -1 is out of range"),
            (("sample:0", "--eps", 0.1, "-t", 7), "already answers 7 for this input"),
            (("sample:0", "--eps", 0.1, "-t", 10), "Target 10 is out of range"),
            (("sample:0", "--eps", 0.1, "--targets", "1;2"), "labels with commas between"),
            (("sample:0", "--eps", 0.1, "-t", 1, "--targets", "1,2"), "--target and --targets ask"),
            (("sample:0", "--eps", 0.1, "-t", 1, "--label", 7), "--label says what must be ans"),
            (("sample:0", "--eps", 0.1, "--margin", 1, "--label", 7), "and --margin what must not"),
            (("sample:0", "--eps", 0.1, "--margin", 0), "above 0"),
            (("sample:0", "--eps", 0.1, "--range", 0.5, 1), "outside of the region"),
            (("sample:0", "--eps", 0.1, "--range", 1, 0), "box is empty"),
            (("sample:0", "--eps", 0.1, "--time-limit", 0), "time limit must be greater than 0"),
            (("sample:0", "--eps", 0.1, "--branching", "luck"), "Unknown branching 'luck'.*inputs"),
            (
                ("sample:0", "--eps", 0.1, "--norm", "l2", "--branching", "inputs"),
                "Only boxes are halved",
            ),
            (("sample:999", "--eps", 0.1), "from 0 to 299"),
        ],
    )
    def test_what_cannot_be_asked(
        self, cli: Cli, options: tuple[object, ...], message: str
    ) -> None:
        refused(cli, "verify", "dnn1", *options, message=message)

    def test_an_image_that_is_no_number(self, cli: Cli, tmp_path: Path) -> None:
        np.save(tmp_path / "nan.npy", np.full(784, np.nan))
        asked = ("verify", "dnn1", tmp_path / "nan.npy", "--eps", 0.1)
        refused(cli, *asked, message="784 of 784 values that are not finite numbers")

    def test_an_image_of_another_size(self, cli: Cli, tmp_path: Path) -> None:
        np.save(tmp_path / "small.npy", np.zeros(9))
        asked = ("verify", "dnn1", tmp_path / "small.npy", "--eps", 0.1)
        refused(cli, *asked, message="9 values.*expected 784")
