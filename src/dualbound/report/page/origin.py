"""Where a study's answers come from: when, which versions, which machines, and how many."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from dualbound.report.page.answers import Answers
from dualbound.report.page.numbers import integer, known, share


@dataclass(frozen=True)
class Part:
    """Some of the questions.

    Attributes:
        kind: for the colour: ``proved``, ``open``, ``failed`` or ``left``.
        name: in words.
        count: how many.
        share: of all, from 0 to 1.
    """

    kind: str
    name: str
    count: int
    share: float


@dataclass(frozen=True)
class Origin:
    """How far the study is and where its answers come from.

    Attributes:
        total: questions that it asks.
        answered: how many of them have an answer, failed ones among them.
        parts: these by what became of them; empty parts are left out.
        when: first and last answer, in words.
        hours: of work in all answers, in words.
        versions: each set of versions that answers came from, in words, with its number of answers.
        machines: likewise.
        retired: answers that are set aside.
    """

    total: int
    answered: int
    parts: tuple[Part, ...]
    when: str
    hours: str
    versions: tuple[tuple[str, int], ...]
    machines: tuple[tuple[str, int], ...]
    retired: int

    @property
    def words(self) -> str:
        """The parts, for whoever does not see them."""
        return ", ".join(f"{integer(p.count)} {p.name}" for p in self.parts)


def origin(answers: Answers) -> Origin:
    """How far a study is and where its answers come from."""
    frame, counts = answers.frame, dict(answers.counts)
    left, retired = counts.get("open", 0), counts.get("retired", 0)
    answered = len(frame)
    total = answered + left
    proved, failed = int(frame["settled"].sum()), int(frame["failed"].sum())
    parts = [
        Part(kind, name, count, count / total)
        for kind, name, count in (
            ("proved", "proved", proved),
            ("open", "open", answered - proved - failed),
            ("failed", "failed", failed),
            ("left", "still unanswered", left),
        )
        if count
    ]
    return Origin(
        total,
        answered,
        tuple(parts),
        _span(frame),
        _duration(float(frame["seconds"].sum())),
        tuple((_versions(text), n) for text, n in _counted(frame["versions"])),
        tuple(_counted(frame["machine"])),
        retired,
    )


def _counted(column: pd.Series) -> list[tuple[str, int]]:
    return [(str(text), int(count)) for text, count in column.value_counts().items()]


def _versions(text: str) -> str:
    """Of packages, dualbound first."""
    try:
        found = {str(name): str(version) for name, version in json.loads(text).items()}
    except (ValueError, AttributeError):
        return text
    first = [name for name in ("dualbound", "python") if name in found]
    rest = [name for name in found if name not in first]
    return ", ".join(f"{name} {found[name]}" for name in first + rest)


def _span(frame: pd.DataFrame) -> str:
    ends = [
        datetime.fromtimestamp(float(second), UTC)
        for second in (frame["started"].min(), frame["finished"].max())
        if known(second)
    ]
    words = [f"{end.day} {end:%B %Y, %H:%M}" for end in ends]
    if len(words) == 2 and ends[0].date() == ends[1].date():
        words[1] = f"{ends[1]:%H:%M}"
        words = words[:1] if words[0].endswith(words[1]) else words
    return " to ".join(words) + " UTC" if words else ""


def _duration(seconds: float) -> str:
    """Of work, in a unit that suits.

    >>> _duration(12.3), _duration(600), _duration(90000)
    ('12.3 seconds', '10.0 minutes', '25.0 hours')
    """
    if seconds < 120:
        return f"{seconds:.1f} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def percent(origin: Origin) -> str:
    """How many of the answered questions are proved."""
    proved = sum(part.count for part in origin.parts if part.kind == "proved")
    return share(proved, origin.answered)
