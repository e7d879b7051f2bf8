"""The loop that puts open questions to an executor and writes each answer when it is known."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field

from dualbound.errors import SoundnessError, WorkersLost
from dualbound.limits import Clock, core_count
from dualbound.search import Progress
from dualbound.studies.executors import Inline, Watched, is_death, is_given_up
from dualbound.studies.row import FAILED, SETTLED, Row
from dualbound.studies.store import Open, Store
from dualbound.studies.task import Outcome, Task, carry_out, machine, versions

TRIES = 3
"""How often a question is asked whose worker dies."""

LOOK_EVERY = 0.25
"""Seconds between two looks at what is running."""


@dataclass
class Moment:
    """How a run is doing.

    Attributes:
        total: questions of the study.
        before: answered when the run began.
        counts: answers by status, those from before included.
        running: the questions in hand and the latest word of each, by number.
        deaths: workers that ended.
        seconds: since the run began.
    """

    total: int
    before: int
    counts: dict[str, int]
    running: dict[int, Progress | None] = field(default_factory=dict)
    deaths: int = 0
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """Questions that have an answer."""
        return sum(self.counts.values())

    @property
    def settled(self) -> int:
        """Those of them that are proved."""
        return sum(self.counts.get(status, 0) for status in SETTLED)

    @property
    def failed(self) -> int:
        """Those of them that were given up."""
        return self.counts.get(FAILED, 0)

    @property
    def rate(self) -> float:
        """Answers a second in this run."""
        return (self.done - self.before) / self.seconds if self.seconds else 0.0

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take at this rate; None while nothing is known."""
        return (self.total - self.done) / self.rate if self.rate else None


Watch = Callable[[Moment], None]


def work_off(
    store: Store,
    questions: list[Open],
    task_of: Callable[[Open], Task],
    executor: Executor,
    clock: Clock,
    watch: Watch | None = None,
) -> Moment:
    """Ask questions until none is left, or the clock is stopped.

    What is running when the clock is stopped is not waited for, and has to be asked again.

    Args:
        store: where answers go.
        questions: without an answer, in order.
        task_of: makes a question complete.
        executor: asks them.
        clock: when to stop.
        watch: is told how it goes, some times a second.

    Raises:
        OutputError: an answer could not be written; those before it are.
        SoundnessError: a proof was contradicted; the question is stored as failed.
        WorkersLost: the executor cannot run anything.
    """
    counts = store.counts()
    total = sum(n for status, n in counts.items() if status != "retired")
    counts = {k: n for k, n in counts.items() if k not in ("open", "retired")}
    before = total - len(questions)
    if before < sum(counts.values()):  # failed ones are asked again
        counts[FAILED] -= sum(counts.values()) - before
    moment = Moment(total, before, counts)
    waiting, flying = deque(questions), dict[Future[Outcome], Open]()

    def look() -> None:
        moment.seconds = clock.seconds
        latest: Mapping[int, Progress] = (
            executor.progress() if isinstance(executor, Watched) else {}
        )
        moment.running = {one.id: latest.get(one.id) for one in flying.values()}
        if watch is not None:
            watch(moment)

    def keep(one: Open, outcome: Outcome) -> None:
        store.write(one.id, outcome)
        status = outcome.row.status
        counts[status] = counts.get(status, 0) + 1
        if outcome.unsound:
            raise SoundnessError(
                f"Question {one.id}: {outcome.row.note} The answers so far are kept, but none of "
                "this version can be trusted until that is understood."
            )

    tell = executor.tell if isinstance(executor, Watched) else None
    looked = 0.0
    while (waiting or flying) and not clock.expired:
        width = executor.width if isinstance(executor, Watched) else core_count()
        while waiting and len(flying) < width and not clock.expired:
            one = waiting.popleft()
            task = task_of(one)
            if isinstance(executor, Inline):
                executor.on_tell = lambda one=one: _look_at(one, moment, executor, clock, watch)  # type: ignore[misc]
            try:
                flying[executor.submit(carry_out, task, tell)] = one
            except RuntimeError as error:  # broken, or shut down
                raise WorkersLost(
                    f"The executor takes no more questions: {error}. The answers so far are kept."
                ) from error
        done, _ = wait(flying, timeout=LOOK_EVERY, return_when=FIRST_COMPLETED)
        if clock.interrupted:
            break
        for future in done:
            one = flying.pop(future)
            outcome = _outcome(future, one, store, moment)
            if outcome is None:
                waiting.appendleft(one)
            else:
                keep(one, outcome)
        if time.perf_counter() - looked > LOOK_EVERY or not (waiting or flying):
            look()
            looked = time.perf_counter()
    for future in flying:
        future.cancel()
    return moment


def _look_at(
    one: Open, moment: Moment, executor: Inline, clock: Clock, watch: Watch | None
) -> None:
    """What is to be told while a question runs in this process."""
    moment.seconds, moment.running = clock.seconds, {one.id: executor.progress().get(one.id)}
    if watch is not None:
        watch(moment)


def _outcome(future: Future[Outcome], one: Open, store: Store, moment: Moment) -> Outcome | None:
    """What came of a question; None when it is to be asked again.

    Raises:
        WorkersLost: nothing could come of any question.
    """
    try:
        return future.result()
    except (Exception, CancelledError) as error:
        if isinstance(error, CancelledError) or type(error).__name__ == "CancelledError":
            raise WorkersLost(
                "The executor let go of its questions: if it is a cluster, its scheduler is gone. "
                "The answers so far are kept; run the study again when it is back."
            ) from error
        given_up = is_given_up(error)
        if not (given_up or is_death(error)):
            raise WorkersLost(
                f"A question came back without an answer: {type(error).__name__}: {error}. Workers "
                "need the same dualbound as this process, and a connection to it. The answers so "
                "far are kept."
            ) from error
        moment.deaths += 1
        deaths = store.count_death(one.id)
        if deaths < TRIES and not given_up:
            return None
        times = "more than once" if given_up else f"{deaths} times"
        said = " ".join(str(error).split("\n")[0].split())
        why = f"the process that was asked ended {times} before it could answer: {said}"
        return Outcome(Row.failed(why), time.time(), machine(), versions())
