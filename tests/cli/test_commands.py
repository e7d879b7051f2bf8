"""What the commands print: words for people, one object for programs, a code for scripts."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dualbound
from cli.conftest import Cli
from dualbound.cli.app import app

KEYS = {
    *("query", "status", "norm", "value", "bound", "gap", "label_before", "label_after"),
    *("target", "criterion", "replayed", "seconds", "engine", "solver"),
    *("nodes", "programs", "unstable"),
    *("witness", "then", "model", "model_sha256", "softmax", "image", "version", "note"),
    *("levels", "weights", "cap", "mask", "freeze", "range"),
}


def ask(tiny: Path, *options: object) -> tuple[object, ...]:
    return ("nearest", tiny / "tiny.onnx", tiny / "point.csv", "--target", 1, *options)


class TestProgram:
    def test_alone_prints_its_help(self, cli: Cli) -> None:
        alone, asked = cli(), cli("--help")
        assert alone.code == asked.code == 0
        for word in ("Usage", "nearest", "classify", "bounds", "info", "demo"):
            assert word in alone.out
            assert word in asked.out

    def test_says_its_version(self, cli: Cli) -> None:
        assert cli("--version").out == f"dualbound {dualbound.__version__}\n"

    @pytest.mark.parametrize(
        "command",
        [
            "demo",
            "info",
            "classify",
            "nearest",
            "verify",
            "vnncomp",
            "bounds",
            "activate",
            "perfect",
            "train",
        ],
    )
    def test_every_help_has_examples_that_parse(self, cli: Cli, command: str) -> None:
        import typer

        outcome = cli(command, "--help")
        assert outcome.code == 0
        lines = re.findall(r"^ *(dualbound .*?) *$", outcome.out, re.MULTILINE)
        assert lines
        parsed = typer.main.get_command(app)
        for line in lines:
            words = line.partition(" <")[0].split()[1:]
            name, rest = words[0], words[1:]
            assert name == command
            parsed.commands[name].make_context(name, rest)  # type: ignore[attr-defined]

    def test_help_loads_nothing_heavy(self) -> None:
        program = (
            "import sys; from dualbound.cli import run; run(['--help']); "
            "print(*({'torch', 'onnxruntime', 'matplotlib', 'highspy', 'loky'} & set(sys.modules)))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert ended.stdout.splitlines()[-1] == ""


class TestNearest:
    def test_a_second_question_has_its_row_and_its_object(self, cli: Cli, tiny: Path) -> None:
        asked = ask(tiny, "--norm", "linf", "--then", "l1")
        words, answer = cli(*asked), json.loads(cli(*asked, "--json").out)
        assert words.code == 0
        assert re.search(r"then .*\(L1\); proved: of the inputs as near", words.out)
        assert set(answer["then"]) == {"status", "norm", "value", "bound", "gap", "note"}
        assert (answer["norm"], answer["then"]["norm"]) == ("linf", "l1")
        assert answer["then"]["status"] == "optimal"
        assert 0 <= answer["then"]["value"] - answer["then"]["bound"] < 1e-3

    def test_json_is_one_object_with_the_documented_keys(self, cli: Cli, tiny: Path) -> None:
        outcome = cli(*ask(tiny, "--json", "--witness", "inline"))
        answer = json.loads(outcome.out)
        assert outcome.out.count("\n") == 1
        assert outcome.err == ""
        assert outcome.code == 0
        assert set(answer) == KEYS
        assert answer["status"] == "optimal"
        assert (answer["label_before"], answer["label_after"], answer["target"]) == (0, 1, 1)
        assert answer["version"] == dualbound.__version__
        distance = np.abs(np.array(answer["witness"]) - [0.8, 0.2, 0.4]).sum()
        assert answer["value"] == pytest.approx(distance)

    def test_every_documented_key_is_explained(self) -> None:
        text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
        for key in KEYS:
            assert f"`{key}`" in text

    def test_infeasible_is_proved_and_infinity_is_null(self, cli: Cli, tiny: Path) -> None:
        outcome = cli(*ask(tiny, "--json", "--cap", 0.001))
        answer = json.loads(outcome.out)
        assert outcome.code == 1
        assert answer["status"] == "infeasible"
        for key in ("value", "bound", "gap", "witness", "label_after"):
            assert answer[key] is None
        assert answer["replayed"] is False

    def test_words_say_how_it_ended(self, cli: Cli, tiny: Path) -> None:
        outcome = cli(*ask(tiny, "--norm", "linf"))
        assert outcome.code == 0
        assert outcome.out.startswith("PROVED OPTIMAL: nothing closer than 0.")
        for word in ("distance", "L∞", "0 → 1", "inputs changed", "onnxruntime answers 1"):
            assert word in outcome.out
        assert cli(*ask(tiny, "--cap", 0.001)).out.startswith("PROVED INFEASIBLE")

    def test_files_hold_the_witness_and_its_picture(
        self, cli: Cli, tiny: Path, tmp_path: Path
    ) -> None:
        found, picture = tmp_path / "found.npy", tmp_path / "change.svg"
        outcome = cli(*ask(tiny, "--json", "--witness", found, "--save-image", picture))
        answer = json.loads(outcome.out)
        assert answer["witness"] == str(found)
        moved = np.abs(np.load(found) - [0.8, 0.2, 0.4])
        assert answer["value"] == pytest.approx(moved.sum())
        assert picture.read_bytes().startswith(b"<?xml")
        assert cli("classify", tiny / "tiny.onnx", found).out.startswith("1: ")

    def test_a_mask_keeps_the_other_inputs(self, cli: Cli, tiny: Path, tmp_path: Path) -> None:
        mask = tmp_path / "mask.csv"
        mask.write_text("1,0,0")
        outcome = cli(*ask(tiny, "--json", "--mask", mask, "--witness", "inline"))
        assert json.loads(outcome.out)["witness"][1:] == [0.2, 0.4]

    @pytest.mark.slow
    def test_the_same_optimum_by_every_way(self, cli: Cli) -> None:
        pytest.importorskip("pyscipopt")
        values = []
        ask = ("nearest", "dnn1", "sample:4", "-t", 9, "--ratio", 1.2, "--json")
        for way in ("", "--strategy direct", "--solver scip", "--formulation fischetti-jo"):
            outcome = cli(*ask, *way.split())
            answer = json.loads(outcome.out)
            assert outcome.code == 0
            assert (answer["status"], answer["replayed"]) == ("optimal", True)
            assert answer["value"] - answer["bound"] <= 1.01e-4 * answer["value"]
            values.append(answer["value"])
        assert values == pytest.approx([values[0]] * 4, rel=2e-4)


class TestCriteria:
    @pytest.mark.parametrize(
        ("options", "labels", "goal"),
        [
            (("--any",), set(range(10)) - {7}, "any other label"),
            (("--targets", "2,3, 9"), {2, 3, 9}, "label 2, 3 or 9"),
            (("--targets", "2"), {2}, "label 2"),
            (("--confusion",), {3}, "label 3"),
        ],
    )
    def test_each_is_answered_in_words_and_in_json(
        self, cli: Cli, options: tuple[str, ...], labels: set[int], goal: str
    ) -> None:
        ask = ("nearest", "dnn1", "sample:0", *options, "--margin", 0.01)
        answer = json.loads(cli(*ask, "--json").out)
        assert answer["status"] == "optimal"
        assert answer["label_before"] == 7
        assert answer["label_after"] in labels
        assert answer["target"] == answer["label_after"]
        assert answer["criterion"] == f"{goal}, margin 0.01"
        words = cli(*ask).out
        assert f"reaches {goal}.\n" in words
        assert f"{goal}, margin 0.01, nearest in L1" in words

    def test_repair_ends_with_the_right_label(self, cli: Cli, tmp_path: Path) -> None:
        ask = ("nearest", "dnn1", "sample:8", "--repair", 5, "--json")
        answer = json.loads(cli(*ask, "--save-image", tmp_path / "a.svg").out)
        assert (answer["label_before"], answer["label_after"], answer["target"]) == (4, 5, 5)
        assert answer["criterion"] == "the right label 5, margin 0.0001"
        assert answer["status"] == "optimal"

    def test_a_union_that_nothing_reaches_has_no_label(self, cli: Cli, tiny: Path) -> None:
        ask = ("nearest", tiny / "tiny.onnx", tiny / "point.csv", "--any", "--cap", 0.001)
        outcome = cli(*ask, "--json")
        answer = json.loads(outcome.out)
        assert (outcome.code, answer["status"], answer["target"]) == (1, "infeasible", None)
        assert cli(*ask).out.startswith(
            "PROVED INFEASIBLE: no allowed input reaches any other label."
        )


class TestOtherCommands:
    def test_info_tells_of_an_embedded_network(self, cli: Cli) -> None:
        record = json.loads(cli("info", "dnn1", "--json").out)
        assert (record["relus"], record["inputs"], record["outputs"]) == (24, 784, 10)
        assert record["parameters"] == 784 * 8 + 8 + 2 * (8 * 8 + 8) + 8 * 10 + 10
        assert record["model_sha256"] == record["card"]["sha256"]
        words = cli("info", "dnn1").out
        assert record["model_sha256"] in words
        assert "accuracy" in words

    def test_info_checks_a_network_beside_its_file(self, cli: Cli, tiny: Path) -> None:
        assert json.loads(cli("info", tiny / "tiny.onnx", "--json").out)["check"] is None
        asked = "info", tiny / "tiny.onnx", "--check"
        record, words = json.loads(cli(*asked, "--json").out)["check"], cli(*asked)
        assert record["points"] == 96
        assert record["difference"] < 1e-6
        assert record["agrees"] is True
        assert words.code == 0
        assert "onnxruntime differ by" in words.out

    @pytest.mark.parametrize("options", [(), ("--json",)])
    def test_info_says_when_a_network_is_not_its_file(
        self, cli: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
    ) -> None:
        real = dualbound.load(tiny / "tiny.onnx")
        other = dualbound.Network.dense([np.ones((2, 3))], [[0.0, 1.0]])
        liar = dataclasses.replace(other, source=real.source)
        monkeypatch.setattr("dualbound.cli.info.read_model", lambda name: liar)
        outcome = cli("info", "tiny.onnx", "--check", *options)
        assert outcome.code == 70
        assert outcome.out
        assert re.search(r"do not agree on tiny\.onnx: .* 96 inputs they\s+differ by", outcome.err)

    def test_info_tells_of_a_file(self, cli: Cli, tiny: Path) -> None:
        record = json.loads(cli("info", tiny / "tiny.onnx", "--json").out)
        assert record["card"] is None
        assert record["relus"] == 4

    def test_classify_by_both_runtimes(self, cli: Cli) -> None:
        record = json.loads(cli("classify", "dnn1", "sample:0", "--json").out)
        assert (record["label"], record["image_label"]) == (7, 7)
        assert record["outputs"] == pytest.approx(record["runtime_outputs"], abs=1e-3)
        assert cli("classify", "dnn1", "sample:0").out.startswith("7: dnn1 on sample:0")

    def test_an_image_from_standard_input(
        self, cli: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO("0.8, 0.2\n0.4\n"))
        assert cli("classify", tiny / "tiny.onnx", "-").code == 0
        for text, message in (
            ("1 2", "3"),
            ("1 two 3", "'two'"),
            ("", "numbers"),
            ("9 " * 999, "3"),
        ):
            monkeypatch.setattr(sys, "stdin", io.StringIO(text))
            outcome = cli("classify", tiny / "tiny.onnx", "-")
            assert outcome.code == 2
            assert message in outcome.err

    @pytest.mark.parametrize("method", ["interval", "crown", "lp", "milp", "exact"])
    def test_bounds_count_every_neuron_once(self, cli: Cli, tiny: Path, method: str) -> None:
        workers = () if method in ("interval", "crown") else ("--workers", 1)
        arguments = ("bounds", tiny / "tiny.onnx", "--method", method, *workers)
        record = json.loads(cli(*arguments, "--json").out)
        assert record["status"] == "complete"
        first, last = record["layers"]
        assert first["unstable"] + first["always_on"] + first["always_off"] == first["neurons"]
        assert last["unstable"] is None
        assert all(low <= high for low, high in zip(last["lower"], last["upper"], strict=True))
        assert "always off" in cli(*arguments).out

    def test_what_is_not_allowed_is_said(self, cli: Cli, tiny: Path, tmp_path: Path) -> None:
        assert "PROVED OPTIMAL: nothing closer than" in cli(*ask(tiny)).out
        np.save(tmp_path / "mask.npy", np.ones(3))
        said = cli(*ask(tiny, "--mask", tmp_path / "mask.npy", "--cap", 0.9)).out
        assert "PROVED OPTIMAL: no allowed input closer than" in said
        assert "3 of 3 inputs may change, each by at most 0.9" in said

    def test_bounds_over_a_ball_are_tighter(self, cli: Cli, tiny: Path) -> None:
        arguments = ("bounds", tiny / "tiny.onnx", "--json")
        box = json.loads(cli(*arguments).out)
        ball = json.loads(cli(*arguments, tiny / "point.csv", "--radius", 0.1).out)
        assert ball["layers"][0]["mean_width"] < box["layers"][0]["mean_width"]
        assert (ball["norm"], ball["radius"]) == ("l1", 0.1)

    def test_bounds_that_ran_out_of_time_say_so(self, cli: Cli) -> None:
        arguments = ("bounds", "dnn1", "--method", "milp", "--workers", 1, "--time-limit", 0.5)
        outcome = cli(*arguments)
        assert outcome.code == 3
        assert "STOPPED" in outcome.out

    def test_the_demo_ends_with_a_proof_and_a_picture(self, cli: Cli, tmp_path: Path) -> None:
        outcome = cli("demo", "--save-image", tmp_path / "demo.png")
        assert outcome.code == 0
        for part in ("PROVED OPTIMAL", "before", "after", "onnxruntime answers 2", "Try next"):
            assert part in outcome.out
        assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
