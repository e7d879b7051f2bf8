"""Who asks the questions: this process, a pool of processes, or a Dask cluster.

All of them are a `concurrent.futures.Executor`, and any other executor will do too. What these add
is how many questions they take at a time (``width``) and what is known of those that run
(``progress``).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, runtime_checkable

from dualbound.errors import InvalidInput, SolverNotInstalled, WorkersLost
from dualbound.limits import core_count
from dualbound.search import Progress

Tell = Callable[[int, Progress], None]
P = ParamSpec("P")
T = TypeVar("T")

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""For workers: the work is parallel over questions."""

TOPIC = "dualbound-progress"

IDLE = "60s"
"""After so long without a question our own cluster ends: who asked may have been killed."""


@runtime_checkable
class Watched(Protocol):
    """An executor that says how many questions it takes, and how those that run are doing."""

    tell: Tell
    """Given to the worker with each task, to be called there."""

    @property
    def width(self) -> int:
        """How many questions can run at once."""

    def progress(self) -> dict[int, Progress]:
        """The latest word of each running question, by its number."""


class Inline(Executor):
    """This process, one question at a time: `submit` returns when the answer is there.

    Attributes:
        on_tell: called whenever the running question says something.
    """

    width = 1

    def __init__(self) -> None:
        self.on_tell: Callable[[], None] = lambda: None
        self._latest: dict[int, Progress] = {}

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `Executor.submit`."""
        future: Future[T] = Future()
        self._latest.clear()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # it is the future's
            future.set_exception(error)
        return future

    def tell(self, number: int, now: Progress) -> None:
        """See `Watched`."""
        self._latest[number] = now
        self.on_tell()

    def progress(self) -> dict[int, Progress]:
        """See `Watched`."""
        return dict(self._latest)


class Processes(Executor):
    """A pool of processes, each an executor of its own: one that dies takes one question along.

    Args:
        count: how many; the machine's cores when not given.

    Raises:
        InvalidInput: less than one.
    """

    def __init__(self, count: int | None = None) -> None:
        if count is not None and count < 1:
            raise InvalidInput(f"There must be at least 1 process, found {count}.")
        self.width = count or core_count()
        self._folder = Path(tempfile.mkdtemp(prefix="dualbound-"))
        self.tell: Tell = _Noting(self._folder)
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._all: list[Any] = []
        self._lock = threading.Lock()
        self._closed = False
        for _ in range(self.width):
            self._idle.put(None)  # made when it is needed

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `Executor.submit`; waits until a process is idle."""
        while True:
            one = self._idle.get()
            if one is None:
                one = _one_process()
                with self._lock:
                    self._all.append(one)
            try:
                future: Future[T] = one.submit(fn, *args, **kwargs)
            except BrokenExecutor:  # it ended while it was idle
                self._back(one, broken=True)
                continue
            except BaseException:
                self._back(one, broken=False)
                raise
            break

        def done(of: Future[Any]) -> None:
            self._back(one, not of.cancelled() and isinstance(of.exception(), BrokenExecutor))

        future.add_done_callback(done)
        return future

    def _back(self, one: Any, broken: bool) -> None:
        """Take a process back that is idle again, or make room for another one."""
        if broken:
            with self._lock:
                self._all.remove(one)
            threading.Thread(target=one.shutdown, kwargs={"wait": False}, daemon=True).start()
        self._idle.put(None if broken else one)

    def progress(self) -> dict[int, Progress]:
        """See `Watched`."""
        found = {}
        for path in self._folder.glob("*.json"):
            with contextlib.suppress(OSError, ValueError):
                found[int(path.stem)] = Progress(**json.loads(path.read_text()))
        return found

    def pids(self) -> list[int]:
        """Of the processes that there are."""
        with self._lock:
            return [pid for one in self._all for pid in list(one._processes or ())]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `Executor.shutdown`; with ``cancel_futures`` what runs is ended too."""
        if self._closed:
            return
        self._closed = True
        for one in list(self._all):
            one.shutdown(wait=wait, kill_workers=cancel_futures)
        shutil.rmtree(self._folder, ignore_errors=True)


def _one_process() -> Any:
    from loky import ProcessPoolExecutor  # here: only a pool needs it

    return ProcessPoolExecutor(1, initializer=_begin, initargs=(os.getpid(),), env=ONE_THREAD)


def _begin(parent: int) -> None:
    """What a worker does first: leave Ctrl-C to its parent, and end when that does."""
    with contextlib.suppress(OSError, AttributeError):
        os.setsid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    if hasattr(os, "getppid"):
        threading.Thread(target=watch, daemon=True).start()


class _Noting:
    """Writes what a question says into a file of its own, from whatever process it runs in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, number: int, now: Progress) -> None:
        new = self._folder / f"{number}.new"
        with contextlib.suppress(OSError):
            new.write_text(json.dumps(asdict(now)))
            new.replace(new.with_suffix(".json"))


