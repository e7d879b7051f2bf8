"""An instance in a process of its own, which is ended when its time is over, whatever it does."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dualbound.studies.competition.answering import ERROR, TIMEOUT, Given

WORKER = (sys.executable, "-m", "dualbound.studies.competition.worker")
START = 300.0
"""Seconds in which the libraries must be loaded."""

GRACE = 10.0
"""Seconds beyond its limit in which a process may come to its end."""

LOOK_EVERY = 0.1
"""Seconds between two looks at whether to stop."""

Told = Mapping[str, Any]
"""Of a running search: ``phase``, ``bound``, ``nodes`` and ``open``."""


def supervised(
    onnx: Path,
    vnnlib: Path,
    seconds: float,
    *,
    stop: Callable[[], bool],
    tell: Callable[[Told], None],
    command: tuple[str, ...] = WORKER,
) -> Given | None:
    """Answer an instance in a fresh process.

    Args:
        onnx: the network's file.
        vnnlib: the property's file.
        seconds: its limit, from the moment that the process has loaded its libraries.
        stop: whether to give up now.
        tell: hears how the search is doing.
        command: that starts the process.

    Returns:
        What came of it; None where ``stop`` said so. A process that crashes is an error, one that
        is not done `GRACE` seconds after its limit a timeout.
    """
    job = json.dumps({"onnx": str(onnx), "vnnlib": str(vnnlib), "seconds": seconds}) + "\n"
    watch = _Watch(command, seconds)
    try:
        return watch.answer(job, stop, tell)
    finally:
        watch.end()


class _Watch:
    """One process, listened to until it has answered, died, or had its time."""

    def __init__(self, command: tuple[str, ...], seconds: float) -> None:
        self.seconds = seconds
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `end`
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for this process alone
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.began: float | None = None
        self.deadline = time.perf_counter() + START
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def answer(
        self, job: str, stop: Callable[[], bool], tell: Callable[[Told], None]
    ) -> Given | None:
        """Put the job to the process, and wait."""
        with contextlib.suppress(BrokenPipeError):
            if self.process.stdin is not None:
                self.process.stdin.write(job)
                self.process.stdin.flush()
        while not stop():
            try:
                line = self.lines.get(timeout=LOOK_EVERY)
            except queue.Empty:
                if time.perf_counter() > self.deadline:
                    return self._out_of_time()
                continue
            if not line:
                return self._died()
            message = _understood(line)
            if "ready" in message:
                self.began = time.perf_counter()
                self.deadline = self.began + self.seconds + GRACE
            elif "tell" in message:
                tell(message["tell"])
            elif "answer" in message:
                return Given(**message["answer"])
        return None

    def end(self) -> None:
        """End the process with all that it has started, and close its pipes."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if hasattr(os, "killpg"):
                    os.killpg(self.process.pid, signal.SIGKILL)
                else:
                    self.process.kill()
        self.process.wait()
        self.listener.join()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self.lines.put(line)
        self.lines.put("")

    @property
    def _spent(self) -> float:
        return 0.0 if self.began is None else time.perf_counter() - self.began

    def _out_of_time(self) -> Given:
        if self.began is None:
            return Given(ERROR, 0.0, note=f"its process was not ready after {START:.0f} s")
        return Given(TIMEOUT, self._spent, note=f"stopped by force after {self._spent:.0f} s")

    def _died(self) -> Given:
        code = self.process.wait()
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip().splitlines()
        last = f": {' '.join(said[-1].split())}" if said else ""
        return Given(ERROR, self._spent, note=f"its process ended {how}{last}")


def _understood(line: str) -> dict[str, Any]:
    """A message; empty where the process ended in the middle of it."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
