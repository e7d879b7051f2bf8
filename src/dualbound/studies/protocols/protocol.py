"""A paper's experiment as a study, with the published figures beside the measured ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dualbound.studies.study import Study

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Comparison:
    """One table of a protocol.

    Attributes:
        title: above it.
        columns: their names.
        rows: what stands in them; None where there is no figure.
        note: beneath it.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]
    note: str = ""

    def lines(self) -> list[list[str]]:
        """Every row as texts.

        >>> Comparison("", ("a", "b"), [(1.23456, None)]).lines()
        [['1.235', '–']]
        """
        return [[_text(value) for value in row] for row in self.rows]

    def markdown(self) -> str:
        """The table for a document."""
        head = f"| {' | '.join(self.columns)} |\n|{'---|' * len(self.columns)}\n"
        body = "".join(f"| {' | '.join(line)} |\n" for line in self.lines())
        note = f"\n{self.note}\n" if self.note else ""
        return f"### {self.title}\n\n{head}{body}{note}"


@dataclass(frozen=True)
class Lines:
    """One picture of a protocol: figures against a figure.

    Attributes:
        name: of its file, without suffix.
        title: above it.
        x: what is measured along.
        y: what is drawn.
        at: where along x.
        lines: by name; one may end before the others.
        share: whether y is a share, from 0 to 1.
        apart: whether the figures are of things with nothing between them: no lines are drawn, but
            points on stems.
    """

    name: str
    title: str
    x: str
    y: str
    at: Sequence[float]
    lines: Mapping[str, Sequence[float]]
    share: bool = False
    apart: bool = False


@dataclass(frozen=True)
class Protocol:
    """How an experiment is run and read.

    Attributes:
        key: its name for ``dualbound reproduce``.
        title: what it is about.
        source: paper and section.
        quick: ``study.toml`` of a small part of it: fewer images, never an easier question.
        full: ``study.toml`` of all of it.
        compare: the tables that its answers make.
    """

    key: str
    title: str
    source: str
    quick: str
    full: str
    compare: Callable[[Study], list[Comparison]] = field(repr=False)


def page(protocol: Protocol, study: Study, comparisons: Sequence[Comparison]) -> str:
    """All tables of a protocol as one document, with when and on what they were measured."""
    frame = study.frame()
    first, last = (
        datetime.fromtimestamp(float(frame[name].agg(which)), UTC).strftime("%Y-%m-%d")
        for name, which in (("started", "min"), ("finished", "max"))
    )
    versions = sorted({text for texts in frame["versions"] for text in _packages(texts)})
    total = sum(n for status, n in study.counts().items() if status != "retired")
    about = [
        f"{protocol.source}. Measured {first if first == last else f'{first} to {last}'}, on "
        f"{'; '.join(sorted(set(frame['machine'])))}; {', '.join(versions)}.",
        f"{len(frame)} of {total} questions answered. What is not proved is open: its gap says how "
        "far.",
    ]
    tables = "\n".join(comparison.markdown() for comparison in comparisons)
    return f"# {protocol.title}\n\n{chr(10).join(about)}\n\n{tables}"


def _packages(versions: str) -> list[str]:
    return [f"{name} {version}" for name, version in json.loads(versions).items()]


def number(value: float | None, digits: int = 4) -> float | None:
    """A figure, or None for what is none.

    >>> number(float("nan")), number(1.0)
    (None, 1.0)
    """
    return None if value is None or value != value else float(f"{value:.{digits}g}")


def share(rows: pd.DataFrame, *statuses: str) -> float | None:
    """The per cent of rows with one of these statuses."""
    return number(100 * float(rows["status"].isin(statuses).mean())) if len(rows) else None


def outputs_table(study: Study, question: int, title: str) -> Comparison:
    """Outputs before and after, as schoenfeld prints them for one adversary."""
    with study.store() as store:
        detail = store.detail(question)
    before, after = detail["outputs_before"], detail.get("outputs_after")
    rows = [
        (k, number(b), None if after is None else number(after[k])) for k, b in enumerate(before)
    ]
    return Comparison(title, ("label", "output before", "output after"), rows)


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
