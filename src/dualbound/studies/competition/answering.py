"""One instance of a competition, answered in this process."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dualbound.errors import DualboundError, SoundnessError
from dualbound.limits import Clock, Limits
from dualbound.network import Network, replay
from dualbound.queries import Outcome, Verification, property_for, verify
from dualbound.queries.models import load
from dualbound.search.bab import Decision
from dualbound.studies.competition import counterexample

SAT, UNSAT, UNKNOWN, TIMEOUT, ERROR = "sat", "unsat", "unknown", "timeout", "error"
RESULTS = (SAT, UNSAT, UNKNOWN, TIMEOUT, ERROR)
SOLVED = (SAT, UNSAT)

_RESULTS = {Outcome.HOLDS: UNSAT, Outcome.VIOLATED: SAT, Outcome.UNKNOWN: UNKNOWN}


@dataclass(frozen=True)
class Given:
    """What came of an instance.

    Attributes:
        result: one of `RESULTS`.
        seconds: from opening the files to the answer.
        bound: see `dualbound.Verification`.
        nodes: of the search.
        engine: its name, and what it branched on.
        counterexample: in the competition's format; empty if there is none.
        note: what there is to say of how it ended.
        unsound: a proof contradicts a point; nothing of this version can be trusted.
    """

    result: str
    seconds: float
    bound: float | None = None
    nodes: int | None = None
    engine: str = ""
    counterexample: str = ""
    note: str = ""
    unsound: bool = False


def load_libraries() -> None:
    """Load what takes long, before any clock runs."""
    import onnxruntime  # noqa: F401
    import torch  # noqa: F401

    import dualbound.bounds.batched  # noqa: F401


def answered(
    onnx: Path,
    vnnlib: Path,
    seconds: float | None,
    tell: Callable[[Decision], None] | None = None,
) -> Given:
    """Answer an instance; an error of the question is an answer too.

    A counterexample is checked once more, as it is written.

    Args:
        onnx: the network's file.
        vnnlib: the property's file.
        seconds: for everything, reading included; an answer that comes later is none.
        tell: hears how the search is doing.
    """
    clock = Clock()
    try:
        network = load(onnx)
        asked = property_for(network, vnnlib)
        left = None if seconds is None else max(seconds - clock.seconds, 1e-3)
        found = verify(network, asked, limits=Limits(left), on_progress=tell)
        text = _written(network, found)
        refused = counterexample.refusal(network, asked, text) if text else ""
    except DualboundError as error:
        said = " ".join(str(error).split())
        return Given(ERROR, clock.seconds, note=said, unsound=isinstance(error, SoundnessError))
    result, note = _RESULTS[found.outcome], found.note
    if refused:
        result, text, note = ERROR, "", f"the counterexample failed its check: {refused}"
    elif seconds is not None and clock.seconds > seconds:
        late = "" if result == UNKNOWN else f"{result} after {clock.seconds:.1f} s"
        result, text, note = TIMEOUT, "", late
    return Given(
        result,
        clock.seconds,
        bound=found.bound if math.isfinite(found.bound) else None,
        nodes=found.nodes,
        engine=found.engine,
        counterexample=text,
        note=note,
    )


def _written(network: Network, found: Verification) -> str:
    """The counterexample with the outputs of the file as it was given."""
    if found.witness is None:
        return ""
    x = found.witness.x
    return counterexample.written(x, replay(network, x.reshape(-1)).outputs)
