"""The loop over a benchmark's instances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dualbound.errors import InvalidInput, SoundnessError
from dualbound.limits import Clock, Limits
from dualbound.studies.competition.answering import ERROR, SAT, Given
from dualbound.studies.competition.instances import Instance, matching, read_instances
from dualbound.studies.competition.process import Told, supervised
from dualbound.studies.competition.results import Line, Results, opened, write_beside
from dualbound.studies.competition.scoring import Score, score_of


@dataclass
class Moment:
    """How a run is doing.

    Attributes:
        score: so far.
        instance: in hand; None between two.
        told: the latest word about it.
        line: an answer that has just come.
    """

    score: Score
    instance: Instance | None = None
    told: Told = field(default_factory=dict)
    line: Line | None = None


Watch = Callable[[Moment], None]


def compete(
    folder: Path | str,
    out: Path | str,
    *,
    seconds: float | None = None,
    only: str | None = None,
    again: bool = False,
    on_progress: Watch | None = None,
) -> Score:
    """Answer the instances of a benchmark that have no answer yet, until all have or Ctrl-C.

    Args:
        folder: with an ``instances.csv``.
        out: the results, a ``.csv`` file; what it holds is not asked again. Counterexamples are
            written into a folder beside it.
        seconds: for each instance, in place of the benchmark's own.
        only: instances whose name has this in it, or matches it.
        again: ask those that ended in an error once more.
        on_progress: told of every answer, and how each search is doing.

    Returns:
        The score of all that was asked for.

    Raises:
        DataError: the benchmark, or the results, cannot be read.
        InvalidInput: nothing is asked for, or the results are for other limits.
        OutputError: an answer cannot be written.
        SoundnessError: a proof was contradicted; the instance is kept as an error.
    """
    Limits(seconds)
    instances = matching(read_instances(Path(folder)), only)
    if seconds is not None:
        instances = [replace(one, seconds=seconds) for one in instances]
    with opened(Path(out)) as results, Clock().catching_ctrl_c() as clock:
        _check_limits(instances, results)
        _Run(instances, results, clock, on_progress or (lambda _: None)).all(again=again)
        return score_of(instances, results.lines.values())


def _check_limits(instances: Sequence[Instance], results: Results) -> None:
    for one in instances:
        line = results.lines.get(one.name)
        if line is not None and line.timeout != one.seconds:
            raise InvalidInput(
                f"{results.path} has answers within {line.timeout:g} s, and now {one.seconds:g} s "
                f"are allowed for {one.name}: name another file by --out."
            )


class _Run:
    """One instance after another."""

    def __init__(
        self, instances: Sequence[Instance], results: Results, clock: Clock, watch: Watch
    ) -> None:
        self.instances, self.results = instances, results
        self.clock, self.watch = clock, watch
        self.moment = Moment(self._score())

    def all(self, *, again: bool) -> None:
        """Those without an answer."""
        self.watch(self.moment)
        for one in self.instances:
            line = self.results.lines.get(one.name)
            if line is not None and not (again and line.result == ERROR):
                continue
            self.moment.instance, self.moment.told = one, {}
            given = supervised(
                one.onnx,
                one.vnnlib,
                one.seconds,
                stop=lambda: self.clock.expired,
                tell=self._hear,
            )
            if given is None:
                return
            self._keep(one, given)

    def _hear(self, told: Told) -> None:
        self.moment.told = told
        self.watch(self.moment)

    def _keep(self, one: Instance, given: Given) -> None:
        place = ""
        if given.result == SAT:
            place = write_beside(self.results.path, one, given.counterexample)
        line = Line.of(one, given, place)
        self.results.add(line)
        self.moment.score, self.moment.line = self._score(), line
        self.watch(self.moment)
        self.moment.line = None
        if given.unsound:
            raise SoundnessError(
                f"{one.name}: {given.note} The results so far are kept, but none of this version "
                "can be trusted until that is understood."
            )

    def _score(self) -> Score:
        return score_of(self.instances, self.results.lines.values())
