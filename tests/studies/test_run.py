"""Runs: stopped, killed, changed in between; the answers are those of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dualbound.cli.app import run
from dualbound.errors import DataError, InvalidInput, OutputError, SoundnessError, WorkersLost
from dualbound.network import write_onnx
from dualbound.studies import Moment, Study
from dualbound.studies.executors import Processes
from dualbound.studies.row import Row
from dualbound.studies.runner import TRIES
from studies.conftest import Make, answers, random_network


def started(folder: Path, executor: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dualbound", "study", "run", str(folder)]
    return subprocess.Popen(
        [*command, "--executor", executor],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def stored(folder: Path) -> int:
    try:
        counts = Study.open(folder).counts()
    except Exception:  # noqa: BLE001  # not there yet, or just being made
        return 0
    return sum(n for status, n in counts.items() if status != "open")


def wait_for(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    while stored(folder) < count and process.poll() is None:
        time.sleep(0.01)


@pytest.mark.parametrize("executor", ["serial", "processes:2"])
@pytest.mark.slow
def test_killed_three_times_a_study_ends_as_if_nothing_had_been(make: Make, executor: str) -> None:
    undisturbed, killed = make(points=6, name="undisturbed"), make(points=6, name="killed")
    Study.open(undisturbed).run(executor="serial")
    rng = random.Random(3)
    for count in sorted(rng.sample(range(1, 22), 3)):
        process = started(killed, executor)
        wait_for(killed, count, process)
        time.sleep(rng.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process = started(killed, executor)
    out, _ = process.communicate()
    assert process.returncode == 0, out
    assert "24 of 24 answered" in out
    assert answers(killed) == answers(undisturbed)


@pytest.mark.slow
def test_workers_end_with_the_process_that_is_killed(make: Make) -> None:
    folder = make(points=30)
    process = started(folder, "processes:2")
    wait_for(folder, 3, process)
    children = _children(process.pid)
    process.kill()
    process.communicate()
    until = time.monotonic() + 20
    while any(_alive(pid) for pid in children) and time.monotonic() < until:
        time.sleep(0.1)
    assert children
    assert not any(_alive(pid) for pid in children)


def _children(parent: int) -> list[int]:
    if not Path("/proc").exists():
        pytest.skip("needs /proc")
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(status.parent.name))
    return found


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_answered(make: Make) -> None:
    folder = make(points=30)
    process = started(folder, "processes:2")
    wait_for(folder, 3, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, (out, err)
    assert "Go on with: dualbound study run" in err
    assert "Traceback" not in out + err
    assert 0 < stored(folder) < 120


def test_a_run_beside_a_run_is_refused(make: Make) -> None:
    folder = make(points=2)
    refused = []

    def watch(moment: Moment) -> None:
        if not refused:
            with pytest.raises(OutputError, match="Another run is at work") as error:
                Study.open(folder).run(executor="serial")
            refused.append(error)

    Study.open(folder).run(executor="serial", on_progress=watch)
    assert refused


def test_a_run_with_nothing_to_do_does_nothing(make: Make) -> None:
    study = Study.open(make(points=1))
    study.run(executor="serial")
    before = study.frame()
    moments: list[Moment] = []
    assert study.run(executor=Lame(), on_progress=moments.append).done == 4
    assert study.frame().equals(before)


def test_a_changed_network_is_noticed_and_never_mixed(make: Make) -> None:
    folder = make(points=2)
    Study.open(folder).run(executor="serial")
    (folder / "b.onnx").write_bytes(write_onnx(random_network(99)))
    study = Study.open(folder)
    with pytest.raises(InvalidInput, match="A network or an image") as error:
        study.run(executor="serial")
    assert "4 questions are new, 4 are asked no more, of which 4 have an answer" in str(error.value)
    assert study.run(executor="serial", update=True).done == 8
    frame = study.frame()
    assert len(frame) == 8
    assert frame.groupby("network")["network_sha256"].nunique().eq(1).all()
    assert study.counts()["retired"] == 4


def test_a_changed_image_is_noticed(make: Make) -> None:
    folder = make(points=2)
    Study.open(folder).run(executor="serial")
    np.save(folder / "x1.npy", np.full(6, 0.5))
    with pytest.raises(InvalidInput, match="4 are asked no more"):
        Study.open(folder).run(executor="serial")


def test_a_changed_study_is_noticed_and_a_change_undone_finds_its_answers(make: Make) -> None:
    folder = make(points=2)
    Study.open(folder).run(executor="serial")
    before, text = answers(folder), (folder / "study.toml").read_text()
    (folder / "study.toml").write_text(text.replace('norm = "linf"', 'norm = "l2"'))
    with pytest.raises(InvalidInput, match=r"study\.toml has changed"):
        Study.open(folder).run(executor="serial")
    Study.open(folder).run(executor="serial", update=True)
    assert set(Study.open(folder).frame()["norm"]) == {"l1", "l2"}
    (folder / "study.toml").write_text(text)
    assert Study.open(folder).run(executor=Lame(), update=True).done == 8
    assert answers(folder) == before


def test_more_images_are_simply_asked_as_well(make: Make) -> None:
    folder = make(points=3)
    text = (folder / "study.toml").read_text()
    (folder / "study.toml").write_text(text.replace(', "x2.npy"', ""))
    Study.open(folder).run(executor="serial")
    (folder / "study.toml").write_text(text)
    moment = Study.open(folder).run(executor="serial")
    assert (moment.before, moment.done) == (8, 12)


class Breaking(Executor):
    """Loses the worker of every question about one network."""

    def __init__(self, network: str) -> None:
        self._network, self.asked = network, 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if args[0].path.endswith(self._network):
            self.asked += 1
            future.set_exception(BrokenExecutor("killed by signal 9"))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


@pytest.mark.slow
def test_a_question_whose_workers_die_is_asked_three_times_and_stored_as_failed(make: Make) -> None:
    study = Study.open(make(points=2))
    executor = Breaking("b.onnx")
    moment = study.run(executor=executor)
    assert executor.asked == 4 * TRIES
    assert (moment.done, moment.failed, moment.deaths) == (8, 4, 12)
    failed = study.frame().query("status == 'failed'")
    assert set(failed["network"]) == {"b.onnx"}
    assert failed["note"].str.contains("ended 3 times").all()
    assert study.run(executor="serial").failed == 4  # not asked again by itself
    assert study.run(executor="serial", again=True).failed == 0


class Lame(Executor):
    """Takes no question."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(ModuleNotFoundError("No module named 'dualbound'"))
        return future


