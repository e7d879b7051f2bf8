"""``compare``: networks side by side on one data set, their robustness proved."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from dualbound.criterion import Untargeted
from dualbound.data import Dataset
from dualbound.errors import InvalidInput
from dualbound.limits import Clock, Limits, check_gap
from dualbound.network import Network
from dualbound.queries.activate import of_outputs, optimise
from dualbound.queries.answer import Status
from dualbound.queries.compared import Compared, Comparing, Distance, Margin, Side
from dualbound.queries.nearest import nearest
from dualbound.queries.neurons import Neuron, objective_of
from dualbound.region import Box
from dualbound.search import Bab
from dualbound.tighten.processes import finished, shared_among

MARGIN_GAP = 1e-2
"""Between the smallest margin and its proved bound, relative; absolute below 1."""

FINEST_GAP = 1e-6
"""What the gap is narrowed to where 0 lies within it: an adversary there may be, or not."""

_INSTANT = 1e-9
"""Seconds left to a question when there are none."""


def compare(
    networks: Mapping[str, Network],
    data: Dataset,
    *,
    eps: float,
    count: int = 20,
    distances: int = 0,
    gap: float | None = MARGIN_GAP,
    seconds: float | None = 60.0,
    processes: int = 1,
    limits: Limits | None = None,
    on_progress: Callable[[Comparing], None] | None = None,
) -> Compared:
    """Compare networks: accuracy, exact robustness, and what each makes of the others' adversaries.

    Of the first images that all of them answer right, the smallest margin over every other label
    within an L∞ radius is found and proved, so an adversary is found wherever there is one. All
    networks are asked about an image before the next one.

    Args:
        networks: by name; of the same inputs and classes.
        data: inputs in [0, 1], and labels.
        eps: the radius.
        count: how many images are asked about.
        distances: of how many of them the nearest adversary is sought too.
        gap: of a margin; None: only its sign is proved, see `smallest_margin`.
        seconds: limit of a question.
        processes: that work at once.
        limits: of the whole; Ctrl-C stops too, and what is done is kept.
        on_progress: told of every answer.

    Raises:
        InvalidInput: no networks, or such as do not fit the data; a radius, gap or limit that is
            none; or no image that all answer right.

    >>> from dualbound import Dataset
    >>> net = Network.dense([[[1.0, 0.0], [0.0, 1.0]]], [[0.0, 0.0]])
    >>> x = np.array([[0.7, 0.2], [0.5, 0.6]], dtype=np.float32)
    >>> data = Dataset("toy", "test", x, np.array([0, 1]), ("a", "b"))
    >>> seen = compare({"net": net}, data, eps=0.1, count=2)
    >>> [(one.label, one.target, round(one.value, 4), one.found) for one in seen.sides[0].margins]
    [(0, 1, 0.3, False), (1, 0, -0.1, True)]
    """
    x, labels = data.values().reshape(len(data), -1), np.asarray(data.labels, dtype=int)
    _check(networks, x, data, eps, count, distances, gap)
    Limits(seconds)  # refused before the first question
    answers = {name: network(x).argmax(axis=1) for name, network in networks.items()}
    right = np.all([found == labels for found in answers.values()], axis=0)
    chosen = np.flatnonzero(right)[:count]
    if not len(chosen):
        raise InvalidInput(
            f"None of the {len(data)} inputs of {data.name} is answered right by "
            f"{' and '.join(networks)}."
        )
    questions = [
        _Question(name, int(k), x[k].astype(float), int(labels[k]), target, eps, gap, seconds)
        for k in chosen
        for name in networks
        for target in (*(j for j in range(len(data.classes)) if j != labels[k]), None)
        if target is not None or int(k) in chosen[:distances]
    ]
    with Clock(limits).catching_ctrl_c() as clock:
        found = _answered(networks, questions, processes, clock, on_progress)
        note = ""
        if len(found) < len(questions):
            why = "interrupted" if clock.interrupted else "the time was over"
            left = len(questions) - len(found)
            note = f"{why}: {left:,} of {len(questions):,} questions not answered"
        sides = tuple(
            Side(
                name=name,
                accuracy=float((answers[name] == labels).mean()),
                parameters=_parameters(network),
                margins=tuple(
                    one for owner, one in found if owner == name and isinstance(one, Margin)
                ),
                distances=tuple(
                    one for owner, one in found if owner == name and isinstance(one, Distance)
                ),
            )
            for name, network in networks.items()
        )
        return Compared(
            sides=sides,
            eps=eps,
            images=tuple(int(k) for k in chosen),
            classes=len(data.classes),
            transfer=_transfer(networks, sides),
            seconds=clock.seconds,
            note=note,
        )


def _check(
    networks: Mapping[str, Network], x: np.ndarray, data: Dataset, eps: float, count: int,
    distances: int, gap: float | None,
) -> None:  # fmt: skip
    if not networks:
        raise InvalidInput("There is no network to compare.")
    for name, network in networks.items():
        if (network.input_size, network.output_size) != (x.shape[1], len(data.classes)):
            raise InvalidInput(
                f"{name} reads {network.input_size} numbers and has {network.output_size} outputs; "
                f"{data.name} has inputs of {x.shape[1]} numbers and {len(data.classes)} classes."
            )
    if not 0 < eps <= 1:
        raise InvalidInput(f"The radius eps must be above 0 and at most 1, found {eps}.")
    if x.min() < 0 or x.max() > 1:
        raise InvalidInput(
            f"{data.name} has values from {x.min():g} to {x.max():g}; networks are compared on "
            "inputs from 0 to 1."
        )
    if count < 1 or distances < 0:
        raise InvalidInput(
            f"{count} images, and {distances} of them for distances; expected at least one image."
        )
    if gap is not None:
        check_gap(gap)


@dataclass(frozen=True, eq=False)
class _Question:
    """One margin; or one distance, where there is no target."""

    network: str
    index: int
    x: Float[np.ndarray, " n"]
    label: int
    target: int | None
    eps: float
    gap: float | None
    seconds: float | None


def _asked(network: Network, one: _Question, at_most: float = math.inf) -> Margin | Distance:
    """Its answer.

    Args:
        network: asked.
        one: the question.
        at_most: seconds, whatever the question allows.
    """
    limits = Limits(max(min(one.seconds or math.inf, at_most), _INSTANT))
    if one.target is not None:
        return smallest_margin(
            network, one.x, one.label, one.target, one.eps, index=one.index, gap=one.gap,
            limits=limits,
        )  # fmt: skip
    answer = nearest(network, one.x, Untargeted(), norm="linf", gap=1e-3, limits=limits)
    decided = answer.status in (Status.OPTIMAL, Status.INFEASIBLE)
    return Distance(one.index, answer.value, answer.bound, decided)


def smallest_margin(
    network: Network,
    x: ArrayLike,
    label: int,
    target: int,
    eps: float,
    *,
    index: int = 0,
    gap: float | None = MARGIN_GAP,
    limits: Limits | None = None,
) -> Margin:
    """The smallest margin of a label over another within a radius; see `Margin`.

    Args:
        network: any that `dualbound.activate` takes.
        x: the input, in [0, 1].
        label: the right one.
        target: the other one.
        eps: the radius, L∞.
        index: of the input, for the record.
        gap: that counts as proved; narrowed where 0 lies within it. None: it is enough to know
            whether the margin can be negative; the smallest one found is then the best of an
            ascent, and the bound mostly 0.
        limits: when to stop.

    Raises:
        InvalidInput: no such label, the same one twice, or what `dualbound.activate` refuses.

    **Trusts** what `dualbound.activate` does; an input with a negative margin was replayed by
    onnxruntime, in the precision of the file, and is no adversary where that disagrees.
    """
    if label == target:
        raise InvalidInput(f"The margin of label {label} over itself is 0; name another target.")
    center = network.one_input(x)
    box = Box(np.maximum(center - eps, 0.0), np.minimum(center + eps, 1.0))
    margin = {Neuron("logits", label): 1.0, Neuron("logits", target): -1.0}
    objective = objective_of(network, margin, sign=-1.0)
    engine = Bab() if network.is_piecewise_linear else None
    side = 0.0 if gap is None and engine else None
    allowed = MARGIN_GAP if gap is None else gap
    value, at, bound = None, None, -math.inf
    with Clock(limits).catching_ctrl_c() as clock:
        while True:
            found = optimise(
                network, objective, box, maximise=False, gap=allowed, engine=engine, clock=clock,
                of_outputs=of_outputs(network, objective, -1.0), side=side, limits=None,
                on_progress=None,
            )  # fmt: skip
            bound = max(bound, found.bound)
            refused = found.value is not None and found.value < 0 <= (found.runtime_value or 0.0)
            if found.value is not None and not refused and (value is None or found.value < value):
                value, at = found.value, found.x
            decided = bound >= 0 or (value is not None and value < 0)
            closed = side is None and found.status is Status.OPTIMAL and not refused
            if decided or not closed or allowed <= FINEST_GAP or clock.expired:
                break
            allowed = max(allowed / 100, FINEST_GAP)
        x_found = at.reshape(-1) if at is not None and value is not None and value < 0 else None
        return Margin(index, label, target, value, bound, x_found, clock.seconds)


def _answered(
    networks: Mapping[str, Network],
    questions: Sequence[_Question],
    processes: int,
    clock: Clock,
    on_progress: Callable[[Comparing], None] | None,
) -> list[tuple[str, Margin | Distance]]:
    """The answers in the questions' order, as many as there was time for."""
    found: list[tuple[str, Margin | Distance]] = []
    adversaries = dict.fromkeys(networks, 0)

    def take(question: _Question, answer: Margin | Distance) -> None:
        found.append((question.network, answer))
        adversaries[question.network] += isinstance(answer, Margin) and answer.found
        if on_progress is not None:
            on_progress(Comparing(len(found), len(questions), dict(adversaries)))

    if processes <= 1:
        for question in questions:
            if clock.expired:
                break
            take(question, _asked(networks[question.network], question, clock.remaining))
        return found
    with shared_among(processes) as submit:
        jobs = [submit(_asked, networks[one.network], one) for one in questions]
        waited = False  # for one that was not there in time; the others are taken if they are
        for question, job in zip(questions, jobs, strict=True):
            if clock.expired and waited and not job.done():
                continue
            waited = clock.expired
            answer: Margin | Distance | None = finished(job, clock, otherwise=None)
            if answer is not None:
                take(question, answer)
    return found


def _transfer(networks: Mapping[str, Network], sides: Sequence[Side]) -> Float[np.ndarray, "k k"]:
    """The accuracy of each network on the adversaries of each."""
    table = np.full((len(sides), len(sides)), np.nan)
    for j, side in enumerate(sides):
        made = side.adversaries
        if made:
            x = np.stack([one.x for one in made if one.x is not None])
            labels = np.array([one.label for one in made])
            for i, network in enumerate(networks.values()):
                table[i, j] = float((network(x).argmax(axis=1) == labels).mean())
    return table


def _parameters(network: Network) -> int:
    from dualbound.network import Affine

    return sum(node.op.parameters for node in network.nodes if isinstance(node.op, Affine))
