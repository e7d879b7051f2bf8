"""What a search for a yes or a no knows at any moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from dualbound.limits import Clock
from dualbound.search.underway import Underway


@dataclass
class Decision(Underway):
    """What a search knows of a question; only ever better.

    Attributes:
        accept: replays a point outside the search; true if it is a witness.
        clock: of the query.
        tell: hears of every change.
        bound: proved: no input of the region has outputs further inside any of the sets than this
            (by its worst inequality); below 0 there is no witness.
        found: whether a witness was accepted.
        nodes: of the tree so far, and how many of them are open.
        unstable: neurons whose phase was open at the root.
        phase: what is being done.
        seconds: of each phase that has ended.
        branching: on what, ``phases`` or ``inputs``; empty if none was needed.
    """

    accept: Callable[[Float[np.ndarray, " n"]], bool]
    clock: Clock
    tell: Callable[[Decision], None] = lambda _: None
    bound: float = np.inf
    found: bool = False
    nodes: int = 0
    open: int = 0
    unstable: int | None = None
    phase: str = "start"
    seconds: dict[str, float] = field(default_factory=dict)
    branching: str = ""

    def report(self) -> None:
        """Tell whoever watches."""
        self.tell(self)

    def prove(self, bound: float) -> None:
        """Take a proved bound on the slack of all inputs."""
        self.bound = min(self.bound, bound)

    def settled(self) -> bool:
        """Whether there is nothing more to do, or no time for it."""
        return self.found or self.bound < 0 or self.clock.expired
