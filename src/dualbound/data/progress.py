"""One line on a terminal that says how far a download or a long reading is."""

from __future__ import annotations

import sys
import time
from types import TracebackType

_SECONDS = 0.1
"""Between two looks of the line."""


class Line:
    """How much of a total is done, on standard error where that is a terminal; gone at the end.

    It has the four members that pooch asks of a progress bar: ``total``, ``update``, ``reset``
    and ``close``.

    >>> with Line("reading", total=4) as line:  # no terminal here: nothing is shown
    ...     line.update(3)
    ...     line.text()
    'reading  75 %'
    """

    def __init__(self, words: str, total: int = 0) -> None:
        self.words, self.total, self.done = words, total, 0
        self._next = 0.0
        self._width = 0  # of the text that stands there

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def update(self, more: int) -> None:
        """So much more is done."""
        self.done += more
        if time.monotonic() >= self._next and sys.stderr.isatty():
            self._next = time.monotonic() + _SECONDS
            self._write(self.text())

    def reset(self) -> None:
        """Nothing is done."""
        self.done = 0

    def close(self) -> None:
        """Take the line away."""
        if self._width:
            self._write("")
            sys.stderr.write("\r")
            sys.stderr.flush()

    def text(self) -> str:
        """What the line says; a total that is not known is left out."""
        if self.total <= 0:
            return self.words
        return f"{self.words}  {min(self.done / self.total, 1):.0%}".replace("%", " %")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r{text:<{self._width}}")
        sys.stderr.flush()
        self._width = len(text)
