"""``dualbound vnncomp``: every instance answered once, and no bad one ends the run."""

from __future__ import annotations

import csv
import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import dualbound
from cli.conftest import Cli
from cli.test_errors import refused
from dualbound.criterion import write_vnnlib
from dualbound.studies.competition import process, run
from dualbound.studies.competition.answering import Given
from dualbound.studies.competition.counterexample import read, refusal, written

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "vnncomp"

LINES = "net.onnx,holds.vnnlib,60,unsat\nnet.onnx,violated.vnnlib,60,sat\n"


@pytest.fixture
def benchmark(tiny: Path, tmp_path: Path) -> Path:
    """Two instances of the tiny network, one file gzipped, both answers known."""
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "net.onnx").write_bytes((tiny / "tiny.onnx").read_bytes())
    network = dualbound.load(tiny / "tiny.onnx")
    holds, violated = (
        write_vnnlib(dualbound.robustness(network, [0.8, 0.2, 0.4], eps)) for eps in (0.01, 1.0)
    )
    (folder / "holds.vnnlib").write_text(holds)
    (folder / "violated.vnnlib.gz").write_bytes(gzip.compress(violated.encode()))
    (folder / "instances.csv").write_text(LINES)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def given(monkeypatch: pytest.MonkeyPatch, *answers: Given | None) -> list[str]:
    """Answer instances with these, in order; the names of those that were asked."""
    asked: list[str] = []

    def supervised(onnx: Path, vnnlib: Path, seconds: float, **_: object) -> Given | None:
        asked.append(vnnlib.name)
        return answers[len(asked) - 1]

    monkeypatch.setattr(run, "supervised", supervised)
    return asked


