"""What a run is worth: how many answers of which kind, how fast, and the competition's points."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dualbound.studies.competition.answering import SOLVED
from dualbound.studies.competition.instances import Instance
from dualbound.studies.competition.results import Line

CORRECT, WRONG = 10, -150
"""Points of an answer ``sat`` or ``unsat``; anything else has none. As in VNN-COMP since 2023."""


@dataclass(frozen=True)
class Score:
    """Of the instances that were asked for.

    Attributes:
        total: how many they are.
        counts: of answers by result.
        wrong: answers that are not what is expected.
        unchecked: answers ``unsat`` with nothing to compare with; a ``sat`` is checked by itself.
        median: seconds of the solved ones; None if none is.
    """

    total: int
    counts: dict[str, int]
    wrong: tuple[Line, ...]
    unchecked: int
    median: float | None

    @property
    def solved(self) -> int:
        """Answers ``sat`` or ``unsat``, wrong ones included."""
        return sum(self.counts.get(result, 0) for result in SOLVED)

    @property
    def points(self) -> int:
        """Of the competition.

        >>> Score(3, {"sat": 2, "unsat": 1}, (), 0, None).points
        30
        """
        return CORRECT * (self.solved - len(self.wrong)) + WRONG * len(self.wrong)

    @property
    def done(self) -> int:
        """Instances that have an answer."""
        return sum(self.counts.values())


def score_of(instances: Sequence[Instance], lines: Iterable[Line]) -> Score:
    """The score of some instances.

    Args:
        instances: that were asked for.
        lines: of results, of other instances too.
    """
    known = {line.instance: line for line in lines}
    pairs = [(one, known[one.name]) for one in instances if one.name in known]
    solved = [(one, line) for one, line in pairs if line.result in SOLVED]
    return Score(
        total=len(instances),
        counts=dict(Counter(line.result for _, line in pairs)),
        wrong=tuple(line for one, line in solved if is_wrong(one, line.result)),
        unchecked=sum(1 for one, line in solved if line.result == "unsat" and not one.expected),
        median=statistics.median(line.seconds for _, line in solved) if solved else None,
    )


def is_wrong(instance: Instance, result: str) -> bool:
    """Whether an answer is another one than what is expected."""
    return bool(instance.expected) and result in SOLVED and result != instance.expected