class Dask(Executor):
    """A Dask cluster, on whatever machines its workers are.

    Workers need dualbound, of the same version; of the study's files they need none. Questions of a
    worker that dies go to others; Dask gives one up when it has ended four of them.

    Args:
        address: of the scheduler, such as ``tcp://10.0.0.1:8786``; without one a cluster of this
            machine's cores is started, and ended on `shutdown`.

    Raises:
        SolverNotInstalled: the package ``distributed`` is missing.
        WorkersLost: no scheduler answers there.
    """

    def __init__(self, address: str | None = None) -> None:
        try:
            from distributed import Client
            from distributed.deploy.subprocess import SubprocessCluster
        except ImportError as error:
            raise SolverNotInstalled(
                "Dask is not installed. Install it with: pip install 'dualbound[cluster]'"
            ) from error
        self._cluster = None
        if address is None:
            # Of those that Dask can start, the one that needs no guard in the user's script.
            self._cluster = SubprocessCluster(
                n_workers=core_count(),
                threads_per_worker=1,
                scheduler_kwargs={"dashboard": False, "idle_timeout": IDLE},
            )
        try:
            self._client = Client(address or self._cluster, timeout="10s")
        except (OSError, TimeoutError, ValueError) as error:
            raise WorkersLost(
                f"No Dask scheduler answers at {address}: {error}. Start one with 'dask scheduler' "
                "and workers with 'dask worker'."
            ) from error
        try:
            self._client.wait_for_workers(1, timeout=10)
        except TimeoutError as error:
            raise WorkersLost(
                f"No worker is connected to the Dask scheduler at {address}. Start some with "
                f"'dask worker {address}'."
            ) from error
        # What becomes of its connections is told by the exceptions of futures.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self._executor = self._client.get_executor(pure=False)
        self._closed = False
        self._latest: dict[int, Progress] = {}
        self.tell: Tell = _say_to_scheduler
        self._client.subscribe_topic(TOPIC, self._hear)
        self._client.run(compile_first)

    @property
    def width(self) -> int:
        """See `Watched`; it changes as workers come and go."""
        return max(1, sum(self._client.nthreads().values()))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `Executor.submit`."""
        future: Future[T] = self._executor.submit(fn, *args, **kwargs)
        return future

    def progress(self) -> dict[int, Progress]:
        """See `Watched`."""
        return dict(self._latest)

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        said = dict(event[1])
        known = {item.name: said[item.name] for item in fields(Progress)}
        self._latest[said["number"]] = Progress(**known)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `Executor.shutdown`."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError, TimeoutError):
            self._executor.shutdown(wait=wait and not cancel_futures)
            self._client.close()
            if self._cluster is not None:
                self._cluster.close()


def _say_to_scheduler(number: int, now: Progress) -> None:
    from distributed import get_worker

    with contextlib.suppress(ValueError):  # no worker
        get_worker().log_event(TOPIC, {"number": number, **asdict(now)})


def compile_first() -> None:
    """Compile the search in a process of its own, unless an earlier one kept it.

    Otherwise every worker would; and answers would differ in their last digits between the process
    that compiled and those that read what it kept.
    """
    from dualbound.phases.compiled import is_kept

    if not is_kept():
        code = (
            "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL)\n"  # it dies in silence
            "from dualbound.phases.tree import prepare; prepare()"
        )
        subprocess.run([sys.executable, "-c", code], check=False)


KINDS = "serial, processes, processes:COUNT, dask or dask://HOST:PORT"


def check_executor(name: str) -> None:
    """Refuse a name that no executor has, before anything is done for it.

    Raises:
        InvalidInput: there is none of this name.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"Unknown executor {name!r}; known are {KINDS}.")


_NAME = re.compile(r"serial|processes|processes:[0-9]{1,4}|dask|dask://.+")


@contextmanager
def executor_named(name: str) -> Iterator[Executor]:
    """An executor by its name on the command line, shut down at the end.

    Raises:
        InvalidInput: there is none of this name.
        SolverNotInstalled, WorkersLost: see `Dask`.

    >>> with executor_named("serial") as executor:
    ...     executor.submit(len, "abc").result()
    3
    """
    check_executor(name)
    kind, _, rest = name.partition(":")
    executor: Executor
    if name == "serial":
        executor = Inline()
    elif kind == "processes":
        executor = Processes(int(rest) if rest else None)
    else:
        executor = Dask(f"tcp:{rest}" if rest else None)
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()


def is_death(error: BaseException) -> bool:
    """Whether a worker ended while it was at a question."""
    return isinstance(error, BrokenExecutor)


def is_given_up(error: BaseException) -> bool:
    """Whether an executor has itself asked again as often as it will."""
    return type(error).__name__ == "KilledWorker"