class TestRuns:
    @pytest.mark.slow
    def test_every_instance_is_answered_and_the_witness_is_one(
        self, cli: Cli, benchmark: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "results.csv"
        outcome = cli("vnncomp", benchmark, "--out", out)
        assert outcome.code == 0
        assert outcome.out.startswith("2 of 2 solved: small\n")
        for words in ("1 unsat, 1 sat", "wrong    0", "20 of 20: 10 for each correct", "-150"):
            assert words in outcome.out
        assert re.search(r"1 of 2  unsat +[0-9.]+ s  net.onnx holds.vnnlib", outcome.err)
        unsat, sat = rows(out)
        assert (unsat["instance"], unsat["result"]) == ("net.onnx holds.vnnlib", "unsat")
        assert (sat["result"], sat["expected"], sat["timeout"]) == ("sat", "sat", "60.0")
        assert float(unsat["bound"]) < 0
        assert unsat["engine"].startswith("bab")
        text = (tmp_path / sat["counterexample"]).read_text()
        x, claimed = read(text)
        session = onnxruntime.InferenceSession(benchmark / "net.onnx")
        fed = x.astype(np.float32).reshape(1, 3)
        [answer] = session.run(None, {session.get_inputs()[0].name: fed})
        assert answer.reshape(-1).tolist() == claimed.tolist()
        assert claimed[1] >= claimed[0]
        assert np.all((x >= 0) & (x <= 1))

    def test_what_is_answered_is_not_asked_again(
        self, cli: Cli, benchmark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "results.csv"
        asked = given(monkeypatch, Given("unsat", 0.5, -1.0, 3, "bab"), None)
        stopped = cli("vnncomp", benchmark, "--out", out)
        assert (stopped.code, asked) == (3, ["holds.vnnlib", "violated.vnnlib.gz"])
        assert "1 instance left: the same command goes on." in stopped.err
        assert "1 not asked yet" in stopped.out
        out.write_text(out.read_text() + "net.onnx viol")  # killed in the middle of a line
        asked = given(monkeypatch, Given("timeout", 60.0, note="stopped\nby force"))
        outcome = cli("vnncomp", benchmark, "--out", out)
        assert (outcome.code, asked) == (0, ["violated.vnnlib.gz"])
        assert [row["result"] for row in rows(out)] == ["unsat", "timeout"]
        assert rows(out)[1]["note"] == "stopped by force"
        assert "10 of 20" in outcome.out
        asked = given(monkeypatch)
        assert cli("vnncomp", benchmark, "--out", out).code == 0
        assert asked == []

    @pytest.mark.slow
    def test_errors_are_kept_and_asked_again_on_request(
        self, cli: Cli, benchmark: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "results.csv"
        whole = (benchmark / "net.onnx").read_bytes()
        (benchmark / "net.onnx").write_bytes(b"this is no network")
        outcome = cli("vnncomp", benchmark, "--only", "holds", "--out", out)
        assert outcome.code == 3
        [row] = rows(out)
        assert (row["result"], "ONNX" in row["note"]) == ("error", True)
        (benchmark / "net.onnx").write_bytes(whole)
        assert cli("vnncomp", benchmark, "--only", "holds", "--out", out).code == 3
        assert cli("vnncomp", benchmark, "--only", "holds", "--out", out, "--again").code == 0
        assert [row["result"] for row in rows(out)] == ["error", "unsat"]

    def test_a_wrong_answer_is_loud(
        self, cli: Cli, benchmark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given(monkeypatch, Given("unsat", 1.0), Given("unsat", 2.0))
        outcome = cli("vnncomp", benchmark, "--out", tmp_path / "r.csv")
        assert outcome.code == 70
        assert outcome.out.startswith("1 answer WRONG: small")
        assert "-140 of 20" in outcome.out
        assert "WRONG: net.onnx violated.vnnlib was answered unsat; sat is known." in outcome.err

    def test_a_proof_that_is_contradicted_ends_the_run(
        self, cli: Cli, benchmark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = given(monkeypatch, Given("error", 1.0, note="A counterexample.", unsound=True))
        outcome = cli("vnncomp", benchmark, "--out", tmp_path / "r.csv")
        assert (outcome.code, len(asked)) == (70, 1)
        assert "none of this version can be trusted" in outcome.err
        assert rows(tmp_path / "r.csv")[0]["result"] == "error"

    def test_lines_may_have_a_head_and_no_answer(
        self, cli: Cli, benchmark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (benchmark / "instances.csv").write_text(
            "expected,onnx,vnnlib,timeout\nopen,net.onnx,holds.vnnlib,60\n"
            ",net.onnx,violated.vnnlib,5\n"
        )
        given(monkeypatch, Given("unsat", 1.0), Given("unknown", 2.0))
        outcome = cli("vnncomp", benchmark, "--out", tmp_path / "r.csv")
        assert outcome.code == 0
        assert "1 of the unsat have nothing to be compared with" in outcome.out
        assert [row["timeout"] for row in rows(tmp_path / "r.csv")] == ["60.0", "5.0"]


class TestProcesses:
    """A process of any kind, in the place of the one that answers."""

    def watched(self, program: str, seconds: float = 0.1, stop: bool = False) -> Given | None:
        return process.supervised(
            Path("a.onnx"),
            Path("p.vnnlib"),
            seconds,
            stop=lambda: stop,
            tell=lambda _: None,
            command=(sys.executable, "-c", program),
        )

    def test_one_that_hangs_is_ended(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(process, "GRACE", 0.1)
        hang = "import time; print('{\"ready\": true}', flush=True); time.sleep(600)"
        found = self.watched(hang)
        assert found is not None
        assert (found.result, found.note[:16]) == ("timeout", "stopped by force")

    def test_one_that_never_begins_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(process, "START", 0.1)
        found = self.watched("import time; time.sleep(600)")
        assert found is not None
        assert (found.result, "not ready" in found.note) == ("error", True)

    @pytest.mark.parametrize(
        ("program", "note"),
        [
            ("import os; os.kill(os.getpid(), 9)", "ended by signal 9"),
            ("raise SystemExit('no memory\\nleft')", "ended with exit code 1: left"),
            ("print('{\"answ', end='')", "ended with exit code 0"),
            ("print('what is this')", "ended with exit code 0"),
        ],
    )
    def test_one_that_ends_without_an_answer_is_an_error(self, program: str, note: str) -> None:
        found = self.watched(program)
        assert found is not None
        assert (found.result, note in found.note) == ("error", True)

    def test_one_is_given_up_when_asked(self) -> None:
        assert self.watched("import time; time.sleep(600)", stop=True) is None


class TestOneInstance:
    def test_is_answered_in_the_words_of_the_competition(
        self, cli: Cli, benchmark: Path, tmp_path: Path
    ) -> None:
        net = benchmark / "net.onnx"
        unsat = cli("vnncomp", "--instance", net, benchmark / "holds.vnnlib")
        assert (unsat.code, unsat.out) == (0, "unsat\n")
        place = tmp_path / "answer.txt"
        asked = ("vnncomp", "--instance", net, benchmark / "violated.vnnlib")
        sat = cli(*asked, "--timeout", 60, "--out", place)
        assert (sat.code, sat.out) == (1, "")
        head, text = place.read_text().split("\n", 1)
        assert head == "sat"
        assert len(read(text)[0]) == 3
        late = cli(*asked, "--timeout", 1e-6)
        assert (late.code, late.out) == (3, "timeout\n")

    def test_that_cannot_be_read_is_an_error(self, cli: Cli, tmp_path: Path) -> None:
        for name in ("a.onnx", "p.vnnlib"):
            (tmp_path / name).write_text("what is this")
        asked = ("vnncomp", "--instance", tmp_path / "a.onnx", tmp_path / "p.vnnlib")
        outcome = cli(*asked, "--out", tmp_path / "answer.txt")
        assert outcome.code == 2
        assert "a.onnx" in outcome.err
        assert (tmp_path / "answer.txt").read_text() == "error\n"
        refused(cli, *asked[:3], tmp_path / "q.vnnlib", message="There is no file .*q.vnnlib, nor")


class TestRefusals:
    @pytest.fixture(autouse=True)
    def _no_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(run, "supervised", lambda *a, **k: pytest.fail("asked"))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "has no instances: a line is ONNX,VNNLIB,TIMEOUT"),
            ("onnx,vnnlib,timeout\n", "has no instances"),
            ("net.onnx,holds.vnnlib\n", "line 1: expected ONNX,VNNLIB,TIMEOUT, found 'net"),
            (
                LINES + "\nnet.onnx,gone.vnnlib,60",
                "line 4: there is no file .*gone.vnnlib, nor .*gz",
            ),
            ("gone.onnx,holds.vnnlib,60", "line 1: there is no file .*gone.onnx"),
            ("net.onnx,holds.vnnlib,soon", "line 1: a timeout is a number of.*found 'soon'"),
            ("net.onnx,holds.vnnlib,-1", "above 0, found '-1'"),
            ("net.onnx,holds.vnnlib,nan", "above 0, found 'nan'"),
        ],
    )
    def test_of_instances(
        self, cli: Cli, benchmark: Path, tmp_path: Path, text: str, message: str
    ) -> None:
        (benchmark / "instances.csv").write_text(text)
        refused(cli, "vnncomp", benchmark, "--out", tmp_path / "r.csv", message=message)
        assert not (tmp_path / "r.csv").exists()

    def test_of_a_csv_that_cannot_be_read(self, cli: Cli, benchmark: Path, tmp_path: Path) -> None:
        (benchmark / "instances.csv").write_bytes(b"\xff\xfe\x00")
        refused(cli, "vnncomp", benchmark, message="instances.csv cannot be read")
        refused(cli, "vnncomp", tmp_path, message="no file .*instances.csv: name the folder of a")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--only", "prop_9"), "None of 2 instances matches 'prop_9'; the first is 'net.onnx"),
            (("--timeout", 0), "time limit must be greater than 0"),
            (("--instance", "a.onnx", "p.vnnlib"), "folder DIR of a benchmark, or --instance"),
        ],
    )
    def test_of_options(
        self, cli: Cli, benchmark: Path, options: tuple[object, ...], message: str
    ) -> None:
        refused(cli, "vnncomp", benchmark, *options, message=message)
        refused(cli, "vnncomp", message="Name the folder DIR of a benchmark, or --instance")

    def test_of_results_that_are_none(self, cli: Cli, benchmark: Path, tmp_path: Path) -> None:
        other = tmp_path / "r.csv"
        asked = ("vnncomp", benchmark, "--out", other)
        other.write_text("a,b\n1,2\n")
        refused(cli, *asked, message="r.csv is no results file of this command.*Name another")
        assert other.read_text() == "a,b\n1,2\n"
        other.write_text('{"no": "line end"}')
        refused(cli, *asked, message="r.csv is no results file of this command.*Name another")
        assert other.read_text() == '{"no": "line end"}'
        head = "instance,result,seconds,bound,nodes,engine,expected,timeout,counterexample,note\n"
        for line, message in (
            ("a,maybe,1,,,,,60,,\n", "line 2: expected one of sat, .*found 'maybe'"),
            ("a,sat,long,,,,,60,,\n", "line 2: could not convert"),
            ("a,sat\n", "line 2: expected 10 columns, found 2"),
        ):
            other.write_text(head + line)
            refused(cli, *asked, message=message)
        other.write_bytes(b"\xff\xfe")
        refused(cli, *asked, message="r.csv cannot be read")

    def test_of_results_that_cannot_be_written(
        self, cli: Cli, benchmark: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "folder.csv").mkdir()
        for place, message in (
            (tmp_path / "folder.csv", "folder.csv cannot be written"),
            (tmp_path / "no" / "r.csv", "cannot be written"),
            *([(Path("/proc/r.csv"), "cannot be written")] if Path("/proc").is_dir() else []),
        ):
            refused(cli, "vnncomp", benchmark, "--out", place, message=message)

    @pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to this user")
    def test_of_results_that_are_read_only(self, cli: Cli, benchmark: Path, tmp_path: Path) -> None:
        (tmp_path / "r.csv").touch(mode=0o400)
        tmp_path.chmod(0o500)
        try:
            refused(
                cli,
                *("vnncomp", benchmark, "--out", tmp_path / "r.csv"),
                message="cannot be written",
            )
        finally:
            tmp_path.chmod(0o700)

    def test_of_two_limits_in_one_file(
        self, cli: Cli, benchmark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given(monkeypatch, Given("unsat", 1.0), Given("unknown", 2.0))
        asked = ("vnncomp", benchmark, "--out", tmp_path / "r.csv")
        assert cli(*asked).code == 0
        refused(cli, *asked, "--timeout", 5, message="answers within 60 s, and now 5 s are allowed")


class TestCounterexamples:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda x, y: (x, y), ""),
            (lambda x, y: (x - np.array([1e-9, 0, 0]), y), "its inputs leave their bounds"),
            (lambda x, y: (x * 0.99, y), "onnxruntime answers otherwise, by up to 0.0"),
            (
                lambda x, y: (x, y + np.array([1e-9, 0])),
                "onnxruntime answers otherwise, by up to 1e-09",
            ),
            (lambda x, y: (x[:2], y), "it has 2 inputs and 2 outputs"),
        ],
    )
    def test_are_checked_without_tolerance(self, tiny: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
        network = dualbound.load(tiny / "tiny.onnx")
        center = np.array([0.8, 0.2, 0.4])
        asked = dualbound.robustness(network, center, 0.5, label=0)
        region = asked.cases[0].region
        x = np.array([region.lower[0], region.upper[1], 0.5])  # where the second label is ahead
        outputs = dualbound.network.replay(network, x).outputs
        assert outputs[1] > outputs[0]
        x, outputs = change(x, outputs)
        assert message in refusal(network, asked, written(x, outputs))
        assert (refusal(network, asked, written(x, outputs)) == "") == (message == "")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("sat", "expected ((X_0 0.25)"),
            ("((X_0 0.1) (Z_0 1))", "expected ((X_0 0.25)"),
            ("((X_0 0.1) (X_0 1))", "X_0 has two values"),
            ("((X_1 0.1) (Y_0 1))", "Some X are missing"),
            ("((X_0 tenth) (Y_0 1))", "X_0 is no number"),
        ],
    )
    def test_that_are_no_text_of_one(self, tiny: Path, text: str, message: str) -> None:
        network = dualbound.load(tiny / "tiny.onnx")
        asked = dualbound.robustness(network, [0.8, 0.2, 0.4], 0.5)
        assert message in refusal(network, asked, text)


