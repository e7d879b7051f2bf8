"""Every mistake has its sentence and its exit code; nothing is ever shown of the inside."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from cli.conftest import Cli
from dualbound import queries
from dualbound.attacks import Linearised
from dualbound.data import networks
from dualbound.errors import SolverFailed, SoundnessError
from dualbound.limits import Clock

ASK = ("nearest", "dnn1", "sample:4", "--target", 9)


def refused(cli: Cli, *arguments: object, message: str, code: int = 2) -> None:
    outcome = cli(*arguments)
    assert outcome.out == ""
    assert outcome.code == code
    assert outcome.err.startswith("Error: ")
    assert re.search(message, outcome.err), outcome.err


def written_model(path: Path, operator: str) -> Path:
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 4]) for n in ("x", "y")]
    node = helper.make_node(operator, ["x"], ["y"], name="odd_one")
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, path)
    return path


class TestModels:
    def test_a_missing_file(self, cli: Cli) -> None:
        refused(cli, "info", "nowhere/net.onnx", message="There is no file nowhere/net.onnx")

    def test_a_name_that_is_not_embedded_lists_those_that_are(self, cli: Cli) -> None:
        refused(cli, "info", "dnn9", message="no file 'dnn9'.*dnn1, dnn2")

    def test_a_file_that_is_not_onnx(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "a.onnx").write_text("this is a letter, not a network")
        refused(cli, "info", tmp_path / "a.onnx", message="a.onnx.*not an? .*ONNX")

    def test_a_truncated_file(self, cli: Cli, tmp_path: Path) -> None:
        whole = networks.path("dnn1").read_bytes()
        (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
        refused(cli, "info", tmp_path / "cut.onnx", message="cut.onnx.*ONNX")

    def test_an_unsupported_operator(self, cli: Cli, tmp_path: Path) -> None:
        path = written_model(tmp_path / "odd.onnx", "Round")
        refused(cli, "info", path, message="(?s)odd.onnx.*Round.*odd_one.*Gemm")

    def test_a_smooth_activation(self, cli: Cli, tmp_path: Path) -> None:
        path = written_model(tmp_path / "smooth.onnx", "Elu")
        point = tmp_path / "p.csv"
        point.write_text("0,0,0,0")
        refused(cli, "nearest", path, point, "-t", 1, message="Elu")


class TestImages:
    def test_another_size(self, cli: Cli, tmp_path: Path) -> None:
        np.save(tmp_path / "small.npy", np.zeros((10, 10)))
        arguments = ("nearest", "dnn1", tmp_path / "small.npy", "-t", 3)
        refused(cli, *arguments, message="100 values.*expected 784")

    def test_out_of_range(self, cli: Cli, tmp_path: Path) -> None:
        np.save(tmp_path / "bytes.npy", np.full(784, 200.0))
        arguments = ("nearest", "dnn1", tmp_path / "bytes.npy", "-t", 3)
        refused(cli, *arguments, message=r"200, outside.*\[0, 1\].*divide")

    def test_out_of_range_for_bounds(self, cli: Cli, tmp_path: Path) -> None:
        np.save(tmp_path / "bytes.npy", np.full(784, 200.0))
        arguments = ("bounds", "dnn1", tmp_path / "bytes.npy", "--radius", 1)
        refused(cli, *arguments, message=r"200, outside.*\[0, 1\].*--range")

    def test_not_a_number(self, cli: Cli, tmp_path: Path) -> None:
        np.save(tmp_path / "nan.npy", np.full(784, np.nan))
        arguments = ("nearest", "dnn1", tmp_path / "nan.npy", "-t", 3)
        refused(cli, *arguments, message="not finite")

    def test_no_such_image(self, cli: Cli) -> None:
        refused(cli, "classify", "dnn1", "sample:9999", message="from 0 to 299")

    def test_a_mask_of_another_size(self, cli: Cli, tmp_path: Path) -> None:
        np.save(tmp_path / "mask.npy", np.ones(3))
        refused(cli, *ASK, "--mask", tmp_path / "mask.npy", message="3 values.*expected 784")


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--target", 10), "Target 10 is out of range.*0 to 9"),
            (("--target", -1), "Target -1 is out of range"),
            (("--target", 4), "already answers 4"),
            (("--target", "nine"), "--target.*integer"),
            (("--ratio", 1.2, "--margin", 0.1), "ratio or a margin, not both"),
            (("--ratio", 1), "above 1, found 1"),
            (("--margin", 0), "above 0"),
            (("--solver", "cplexity"), "no solver 'cplexity'.*highs, scip"),
            (("--norm", "l7"), "Unknown norm 'l7'.*l1, l2, linf"),
            (("--formulation", "guess"), "'guess'.*bigm"),
            (("--strategy", "luck"), "'luck'.*direct, margin"),
            (("--engine", "steam"), "'steam'.*auto, bab, columns, milp"),
            (("--engine", "columns", "--solver", "scip"), "--solver belongs to the engine milp"),
            (("--threads", 2, "--strategy", "direct"), "--strategy belongs to the engine milp"),
            (("--threads", 2, "--engine", "milp"), "--threads belongs to the engine columns"),
            (("--threads", 0), "at least 1 thread, found 0"),
            (("--then", "l1"), "equally near in L∞.*the first norm here is L1"),
            (("--norm", "linf", "--then", "linf"), "as the first is: name l1, l2 or l0"),
            (("--norm", "linf", "--then", "l9"), "Unknown norm 'l9'"),
            (("--time-limit", 0), "time limit must be greater than 0"),
            (("--gap", -0.1), "gap must be at least 0"),
            (("--cap", -1), "at least 0"),
            (("--range", 1, 0), "box is empty"),
            (("--witness", "inline"), "add --json"),
            (("--witness", "w.txt"), "written as .npy"),
            (("--colour", "red"), "No such option"),
        ],
    )
    def test_of_nearest(self, cli: Cli, options: tuple[object, ...], message: str) -> None:
        refused(cli, *ASK, *options, message=message)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--method", "magic"), "'magic'.*interval, crown, lp, milp"),
            (("sample:0",), "image and --radius go together"),
            (("--radius", 1), "image and --radius go together"),
            (("sample:0", "--radius", -1), "radius must be at least 0"),
            (("--method", "lp", "--workers", 0), "at least 1 worker"),
            (("--method", "lp", "--time-per-neuron", 0), "greater than 0"),
        ],
    )
    def test_of_bounds(self, cli: Cli, options: tuple[object, ...], message: str) -> None:
        refused(cli, "bounds", "dnn1", *options, message=message)

    def test_a_missing_argument_names_the_help(self, cli: Cli) -> None:
        refused(cli, "nearest", "dnn1", message="IMAGE.*See dualbound nearest --help")

    def test_an_unknown_command(self, cli: Cli) -> None:
        refused(cli, "solve", message="No such command 'solve'.*dualbound --help")

    def test_a_solver_that_is_not_installed_names_the_pip_command(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pyscipopt", None)
        refused(cli, *ASK, "--solver", "scip", message=r'pip install "dualbound\[scip\]"')


class TestCriteria:
    """Sample 4 is a 4 and answered so; sample 8 is a 5 and answered 4."""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ((), "Say what the network shall answer: --target LABEL, --any, --targets"),
            (("--any", "--confusion"), "--any and --confusion ask different.*give one of --targ"),
            (("--target", 3, "--any"), "--target and --any ask different questions"),
            (("--target", 3, "--targets", "1,2"), "--target and --targets ask different"),
            (("--target", 3, "--repair", 5), "--target and --repair ask different"),
            (("--repair", 3, "--confusion"), "--repair and --confusion ask different"),
            (("--targets", "1,4"), "already answers 4 for this input; choose another"),
            (("--targets", "1,10"), "Target 10 is out of range.*0 to 9"),
            (("--targets", "1,2,1"), "Label 1 is named more than once"),
            (("--targets", ""), "Name at least one label"),
            (("--targets", ","), "Name at least one label"),
            (("--targets", "2,,3"), "takes labels with commas between"),
            (("--targets", "1;2"), "labels with commas between, such as 1,4,7; found '1;2'"),
            (("--repair", 4), "already answers 4 for this input: there is nothing to repair"),
            (("--repair", 11), "Target 11 is out of range"),
            (("--any", "--ratio", 1), "above 1, found 1"),
            (("--any", "--ratio", 1.2, "--margin", 0.1), "ratio or a margin, not both"),
            (("--targets", "1,2", "--margin", 0), "above 0"),
            (("--repair", 5, "--margin", -1), "above 0"),
            (("--confusion", "--ratio", 0.5), "above 1, found 0.5"),
        ],
    )
    def test_what_cannot_be_asked(
        self, cli: Cli, options: tuple[object, ...], message: str
    ) -> None:
        refused(cli, "nearest", "dnn1", "sample:4", *options, message=message)


class TestChanges:
    """Sample 4 is answered 4; none of these questions is searched."""

    @pytest.fixture(autouse=True)
    def _no_search(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Linearised, "__call__", lambda *a: pytest.fail("searched"))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--norm", "L2"), "Unknown norm 'L2'; known are l0, l1, l2, linf"),
            (("--levels", 0), "whole number of levels, at least 1.*found 0"),
            (("--levels", -3), "whole number of levels, at least 1.*found -3"),
            (("--levels", 2.5), "--levels.*integer"),
            (("--levels", "fine"), "--levels.*integer"),
            (("--levels", 10**12), "whole number of levels.*found 1000000000000"),
            (
                ("--levels", 10, "--mask", "5:20,5:20"),
                "Input [0-9]+ may not change, but its value 0.*not on the grid of 10 levels: use",
            ),
            (("--levels", 10, "--cap", 0.001), "No value of the grid of 10 levels lies between"),
            (("--cap", "nan"), "at least 0 for all inputs, or one for each; found nan"),
            (("--cap", "0,2"), "--cap takes a number, or a file.*found '0,2'"),
            (("--cap", "nowhere.npy"), "There is no image file 'nowhere.npy'"),
            (("--weights", 2), "--weights takes a file with a number for each input.*found '2'"),
            (("--weights", "nowhere.csv"), "There is no image file 'nowhere.csv'"),
            (("--weights", "sample:0"), "The weight of input 0 is 0.0.*freeze.*use a mask"),
            (("--mask", "10:40,5:20"), "reaches beyond the image, which has 28 rows and 28 col"),
            (("--mask", "10:18,5:29"), "reaches beyond the image"),
            (("--mask", "5:5,1:2"), "is empty: its rows go from 5 up to, but not including, 5"),
            (("--mask", "8:3,1:2"), "is empty: its rows go from 8 up to, but not including, 3"),
            (("--mask", "3:8,20:2"), "is empty: its columns go from 20 up to"),
            (("--mask", "-1:3,1:2"), "is no rectangle: give rows and columns, such as 10:18,5:20"),
            (("--mask", "3:8"), "is no rectangle"),
            (("--mask", "3:8,1:2,3:4"), "is no rectangle"),
            (("--mask", "8"), "is no rectangle"),
            (("--mask", "-"), "is no rectangle"),
            (("--mask", f"0:{'9' * 5000},1:2"), "is no rectangle"),
            (("--mask", "middle"), "--mask takes a rectangle, or a file.*found 'middle'"),
            (("--mask", ""), "--mask takes a rectangle, or a file.*found ''"),
            (("--freeze", "0:4,5:40"), "--freeze 0:4,5:40 reaches beyond the image"),
            (("--freeze", "nowhere.npy"), "There is no image file 'nowhere.npy'"),
            (("--freeze", ":,:"), "With --freeze :,: no input may change: leave at least one"),
            (
                ("--mask", "1:3,1:3", "--freeze", "0:9,0:9"),
                "With --mask 1:3,1:3 and --freeze 0:9,0:9 no input may change",
            ),
            (("--norm", "l2", "--engine", "milp"), "highs cannot do quadratic.*use scip"),
            (("--norm", "l2", "--strategy", "direct"), "highs cannot do quadratic objectives"),
        ],
    )
    def test_what_makes_no_sense(self, cli: Cli, options: tuple[object, ...], message: str) -> None:
        refused(cli, *ASK, *options, message=message)

    @pytest.mark.parametrize("option", ["--weights", "--cap", "--mask", "--freeze"])
    def test_files_of_another_size_or_without_numbers(
        self, cli: Cli, tmp_path: Path, option: str
    ) -> None:
        np.save(tmp_path / "small.npy", np.ones(3))
        np.save(tmp_path / "nan.npy", np.full(784, np.nan))
        refused(cli, *ASK, option, tmp_path / "small.npy", message="3 values.*expected 784")
        refused(cli, *ASK, option, tmp_path / "nan.npy", message="not finite numbers")

    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("--weights", -1.0, "The weight of input 7 is -1.0. Weights are positive"),
            ("--weights", 0.0, "The weight of input 7 is 0.0.*moves for free"),
            ("--cap", -0.5, "at least 0 for all inputs, or one for each; found -0.5"),
        ],
    )
    def test_files_with_one_wrong_number(
        self, cli: Cli, tmp_path: Path, option: str, value: float, message: str
    ) -> None:
        numbers = np.ones(784)
        numbers[7] = value
        np.save(tmp_path / "numbers.npy", numbers)
        refused(cli, *ASK, option, tmp_path / "numbers.npy", message=message)

    def test_a_mask_without_inputs(self, cli: Cli, tmp_path: Path) -> None:
        np.save(tmp_path / "none.npy", np.zeros(784))
        refused(cli, *ASK, "--mask", tmp_path / "none.npy", message="no input may change: leave")

    def test_a_rectangle_of_what_is_no_image(self, cli: Cli, tiny: Path) -> None:
        asked = ("nearest", tiny / "tiny.onnx", tiny / "point.csv", "-t", 1)
        message = r"rectangle of an image, but inputs of the shape \(3,\) are none: give a file"
        refused(cli, *asked, "--mask", "0:1,0:2", message=message)
        refused(cli, *asked, "--freeze", "0:1,0:2", message=message)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ((), "without --levels, but a .png holds 8-bit pixels only: add --levels 255"),
            (("--levels", 100), "with --levels 100, but a .png holds 8-bit.*that divides it"),
            (("--levels", 256), "with --levels 256, but"),
            (("--levels", -3), "whole number of levels.*found -3"),
            (("--levels", 0), "whole number of levels.*found 0"),
            (("--levels", 255, "--range", 0, 2), "--range 0 2, but the pixels.*from 0 to 1"),
        ],
    )
    def test_a_picture_that_would_not_be_the_witness(
        self, cli: Cli, tmp_path: Path, options: tuple[object, ...], message: str
    ) -> None:
        refused(cli, *ASK, "--witness", tmp_path / "a.png", *options, message=message)
        assert not (tmp_path / "a.png").exists()

    def test_a_picture_of_what_is_no_image(self, cli: Cli, tiny: Path, tmp_path: Path) -> None:
        refused(
            cli,
            *("nearest", tiny / "tiny.onnx", tiny / "point.csv", "-t", 1, "--levels", 255),
            *("--witness", tmp_path / "a.png"),
            message=r"cannot hold inputs of the shape \(3,\), which are no image: name a .npy",
        )

    @pytest.mark.parametrize("method", ["lp", "milp"])
    def test_programs_over_a_round_ball(self, cli: Cli, method: str) -> None:
        asked = ("bounds", "dnn1", "sample:0", "--norm", "l2", "--radius", 1, "--method", method)
        refused(cli, *asked, message=f"{method} needs.*an L2 ball is none: use interval, crown or")


class TestOutputs:
    @pytest.mark.parametrize("option", ["--save-image", "--witness"])
    def test_unwritable_files_are_refused_before_the_search(
        self, cli: Cli, tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queries, "nearest", lambda *a, **k: pytest.fail("searched"))
        suffix = {"--save-image": ".png", "--witness": ".npy"}[option]
        (tmp_path / f"folder{suffix}").mkdir()
        (tmp_path / "file").touch()
        for place in (f"nowhere/a{suffix}", f"folder{suffix}", f"file/a{suffix}"):
            refused(cli, *ASK, option, tmp_path / place, message="cannot be written.*folder")
        refused(cli, *ASK, option, tmp_path / "a.docx", message=f"written as.*{suffix}")

    @pytest.mark.parametrize(
        "other", ["a.png", "./a.png", "folder/../a.png", "link.png"], ids=lambda name: name
    )
    def test_a_picture_does_not_overwrite_the_witness(
        self, cli: Cli, tmp_path: Path, other: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "folder").mkdir()
        (tmp_path / "link.png").symlink_to("a.png")
        refused(
            cli,
            *(*ASK, "--levels", 255, "--witness", "a.png", "--save-image", other),
            message="--witness and --save-image both name a.png.*Name two files",
        )
        assert not (tmp_path / "a.png").exists()

    @pytest.mark.parametrize("option", ["--witness", "--save-image"])
    @pytest.mark.parametrize(
        "read", ["the IMAGE", "the MODEL", "--weights", "--cap", "--mask", "--freeze"]
    )
    def test_what_is_read_is_not_overwritten(
        self, cli: Cli, tmp_path: Path, option: str, read: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queries, "nearest", lambda *a, **k: pytest.fail("searched"))
        monkeypatch.chdir(tmp_path)
        name = "a.png"
        (tmp_path / name).write_bytes(b"as it was")
        names = {"the MODEL": "dnn1", "the IMAGE": "sample:4"} | {read: name}
        options = [(key, value) for key, value in names.items() if key.startswith("--")]
        refused(
            cli,
            *("nearest", names["the MODEL"], names["the IMAGE"], "-t", 9, "--levels", 255),
            *(word for pair in options for word in pair),
            *(option, tmp_path / name),
            message=f"{option} would overwrite .*a.png, which is read as {read}: name another",
        )
        assert (tmp_path / name).read_bytes() == b"as it was"

    @pytest.mark.parametrize(
        "command", [("activate", "-l", 1, "-n", 0), ("perfect", "--label", 3)], ids=lambda c: c[0]
    )
    def test_nor_by_activate_and_perfect(
        self, cli: Cli, tmp_path: Path, command: tuple[object, ...]
    ) -> None:
        name = tmp_path / "x.npy"
        np.save(name, np.full(784, 0.5))
        before = name.read_bytes()
        asked = (command[0], "dnn1", name, "--radius", 1, *command[1:])
        message = r"--witness would overwrite .*x.npy, which is read as the IMAGE"
        refused(cli, *asked, "--witness", name, message=message)
        assert name.read_bytes() == before

    def test_nothing_is_left_of_the_test_for_writing(self, cli: Cli, tmp_path: Path) -> None:
        cli(*ASK, "--gap", -1, "--save-image", tmp_path / "a.png")
        assert not (tmp_path / "a.png").exists()

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a full disk")
    def test_the_answer_is_printed_when_writing_fails_after_the_search(
        self, cli: Cli, tiny: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "full.npy").symlink_to("/dev/full")
        outcome = cli(
            *("nearest", tiny / "tiny.onnx", tiny / "point.csv", "-t", 1, "--json"),
            *("--witness", tmp_path / "full.npy"),
        )
        answer = json.loads(outcome.out)
        assert answer["status"] == "optimal"
        assert answer["witness"] is None
        assert outcome.code == 2
        assert "Error: " in outcome.err
        assert "No space left" in outcome.err

    @pytest.mark.slow
    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a full disk")
    def test_a_standard_output_that_cannot_be_written(self) -> None:
        with open("/dev/full", "w") as full:
            ended = subprocess.run(
                [sys.executable, "-m", "dualbound.cli", "info", "dnn1"],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert ended.returncode == 2
        assert ended.stderr.startswith("Error: Standard output cannot be written")
        assert len(ended.stderr.splitlines()) == 1

    @pytest.mark.slow
    def test_a_reader_that_went_away_is_no_error(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        ended = subprocess.run(
            [sys.executable, "-m", "dualbound.cli", "info", "dnn1", "--json"],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(writer)
        assert ended.returncode == 141
        assert ended.stderr == ""


class TestFaultsOfOurOwn:
    def test_are_said_in_one_line(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(queries, "nearest", _raising(RuntimeError("two\nlines")))
        outcome = cli(*ASK)
        assert (outcome.code, outcome.out) == (70, "")
        assert outcome.err.startswith("Internal error: RuntimeError: two lines. ")
        assert "please report" in outcome.err
        assert len(outcome.err.splitlines()) == 1

    @pytest.mark.parametrize("error", [SoundnessError("crossed"), SolverFailed("gave up")])
    def test_include_wrong_proofs_and_solvers(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        monkeypatch.setattr(queries, "nearest", _raising(error))
        refused(cli, *ASK, message=str(error), code=70)

    def test_show_where_they_are_on_request(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from dualbound.cli import run

        monkeypatch.setattr(queries, "nearest", _raising(RuntimeError("boom")))
        monkeypatch.setenv("DUALBOUND_TRACEBACK", "1")
        assert run([str(argument) for argument in ASK]) == 70
        assert "Traceback" in capsys.readouterr().err

    def test_ctrl_c_before_there_is_an_answer_says_so(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queries, "classify", _raising(KeyboardInterrupt()))
        outcome = cli("classify", "dnn1", "sample:0")
        assert (outcome.code, outcome.out) == (130, "")
        assert "before there was anything to show" in outcome.err


class TestStopping:
    @pytest.mark.slow
    def test_ctrl_c_gives_the_best_answer_so_far(self) -> None:
        code, out, err = _interrupted(
            *("nearest", "dnn5", "sample:0", "-t", "2", "--ratio", "1.2", "--json"),
            once_seen="witness [0-9]",
        )
        answer = json.loads(out)
        assert code == 3
        assert answer["status"] == "feasible"
        assert answer["replayed"] is True
        assert answer["bound"] <= answer["value"]
        assert "interrupted" in answer["note"]
        assert "Traceback" not in err

    @pytest.mark.slow
    def test_ctrl_c_keeps_the_bounds_proved_so_far(self) -> None:
        code, out, err = _interrupted(
            *("bounds", "dnn1", "--method", "milp", "--workers", "2", "--json"),
            once_seen="3 of 6",
        )
        assert code == 3
        assert json.loads(out)["status"] == "stopped"
        assert "Traceback" not in err

    def test_a_signal_sent_twice_at_once_is_one_wish(self) -> None:
        clock = Clock()
        with clock.catching_ctrl_c():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        assert clock.interrupted

    def test_ctrl_c_again_later_gives_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dualbound.limits.ONE_WISH", 0.0)
        clock = Clock()
        with clock.catching_ctrl_c():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)

    def test_a_time_limit_reports_both_ends(self, cli: Cli) -> None:
        outcome = cli(
            *("nearest", "dnn5", "sample:0", "-t", 2, "--ratio", 1.2, "--time-limit", 1),
            "--json",
        )
        answer = json.loads(outcome.out)
        assert outcome.code == 3
        assert outcome.err == ""
        assert answer["status"] == "feasible"
        assert 0 <= answer["bound"] < answer["value"]
        assert answer["gap"] == pytest.approx(1 - answer["bound"] / answer["value"])


def _interrupted(*arguments: str, once_seen: str) -> tuple[int, str, str]:
    """Exit code and outputs of a command that gets Ctrl-C once its progress shows something.

    Progress is only for terminals, so that standard error is one.
    """
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dualbound.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=end,
        text=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(end)
    seen = bytearray()

    def text() -> str:
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode(errors="replace"))

    def read() -> bool:
        try:
            seen.extend(os.read(terminal, 4096))
        except OSError:  # how Linux says that the other end is closed
            return False
        return True

    try:
        while not re.search(once_seen, text()) and read():
            pass
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        while read():
            pass
    finally:
        process.kill()
        os.close(terminal)
    return process.returncode, out, text()


def _raising(error: BaseException):
    def fail(*arguments: object, **options: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("option", ["time_limit", "limits/time", "TimeLimit", "MAXTIME"])
def test_a_limit_of_the_solver_is_ours_to_set(option: str) -> None:
    from dualbound.errors import InvalidInput
    from dualbound.solvers import solver_named

    with pytest.raises(InvalidInput, match="say --time-limit"):
        solver_named("highs", {option: 5.0})


@pytest.mark.parametrize(("value", "where"), [("1e308", "in float64"), ("1e39", "onnxruntime")])
def test_inputs_too_large_to_compute_with_have_no_label(
    cli: Cli, tmp_path: Path, value: str, where: str
) -> None:
    (tmp_path / "x.csv").write_text(",".join([value] * 784))
    outcome = cli("classify", "dnn1", tmp_path / "x.csv")
    assert outcome.code == 2
    assert where in outcome.err


def test_nothing_is_asked_about_inputs_too_large_to_compute_with(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(",".join(["1e308"] * 784))
    asked = cli("nearest", "dnn1", tmp_path / "x.csv", "-t", 2, "--range", 0, "1e308")
    assert asked.code == 2
    assert "between which values inputs lie" in asked.err


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
@pytest.mark.parametrize("module", ["dualbound", "dualbound.cli"])
def test_ctrl_c_while_it_loads_is_a_line_and_no_traceback(module: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", module, "nearest", "dnn3", "sample:0", "--any"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while "numpy" not in Path(f"/proc/{process.pid}/maps").read_text():  # dualbound has begun
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in out + err
    assert process.returncode in (130, 3)


def test_importing_dualbound_into_another_program_leaves_ctrl_c_alone() -> None:
    code = (
        "import signal, dualbound; "
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "True\n"
