"""Training with the nearest adversaries that there are, found and proved by the exact engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dualbound.criterion import Criterion, Targeted, Untargeted
from dualbound.data import Dataset
from dualbound.errors import InvalidInput
from dualbound.learn.evaluation import evaluating
from dualbound.learn.method import Method, Step
from dualbound.limits import Clock, Limits
from dualbound.network import Network
from dualbound.queries import Status, nearest
from dualbound.queries.models import load
from dualbound.region import norm_named
from dualbound.tighten.processes import finished, shared_among

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Exact(Method):
    """Plain steps; before some epochs, minimal adversaries join the data for that epoch.

    Of every input that the network answers right the nearest one that it answers otherwise is
    sought, and shown with the right label (schoenfeld, section 4.2).

    Attributes:
        partners: the label to reach from each label; any other label when not given.
        norm: of the distance.
        ratio: by which the label must win over every other, see `dualbound.Targeted`.
        after: how many epochs are done when adversaries are made; after every one if not given.
        count: how many inputs they are made of, the first ones of the data; all when not given.
        seconds: limit of a question; the best adversary so far is taken then.
        cap: the most that an input may move, none when not given.
        gap: how near to the best proved one is near enough, relative.
        processes: that work at once; the training is the same with any number of them.
        on_found: is told the epoch and all that was found.
    """

    partners: tuple[int, ...] | None = None
    norm: str = "l1"
    ratio: float | None = None
    after: tuple[int, ...] | None = None
    count: int | None = None
    seconds: float = 10.0
    cap: float | None = None
    gap: float = 1e-4
    processes: int = field(default=1, repr=False, compare=False)
    on_found: Callable[[int, list[Adversary]], None] | None = field(
        default=None, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        Untargeted(ratio=self.ratio)
        Limits(self.seconds)
        norm_named(self.norm)
        for name, least in (("count", 1), ("cap", 0), ("processes", 1)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise InvalidInput(f"{name} is {value}; expected {least} or more.")
        if not 0 <= self.gap < 1:
            raise InvalidInput(f"gap is {self.gap}; expected 0 to below 1.")

    def loss(self, step: Step) -> tuple[Tensor, Tensor]:
        """See `Method.loss`: the loss at the inputs."""
        outputs = step.module(step.x)
        return step.mean_loss(outputs), outputs

    def added(
        self, module: nn.Module, data: Dataset, epoch: int, clock: Clock
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """See `Method.added`."""
        for label in range(len(data.classes)):
            self.criterion(label)
        if epoch == 0 or (self.after is not None and epoch not in self.after):
            return None
        with evaluating(module):
            network = load(module, input_shape=data.shape)
        part = data.subset(slice(self.count))
        found = list(
            adversaries(
                network, part.values(), part.labels, criterion_of=self.criterion, norm=self.norm,
                cap=self.cap, gap=self.gap, seconds=self.seconds, processes=self.processes,
                clock=clock,
            )
        )  # fmt: skip
        if self.on_found is not None:
            self.on_found(epoch, found)
        return stacked(found, part.labels)

    def criterion(self, label: int) -> Criterion:
        """What an input of a label is moved to."""
        if self.partners is None:
            return Untargeted(ratio=self.ratio)
        if label >= len(self.partners) or self.partners[label] == label:
            raise InvalidInput(
                f"partners says nothing of where label {label} shall go; expected another label "
                "for each."
            )
        if not 0 <= self.partners[label] < len(self.partners):
            raise InvalidInput(
                f"partners sends label {label} to {self.partners[label]}; expected one of the "
                f"labels 0 to {len(self.partners) - 1}."
            )
        return Targeted(self.partners[label], ratio=self.ratio)


def stacked(found: Sequence[Adversary], labels: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Adversaries in float32, and the labels that they should have; None where there are none."""
    with_x = [one for one in found if one.x is not None]
    if not with_x:
        return None
    x = np.stack([one.x for one in with_x if one.x is not None]).astype(np.float32)
    return x, labels[[one.index for one in with_x]]


@dataclass(frozen=True, eq=False)
class Adversary:
    """What was found of one input.

    Attributes:
        index: of the input.
        x: the nearest adversary found, of the input's shape; None where there is none.
        value: its distance, None without one.
        bound: what no distance is below.
        proved: whether nothing nearer exists, to the engine's gap.
        seconds: that it took.
    """

    index: int
    x: np.ndarray | None
    value: float | None
    bound: float
    proved: bool
    seconds: float


def adversaries(
    network: Network,
    x: np.ndarray,
    y: np.ndarray,
    *,
    criterion_of: Callable[[int], Criterion] | None = None,
    norm: str = "l1",
    cap: float | None = None,
    gap: float = 1e-4,
    seconds: float = 10.0,
    processes: int = 1,
    clock: Clock | None = None,
) -> Iterator[Adversary]:
    """The nearest adversary of every input that is answered right, in the inputs' order.

    Args:
        network: to fool.
        x: inputs in [0, 1], ``(n, *shape)``.
        y: their labels.
        criterion_of: what to reach, by the label; any other label when not given.
        norm: of the distance.
        cap: the most that an input may move, none when not given.
        gap: how near to the best proved one is near enough, relative.
        seconds: limit of a question.
        processes: that work at once.
        clock: when to stop.

    Yields:
        One for each input that is answered right, until the clock stops.
    """
    wanted = criterion_of or (lambda label: Untargeted())
    right = np.flatnonzero(np.argmax(network(x.reshape(len(x), -1)), axis=1) == y)
    questions = [
        _Question(int(k), x[k].astype(float), wanted(int(y[k])), norm, cap, gap, seconds)
        for k in right
    ]
    clock = clock or Clock()
    if processes <= 1:
        for one in questions:
            if clock.expired:
                return
            yield _answered(network, one)
        return
    yield from _by_processes(network, questions, processes, clock)


@dataclass(frozen=True, eq=False)
class _Question:
    index: int
    x: np.ndarray
    criterion: Criterion
    norm: str
    cap: float | None
    gap: float
    seconds: float


def _answered(network: Network, one: _Question) -> Adversary:
    answer = nearest(
        network, one.x, one.criterion, norm=one.norm, cap=one.cap, gap=one.gap,
        limits=Limits(one.seconds),
    )  # fmt: skip
    witness = answer.witness
    return Adversary(
        index=one.index,
        x=None if witness is None else witness.x.reshape(one.x.shape),
        value=answer.value,
        bound=answer.bound,
        proved=answer.status in (Status.OPTIMAL, Status.INFEASIBLE),
        seconds=answer.stats.seconds,
    )


def _some(network: Network, questions: Sequence[_Question]) -> list[Adversary]:
    return [_answered(network, one) for one in questions]


def _by_processes(
    network: Network, questions: Sequence[_Question], processes: int, clock: Clock
) -> Iterator[Adversary]:
    size = max(1, min(8, len(questions) // (4 * processes)))
    parts = [questions[k : k + size] for k in range(0, len(questions), size)]
    with shared_among(processes) as submit:
        for job in [submit(_some, network, part) for part in parts]:
            found: list[Adversary] | None = finished(job, clock, otherwise=None)
            if found is None:
                return
            yield from found