class TestScripts:
    @pytest.mark.parametrize("name", ["install_tool", "prepare_instance", "run_instance"])
    def test_another_version_is_refused(self, name: str) -> None:
        ended = subprocess.run(
            ["bash", SCRIPTS / f"{name}.sh", "v9", "c", "a", "b"], capture_output=True, text=True
        )
        assert ended.returncode == 1
        assert "Expected the version v1, found 'v9'." in ended.stderr

    def script(self, name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = Path(sys.executable).with_name("dualbound")
        return subprocess.run(
            ["bash", SCRIPTS / f"{name}.sh", "v1", *map(str, arguments)],
            capture_output=True,
            text=True,
            env={**os.environ, "DUALBOUND": str(command)},
            timeout=300,
        )

    @pytest.mark.slow
    def test_what_cannot_be_read_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "a.onnx").write_text("what is this")
        (tmp_path / "p.vnnlib").write_text("what is this")
        asked = ("c", tmp_path / "a.onnx", tmp_path / "p.vnnlib")
        assert self.script("prepare_instance", *asked).returncode != 0
        self.script("run_instance", *asked, tmp_path / "out.txt", 60)
        assert (tmp_path / "out.txt").read_text() == "error\n"

    @pytest.mark.slow
    def test_two_instances_of_the_competition(self, data_root: Path, tmp_path: Path) -> None:
        folder = data_root.parent / "vnncomp" / "acasxu"
        if not folder.is_dir():
            pytest.skip(f"needs the benchmarks: {folder} is not a folder")
        for number, prop, result in ((2, 2, "sat"), (1, 1, "unsat")):
            onnx = folder / "onnx" / f"ACASXU_run2a_{number}_1_batch_2000.onnx.gz"
            vnnlib = folder / "vnnlib" / f"prop_{prop}.vnnlib.gz"
            for file in (onnx, vnnlib):
                (tmp_path / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
            asked = ("acasxu", tmp_path / onnx.stem, tmp_path / vnnlib.stem)
            assert self.script("prepare_instance", *asked).returncode == 0
            out = tmp_path / "out.txt"
            ended = self.script("run_instance", *asked, out, "116.0")
            assert ended.returncode == 0, ended.stderr
            head, _, rest = out.read_text().partition("\n")
            assert head == result
            if result == "sat":
                network = dualbound.load(onnx)
                claim = dualbound.read_vnnlib(vnnlib, inputs=5, outputs=5)
                assert refusal(network, claim, rest) == ""
            else:
                assert rest == ""

    def test_time_that_is_over_is_said(self, data_root: Path, tmp_path: Path) -> None:
        folder = data_root.parent / "vnncomp" / "acasxu"
        if not folder.is_dir():
            pytest.skip(f"needs the benchmarks: {folder} is not a folder")
        onnx = folder / "onnx" / "ACASXU_run2a_1_1_batch_2000.onnx.gz"
        asked = ("acasxu", onnx, folder / "vnnlib" / "prop_1.vnnlib.gz", tmp_path / "out.txt", 0.1)
        self.script("run_instance", *asked)
        assert (tmp_path / "out.txt").read_text() == "timeout\n"
