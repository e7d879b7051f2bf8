"""What all searches have in common while they run: phases, one after another, and their seconds."""

from __future__ import annotations

from abc import abstractmethod

from dualbound.limits import Clock


class Underway:
    """A search in one of its phases.

    Attributes:
        clock: of the query.
        phase: what is being done.
        seconds: of each phase that has ended.
    """

    clock: Clock
    phase: str
    seconds: dict[str, float]

    def enter(self, phase: str) -> None:
        """Name what is being done from now on, and count the seconds of what was done so far."""
        spent = self.clock.seconds - sum(self.seconds.values())
        self.seconds[self.phase] = self.seconds.get(self.phase, 0.0) + spent
        self.phase = phase
        self.report()

    @abstractmethod
    def report(self) -> None:
        """Tell whoever watches."""
