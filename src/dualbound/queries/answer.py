"""What a query answers: a status, a witness, a bound; every part of it can be looked at alone."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from dualbound.criterion import Criterion
from dualbound.region import NORMS


class Status(enum.Enum):
    """How a query ended."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Runtime:
    """What one way of evaluating the network said of a witness; it accepted it.

    Attributes:
        name: ``dualbound float64`` or ``onnxruntime``.
        label: its argmax.
        slack: of the criterion; at least 0 where it is reached.
    """

    name: str
    label: int
    slack: float


@dataclass(frozen=True, eq=False)
class Witness:
    """An input that reaches the criterion, replayed outside the solver.

    Attributes:
        x: in the network's input shape, float64, in the user's units.
        outputs: of the network in float64.
        label: its argmax.
        margin: the label's output minus the next one.
        distance: from the centre, recomputed from ``x``.
        runtimes: what each evaluation said; all of them accepted it.
    """

    x: Float[np.ndarray, "*shape"]
    outputs: Float[np.ndarray, " m"]
    label: int
    margin: float
    distance: float
    runtimes: tuple[Runtime, ...]


@dataclass(frozen=True, eq=False)
class Stats:
    """How the answer was reached.

    Attributes:
        seconds: wall-clock time in all.
        phases: seconds of each phase.
        nodes: branch-and-bound nodes.
        unstable: neurons whose phase was open when the last proof began; None if none did.
        engine: its name and strategy.
        solver: name and version.
        programs: linear programs of the tree of the engine columns; 0 for others, of which solvers
            do not tell.
    """

    seconds: float
    phases: Mapping[str, float]
    nodes: int
    unstable: int | None
    engine: str
    solver: str
    programs: int = 0


@dataclass(frozen=True, eq=False)
class Answer:
    """The pair that answers a nearest query: a replayed witness and a proved bound.

    Attributes:
        status: OPTIMAL when the gap is closed, FEASIBLE with a witness whose gap is open,
            INFEASIBLE when it is proved that there is none, UNKNOWN otherwise.
        norm: of the distance.
        value: distance of the witness, None without one.
        bound: proved: nothing nearer reaches the criterion. Infinity when nothing does at all.
        gap: ``(value - bound) / max(|value|, 1e-9)``, None without a witness.
        witness: replayed, or None.
        label_before: the network's answer for the unchanged input.
        note: why a witness was refused, or how the search was ended; empty when there is nothing
            to say.
        criterion: what was asked, for this input: an `Untargeted` one with the present label.
        levels: of the grid that the witness is on, if that was asked.
        weighted: whether the norm has weights.
        then: the answer to the second question of ``then=``, about all inputs as near as the one
            found; its norm, value, bound and gap are of that question. None if none was asked, or
            there is nothing to ask it of.
        stats: how it was reached.
    """

    status: Status
    norm: str
    value: float | None
    bound: float
    gap: float | None
    witness: Witness | None
    label_before: int
    note: str = ""
    criterion: Criterion = field(kw_only=True)
    levels: int | None = field(default=None, kw_only=True)
    weighted: bool = field(default=False, kw_only=True)
    then: Answer | None = field(default=None, kw_only=True)
    stats: Stats = field(repr=False, kw_only=True)

    @property
    def norm_title(self) -> str:
        """The norm for people: ``L1``, ``weighted L2``."""
        return ("weighted " if self.weighted else "") + NORMS[self.norm].title

    @property
    def is_count(self) -> bool:
        """Whether distances are whole numbers of inputs."""
        return self.norm == "l0" and not self.weighted
