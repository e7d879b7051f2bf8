"""Standard output holds the answer, standard error everything else."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import NoReturn

from rich.console import Console, RenderableType
from rich.text import Text

from dualbound.errors import OutputError


class ReaderGone(Exception):
    """Whoever read standard output closed it."""


class _Paper(Console):
    """A console that lets us decide what a closed pipe means."""

    def on_broken_pipe(self) -> NoReturn:
        raise ReaderGone


def say(*parts: RenderableType) -> None:
    """Print parts of an answer on standard output, wrapped only where it is a terminal.

    Raises:
        ReaderGone: nobody reads it any more.
        OutputError: it cannot be written.
    """
    terminal = sys.stdout.isatty()
    paper = _Paper(file=sys.stdout, highlight=False, markup=False, width=None if terminal else 100)
    with _written():
        for part in parts:
            paper.print(part, soft_wrap=not terminal and isinstance(part, str | Text))


def say_json(record: Mapping[str, object]) -> None:
    """Print one JSON object on standard output.

    Raises:
        ReaderGone: nobody reads it any more.
        OutputError: it cannot be written.
    """
    with _written():
        sys.stdout.write(json.dumps(record, allow_nan=False) + "\n")


def say_note(message: str) -> None:
    """Print a line on standard error, which may be closed."""
    with contextlib.suppress(OSError, ReaderGone):
        _Paper(file=sys.stderr, highlight=False, markup=False).print(message, soft_wrap=True)


def say_error(head: str, message: str) -> None:
    """Print a message on standard error, which may be closed; what has no picture as its code."""
    message = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in message)
    with contextlib.suppress(OSError, ReaderGone):
        _Paper(file=sys.stderr, highlight=False, markup=False).print(
            Text.assemble((f"{head}: ", "bold red"), message), soft_wrap=True
        )


def flush() -> None:
    """Make sure that everything said has been written.

    Raises:
        ReaderGone: nobody reads it any more.
        OutputError: it cannot be written.
    """
    with _written():
        sys.stdout.flush()


def silence() -> None:
    """Throw away what standard output still holds, so that nobody trips over it at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGone from error
    except OSError as error:
        silence()
        raise OutputError(f"Standard output cannot be written: {error.strerror}.") from error
