"""What is kept of an answer: one row of a study's table."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from jaxtyping import Float

from dualbound.queries import Activation, Answer, Verification
from dualbound.region import norm_named

FAILED = "failed"
"""The status of a question that was given up: its note says why."""

CERTIFIED, REFUTED = "holds", "violated"
"""The statuses of a verification that has ended; one that is open is ``unknown``."""

SETTLED = ("optimal", "infeasible", CERTIFIED, REFUTED)
"""The statuses of a question that has nothing left to prove."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Row:
    """The answer to one question, whatever was asked.

    Attributes:
        status: ``optimal``, ``feasible``, ``infeasible``, ``unknown``, or ``failed``; of a
            verification ``holds``, ``violated`` or ``unknown``.
        norm: of the distance, where there is one.
        value: of the witness, replayed.
        bound: proved; of a verification see `dualbound.Verification`.
        gap: between the two, as the question measures it.
        label_before: the network's answer for the unchanged input.
        label_after: its answer for the witness.
        target: the label asked for; of several, the one reached.
        criterion: what was asked, in words.
        replayed: whether there is a witness that was replayed.
        changed: how many inputs the witness changes.
        largest: the largest of these changes.
        seconds: wall-clock time of the question.
        engine: its name and strategy.
        solver: name and version.
        nodes: branch-and-bound nodes.
        unstable: neurons whose sign was open when the proof began.
        note: what there is to say of how the question ended.
        detail: what only this kind of question has, for JSON.
        witness: in the network's input shape, float64.
    """

    status: str
    norm: str | None = None
    value: float | None = None
    bound: float | None = None
    gap: float | None = None
    label_before: int | None = None
    label_after: int | None = None
    target: int | None = None
    criterion: str | None = None
    replayed: bool = False
    changed: int | None = None
    largest: float | None = None
    seconds: float | None = None
    engine: str | None = None
    solver: str | None = None
    nodes: int | None = None
    unstable: int | None = None
    note: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    witness: Float[np.ndarray, "*shape"] | None = None

    @classmethod
    def failed(cls, why: str) -> Row:
        """Of a question that was given up."""
        return cls(status=FAILED, note=why)

    @property
    def columns(self) -> dict[str, Any]:
        """Name and value of everything but the witness and the detail; no infinities."""
        kept = {item.name: getattr(self, item.name) for item in fields(self)}
        del kept["witness"], kept["detail"]
        return {name: _finite(value) for name, value in kept.items()}


def row_of_answer(answer: Answer, start: Float[np.ndarray, "..."], target: int | None) -> Row:
    """The row of a nearest query.

    Args:
        answer: of `dualbound.nearest`.
        start: the input that was asked about.
        target: the label that was asked for, where it was one.
    """
    found, stats = answer.witness, answer.stats
    detail: dict[str, Any] = {"phases": dict(stats.phases)}
    changed = largest = None
    if found is not None:
        change = np.abs(found.x.reshape(-1) - start.reshape(-1))
        changed, largest = int((change > 0).sum()), float(change.max())
        detail |= {"outputs_after": [float(v) for v in found.outputs], "margin": found.margin}
        target = found.label if target is None else target
    if answer.then is not None:
        then = answer.then
        detail["then"] = {"norm": then.norm, "value": then.value, "bound": _finite(then.bound)}
    return Row(
        status=answer.status.value,
        norm=answer.norm,
        value=answer.value,
        bound=answer.bound,
        gap=answer.gap,
        label_before=answer.label_before,
        label_after=None if found is None else found.label,
        target=target,
        criterion=str(answer.criterion),
        replayed=found is not None,
        changed=changed,
        largest=largest,
        seconds=stats.seconds,
        engine=stats.engine,
        solver=stats.solver,
        nodes=stats.nodes,
        unstable=stats.unstable,
        note=answer.note or None,
        detail=detail,
        witness=None if found is None else found.x,
    )


def row_of_verification(
    answer: Verification,
    start: Float[np.ndarray, "..."],
    norm: str,
    label_before: int,
    asked: str,
) -> Row:
    """The row of a verify query about an image.

    Args:
        answer: of `dualbound.verify`.
        start: the image.
        norm: of the ball around it.
        label_before: what the network answers there.
        asked: in words, what violates.
    """
    found = answer.witness
    detail: dict[str, Any] = {"phases": dict(answer.phases)}
    changed = largest = None
    if found is not None:
        change = np.abs(found.x.reshape(-1) - start.reshape(-1))
        changed, largest = int((change > 0).sum()), float(change.max())
        distance = norm_named(norm).distance(found.x.reshape(-1), start.reshape(-1))
        detail |= {
            "outputs_after": [float(v) for v in found.outputs],
            "distance": float(distance),
        }
    return Row(
        status=answer.outcome.value,
        norm=norm,
        bound=answer.bound,
        label_before=label_before,
        label_after=None if found is None else found.label,
        criterion=asked,
        replayed=found is not None,
        changed=changed,
        largest=largest,
        seconds=answer.seconds,
        engine=answer.engine,
        nodes=answer.nodes,
        unstable=answer.unstable,
        note=answer.note or None,
        detail=detail,
        witness=None if found is None else found.x,
    )


def row_of_activation(answer: Activation, asked: str, target: int | None = None) -> Row:
    """The row of an activate or perfect query.

    Args:
        answer: of `dualbound.activate` or `dualbound.perfect`.
        asked: in words.
        target: the label that was asked for, where it was one.
    """
    stats = answer.stats
    outputs = None if answer.outputs is None else [float(v) for v in answer.outputs]
    return Row(
        status=answer.status.value,
        value=answer.value,
        bound=answer.bound,
        gap=answer.gap,
        label_after=answer.label,
        target=target,
        criterion=asked,
        replayed=answer.x is not None,
        seconds=stats.seconds,
        engine=stats.engine,
        solver=stats.solver or None,
        nodes=stats.nodes,
        unstable=stats.unstable,
        note=answer.note or None,
        detail={"phases": dict(stats.phases), "outputs_after": outputs},
        witness=answer.x,
    )


def _finite(value: Any) -> Any:
    """The value, or None for a number that JSON and SQL cannot say."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
