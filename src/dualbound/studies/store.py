"""The answers of a study in SQLite: one row a question, written the moment it is known.

The tables are public: any tool that reads SQLite may look into ``answers.sqlite``.

- ``questions``: what is asked. ``key`` is `Question.key`; ``retired`` is 1 where ``study.toml``
  asks it no more; ``deaths`` counts the workers that ended while they were at it.
- ``answers``: at most one a question, by its primary key; the columns are those of `Row`.
- ``meta``: version of these tables, and ``study.toml`` as it was last taken up.

The journal is a write-ahead log: a process that is killed, even in the middle of a write, leaves
every row that was committed before, and nothing of the one that was not.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from dualbound.errors import DataError, InvalidInput, OutputError
from dualbound.studies.question import Question
from dualbound.studies.row import FAILED, Row
from dualbound.studies.task import Outcome

FILE = "answers.sqlite"
VERSION = "1"

_TYPES = {"int": "INTEGER", "bool": "INTEGER", "float": "REAL"}
COLUMNS = {
    item.name: _TYPES.get(str(item.type).split(" ")[0], "TEXT")
    for item in fields(Row)
    if item.name not in ("detail", "witness")
}
"""Of the answers, with their types."""

_SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE questions (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    query TEXT NOT NULL,
    options TEXT NOT NULL,
    network TEXT NOT NULL,
    network_sha256 TEXT NOT NULL,
    image TEXT,
    image_sha256 TEXT,
    label INTEGER,
    retired INTEGER NOT NULL DEFAULT 0,
    deaths INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE answers (
    question INTEGER PRIMARY KEY REFERENCES questions (id),
    {", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())},
    detail TEXT NOT NULL,
    started REAL NOT NULL,
    finished REAL NOT NULL,
    machine TEXT NOT NULL,
    versions TEXT NOT NULL,
    witness BLOB
);
"""

SHOWN = (
    "questions.id, questions.name, query, options, network, network_sha256, image, image_sha256, "
    f"label, {', '.join(COLUMNS)}, started, finished, machine, versions"
)
"""What `Store.rows` has of each answer."""


@dataclass(frozen=True)
class Open:
    """A question that has no answer yet.

    Attributes:
        id: its number.
        key: of the question.
        deaths: how many workers have ended while they were at it.
    """

    id: int
    key: str
    deaths: int


@dataclass(frozen=True)
class Difference:
    """What ``study.toml`` asks now, beside what the store has taken up.

    Attributes:
        new: questions that the store does not have.
        gone: those that it has and that are asked no more, with an answer or without.
        answered: how many of these have an answer.
    """

    new: tuple[Question, ...]
    gone: tuple[str, ...]
    answered: int

    def __bool__(self) -> bool:
        return bool(self.new or self.gone)


