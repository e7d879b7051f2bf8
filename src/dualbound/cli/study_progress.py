"""How a study's run is going: a live picture on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dualbound.cli.streams import say_note
from dualbound.search import Progress
from dualbound.studies import Moment
from dualbound.studies.experiment import Tally
from dualbound.studies.runner import Watch

_HINT = "  Ctrl-C stops; answers are kept"

LINE_EVERY = 10.0
"""Seconds between two lines where there is no terminal."""


@contextmanager
def following() -> Iterator[Watch]:
    """A watcher for `Study.run`."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    console = Console(file=sys.stderr, highlight=False)
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        yield lambda moment: live.update(picture(moment))


@contextmanager
def following_experiment() -> Iterator[Callable[[Tally], None]]:
    """A watcher for `TrainingProtocol.run`."""
    if not sys.stderr.isatty():
        said: list[int] = []

        def tell(now: Tally) -> None:
            if said[-1:] != [now.done]:
                said.append(now.done)
                say_note(tally_line(now))

        yield tell
        return
    console = Console(file=sys.stderr, highlight=False)
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        yield lambda now: live.update(_tally_picture(now))


def tally_line(now: Tally) -> str:
    """One line.

    >>> tally_line(Tally(10, 2, ("train a",), "", {}, 61.0))
    '2 of 10 measured, 1 min 1 s'
    """
    failed = f", {len(now.failed)} failed" if now.failed else ""
    return f"{now.done} of {now.total} measured{failed}, {duration(now.seconds)}"


def _tally_picture(now: Tally) -> Group:
    bar = ProgressBar(total=max(now.total, 1), completed=now.done, width=50)
    running = [Text(f"  {name}", "dim") for name in now.running]
    said = [Text(f"  {now.said}", "cyan")] if now.said else []
    return Group(bar, Text(tally_line(now)), *running, *said, Text(_HINT, "dim"))


class _Lines:
    """A line when something has changed, not too often, and a last one."""

    def __init__(self) -> None:
        self._last, self._done = 0.0, -1

    def __call__(self, moment: Moment) -> None:
        now = time.perf_counter()
        ended = moment.done == moment.total
        if moment.done != self._done and (ended or now - self._last > LINE_EVERY):
            self._last, self._done = now, moment.done
            say_note(line(moment))


def line(moment: Moment) -> str:
    """One line.

    >>> line(Moment(10, 2, {"optimal": 5, "feasible": 1}, seconds=8.0))
    '6 of 10 answered: 5 proved, 1 open; 0.50/s, 8 s left'
    """
    parts = [f"{moment.settled} proved"]
    open_ = moment.done - moment.settled - moment.failed
    parts += [f"{open_} open"] if open_ else []
    parts += [f"{moment.failed} failed"] if moment.failed else []
    text = f"{moment.done} of {moment.total} answered: {', '.join(parts)}"
    if moment.left is not None:
        text += f"; {moment.rate:.2f}/s, {duration(moment.left)} left"
    if moment.deaths:
        text += f"; {moment.deaths} workers died"
    return text


def duration(seconds: float) -> str:
    """Seconds, minutes or hours.

    >>> duration(8.2), duration(150), duration(7300)
    ('8 s', '2 min 30 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def picture(moment: Moment) -> Group:
    """A bar, a line, and what is known of every question in hand."""
    bar = ProgressBar(total=max(moment.total, 1), completed=moment.done, width=50)
    running = Table.grid(padding=(0, 2))
    for number, known in sorted(moment.running.items()):
        running.add_row(Text(f"  question {number}", "dim"), *_cells(known))
    return Group(bar, Text(line(moment)), running, Text(_HINT, "dim"))


def _cells(known: Progress | None) -> list[Text]:
    if known is None:
        return [Text("started", "dim")]
    cells = [Text(f"{known.seconds:.0f} s"), Text(known.phase, "bold")]
    if known.value is not None:
        cells.append(Text(f"witness {known.value:.4f}", "cyan"))
    if known.value is not None and known.gap is not None:
        cells += [Text(f"bound {known.bound:.4f}", "green"), Text(f"gap {known.gap:.1%}")]
    return cells
