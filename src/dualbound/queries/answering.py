"""An answer out of what a search knows: its witness replayed, its bound checked against it."""

from __future__ import annotations

import numpy as np

from dualbound.patterns import NearestProblem
from dualbound.queries.answer import Answer, Stats, Status, Witness
from dualbound.queries.replay import Refused, replayed
from dualbound.search import Engine, Incumbent, check_distance, relative_gap

WITHIN_ROUNDING = (
    "what is left open lies within rounding, or a solver's tolerance: no gap below {:g} is "
    "searched for"
)

BY_ITSELF = "the search ended by itself with the answer open: it knows no more to try"


def answered(
    problem: NearestProblem, engine: Engine, incumbent: Incumbent, gap: float, unstable: int | None
) -> Answer:
    """The answer to a problem whose search has ended.

    Args:
        problem: what was asked.
        engine: that searched.
        incumbent: what it found and proved.
        gap: relative gap that counts as closed.
        unstable: see `Stats`.

    Raises:
        SoundnessError: the witness contradicts the proof.
    """
    clock = incumbent.clock
    witness, note = _witness(problem, incumbent)
    value = None if witness is None else witness.distance
    status, open_gap = (
        status_of(witness, incumbent.bound, gap),
        relative_gap(value, incumbent.bound),
    )
    ended = "interrupted" if clock.interrupted else ""
    note = "; ".join(
        part for part in (note, _why_open(status, open_gap, incumbent, engine), ended) if part
    )
    if status in (Status.FEASIBLE, Status.UNKNOWN) and not note and not clock.expired:
        note = BY_ITSELF
    if value is not None:
        check_distance(value, incumbent.bound)
    solver = engine.backend()
    return Answer(
        status=status,
        norm=problem.norm.name,
        value=value,
        bound=incumbent.bound if value is None else min(incumbent.bound, value),
        gap=open_gap,
        witness=witness,
        label_before=int(np.argmax(problem.network(problem.center))),
        note=note,
        criterion=problem.criterion,
        levels=None if problem.grid is None else problem.grid.levels,
        weighted=problem.norm.weights is not None,
        stats=Stats(
            seconds=clock.seconds,
            phases=dict(incumbent.seconds),
            nodes=incumbent.nodes,
            unstable=unstable,
            engine=str(engine),
            solver=f"{solver.name} {solver.version()}",
            programs=incumbent.programs,
        ),
    )


def _why_open(status: Status, open_gap: float | None, incumbent: Incumbent, engine: Engine) -> str:
    """What a search has to say of what it left open; nothing where it left nothing open."""
    if status in (Status.OPTIMAL, Status.INFEASIBLE):
        return ""
    if open_gap is not None and open_gap <= 2 * engine.finest:
        return WITHIN_ROUNDING.format(engine.finest)
    return incumbent.note


def status_of(witness: Witness | None, bound: float, gap: float) -> Status:
    """How a search ended that has this witness and this bound."""
    if witness is not None:
        open_gap = relative_gap(witness.distance, bound)
        closed = open_gap is not None and open_gap <= gap * (1 + 1e-6) + 1e-12
        return Status.OPTIMAL if closed else Status.FEASIBLE
    return Status.INFEASIBLE if bound == np.inf else Status.UNKNOWN


def _witness(problem: NearestProblem, incumbent: Incumbent) -> tuple[Witness | None, str]:
    if incumbent.x is None:
        return None, ""
    try:
        return replayed(problem, incumbent.x), ""
    except Refused as refused:
        return None, f"the witness found failed its replay: {refused}"
