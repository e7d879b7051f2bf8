"""The commands activate and perfect: words, records, files, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.conftest import Cli
from cli.test_errors import _interrupted, refused
from dualbound import queries

ANSWER_KEYS = {
    *("status", "value", "bound", "gap", "label", "outputs", "runtime_value", "replayed"),
    *("seconds", "engine", "solver", "nodes", "unstable", "note"),
}
ABOUT_KEYS = {
    *("query", "model", "model_sha256", "softmax", "version", "image", "norm", "radius", "range"),
}
ACTIVATE_KEYS = {"layer", "neuron", "neurons", "post", "minus", "minimise", "witness"}


def activate(tiny: Path, *options: object) -> tuple[object, ...]:
    return ("activate", tiny / "tiny.onnx", "--layer", 1, *options)


def perfect(tiny: Path, *options: object) -> tuple[object, ...]:
    return ("perfect", tiny / "tiny.onnx", "--label", 1, *options)


class TestActivate:
    def test_says_what_is_proved(self, cli: Cli, tiny: Path) -> None:
        outcome = cli(*activate(tiny, "--neuron", 0))  # x0 - x1 + x2 / 2
        assert (outcome.code, outcome.err) == (0, "")
        assert "PROVED OPTIMAL: no allowed input makes neuron 0 of layer 1 larger" in outcome.out
        assert "value   1.500000" in outcome.out
        assert "over [0, 1] for every input" in outcome.out

    @pytest.mark.parametrize(
        ("options", "value"),
        [
            (("--minimise",), -1.0),
            (("--minimise", "--post"), 0.0),
            (("--post",), 1.5),
            (("--minus", 3), 0.5),
            (("--range", -1, 1), 2.5),
            (("--engine", "milp"), 1.5),
            (("--engine", "milp", "--formulation", "fischetti-jo"), 1.5),
        ],
    )
    def test_one_record(
        self, cli: Cli, tiny: Path, options: tuple[object, ...], value: float
    ) -> None:
        outcome = cli(*activate(tiny, "--neuron", 0, "--json", *options))
        answer = json.loads(outcome.out)
        assert outcome.code == 0
        assert set(answer) == ANSWER_KEYS | ABOUT_KEYS | ACTIVATE_KEYS
        assert (answer["query"], answer["status"]) == ("activate", "optimal")
        assert answer["value"] == pytest.approx(value, abs=1e-6)
        assert (answer["layer"], answer["neuron"], answer["neurons"]) == (1, 0, None)

    def test_in_a_ball(self, cli: Cli, tiny: Path) -> None:
        point = tiny / "point.csv"
        arguments = ("activate", tiny / "tiny.onnx", point, "--radius", 0.1, "-l", "logits")
        answer = json.loads(cli(*arguments, "-n", 1, "--json", "--witness", "inline").out)
        assert answer["norm"] == "l1"
        assert answer["runtime_value"] == pytest.approx(answer["value"], rel=1e-5)
        moved = np.abs(np.array(answer["witness"]) - np.loadtxt(point, delimiter=","))
        assert moved.sum() <= 0.1 + 1e-12

    def test_all_neurons_as_a_table_and_a_sheet(self, cli: Cli, tiny: Path, tmp_path: Path) -> None:
        sheet, inputs = tmp_path / "layer1.png", tmp_path / "inputs.npy"
        outcome = cli(*activate(tiny, "--all", "--save-image", sheet, "--witness", inputs))
        assert outcome.code == 0
        assert "4 of 4 proved" in outcome.out
        assert np.load(inputs).shape == (4, 3)
        with Image.open(sheet) as drawn:
            assert drawn.width > drawn.height > 300

    def test_all_neurons_as_one_record(self, cli: Cli, tiny: Path) -> None:
        options = ("--all", "--minus", 1, "--workers", 2, "--json", "--witness", "inline")
        answer = json.loads(cli(*activate(tiny, *options)).out)
        assert set(answer) == {"status", "seconds"} | ABOUT_KEYS | ACTIVATE_KEYS
        assert answer["status"] == "optimal"
        assert [one["neuron"] for one in answer["neurons"]] == [0, 2, 3]
        assert all(set(one) == ANSWER_KEYS | {"neuron"} for one in answer["neurons"])
        assert np.shape(answer["witness"]) == (3, 3)

    def test_a_limit_leaves_the_answer_open(self, cli: Cli) -> None:
        outcome = cli("activate", "mlp-64-64", "-l", "logits", "-n", 0, "--time-limit", 0.1)
        assert outcome.code == 3
        assert (
            "STOPPED, GAP OPEN: the largest that an input makes logit 0 is between" in outcome.out
        )

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ((), "--neuron J for one of them, or --all; not both"),
            (("--neuron", 1, "--all"), "not both"),
            (("--neuron", 4), "no neuron 4 of layer 1; its layer has the neurons 0 to 3"),
            (("--neuron", 0, "--minus", 9), "no neuron 9"),
            (("--neuron", 0, "--minus", 0), "less itself is 0 everywhere"),
            (("--neuron", 0, "--workers", 2), "--workers share the neurons of --all"),
            (("--all", "--workers", 0), "at least 1 worker, found 0"),
            (("--neuron", 0, "--layer", 2), "no layer 2; the network has 1 to 1, or logits"),
            (("--neuron", 0, "--layer", -1), "no layer -1"),
            (("--all", "--layer", "last"), "no layer 'last'"),
            (("--all", "--layer", "²"), "no layer '²'"),
            (("--all", "--layer=--5"), "no layer '--5'"),
            (("--neuron", 0, "--layer", "logits", "--post"), "No rectifier follows the logits"),
            (("--neuron", 0, "--radius", 1), "image and --radius go together"),
            (("--neuron", 0, "--engine", "steam"), "'steam'; known are auto, bab, columns, milp"),
            (("--neuron", 0, "--engine", "columns", "--solver", "highs"), "--solver belongs to"),
            (("--neuron", 0, "--solver", "cplexity"), "no solver 'cplexity'"),
            (("--neuron", 0, "--time-limit", 0), "greater than 0"),
            (("--neuron", 0, "--gap", 1), "gap must be at least 0 and below 1"),
            (("--neuron", 0, "--witness", "inline"), "add --json"),
            (("--neuron", 0, "--witness", "x.png"), "written as .npy"),
            (("--all", "--save-image", "x.gif"), "written as .png or .pdf or .svg"),
        ],
    )
    def test_refuses(self, cli: Cli, tiny: Path, options: tuple[object, ...], message: str) -> None:
        refused(cli, *activate(tiny, *options), message=message)


class TestPerfect:
    def test_says_what_is_proved(self, cli: Cli, tiny: Path, tmp_path: Path) -> None:
        outcome = cli(*perfect(tiny, "--save-image", tmp_path / "one.png"))
        assert (outcome.code, outcome.err) == (0, "")
        assert (
            "PROVED OPTIMAL: no allowed input makes the L1 loss for label 1 smaller" in outcome.out
        )
        assert "1  ← asked for" in outcome.out
        assert (tmp_path / "one.png").is_file()

    def test_one_record(self, cli: Cli, tiny: Path, tmp_path: Path) -> None:
        outcome = cli(*perfect(tiny, "--json", "--witness", tmp_path / "one.npy"))
        answer = json.loads(outcome.out)
        assert set(answer) == ANSWER_KEYS | ABOUT_KEYS | {"target", "loss", "witness"}
        assert (answer["query"], answer["target"], answer["loss"]) == ("perfect", 1, "l1")
        found = np.array(answer["outputs"])
        assert answer["value"] == pytest.approx(np.abs(found - [0, 1]).sum())
        assert np.load(answer["witness"]).shape == (3,)

    def test_squares(self, cli: Cli, tiny: Path) -> None:
        pytest.importorskip("pyscipopt")
        answer = json.loads(cli(*perfect(tiny, "--loss", "squared", "--json")).out)
        assert answer["solver"].startswith("scip")
        found = np.array(answer["outputs"])
        assert answer["value"] == pytest.approx(((found - [0, 1]) ** 2).sum())

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--label", 2), "Label 2 is out of range; the network answers 0 to 1"),
            (("--loss", "hinge"), "Unknown loss 'hinge'; known are l1, squared"),
            (("--loss", "squared", "--solver", "highs"), "highs cannot do quadratic objectives"),
            (("--loss", "squared", "--engine", "columns"), "squares are asked about"),
            (("--norm", "l1", "--radius", 3), "image and --radius go together"),
            (("--range", 1, 0), "box is empty"),
        ],
    )
    def test_refuses(self, cli: Cli, tiny: Path, options: tuple[object, ...], message: str) -> None:
        refused(cli, *perfect(tiny, *options), message=message)

    def test_a_solver_that_is_not_installed_names_the_pip_command(
        self, cli: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import sys

        monkeypatch.setitem(sys.modules, "pyscipopt", None)
        refused(
            cli, *perfect(tiny, "--loss", "squared"), message=r'pip install "dualbound\[scip\]"'
        )


def test_the_answer_is_printed_when_the_picture_cannot_be_drawn(
    cli: Cli, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dualbound.cli.activate as command
    from dualbound.errors import OutputError

    def fail(*arguments: object, **options: object) -> None:
        raise OutputError("The disk is full.")

    monkeypatch.setattr(command, "save_sheet", fail)
    outcome = cli(*activate(tiny, "-n", 0, "--save-image", tmp_path / "a.png"))
    assert "PROVED OPTIMAL" in outcome.out
    assert (outcome.code, outcome.err) == (2, "Error: The disk is full.\n")


def test_unwritable_files_are_refused_before_the_search(
    cli: Cli, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for verb in ("activate", "activate_layer", "perfect"):
        monkeypatch.setattr(queries, verb, lambda *a, **k: pytest.fail("searched"))
    for command in (activate(tiny, "-n", 0), activate(tiny, "--all"), perfect(tiny)):
        place = tmp_path / "nowhere" / "a.png"
        refused(cli, *command, "--save-image", place, message="cannot be written")


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_known_of_every_neuron() -> None:
    code, out, err = _interrupted(
        *("activate", "dnn5", "-l", "logits", "--all", "--time-limit", "1", "--json"),
        once_seen="[1-7] of 10",
    )
    answer = json.loads(out)
    assert code == 3
    assert answer["status"] == "feasible"
    assert 1 <= len(answer["neurons"]) < 10
    assert all(one["value"] < one["bound"] for one in answer["neurons"])
    assert "Traceback" not in err
