"""A Dask scheduler and workers on loopback, as a cluster would have them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import pytest

from dualbound.errors import WorkersLost
from dualbound.search import Progress
from dualbound.studies import Moment, Study
from dualbound.studies.executors import Dask
from studies.conftest import Make, answers

pytest.importorskip("distributed")


@contextmanager
def cluster(count: int = 2) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers; its address, and the workers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = [sys.executable, "-m", "distributed.cli"]
    scheduler = subprocess.Popen(
        [*dask[:2], "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port),
         "--no-dashboard"],
        **quiet,
    )  # fmt: skip
    workers = [
        subprocess.Popen(
            [*dask[:2], "distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}", "--nthreads",
             "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"],
            **quiet,
        )
        for _ in range(count)
    ]  # fmt: skip
    try:
        yield f"dask://127.0.0.1:{port}", workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_a_cluster_and_a_pool_give_the_same_answers_though_a_worker_dies(make: Make) -> None:
    local, spread = make(points=6, name="local"), make(points=6, name="spread")
    Study.open(local).run(executor="processes:2")
    with cluster() as (address, workers):
        killed: list[int] = []

        def watch(moment: Moment) -> None:
            if moment.done >= 6 and not killed:
                os.kill(workers[0].pid, signal.SIGKILL)
                killed.append(workers[0].pid)

        moment = Study.open(spread).run(executor=address, on_progress=watch)
        assert killed
    assert moment.done == 24
    assert moment.failed == 0
    assert answers(spread) == answers(local)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_a_cluster_without_workers_is_named(make: Make) -> None:
    with cluster(0) as (address, _), pytest.raises(WorkersLost, match="No worker is connected"):
        Study.open(make()).run(executor=address)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_a_scheduler_that_is_not_there_is_named(make: Make) -> None:
    with pytest.raises(WorkersLost, match="No Dask scheduler answers"):
        Study.open(make()).run(executor="dask://127.0.0.1:9")


def test_what_a_worker_says_of_its_question_is_heard() -> None:
    executor = Dask.__new__(Dask)
    executor._latest = {}
    now = Progress("search", 2.0, 1.5, 0.25, 12, 3.0)
    executor._hear((0.0, {"number": 7, "worker": "tcp://127.0.0.1:1", **asdict(now)}))
    assert executor.progress() == {7: now}