def test_workers_without_dualbound_end_the_run_with_a_sentence(make: Make) -> None:
    with pytest.raises(WorkersLost, match="need the same dualbound"):
        Study.open(make()).run(executor=Lame())


def test_another_order_and_title_are_taken_up(make: Make) -> None:
    folder = make(points=2)
    Study.open(folder).run(executor="serial")
    path = folder / "study.toml"
    text = (
        path.read_text()
        .replace("Small", "Turned")
        .replace('"x0.npy", "x1.npy"', '"x1.npy", "x0.npy"')
    )
    path.write_text(text)
    assert Study.open(folder).run(executor="serial").before == 8
    assert list(Study.open(folder).frame()["image"][:2]) == ["x1.npy", "x0.npy"]
    with Study.open(folder).store() as store:
        assert store.meta("study.toml") == text


def test_what_is_known_of_failed_questions_stays_until_they_are_answered(make: Make) -> None:
    study = Study.open(make(points=1))
    study.run(executor=Breaking("b.onnx"))
    with pytest.raises(InvalidInput, match="Unknown executor"):
        study.run(executor="nope", again=True)
    assert study.counts() == {"optimal": 2, "failed": 2}
    moment = study.run(executor=Breaking("b.onnx"), again=True)
    assert (moment.total, moment.before, moment.failed) == (4, 2, 2)
    assert study.counts() == {"optimal": 2, "failed": 2}


def test_the_label_that_was_asked_for_is_stored(make: Make) -> None:
    folder = make(
        points=3,
        text=(
            'networks = ["a.onnx"]\nimages = [{images}]\n[[questions]]\nquery = "nearest"\n'
            "targets = [1, 2]\nattack = false\n"
        ),
    )
    study = Study.open(folder)
    study.run(executor="serial")
    frame = study.frame()
    assert len(frame)
    assert (frame["target"] == frame["label_after"]).all()


def test_an_image_that_is_named_twice_is_asked_once(make: Make) -> None:
    folder = make(points=1)
    path = folder / "study.toml"
    path.write_text(path.read_text().replace('"x0.npy"', '"x0.npy", "x0.npy"'))
    assert Study.open(folder).run(executor="serial").total == 4


