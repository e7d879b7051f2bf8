"""Experiments that train and measure: cells, each kept in a file, so that a run goes on.

A study asks questions; an experiment makes networks first. What both share is that whatever is
measured once is never measured again.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dualbound.errors import (
    DataError,
    DualboundError,
    InvalidInput,
    OutputError,
    SoundnessError,
)
from dualbound.files import write_whole
from dualbound.limits import Clock
from dualbound.studies.executors import Inline, Watched, executor_named
from dualbound.studies.task import machine, versions

FILE, CELLS = "experiment.json", "cells"
LOOK_EVERY = 0.25

Result = dict[str, Any]
"""What a cell measured: figures by name, as JSON has them."""


@dataclass(frozen=True)
class Cell:
    """One thing to measure.

    Attributes:
        name: unlike any other of the experiment; of its file too.
        measure: a function of a module, from the experiment's folder and the arguments to the
            figures; None where it was stopped on its way.
        arguments: as JSON has them; others than those of the file have it measured again.
        needs: names of cells that must be measured before.
    """

    name: str
    measure: Callable[..., Result | None]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()

    def path(self, folder: Path) -> Path:
        """Where its figures are kept."""
        return folder / CELLS / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', self.name)}.json"

    def kept(self, folder: Path) -> Kept | None:
        """What was measured before with these arguments.

        Raises:
            DataError: the file is damaged.
        """
        path = self.path(folder)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            same = content["arguments"] == json.loads(json.dumps(dict(self.arguments)))
            return Kept(self, **content["kept"]) if same else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(f"{path} is damaged: delete it to have it measured again.") from error


@dataclass(frozen=True)
class Kept:
    """What a cell measured.

    Attributes:
        cell: which.
        result: its figures.
        seconds: that it took.
        finished: when, in seconds since 1970.
        machine: on which.
        versions: of the packages.
    """

    cell: Cell
    result: Result
    seconds: float
    finished: float
    machine: str
    versions: dict[str, str]


@dataclass
class Tally:
    """How a run is doing.

    Attributes:
        total: cells of the experiment.
        done: those that are measured.
        running: names of those in hand.
        said: the latest word of the cell in hand, where it says one.
        failed: by name, what went wrong.
        seconds: since the run began.
    """

    total: int
    done: int = 0
    running: tuple[str, ...] = ()
    said: str = ""
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@contextmanager
def _serial(watch: Callable[[str], None]) -> Iterator[None]:
    """Cells of this process may say how they do."""
    _words.append(watch)
    try:
        yield
    finally:
        _words.pop()


_words: list[Callable[[str], None]] = []


def say(text: str) -> None:
    """A word of the cell in hand on how it does; nobody hears it in another process."""
    if _words:
        _words[-1](text)


def run(
    cells: Sequence[Cell],
    folder: Path,
    *,
    about: Mapping[str, Any],
    executor: str = "serial",
    on_progress: Callable[[Tally], None] | None = None,
) -> Tally:
    """Measure what is not kept yet; Ctrl-C stops, and what is kept stays.

    Args:
        cells: all of the experiment.
        folder: where it is kept; made if need be.
        about: what the experiment is; another one's folder is refused.
        executor: ``serial``: one after another in this process, with all threads; or
            ``processes:COUNT``, see `dualbound.studies.executors`.
        on_progress: called some times a second.

    Raises:
        InvalidInput: two cells would be kept in one file.
        OutputError: the folder is of another experiment, or cannot be written.
        DataError: a file in it is damaged.
        SoundnessError: a cell has found that a proof is wrong.
    """
    owners: dict[Path, Cell] = {}
    for cell in cells:
        if (other := owners.setdefault(cell.path(folder), cell)) is not cell:
            raise InvalidInput(
                f"The cells {other.name!r} and {cell.name!r} would be kept in one file: name them "
                "otherwise."
            )
    _claim(folder, about)
    there = measured(cells, folder)
    left = [cell for cell in cells if cell.name not in there]
    tally = Tally(len(cells), len(cells) - len(left))
    tell = on_progress or (lambda now: None)
    with (
        executor_named(executor) as pool,
        Clock().catching_ctrl_c() as clock,
        _serial(lambda text: _say(tally, text, clock, tell)),
    ):
        _work_off(left, folder, pool, clock, tally, tell)
    return tally


def _say(tally: Tally, text: str, clock: Clock, tell: Callable[[Tally], None]) -> None:
    tally.said, tally.seconds = text, clock.seconds
    tell(tally)


def _claim(folder: Path, about: Mapping[str, Any]) -> None:
    path = folder / FILE
    try:
        (folder / CELLS).mkdir(parents=True, exist_ok=True)
        there = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except (OSError, ValueError) as error:
        raise OutputError(f"{folder} cannot be used: {error}.") from error
    if there is None:
        write_whole(path, (json.dumps(dict(about), indent=2) + "\n").encode())
    elif there != dict(about):
        raise OutputError(
            f"{folder} holds another experiment: {there}. Name another folder with --out."
        )


def _work_off(
    left: list[Cell],
    folder: Path,
    pool: Executor,
    clock: Clock,
    tally: Tally,
    tell: Callable[[Tally], None],
) -> None:
    flying: dict[Future[Result | None], tuple[Cell, float]] = {}
    width = pool.width if isinstance(pool, Watched) else 1
    while (left or flying) and not clock.expired:
        while len(flying) < width and not clock.expired:
            missing = {cell.name for cell in left} | {cell.name for cell, _ in flying.values()}
            missing |= set(tally.failed)
            cell = next((one for one in left if not missing & set(one.needs)), None)
            if cell is None:
                break
            left.remove(cell)
            tally.running = (*(one.name for one, _ in flying.values()), cell.name)
            tally.said, tally.seconds = "", clock.seconds
            tell(tally)
            began = time.time()
            flying[pool.submit(_measured, cell, folder)] = cell, began
        if not flying:  # what is left needs cells that failed
            break
        done, _ = wait(flying, timeout=LOOK_EVERY, return_when=FIRST_COMPLETED)
        if clock.cut_short:
            break
        for future in done:
            cell, began = flying.pop(future)
            _keep(cell, future, began, folder, tally)
        tally.running = tuple(one.name for one, _ in flying.values())
        tally.seconds = clock.seconds
        tell(tally)
    if clock.expired and not isinstance(pool, Inline):
        pool.shutdown(wait=False, cancel_futures=True)


def _measured(cell: Cell, folder: Path) -> Result | None:
    return cell.measure(folder, **cell.arguments)


def _keep(
    cell: Cell, future: Future[Result | None], began: float, folder: Path, tally: Tally
) -> None:
    try:
        result = future.result()
    except (OutputError, SoundnessError):
        raise
    except DualboundError as error:
        tally.failed[cell.name] = str(error)
        return
    except Exception as error:  # noqa: BLE001  # one cell's fault must not end the others
        tally.failed[cell.name] = f"{type(error).__name__}: {error}"
        return
    if result is None:
        return
    kept = {
        "result": result,
        "seconds": time.time() - began,
        "finished": time.time(),
        "machine": machine(),
        "versions": versions(),
    }
    content = {"name": cell.name, "arguments": dict(cell.arguments), "kept": kept}
    write_whole(cell.path(folder), (json.dumps(content, indent=1) + "\n").encode())
    tally.done += 1


def measured(cells: Sequence[Cell], folder: Path) -> dict[str, Kept]:
    """What is kept of an experiment, by the cells' names.

    What needs a cell that is not kept, or that was measured after it, does not count: it is of
    another network than the one that is there.
    """
    found: dict[str, Kept | None] = {}
    by_name = {cell.name: cell for cell in cells}

    def look(cell: Cell) -> Kept | None:
        if cell.name not in found:
            kept = cell.kept(folder)
            before = [look(by_name[name]) for name in cell.needs if name in by_name]
            if kept and any(one is None or one.finished > kept.finished for one in before):
                kept = None
            found[cell.name] = kept
        return found[cell.name]

    return {cell.name: kept for cell in cells if (kept := look(cell)) is not None}


def circumstances(kept: Sequence[Kept]) -> str:
    """When and on what cells were measured, in one line.

    >>> one = Kept(Cell("a", dict), {}, 1.0, 0.0, "a machine", {"torch": "2.4"})
    >>> circumstances([one])
    'Measured 1970-01-01, on a machine; torch 2.4.'
    """
    days = sorted(datetime.fromtimestamp(one.finished, UTC).strftime("%Y-%m-%d") for one in kept)
    when = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    packages = sorted({f"{name} {number}" for one in kept for name, number in one.versions.items()})
    machines = "; ".join(sorted({one.machine for one in kept}))
    return f"Measured {when}, on {machines}; {', '.join(packages)}."
