"""Experiments: what is measured once stays, whatever happens to the rest."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dualbound.errors import DataError, InvalidInput, OutputError, SoundnessError
from dualbound.limits import Clock
from dualbound.studies import experiment
from dualbound.studies.experiment import CELLS, FILE, Cell, Kept, Tally, circumstances, measured

ABOUT = {"experiment": "squares", "version": 1}
LOG = "log.txt"


def square(folder: Path, *, of: float) -> dict[str, Any]:
    """A cell's figures, and a line in the folder for every time that they are measured."""
    with (folder / LOG).open("a") as log:
        log.write(f"{of}\n")
    return {"square": of * of, "process": os.getpid()}


def broken(folder: Path, *, how: str) -> dict[str, Any]:
    raise {
        "sentence": InvalidInput("Nothing can be measured here."),
        "fault": ZeroDivisionError("division by zero"),
        "disk": OutputError("The disk is full."),
        "proof": SoundnessError("A bound is wrong."),
    }[how]


def until_stopped(folder: Path, *, at: str) -> dict[str, Any] | None:
    """Stops in the middle where there is a Ctrl-C, as training does."""
    with Clock().catching_ctrl_c() as clock:
        if not (folder / at).exists():
            (folder / at).write_text("")
            os.kill(os.getpid(), signal.SIGINT)
        return None if clock.expired else {"at": at}


def half(folder: Path, *, value: int) -> dict[str, Any]:
    """Something in it is cut short, and it does not notice."""
    with Clock().catching_ctrl_c():
        if not (folder / "half").exists():
            (folder / "half").write_text("")
            os.kill(os.getpid(), signal.SIGINT)
    return {"value": value}


def careless(folder: Path, *, value: int) -> dict[str, Any]:
    """Looks at no clock."""
    os.kill(os.getpid(), signal.SIGINT)
    return {"value": value}


def dying(folder: Path) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def slow(folder: Path, *, seconds: float) -> dict[str, Any]:
    (folder / LOG).open("a").write("begun\n")
    time.sleep(seconds)
    return {}


def squares(*numbers: float) -> list[Cell]:
    return [Cell(f"of {number}", square, {"of": number}) for number in numbers]


Run = Callable[..., Tally]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def started(cells: Sequence[Cell], **options: Any) -> Tally:
        return experiment.run(cells, tmp_path, **{"about": ABOUT, **options})

    return started


def log(folder: Path) -> list[float]:
    return [float(line) for line in (folder / LOG).read_text().split()]


class TestCells:
    def test_are_measured_once_and_kept(self, run: Run, tmp_path: Path) -> None:
        cells = squares(2, 3)
        assert measured(cells, tmp_path) == {}
        first = run(cells)
        assert (first.total, first.done, first.failed, first.running) == (2, 2, {}, ())
        again = run(cells)
        assert (again.total, again.done) == (2, 2)
        assert log(tmp_path) == [2, 3]
        kept = measured(cells, tmp_path)
        assert [one.result["square"] for one in kept.values()] == [4, 9]
        assert [one.cell for one in kept.values()] == cells
        for one in kept.values():
            assert 0 <= one.seconds < 60
            assert abs(one.finished - time.time()) < 60
            assert "cores" in one.machine
            assert "torch" in one.versions

    def test_that_are_new_are_measured_as_well(self, run: Run, tmp_path: Path) -> None:
        run(squares(2))
        assert run(squares(2, 3, 4)).done == 3
        assert log(tmp_path) == [2, 3, 4]

    def test_whose_arguments_change_are_measured_anew(self, run: Run, tmp_path: Path) -> None:
        [cell] = squares(2)
        run([cell])
        other = replace(cell, arguments={"of": 5})
        assert other.kept(tmp_path) is None
        assert run([other]).done == 1
        assert log(tmp_path) == [2, 5]
        assert measured([other], tmp_path)[cell.name].result["square"] == 25
        assert measured([cell], tmp_path) == {}

    def test_may_have_arguments_that_json_writes_otherwise(self, run: Run, tmp_path: Path) -> None:
        cell = Cell("pairs", pairs, {"of": ((1, 2), (3, 4))})
        run([cell])
        assert cell.kept(tmp_path).result == {"sum": 10}
        assert run([cell]).done == 1

    def test_may_have_any_name_as_long_as_their_files_differ(
        self, run: Run, tmp_path: Path
    ) -> None:
        names = ["after epoch 2, network 1", "ε = 0.1", "a/b"]
        cells = [Cell(name, square, {"of": k}) for k, name in enumerate(names)]
        assert run(cells).done == 3
        assert len(os.listdir(tmp_path / CELLS)) == 3
        assert list(measured(cells, tmp_path)) == names
        with pytest.raises(InvalidInput, match="'a/b' and 'a b' would be kept in one file"):
            run([Cell("a/b", square), Cell("a b", square)])

    @pytest.mark.parametrize("how", ["sentence", "fault"])
    def test_that_fail_are_told_and_the_others_go_on(
        self, run: Run, tmp_path: Path, how: str
    ) -> None:
        one, other = squares(2, 3)
        bad = Cell("bad", broken, {"how": how})
        found = run([one, bad, other])
        assert (found.total, found.done) == (3, 2)
        message = {
            "sentence": "Nothing can be measured here.",
            "fault": "ZeroDivisionError: division by zero",
        }
        assert found.failed == {"bad": message[how]}
        assert log(tmp_path) == [2, 3]
        assert bad.kept(tmp_path) is None  # and will be tried again

    @pytest.mark.parametrize(
        ("how", "error"), [("disk", OutputError), ("proof", SoundnessError)], ids=["disk", "proof"]
    )
    def test_after_which_nothing_can_go_on_end_the_run(
        self, run: Run, tmp_path: Path, how: str, error: type[Exception]
    ) -> None:
        one, other = squares(2, 3)
        with pytest.raises(error):
            run([one, Cell("bad", broken, {"how": how}), other])
        assert log(tmp_path) == [2]
        assert len(measured([one, other], tmp_path)) == 1