def test_a_study_that_asks_nothing_is_refused(make: Make) -> None:
    text = 'networks = ["dnn1"]\nimages = ["sample:0"]\nkeep = "misread"\n'
    folder = make(text=text + '[[questions]]\nquery = "nearest"\n')
    with pytest.raises(InvalidInput, match="asks nothing"):
        Study.open(folder).run(executor="serial")


def test_an_unknown_executor_is_named(make: Make) -> None:
    with pytest.raises(InvalidInput, match="Unknown executor 'threads'"):
        Study.open(make()).run(executor="threads")


def test_a_contradicted_proof_stops_everything(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def contradict(*_: object) -> Row:
        raise SoundnessError("a bound is wrong.")

    monkeypatch.setattr("dualbound.studies.asks.Nearest.answer", contradict)
    study = Study.open(make())
    with pytest.raises(SoundnessError, match="none of this version can be trusted"):
        study.run(executor="serial")
    assert study.counts() == {"failed": 1, "open": 11}


def test_a_fault_in_one_question_does_not_end_the_others(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dualbound.studies.asks import Nearest

    right = Nearest.answer

    def wrong(self: Nearest, network: Any, x: Any, tell: Any) -> Row:
        if self.norm == "linf":
            raise ZeroDivisionError("division by zero")
        return right(self, network, x, tell)

    monkeypatch.setattr(Nearest, "answer", wrong)
    study = Study.open(make(points=1))
    assert study.run(executor="serial").counts == {"optimal": 2, "failed": 2}
    assert "ZeroDivisionError" in study.frame().query("status == 'failed'")["note"].iloc[0]


@pytest.mark.slow
def test_a_worker_of_the_pool_that_is_killed_costs_one_try(make: Make) -> None:
    from dualbound.studies.executors import Processes

    folder = make(points=6)
    executor, killed = Processes(2), []

    def watch(moment: Moment) -> None:
        if moment.done >= 5 and not killed and (pids := executor.pids()):
            os.kill(pids[0], signal.SIGKILL)
            killed.append(pids[0])

    moment = Study.open(folder).run(executor=executor, on_progress=watch)
    executor.shutdown()
    assert killed
    assert moment.failed == 0
    other = make(points=6, name="other")
    Study.open(other).run(executor="serial")
    assert answers(folder) == answers(other)


@pytest.mark.slow
def test_a_worker_that_dies_while_it_is_idle_is_replaced() -> None:
    executor = Processes(1)
    try:
        first = executor.submit(os.getpid).result()
        os.kill(first, signal.SIGKILL)
        until = time.monotonic() + 20
        while _alive(first) and time.monotonic() < until:
            time.sleep(0.05)
        results = []
        for _ in range(3):
            try:
                results.append(executor.submit(os.getpid).result(timeout=60))
            except BrokenExecutor:  # its end had not been noticed yet: costs this question one try
                continue
        assert results
        assert first not in results
    finally:
        executor.shutdown(cancel_futures=True)


class Broken(Executor):
    """Takes nothing."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:  # type: ignore[override]
        raise BrokenExecutor("a process of the pool ended")


def test_an_executor_that_takes_no_more_is_told_in_words(make: Make) -> None:
    with pytest.raises(WorkersLost, match="takes no more questions: a process of the pool ended"):
        Study.open(make()).run(executor=Broken())


def test_answers_to_an_earlier_study_are_told_apart(make: Make, capsys: Any) -> None:
    folder = make()
    study = Study.open(folder)
    study.run(executor="serial")
    assert not study.edited
    path = folder / "study.toml"
    path.write_text(path.read_text() + "# by hand\n")
    assert Study.open(folder).edited
    for command in ("status", "table"):
        assert run(["study", command, str(folder)]) == 0
        assert "study.toml has changed since the last run" in capsys.readouterr().err


def test_what_no_run_has_written_is_an_error_of_the_data(make: Make) -> None:
    folder = make()
    Study.open(folder).run(executor="serial")
    with sqlite3.connect(folder / "answers.sqlite") as sql:
        sql.execute("UPDATE answers SET value = 'far'")
    with pytest.raises(DataError, match="holds what no run has written"):
        Study.open(folder).frame()


def test_a_witness_that_is_set_aside_is_shown_nowhere(make: Make) -> None:
    folder = make()
    study = Study.open(folder)
    study.run(executor="serial")
    number = int(study.frame().index[0])
    with sqlite3.connect(folder / "answers.sqlite") as sql:
        sql.execute("UPDATE questions SET retired = 1 WHERE id = ?", (number,))
    with pytest.raises(InvalidInput, match=f"no answer number {number}"):
        study.witness(number)
