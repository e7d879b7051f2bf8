"""Ctrl-C while the program still loads: a line and an exit code, no traceback.

Libraries take a second or two to load. Whoever changes their mind meanwhile is told so, and only
where dualbound is the program that was started: importing it into another one changes nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

INTERRUPTED = 130


def begin() -> None:
    """Let Ctrl-C end the program, if it is ours, until `over`."""
    mine = threading.current_thread() is threading.main_thread() and _is_ours(sys.orig_argv)
    if mine and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _quit)


def over() -> None:
    """Let Ctrl-C be a `KeyboardInterrupt` again."""
    if signal.getsignal(signal.SIGINT) is _quit:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_ours(words: list[str]) -> bool:
    """Whether these started the ``dualbound`` script, or ``python -m dualbound``.

    >>> _is_ours(["python", "/usr/bin/dualbound", "demo"]), _is_ours(["python", "-m", "dualbound"])
    (True, True)
    >>> _is_ours(["python", "-m", "pytest", "dualbound"])
    False
    """
    first = [os.path.basename(word).removesuffix(".exe") for word in words[:2]]
    if "dualbound" in first:
        return True
    return words[1:2] == ["-m"] and words[2:3] in (["dualbound"], ["dualbound.cli"])


def _quit(signum: int, frame: FrameType | None) -> None:
    os.write(2, b"Interrupted: before there was anything to show.\n")
    os._exit(INTERRUPTED)
