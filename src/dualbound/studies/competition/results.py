"""The results of a competition as CSV: a line for each instance, written the moment it is known."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from dualbound.errors import DataError, OutputError
from dualbound.files import refused, write_whole
from dualbound.studies.competition.answering import RESULTS, Given
from dualbound.studies.competition.instances import Instance


@dataclass(frozen=True)
class Line:
    """A line of the results.

    Attributes:
        instance: its name.
        result: ``sat``, ``unsat``, ``unknown``, ``timeout`` or ``error``.
        seconds: from opening the files to the answer.
        bound: see `dualbound.Verification`.
        nodes: of the search.
        engine: its name, and what it branched on.
        expected: ``sat`` or ``unsat``, or empty.
        timeout: in which it was to be answered.
        counterexample: its file, from the folder of the results.
        note: what there is to say of how it ended.
    """

    instance: str
    result: str
    seconds: float
    bound: float | None
    nodes: int | None
    engine: str
    expected: str
    timeout: float
    counterexample: str
    note: str

    @classmethod
    def of(cls, instance: Instance, given: Given, counterexample: str = "") -> Line:
        """What is kept of an answer."""
        return cls(
            instance=instance.name,
            result=given.result,
            seconds=round(given.seconds, 3),
            bound=given.bound,
            nodes=given.nodes,
            engine=given.engine,
            expected=instance.expected,
            timeout=instance.seconds,
            counterexample=counterexample,
            note=" ".join(given.note.split()),
        )


COLUMNS = tuple(item.name for item in fields(Line))


class Results:
    """A results file that is open for more lines.

    Args:
        path: of a ``.csv`` file; made if it is not there. A last line that was not written to its
            end is taken away.

    Attributes:
        lines: by instance, the latest of each.

    Raises:
        DataError: a file that is none of ours.
        OutputError: it cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "results.csv"
    ...     with opened(path) as results:
    ...         one = Instance("a b", Path("a"), Path("b"), 60.0, "unsat")
    ...         results.add(Line.of(one, Given("unsat", 0.25, bound=-1.5)))
    ...     with opened(path) as results:
    ...         results.lines["a b"].bound
    -1.5
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[str, Line] = {}
        text = self._text()
        whole = text[: text.rfind("\n") + 1]
        begun = not whole and _as_csv(COLUMNS).startswith(text)
        self._read(whole if whole or begun else text)
        if begun:
            write_whole(path, _as_csv(COLUMNS).encode())
        elif whole != text:
            write_whole(path, whole.encode())

    def add(self, line: Line) -> None:
        """Write a line.

        Raises:
            OutputError: it cannot be written.
        """
        values = [getattr(line, name) for name in COLUMNS]
        text = _as_csv(["" if value is None else value for value in values])
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(refused(self.path, error)) from error
        self.lines[line.instance] = line

    def _text(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self.path} cannot be read: {error}.") from error

    def _read(self, text: str) -> None:
        rows = list(csv.reader(io.StringIO(text, newline="")))
        if rows and tuple(rows[0]) != COLUMNS:
            raise DataError(
                f"{self.path} is no results file of this command: its first line should be "
                f"{','.join(COLUMNS)}. Name another file."
            )
        for number, row in enumerate(rows[1:], 2):
            try:
                line = _line(row)
            except ValueError as error:
                raise DataError(f"{self.path}, line {number}: {error}.") from error
            self.lines[line.instance] = line


@contextmanager
def opened(path: Path) -> Iterator[Results]:
    """A results file, for this process alone.

    Raises:
        DataError: a file that is none of ours.
        OutputError: it cannot be written, or another process writes it.
    """
    import filelock

    try:
        path.open("ab").close()  # the only test that does not lie
    except OSError as error:
        raise OutputError(refused(path, error)) from error
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise OutputError(
            f"Another run writes {path}. Wait until it is done, or name another file."
        ) from None
    except OSError as error:
        raise OutputError(refused(path, error)) from error
    try:
        yield Results(path)
    finally:
        lock.release()


def write_beside(path: Path, instance: Instance, text: str) -> str:
    """Write a counterexample into a folder beside the results; its name from there.

    Raises:
        OutputError: it cannot be written.
    """
    folder = path.with_name(f"{path.stem}-counterexamples")
    file = folder / f"{'_'.join(_short(name) for name in instance.name.split())}.txt"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(refused(file, error)) from error
    write_whole(file, f"{text}\n".encode())
    return file.relative_to(path.parent).as_posix()


def _short(name: str) -> str:
    """Part of a file's name that says which file was meant.

    >>> _short("onnx/net_1.onnx"), _short("vnnlib/small/prop_2.vnnlib.gz")
    ('net_1', 'small_prop_2')
    """
    for prefix in ("onnx/", "vnnlib/"):
        name = name.removeprefix(prefix)
    for suffix in (".gz", ".onnx", ".vnnlib"):
        name = name.removesuffix(suffix)
    return name.replace("/", "_")


def _as_csv(values: object) -> str:
    held = io.StringIO(newline="")
    csv.writer(held, lineterminator="\n").writerow(values)  # type: ignore[arg-type]
    return held.getvalue()


def _line(row: list[str]) -> Line:
    """A line from its cells.

    Raises:
        ValueError: they are not those of one.
    """
    if len(row) != len(COLUMNS):
        raise ValueError(f"expected {len(COLUMNS)} columns, found {len(row)}")
    cells = dict(zip(COLUMNS, row, strict=True))
    if cells["result"] not in RESULTS:
        raise ValueError(f"expected one of {', '.join(RESULTS)}, found {cells['result']!r}")
    return Line(
        instance=cells["instance"],
        result=cells["result"],
        seconds=float(cells["seconds"]),
        bound=float(cells["bound"]) if cells["bound"] else None,
        nodes=int(cells["nodes"]) if cells["nodes"] else None,
        engine=cells["engine"],
        expected=cells["expected"],
        timeout=float(cells["timeout"]),
        counterexample=cells["counterexample"],
        note=cells["note"],
    )
