"""What a running query knows, on one line of a terminal that is gone when the answer is there."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from dualbound.search import Progress
from dualbound.search.bab import Decision


@contextmanager
def watching(first: str) -> Iterator[Callable[[Progress], None] | None]:
    """A callback for `dualbound.nearest`; None where standard error is no terminal.

    Args:
        first: shown until the query says what it does.
    """
    with status_line(first) as show:
        yield None if show is None else lambda now: show(progress_text(now))


@contextmanager
def deciding(first: str) -> Iterator[Callable[[Decision], None] | None]:
    """A callback for `dualbound.verify`; None where standard error is no terminal.

    Args:
        first: shown until the query says what it does.
    """
    with status_line(first) as show:
        yield None if show is None else lambda now: show(decision_text(now))


@contextmanager
def status_line(first: str) -> Iterator[Callable[[Text], None] | None]:
    """A function that replaces the one line shown; None where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    line = _Line(Text(first))
    console = Console(file=sys.stderr, highlight=False)
    with Live(line, console=console, transient=True, refresh_per_second=10):
        yield line.show


def progress_text(now: Progress) -> Text:
    """One line: phase, witness, bound, gap, nodes.

    >>> print(progress_text(Progress("search", 2.0, 1.5, 0.25, 1200, 3.0)))
    search  witness 2.0000  bound 1.5000  gap 25.0 %  1,200 nodes
    """
    text = Text().append(f"{now.phase:<6}", "bold")
    value = "none yet" if now.value is None else f"{now.value:.4f}"
    text.append("  witness ", "dim").append(value, "cyan")
    text.append("  bound ", "dim").append(f"{now.bound:.4f}", "green")
    if now.gap is not None:
        text.append("  gap ", "dim").append(f"{now.gap:.1%}".replace("%", " %"))
    if now.nodes:
        text.append(f"  {now.nodes:,} nodes", "dim")
    return text


def decision_text(now: Decision) -> Text:
    """One line: phase, bound, open nodes.

    >>> from dualbound.limits import Clock
    >>> now = Decision(lambda x: False, Clock(), bound=0.5, nodes=1200, open=12, phase="search")
    >>> print(decision_text(now))
    search  bound 0.5000  12 of 1,200 nodes open
    """
    text = Text().append(f"{now.phase:<6}", "bold")
    bound = f"{now.bound:.4f}".replace("-0.0000", "below 0").replace("inf", "none yet")
    text.append("  bound ", "dim").append(bound, "green")
    if now.nodes:
        text.append(f"  {now.open:,} of {now.nodes:,} nodes open", "dim")
    return text


class _Line:
    """A spinner, the seconds, and the latest text; drawn anew by rich at every refresh."""

    def __init__(self, text: Text) -> None:
        self._start = time.perf_counter()
        self._text = text
        self._spinner = Spinner("dots", style="cyan")

    def show(self, text: Text) -> None:
        self._text = text

    def __rich__(self) -> Spinner:
        seconds = time.perf_counter() - self._start
        line = Text.assemble((f"{seconds:6.1f} s  ", "dim"), self._text)
        line.append("  (Ctrl-C stops)", "dim")
        line.no_wrap, line.overflow = True, "ellipsis"
        self._spinner.update(text=line)
        return self._spinner
