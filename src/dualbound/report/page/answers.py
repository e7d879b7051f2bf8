"""What a page is made of: a study's answers, and what was asked when they were given."""

from __future__ import annotations

import contextlib
import functools
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dualbound.errors import DataError, DualboundError
from dualbound.report.page import numbers
from dualbound.studies import Specification, Store, Study
from dualbound.studies.row import CERTIFIED, FAILED, REFUTED, SETTLED
from dualbound.studies.specification import FILE

NEAREST, VERIFY, ACTIVATE, PERFECT = "nearest", "verify", "activate", "perfect"
BOUNDS, FORWARD = "bounds", "forward"

BY_SIGN = 1e-300
"""A bound of a verification that is nearer to 0 is known by its sign only."""

_STATES = {
    "optimal": "proved",
    "infeasible": "proved: none",
    "feasible": "open",
    "unknown": "no witness",
    CERTIFIED: "certified",
    REFUTED: "refuted",
    FAILED: "failed",
}
_OF_KIND = {
    FORWARD: {"optimal": "equal", "feasible": "differs"},
    VERIFY: {"unknown": "open"},
}


@dataclass(frozen=True, eq=False)
class Answers:
    """A study, looked at once.

    Attributes:
        study: where it is.
        store: its answers, open.
        specification: what was asked: ``study.toml`` as it was last taken up.
        edited: whether ``study.toml`` is another one by now.
        frame: of `Study.frame`, with columns ``settled``, ``failed``, ``asked_norm``,
            ``target_kind`` (``any``, ``repair``, …, or empty) and ``subject``, what
            was asked about in words.
        counts: of `Study.counts`.
    """

    study: Study
    store: Store
    specification: Specification
    edited: bool
    frame: pd.DataFrame
    counts: Mapping[str, int]

    @property
    def folder(self) -> str:
        """For a command line."""
        return shlex.quote(str(self.study.folder))

    def of(self, *queries: str) -> pd.DataFrame:
        """The rows of these kinds of question."""
        return self.frame[self.frame["query"].isin(queries)]


@contextlib.contextmanager
def looked_at(study: Study) -> Iterator[Answers]:
    """The answers of a study.

    Raises:
        DataError: there are none yet, or they cannot be read.
    """
    with study.store() as store:
        frame, counts = study.frame(), store.counts()
        if frame.empty:
            raise DataError(
                f"{study.folder} has no answers yet, so there is nothing to report. "
                f"Run 'dualbound study run {study.folder}' first."
            )
        asked, edited = _asked(study, store)
        yield Answers(study, store, asked, edited, _with_more(frame), counts)


def groups(frame: pd.DataFrame, *by: str) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    """Rows that belong together, in the order of their first questions; by series and network."""
    for key, rows in frame.groupby(list(by or ("name", "network")), sort=False, dropna=False):
        yield tuple(str(part) for part in (key if isinstance(key, tuple) else (key,))), rows


def state(query: str, status: str) -> str:
    """How a question ended, in a word or two.

    >>> state("nearest", "optimal"), state("forward", "feasible")
    ('proved', 'differs')
    """
    of = _STATES | _OF_KIND.get(query, {})
    return of.get(status, status)


def called(series: str, network: str) -> str:
    """A series of questions about one network."""
    return f"{series} · {network}"


@functools.lru_cache(maxsize=4096)
def options_of(text: str) -> Mapping[str, Any]:
    """Of a question, from its column."""
    try:
        read = json.loads(text)
    except ValueError as error:
        raise DataError(f"The options of a question are damaged: {text!r} ({error}).") from error
    return read if isinstance(read, dict) else {}


def bound_of(query: str, options: Mapping[str, Any], value: object) -> str:
    """A question's bound in words, rounded to the side on which it is proved.

    >>> bound_of("nearest", {"norm": "l1"}, 1.99999), bound_of("verify", {}, -1.99999)
    ('1.9999', '−1.9999')
    >>> bound_of("verify", {}, -1e-308)
    '<0'
    """
    upper = query == VERIFY or (query == ACTIVATE and options.get("maximise") is not False)
    count = query != VERIFY and options.get("norm") == "l0"
    if query == VERIFY and -BY_SIGN < (numbers.plain(value) or 0.0) < 0:
        return "<0"
    return numbers.bound(value, upper=upper, count=count)


def value_of(options: Mapping[str, Any], value: object) -> str:
    """A question's value in words; a count in L0."""
    return numbers.integer(value) if options.get("norm") == "l0" else numbers.distance(value)


def _asked(study: Study, store: Store) -> tuple[Specification, bool]:
    now = (study.folder / FILE).read_text(encoding="utf-8", errors="replace")
    then = store.meta(FILE)
    if then is None or then == now:
        return study.specification, False
    try:
        return Specification.parse(then, study.folder), True
    except DualboundError:
        return study.specification, True


def _with_more(frame: pd.DataFrame) -> pd.DataFrame:
    options = [options_of(text) for text in frame["options"]]
    return frame.assign(
        settled=frame["status"].isin(SETTLED),
        failed=frame["status"] == FAILED,
        asked_norm=pd.Series([o.get("norm") for o in options], frame.index, dtype="object"),
        target_kind=pd.Series([_kind(option) for option in options], frame.index, dtype="object"),
        subject=pd.Series(
            [
                _subject(query, image, option)
                for query, image, option in zip(
                    frame["query"], frame["image"], options, strict=True
                )
            ],
            frame.index,
            dtype="object",
        ),
    )


def _kind(options: Mapping[str, Any]) -> str:
    """What the target is, where it is no label; any other label if none was named.

    >>> _kind({"target": None, "targets": None}), _kind({"target": 3}), _kind({"target": "+5"})
    ('any', '', '+5')
    """
    target = options.get("target")
    if "target" in options and target is None and options.get("targets") is None:
        return "any"
    return target if isinstance(target, str) else ""


def _subject(query: str, image: object, options: Mapping[str, Any]) -> str:
    if isinstance(image, str):
        return f"{image} within {options.get('eps'):g}" if query == VERIFY else image
    if query == ACTIVATE:
        layer = options.get("layer")
        where = "logit" if layer == "logits" else f"layer {layer}, neuron"
        return f"{where} {options.get('neuron')}" + (", rectified" if options.get("post") else "")
    if query == PERFECT:
        return f"a perfect {options.get('label')}"
    return str(options.get("method", "")) if query == BOUNDS else ""
