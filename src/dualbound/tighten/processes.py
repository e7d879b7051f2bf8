"""Work shared among processes that survive scripts without a main guard, and Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from typing import Any, TypeVar

from dualbound.errors import WorkersLost
from dualbound.limits import Clock, leave_ctrl_c_to_another

T = TypeVar("T")


@contextmanager
def shared_among(workers: int) -> Iterator[Callable[..., Future[Any]]]:
    """A ``submit`` function backed by that many processes, one numerical thread in each.

    The processes are kept for the next call. Ctrl-C reaches only this process, whose clock then
    stops waiting; jobs that still run are ended with their processes.
    """
    from loky import get_reusable_executor

    pool = get_reusable_executor(
        max_workers=workers,
        timeout=60,
        initializer=leave_ctrl_c_to_another,
        env={"OMP_NUM_THREADS": "1"},
    )
    jobs: list[Future[Any]] = []

    def submit(*call: object) -> Future[Any]:
        jobs.append(pool.submit(*call))
        return jobs[-1]

    try:
        yield submit
    finally:
        if not all(job.done() for job in jobs):
            pool.shutdown(wait=True, kill_workers=True)


def finished(job: Future[T], clock: Clock, *, otherwise: T) -> T:
    """The job's result; ``otherwise`` if it is not there shortly after the clock has expired.

    Raises:
        WorkersLost: its process has ended.
    """
    while True:
        try:
            return job.result(timeout=2.0 if clock.expired and not clock.interrupted else 0.1)
        except BrokenExecutor as error:
            raise WorkersLost(
                "A process that shared the work has ended, perhaps for want of memory: use fewer "
                "workers."
            ) from error
        except NotYet:
            if clock.expired:
                return otherwise  # not cancelled: the pool that is ended soon would trip over that
