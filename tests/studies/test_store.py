"""The database: each answer once, and clear words when it cannot be written or read."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from dualbound.errors import DataError, InvalidInput, OutputError
from dualbound.studies import Store, Study
from dualbound.studies.row import Row
from dualbound.studies.task import Outcome
from studies.conftest import Make, answers


def outcome(value: float = 1.0, size: int = 3) -> Outcome:
    row = Row(status="optimal", value=value, bound=np.inf, witness=np.full(size, 0.25))
    return Outcome(row, time.time(), "a machine", {"python": "3"})


def taken_up(folder: Path) -> Study:
    study = Study.open(folder)
    with Store(folder, writable=True) as store:
        store.take_up(study.specification.questions(), "text")
    return study


def test_an_answer_comes_back_as_it_was_written(make: Make) -> None:
    study = taken_up(make())
    with Store(study.folder, writable=True) as store:
        one = store.unanswered()[0]
        store.write(one.id, outcome(0.1 + 0.2))
    assert study.frame().loc[one.id, "value"] == 0.1 + 0.2
    assert np.isnan(study.frame().loc[one.id, "bound"])  # infinity is no number of SQL
    np.testing.assert_array_equal(study.witness(one.id), np.full(3, 0.25))
    assert study.counts() == {"optimal": 1, "open": 11}


def test_no_question_is_answered_twice(make: Make) -> None:
    study = taken_up(make())
    with Store(study.folder, writable=True) as store:
        one = store.unanswered()[0]
        store.write(one.id, outcome())
        with pytest.raises(DataError):
            store.write(one.id, outcome())
        assert store.counts()["optimal"] == 1


def test_a_study_that_is_stopped_has_asked_as_much_of_each_series_and_network(make: Make) -> None:
    study = taken_up(make(points=3))
    with Store(study.folder, writable=True) as store:
        for one in store.unanswered()[:5]:
            store.write(one.id, outcome())
        last = store.unanswered()[-1]
        rest = {one.id for one in store.unanswered()}
        for id_ in sorted(rest - {last.id}):
            store.write(id_, outcome())
    frame = study.frame()
    assert list(frame.index) == sorted(frame.index)  # tables are in the order of the file
    assert len(rest) == 7
    first = frame.loc[[k for k in frame.index if k not in rest]]
    assert first.groupby(["name", "network"]).size().tolist() == [2, 1, 1, 1]


def test_there_is_no_answer_of_an_unknown_number(make: Make) -> None:
    study = taken_up(make())
    with pytest.raises(InvalidInput, match="no answer number 99"):
        study.witness(99)


def test_a_study_that_was_never_run_says_so(make: Make) -> None:
    with pytest.raises(DataError, match="study run"):
        Study.open(make()).frame()


def test_rows_that_are_only_in_the_log_are_seen_in_a_read_only_folder(
    make: Make, tmp_path: Path
) -> None:
    study = taken_up(make())
    place, copied = tmp_path / "place", tmp_path / "copied"
    place.mkdir()
    copied.mkdir()
    with Store(study.folder, writable=True) as store:
        for one in store.unanswered()[:5]:
            store.write(one.id, outcome())
        for name in ("study.toml", "answers.sqlite", "answers.sqlite-wal"):  # as a kill leaves it
            shutil.copy(study.folder / name, copied)
    with mounted(place, "--bind", str(copied)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
        with Store(place) as store:
            assert store.counts()["optimal"] == 5
    with Store(copied) as store:
        assert store.counts()["optimal"] == 5


def test_a_lock_is_said_to_be_one(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    study = taken_up(make())
    connect = sqlite3.connect
    monkeypatch.setattr(
        "sqlite3.connect", lambda *args, **options: connect(*args, **(options | {"timeout": 0.1}))
    )
    other = connect(study.folder / "answers.sqlite", isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(OutputError, match="Another program holds it"):
        Store(study.folder)
    other.close()


@pytest.mark.parametrize("contents", [b"no database at all, but text" * 100, b""])
def test_a_file_that_is_no_database_is_left_as_it_is(make: Make, contents: bytes) -> None:
    folder = make()
    (folder / "answers.sqlite").write_bytes(contents)
    with pytest.raises(DataError):
        Study.open(folder).frame()
    if not contents:
        with pytest.raises(DataError, match="has no answers yet"):
            Study.open(folder).counts()
    if contents:
        with pytest.raises(DataError, match="Move the file away"):
            Study.open(folder).run(executor="serial")
        assert (folder / "answers.sqlite").read_bytes() == contents


def test_a_damaged_database_is_noticed_and_left_as_it_is(make: Make) -> None:
    folder = make()
    study = taken_up(folder)
    with Store(folder, writable=True) as store:
        for one in store.unanswered():
            store.write(one.id, outcome(size=2000))
    path = folder / "answers.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * 8192 + whole[16384:])
    damaged = path.read_bytes()
    with pytest.raises(DataError, match="damaged"):
        study.run(executor="serial")
    assert path.read_bytes() == damaged


def test_another_database_is_not_taken_for_a_study(make: Make) -> None:
    folder = make()
    other = sqlite3.connect(folder / "answers.sqlite")
    other.execute("CREATE TABLE songs (name TEXT)")
    other.close()
    with pytest.raises(DataError, match="not one of a study"):
        Study.open(folder).run(executor="serial")


def test_tables_of_another_version_are_not_read(make: Make) -> None:
    study = taken_up(make())
    other = sqlite3.connect(study.folder / "answers.sqlite")
    with other:
        other.execute("UPDATE meta SET value = '99' WHERE name = 'schema'")
    other.close()
    with pytest.raises(DataError, match="another version"):
        study.frame()


def test_a_full_database_loses_nothing_that_was_written(make: Make) -> None:
    study = taken_up(make())
    with Store(study.folder, writable=True) as store:
        first, second = store.unanswered()[:2]
        store.write(first.id, outcome())
        pages = store._sql.execute("PRAGMA page_count").fetchone()[0]
        store._sql.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OutputError, match="Make room and run the study again"):
            store.write(second.id, outcome(size=100_000))
    assert study.counts() == {"optimal": 1, "open": 11}


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A file system of its own; the test is skipped where none may be mounted."""
    command = ["mount", *options, str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_it_goes_on_when_there_is_room(
    make: Make, tmp_path: Path
) -> None:
    source, small = make(points=4), tmp_path / "small"
    small.mkdir()
    with mounted(small, "-t", "tmpfs", "-o", "size=400k", "tmpfs"):
        folder = small / "study"
        shutil.copytree(source, folder)
        with Store(folder, writable=True) as store:
            store.take_up(Study.open(folder).specification.questions(), "text")
        free = shutil.disk_usage(folder).free
        (small / "filler").write_bytes(b"x" * (free - 40_000))
        with pytest.raises(OutputError, match="Make room"):
            Study.open(folder).run(executor="serial")
        kept = len(Study.open(folder).frame())
        (small / "filler").unlink()
        assert Study.open(folder).run(executor="serial").done == 16
        assert Study.open(folder).frame().index.is_unique
        assert kept < 16
        Study.open(source).run(executor="serial")
        assert answers(folder) == answers(source)


def test_a_read_only_folder_is_read_but_not_run(make: Make, tmp_path: Path) -> None:
    source, place = make(points=1), tmp_path / "place"
    Study.open(source).run(executor="serial")
    place.mkdir()
    with mounted(place, "--bind", str(source)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
        study = Study.open(place)
        assert len(study.frame()) == 4
        with pytest.raises(OutputError, match="cannot be written"):
            study.run(executor="serial")