class Store:
    """The database of one study.

    Args:
        folder: of the study.
        writable: whether rows will be written; then the file is made if it is not there.

    Raises:
        DataError: there is none to read, or it is damaged, or of another version.
        OutputError: it cannot be written.
    """

    def __init__(self, folder: Path, *, writable: bool = False) -> None:
        self.path = folder / FILE
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        if not writable and not self.path.exists():
            raise DataError(_nothing(self.path))
        with _mapped(self.path):
            self._sql = self._opened(writable)
        try:
            with _mapped(self.path):
                self._check(writable)
        except BaseException:
            self._sql.close()
            raise

    def _opened(self, writable: bool) -> sqlite3.Connection:
        if writable:
            return sqlite3.connect(self.path, timeout=30.0)
        place = self.path.resolve()
        sql = sqlite3.connect(f"{place.as_uri()}?mode=ro", uri=True, timeout=30.0)
        try:
            sql.execute("SELECT name FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            sql.close()
            if "unable to open" not in str(error):
                raise
            # In a folder that may not be written, a log needs a file that cannot be made. Rows
            # that are in the log only must not be missed: they are read from a copy.
            log = place.with_name(f"{place.name}-wal")
            if log.exists() and log.stat().st_size:
                self._copy = tempfile.TemporaryDirectory(prefix="dualbound-")
                for file in (place, log):
                    shutil.copy(file, self._copy.name)
                return sqlite3.connect(Path(self._copy.name) / place.name)
            sql = sqlite3.connect(f"{place.as_uri()}?mode=ro&immutable=1", uri=True)
        return sql

    def _check(self, writable: bool) -> None:
        tables = {name for (name,) in self._sql.execute("SELECT name FROM sqlite_master")}
        if not tables and writable:
            self._sql.execute("PRAGMA journal_mode = WAL")
            with self._sql:
                self._sql.executescript(f"BEGIN; {_SCHEMA}")
                self._set("schema", VERSION)
        elif not tables:
            raise DataError(_nothing(self.path))
        elif not {"meta", "questions", "answers"} <= tables:
            raise DataError(
                f"{self.path} is a database, but not one of a study. Move it away to begin anew."
            )
        found = self.meta("schema")
        if found != VERSION:
            raise DataError(
                f"{self.path} was written by another version of dualbound (its tables are "
                f"version {found}, this one reads {VERSION}). Read it with that version."
            )
        if writable:
            self._sql.execute("PRAGMA synchronous = FULL")
            damage = self._sql.execute("PRAGMA quick_check(1)").fetchone()[0]
            if damage != "ok":
                raise DataError(f"{self.path} is damaged: {damage}. {_RECOVER}")

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the log is merged into it."""
        self._sql.close()
        if self._copy is not None:
            self._copy.cleanup()

    def meta(self, name: str) -> str | None:
        """A value that was noted under a name."""
        row = self._sql.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def _set(self, name: str, value: str) -> None:
        self._sql.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def difference(self, questions: Iterable[Question]) -> Difference:
        """What is asked now beside what was taken up."""
        asked = {question.key: question for question in questions}
        known = {
            key: bool(answered)
            for key, answered in self._sql.execute(
                "SELECT key, answers.question IS NOT NULL FROM questions "
                "LEFT JOIN answers ON answers.question = id WHERE NOT retired"
            )
        }
        new = tuple(question for key, question in asked.items() if key not in known)
        gone = tuple(key for key in known if key not in asked)
        return Difference(new, gone, sum(known[key] for key in gone))

    def take_up(self, questions: Iterable[Question], text: str) -> None:
        """Let these questions, in this order, be what is asked; answers to others are set aside.

        Raises:
            OutputError: the file cannot be written.
        """
        with _mapped(self.path), self._sql:
            self._sql.execute("UPDATE questions SET retired = 1")
            self._sql.executemany(
                "INSERT INTO questions (key, position, name, query, options, network, "
                "network_sha256, image, image_sha256, label) VALUES (?,?,?,?,?,?,?,?,?,?) "
                "ON CONFLICT (key) DO UPDATE SET position = excluded.position, retired = 0, "
                "label = excluded.label",
                [
                    (q.key, k, q.name, q.ask.query, q.options, q.network, q.network_sha256,
                     q.image, q.image_sha256, q.label)
                    for k, q in enumerate(questions)
                ],
            )  # fmt: skip
            self._set("study.toml", text)

    def is_taken_up(self, questions: Iterable[Question], text: str) -> bool:
        """Whether these questions, in this order and as written here, are what is asked."""
        keys = self._sql.execute("SELECT key FROM questions WHERE NOT retired ORDER BY position")
        return text == self.meta("study.toml") and [key for (key,) in keys] == [
            question.key for question in questions
        ]

    def unanswered(self, *, again: bool = False) -> list[Open]:
        """Questions without an answer, in rounds: one of each series and network after another.

        A study that is stopped has then asked about as much of each, and what it has done so far
        says how long the rest takes.

        Args:
            again: those that were given up count as such, with as many tries as a new one. What
                is known of them stays until there is a new answer.

        Raises:
            OutputError: the file cannot be written.
        """
        if again:
            with _mapped(self.path), self._sql:
                self._sql.execute(
                    "UPDATE questions SET deaths = 0 WHERE id IN "
                    "(SELECT question FROM answers WHERE status = ?)", (FAILED,)
                )  # fmt: skip
        rows = self._sql.execute(
            "SELECT id, key, deaths FROM (SELECT *, row_number() OVER "
            "(PARTITION BY name, network ORDER BY position) AS round FROM questions "
            "WHERE NOT retired) WHERE id NOT IN "
            "(SELECT question FROM answers WHERE status != ? OR NOT ?) ORDER BY round, position",
            (FAILED, again),
        )
        return [Open(*row) for row in rows]

    def write(self, question: int, outcome: Outcome) -> None:
        """Keep an answer.

        Raises:
            OutputError: the file cannot be written; nothing of the row is kept.
        """
        values = outcome.row.columns
        names = ", ".join(values)
        with _mapped(self.path), self._sql:
            self._sql.execute(
                "DELETE FROM answers WHERE question = ? AND status = ?", (question, FAILED)
            )
            self._sql.execute(
                f"INSERT INTO answers (question, {names}, detail, started, finished, machine, "
                f"versions, witness) VALUES ({', '.join('?' * (len(values) + 7))})",
                (
                    question,
                    *values.values(),
                    json.dumps(outcome.row.detail),
                    outcome.started,
                    time.time(),
                    outcome.machine,
                    json.dumps(outcome.versions),
                    None if outcome.row.witness is None else _packed(outcome.row.witness),
                ),
            )

    def count_death(self, question: int) -> int:
        """Note that a worker ended while it was at a question; how often that has happened.

        Raises:
            OutputError: the file cannot be written.
        """
        with _mapped(self.path), self._sql:
            self._sql.execute("UPDATE questions SET deaths = deaths + 1 WHERE id = ?", (question,))
        row = self._sql.execute("SELECT deaths FROM questions WHERE id = ?", (question,))
        return int(row.fetchone()[0])

    def rows(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Names of the columns, and a row for everything that is asked and answered, in order."""
        with _mapped(self.path):
            cursor = self._sql.execute(
                f"SELECT {SHOWN} FROM questions JOIN answers ON answers.question = questions.id "
                "WHERE NOT retired ORDER BY position"
            )
            return [column[0] for column in cursor.description], cursor.fetchall()

    def counts(self) -> dict[str, int]:
        """How many questions have each status; ``open``: none yet; ``retired``: set aside."""
        with _mapped(self.path):
            rows = self._sql.execute(
                "SELECT CASE WHEN retired THEN 'retired' ELSE coalesce(status, 'open') END AS s, "
                "count(*) FROM questions LEFT JOIN answers ON answers.question = questions.id "
                "GROUP BY s"
            )
            return {str(status): int(count) for status, count in rows}

    def reasons(self) -> dict[str, int]:
        """Why questions were given up, and how many for each reason; the most frequent first."""
        with _mapped(self.path):
            rows = self._sql.execute(
                "SELECT note, count(*) AS n FROM answers JOIN questions ON id = question "
                "WHERE NOT retired AND status = ? GROUP BY note ORDER BY n DESC, note",
                (FAILED,),
            )
            return {str(note): int(count) for note, count in rows}

    def detail(self, question: int) -> dict[str, Any]:
        """What only this kind of question has.

        Raises:
            InvalidInput: no such question, or it has no answer.
        """
        return dict(json.loads(self._one("detail", question)))

    def witness(self, question: int) -> Float[np.ndarray, "*shape"] | None:
        """The witness of an answer, if it has one.

        Raises:
            InvalidInput: no such question, or it has no answer.
        """
        blob = self._one("witness", question)
        try:
            return None if blob is None else np.load(io.BytesIO(blob), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise DataError(f"The witness of answer {question} is damaged: {error}.") from error

    def _one(self, column: str, question: int) -> Any:
        with _mapped(self.path):
            row = self._sql.execute(
                f"SELECT {column} FROM answers JOIN questions ON id = question "
                "WHERE question = ? AND NOT retired",
                (question,),
            ).fetchone()
        if row is None:
            raise InvalidInput(f"There is no answer number {question} in {self.path}.")
        return row[0]


def _packed(array: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.save(held, array)
    return held.getvalue()


_RECOVER = (
    "The other answers may still be had: 'sqlite3 answers.sqlite .recover' writes what can be "
    "read. Move the file away, and answers.sqlite-wal with it, to begin anew."
)


def _nothing(path: Path) -> str:
    return (
        f"{path.parent} has no answers yet: there are none in {path}. "
        f"Run 'dualbound study run {path.parent}' first."
    )


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[None]:
    """Errors of SQLite in our words."""
    try:
        yield
    except sqlite3.OperationalError as error:
        said = str(error)
        if "decode" in said or "malformed" in said:
            raise DataError(f"{path} is damaged: {said}. {_RECOVER}") from error
        if "no such" in said:
            raise DataError(
                f"{path} is not the database of a study ({said}). Move it away to begin anew."
            ) from error
        if "full" in said:
            advice = "Make room and run the study again: it goes on where it stopped."
        elif "locked" in said:
            advice = "Another program holds it: wait until that is done."
        elif "readonly" in said or "unable to open" in said:
            advice = "Make the folder writable, or copy the study to one that is."
        else:
            advice = "Run the study again: it goes on where it stopped."
        raise OutputError(f"{path} cannot be written: {said}. {advice}") from error
    except sqlite3.DatabaseError as error:
        raise DataError(f"{path} is no database, or damaged: {error}. {_RECOVER}") from error