class TestNeeds:
    @pytest.mark.parametrize("executor", ["serial", "processes:2"])
    def test_are_measured_before(self, run: Run, tmp_path: Path, executor: str) -> None:
        last = Cell("sum", root_of_kept, {"name": "of 3"}, needs=("of 3", "of 2"))
        assert run([last, *squares(2, 3)], executor=executor).done == 3
        assert last.kept(tmp_path).result == {"root": 3.0}

    def test_that_failed_leave_out_what_needs_them(self, run: Run, tmp_path: Path) -> None:
        bad = Cell("bad", broken, {"how": "fault"})
        after = Cell("after", square, {"of": 9}, needs=("bad",))
        last = Cell("last", square, {"of": 8}, needs=("after", "of 2"))
        found = run([last, after, bad, *squares(2)])
        assert (found.total, found.done, set(found.failed)) == (4, 1, {"bad"})
        assert log(tmp_path) == [2]
        mended = replace(bad, measure=square, arguments={"of": 1})
        assert run([last, after, mended, *squares(2)]).done == 4
        assert log(tmp_path) == [2, 1, 9, 8]


def root_of_kept(folder: Path, *, name: str) -> dict[str, Any]:
    [cell] = squares(int(name.split()[1]))
    return {"root": cell.kept(folder).result["square"] ** 0.5}


def pairs(folder: Path, *, of: Sequence[Sequence[int]]) -> dict[str, Any]:
    return {"sum": sum(sum(pair) for pair in of)}


