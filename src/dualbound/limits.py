"""How long a query may take, how exact it must be, and how it is told to stop.

`Limits` is what a user asks for; a `Clock` is that wish while it runs. Every loop and every
solver callback looks at the clock, so that a time limit and Ctrl-C are one mechanism: the
work ends at the next look, and the best answer so far is returned.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from dualbound.errors import InvalidInput

ONE_WISH = 1.0
"""Seconds in which several interrupt signals count as one."""


@dataclass(frozen=True)
class Limits:
    """Wall-clock limit of a query in seconds; ``None`` means none.

    Raises:
        InvalidInput: the limit is zero, negative or not a number.

    >>> Limits(seconds=60).seconds
    60
    """

    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.seconds is not None and not self.seconds > 0:
            raise InvalidInput(
                f"The time limit must be greater than 0 seconds, found {self.seconds!r}. "
                "Leave it out to run without a limit."
            )


def check_gap(gap: float) -> None:
    """Refuse a relative gap, between value and bound, that makes no sense.

    Raises:
        InvalidInput: it is not from 0 to below 1.
    """
    if not 0 <= gap < 1:
        raise InvalidInput(f"The gap must be at least 0 and below 1, found {gap}.")


@dataclass
class _Interruption:
    """When somebody asked to stop: shared by a clock and the clocks of its parts.

    Attributes:
        at: when.
        within: whether a smaller piece of work, with a clock of its own, was stopped too.
    """

    at: float = math.inf
    within: bool = False


class Clock:
    """A running limit: seconds since the start, seconds left, and whether to stop now.

    >>> clock = Clock(Limits(seconds=60))
    >>> clock.expired
    False
    >>> clock.interrupt()
    >>> clock.expired
    True
    """

    def __init__(self, limits: Limits | None = None) -> None:
        if not isinstance(limits, Limits | None):
            raise InvalidInput(f"Limits are Limits(seconds), found {limits!r}.")
        self._start = time.perf_counter()
        seconds = limits.seconds if limits else None
        self._end = math.inf if seconds is None else self._start + seconds
        self._interrupted = _Interruption()

    @property
    def seconds(self) -> float:
        """Seconds since the clock was started."""
        return time.perf_counter() - self._start

    @property
    def remaining(self) -> float:
        """Seconds left, `math.inf` without a limit, 0 once interrupted."""
        return 0.0 if self.interrupted else max(0.0, self._end - time.perf_counter())

    @property
    def interrupted(self) -> bool:
        """Whether somebody asked to stop."""
        return self._interrupted.at < math.inf

    @property
    def cut_short(self) -> bool:
        """Whether Ctrl-C has ended a smaller piece of work too, whose answer may be half of one."""
        return self._interrupted.within

    @property
    def expired(self) -> bool:
        """Whether the work must end now."""
        return self.remaining <= 0

    def interrupt(self) -> None:
        """Ask the work to end at its next look at the clock."""
        self._interrupted.at = min(self._interrupted.at, time.perf_counter())

    def within(self, seconds: float) -> Clock:
        """A clock for a part of the work: at most ``seconds``, never beyond this clock."""
        part = Clock()
        part._end = min(self._end, part._start + seconds)
        part._interrupted = self._interrupted
        return part

    @contextmanager
    def catching_ctrl_c(self) -> Iterator[Clock]:
        """Turn the first Ctrl-C into `interrupt`; one well after it raises `KeyboardInterrupt`.

        What follows within `ONE_WISH` seconds is the same wish: some shells and supervisors send
        the signal to a process and to its group. Outside the main thread signals cannot be
        caught, and after `leave_ctrl_c_to_another` they are not: the clock runs without them. Where
        a larger piece of work catches Ctrl-C too, its clock is stopped as well.
        """
        in_main = threading.current_thread() is threading.main_thread()
        if not in_main or signal.getsignal(signal.SIGINT) is _left_to_another:
            yield self
            return

        def stop(signum: int, frame: FrameType | None) -> None:
            if not self.interrupted:
                for clock in _listening:
                    clock.interrupt()
                    clock._interrupted.within = clock is not _listening[-1]
            elif time.perf_counter() - self._interrupted.at > ONE_WISH:
                raise KeyboardInterrupt

        previous = signal.signal(signal.SIGINT, stop)
        _listening.append(self)
        try:
            yield self
        finally:
            _listening.pop()
            signal.signal(signal.SIGINT, previous)


def leave_ctrl_c_to_another() -> None:
    """Make this process deaf to Ctrl-C: the one that it works for hears it, and ends it."""
    signal.signal(signal.SIGINT, _left_to_another)


def _left_to_another(signum: int, frame: FrameType | None) -> None:
    pass


_listening: list[Clock] = []
"""The clocks that catch Ctrl-C now, in the main thread: the innermost last."""


def core_count() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
