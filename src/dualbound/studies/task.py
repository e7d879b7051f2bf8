"""One question on its way to a worker and back: complete in itself, so that any machine can ask it.

A task carries the network's bytes and the image's values. A worker needs no file of the study.
"""

from __future__ import annotations

import functools
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dualbound.errors import DualboundError, SoundnessError
from dualbound.network import Network
from dualbound.network.onnx_reader import read_onnx
from dualbound.search import Progress
from dualbound.studies.asks import Ask
from dualbound.studies.row import Row

PACKAGES = ("dualbound", "numpy", "numba", "highspy", "pyscipopt", "onnxruntime", "torch")
"""Whose versions an answer may depend on."""

TELL_EVERY = 0.5
"""Seconds between two words of a worker about its question."""


@dataclass(frozen=True, eq=False)
class Task:
    """A question with all that is needed to answer it.

    Attributes:
        number: of the question in the store.
        ask: the question.
        path: where the network's file was, for messages.
        model: its ONNX bytes.
        x: the image's values, where there is one.
    """

    number: int
    ask: Ask
    path: str
    model: bytes
    x: Float[np.ndarray, "..."] | None


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a task.

    Attributes:
        row: the answer; of status ``failed`` where the question could not be asked.
        started: seconds since 1970.
        machine: processor and system it ran on.
        versions: of the packages that it may depend on.
        unsound: a proof contradicts a point; nothing of this run can be trusted.
    """

    row: Row
    started: float
    machine: str
    versions: dict[str, str]
    unsound: bool = False


def carry_out(task: Task, tell: Callable[[int, Progress], None] | None = None) -> Outcome:
    """Answer a task. An error of the question is an answer too: the row says what it was.

    Args:
        task: what is asked.
        tell: hears now and then how far the question has come.
    """
    started, last = time.time(), 0.0

    def told(now: Progress) -> None:
        nonlocal last
        if tell is not None and time.perf_counter() - last > TELL_EVERY:
            last = time.perf_counter()
            tell(task.number, now)

    unsound = False
    try:
        row = task.ask.answer(_network(task.model, task.path), task.x, told)
    except DualboundError as error:
        row, unsound = Row.failed(str(error)), isinstance(error, SoundnessError)
    except Exception as error:  # noqa: BLE001  # one question's fault must not end the others
        row = Row.failed(f"{type(error).__name__}: {error}")
    return Outcome(row, started, machine(), versions(), unsound)


@functools.lru_cache(maxsize=8)
def _network(model: bytes, path: str) -> Network:
    return read_onnx(model, Path(path))


@functools.cache
def versions() -> dict[str, str]:
    """Of Python and of the packages that answers may depend on, those that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@functools.cache
def machine() -> str:
    """System, processor and cores; no name that could tell whose machine it is."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