class TestFolders:
    def test_of_another_experiment_are_refused(self, run: Run, tmp_path: Path) -> None:
        run(squares(2))
        with pytest.raises(OutputError, match=r"holds another experiment: .*squares.*--out"):
            run(squares(2), about={"experiment": "cubes"})
        assert log(tmp_path) == [2]
        assert json.loads((tmp_path / FILE).read_text()) == ABOUT

    def test_that_are_not_there_are_made(self, tmp_path: Path) -> None:
        experiment.run(squares(2), tmp_path / "a" / "b", about=ABOUT)
        assert (tmp_path / "a" / "b" / FILE).exists()

    def test_that_cannot_be_made_are_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(OutputError, match="cannot be used"):
            experiment.run(squares(2), tmp_path / "file", about=ABOUT)

    def test_whose_description_is_damaged_are_a_sentence(self, run: Run, tmp_path: Path) -> None:
        run(squares(2))
        (tmp_path / FILE).write_text("{")
        with pytest.raises(OutputError, match="cannot be used"):
            run(squares(2))

    @pytest.mark.parametrize(
        "content",
        ["", "{", "[]", "{}", '{"arguments": {"of": 2}}', '{"arguments": {"of": 2}, "kept": {}}'],
    )
    def test_with_a_damaged_cell_name_it(self, run: Run, tmp_path: Path, content: str) -> None:
        [cell] = squares(2)
        run([cell])
        cell.path(tmp_path).write_text(content)
        with pytest.raises(DataError, match=r"of-2\.json is damaged: delete it"):
            run([cell])
        cell.path(tmp_path).unlink()
        assert run([cell]).done == 1

    def test_that_are_full_keep_what_they_have(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(squares(2))

        def full(path: Path, data: bytes) -> None:
            raise OutputError(f"{path} cannot be written: No space left on device.")

        monkeypatch.setattr(experiment, "write_whole", full)
        with pytest.raises(OutputError, match="No space left"):
            run(squares(2, 3))
        assert len(measured(squares(2, 3), tmp_path)) == 1


class TestProgress:
    def test_is_told_before_and_after_every_cell(self, run: Run) -> None:
        told: list[tuple[int, tuple[str, ...]]] = []
        run(squares(2, 3), on_progress=lambda now: told.append((now.done, now.running)))
        assert told == [(0, ("of 2",)), (1, ()), (1, ("of 3",)), (2, ())]

    def test_has_the_words_of_the_cell_in_hand(self, run: Run) -> None:
        told: list[str] = []
        run([Cell("talks", talking)], on_progress=lambda now: told.append(now.said))
        assert "half of it" in told
        experiment.say("to nobody")


def talking(folder: Path) -> dict[str, Any]:
    experiment.say("half of it")
    return {}


class TestStopping:
    def test_a_cell_that_was_stopped_goes_on_later(self, run: Run, tmp_path: Path) -> None:
        cells = [Cell("a", until_stopped, {"at": "a"}), *squares(3)]
        stopped = run(cells)
        assert (stopped.done, stopped.failed) == (0, {})
        assert not (tmp_path / LOG).exists()
        assert run(cells).done == 2

    def test_a_cell_that_was_done_all_the_same_is_kept(self, run: Run, tmp_path: Path) -> None:
        cells = [Cell(f"{k}", careless, {"value": k}) for k in range(3)]
        assert [run(cells).done for _ in range(3)] == [1, 2, 3]
        assert [one.result["value"] for one in measured(cells, tmp_path).values()] == [0, 1, 2]

    def test_a_cell_of_which_a_part_was_cut_short_is_measured_again(
        self, run: Run, tmp_path: Path
    ) -> None:
        cells = [Cell("half", half, {"value": 1})]
        assert run(cells).done == 0
        assert not measured(cells, tmp_path)
        assert run(cells).done == 1


class TestProcesses:
    @pytest.mark.slow
    def test_share_the_cells(self, run: Run, tmp_path: Path) -> None:
        cells = [
            *squares(2, 3, 4),
            Cell("bad", broken, {"how": "sentence"}),
            Cell("dying", dying),
        ]
        found = run(cells, executor="processes:2")
        assert (found.total, found.done) == (5, 3)
        assert found.failed["bad"] == "Nothing can be measured here."
        assert set(found.failed) == {"bad", "dying"}
        assert sorted(log(tmp_path)) == [2, 3, 4]
        processes = {one.result["process"] for one in measured(cells, tmp_path).values()}
        assert os.getpid() not in processes

    @pytest.mark.slow
    def test_end_with_ctrl_c_and_keep_what_is_done(self, run: Run, tmp_path: Path) -> None:
        cells = [Cell(f"slow {k}", slow, {"seconds": 300.0}) for k in range(2)]

        def watch(now: Tally) -> None:
            if (tmp_path / LOG).exists():
                os.kill(os.getpid(), signal.SIGINT)

        began = time.perf_counter()
        found = run(cells, executor="processes:1", on_progress=watch)
        assert found.done == 0
        assert time.perf_counter() - began < 120

    def test_of_another_kind_are_refused(self, run: Run) -> None:
        with pytest.raises(InvalidInput, match="Unknown executor 'threads'"):
            run(squares(2), executor="threads")


def test_circumstances_are_told_once_each() -> None:
    day = 86_400.0
    one = Kept(Cell("a", square), {}, 1.0, 0.0, "a machine", {"torch": "2.4"})
    later = replace(one, finished=3 * day, machine="another", versions={"torch": "2.5"})
    assert circumstances([one, later, one]) == (
        "Measured 1970-01-01 to 1970-01-04, on a machine; another; torch 2.4, torch 2.5."
    )


def test_what_needs_a_cell_that_was_measured_anew_is_measured_anew(tmp_path: Path) -> None:
    def cells(of: float) -> list[Cell]:
        return [
            Cell("first", square, {"of": of}),
            Cell("second", square, {"of": 7.0}, ("first",)),
            Cell("third", square, {"of": 8.0}, ("second",)),
            Cell("other", square, {"of": 9.0}),
        ]

    experiment.run(cells(1.0), tmp_path, about=ABOUT)
    assert len(measured(cells(1.0), tmp_path)) == 4
    assert set(measured(cells(2.0), tmp_path)) == {"other"}
    experiment.run(cells(2.0), tmp_path, about=ABOUT)
    assert (tmp_path / LOG).read_text().split() == ["1.0", "7.0", "8.0", "9.0", "2.0", "7.0", "8.0"]
