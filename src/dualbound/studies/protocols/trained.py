"""Protocols that make the networks they measure, and what their cells share."""

from __future__ import annotations

import dataclasses
import functools
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from dualbound.data import Dataset, load_dataset
from dualbound.learn import Method, Moment, Plain, Recipe, Trained, method_named, train
from dualbound.learn.saving import CARD, MODEL, save
from dualbound.studies.experiment import Cell, Kept, Tally, circumstances, run, say
from dualbound.studies.protocols.protocol import Comparison, Lines

MODELS = "models"


@dataclass(frozen=True)
class TrainingProtocol:
    """How an experiment that trains is run and read.

    Attributes:
        key: its name for ``dualbound reproduce``.
        title: what it is about.
        source: paper and section.
        cells: what it measures; fewer with True, never an easier question.
        compare: the tables that its cells make.
        executor: that suits it: ``serial`` where one training keeps all cores busy.
        draw: the pictures that they make.
    """

    key: str
    title: str
    source: str
    cells: Callable[[bool], list[Cell]]
    compare: Callable[[Mapping[str, Kept]], list[Comparison]]
    executor: str = "processes"
    draw: Callable[[Mapping[str, Kept]], list[Lines]] = lambda kept: []

    def run(
        self,
        folder: Path,
        *,
        quick: bool = False,
        executor: str | None = None,
        on_progress: Callable[[Tally], None] | None = None,
    ) -> Tally:
        """Run it, or go on with it; see `dualbound.studies.experiment.run`."""
        about = {"experiment": self.key, "quick": quick}
        who = executor or self.executor
        return run(self.cells(quick), folder, about=about, executor=who, on_progress=on_progress)

    def page(self, kept: Mapping[str, Kept], total: int, comparisons: Sequence[Comparison]) -> str:
        """All tables as one document, with when and on what they were measured."""
        tables = "\n".join(comparison.markdown() for comparison in comparisons)
        about = f"{self.source}. {circumstances(list(kept.values()))}"
        done = "" if len(kept) == total else f"\n{len(kept)} of {total} measurements made.\n"
        return f"# {self.title}\n\n{about}\n{done}\n{tables}"


@dataclass(frozen=True)
class Plan:
    """A network to be trained.

    Attributes:
        name: of its folder.
        architecture: its text.
        data: name of the data set.
        recipe: by which.
        method: by its name.
        eps: of the method, where it has one.
        each: inputs of each class to train on; all when not given.
    """

    name: str
    architecture: str
    data: str
    recipe: Recipe
    method: str = "plain"
    eps: float | None = None
    each: int | None = None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Plan:
        """What `dataclasses.asdict` has written."""
        return cls(**{**content, "recipe": Recipe(**content["recipe"])})

    def carry_out(self, folder: Path) -> Trained:
        """See `taught`."""
        return taught(
            folder,
            self.name,
            self.architecture,
            data_of(self.data, "train", self.each),
            self.recipe,
            method=method_named(self.method, eps=self.eps),
            test=data_of(self.data, "test"),
        )


class Stopped(Exception):
    """A training was stopped; what it has come to is kept."""


@functools.lru_cache(maxsize=8)
def data_of(name: str, split: str, each: int | None = None) -> Dataset:
    """A data set, or so many inputs of each class of it."""
    data = load_dataset(name, split)
    return data if each is None else data.balanced(each, 0)


def taught(
    folder: Path,
    name: str,
    architecture: str,
    data: Dataset,
    recipe: Recipe,
    *,
    method: Method | None = None,
    test: Dataset | None = None,
) -> Trained:
    """A network of an experiment: trained, taken up, or as it was finished before.

    Args:
        folder: of the experiment.
        name: of the network in it.
        architecture: its text.
        data: to train on.
        recipe: by which.
        method: by which; plain when not given.
        test: to evaluate on after each epoch.

    Raises:
        Stopped: it is not finished.
    """
    place = folder / MODELS / name
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(str(place.with_suffix(".lock"))):
        trained = train(
            architecture, data, recipe, method=method, test=test, folder=place,
            on_progress=lambda now: say(f"{name}: {_words(now)}"),
        )  # fmt: skip
        if not trained.finished:
            raise Stopped
        if not ((place / MODEL).exists() and (place / CARD).exists()):
            save(
                place, trained, data, recipe, method=method or Plain(),
                architecture=architecture, test=test,
            )  # fmt: skip
    return trained


def _words(now: Moment) -> str:
    return (
        f"epoch {now.epoch + 1} of {now.epochs}, {now.step} of {now.steps} steps, loss "
        f"{now.loss:.4f}, {100 * now.accuracy:.1f} % right"
    )


def history_of(trained: Trained) -> list[dict[str, Any]]:
    """As JSON has it."""
    return [dataclasses.asdict(one) for one in trained.history]


def mean_and_error(values: Iterable[float]) -> tuple[float, float]:
    """The mean, and its standard error (0 of one value).

    >>> mean_and_error([1.0, 2.0, 2.0, 3.0])
    (2.0, 0.408248...)
    """
    found = list(values)
    if len(found) < 2:
        return found[0], 0.0
    return statistics.fmean(found), statistics.stdev(found) / len(found) ** 0.5


def plus_minus(values: Iterable[float], factor: float = 1.0, digits: int = 2) -> str | None:
    """A mean and its standard error in words; None of no values.

    >>> plus_minus([0.70, 0.72], 100)
    '71.00 ± 1.00'
    """
    found = list(values)
    if not found:
        return None
    mean, error = mean_and_error(found)
    return f"{factor * mean:.{digits}f} ± {factor * error:.{digits}f}"
