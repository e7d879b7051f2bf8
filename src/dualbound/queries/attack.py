"""``attack``: how many inputs of a data set an attack turns, and how far it moves them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from numpy.typing import ArrayLike

from dualbound.attacks import (
    Allowed,
    Method,
    Threat,
    classifier,
    device_named,
    distance,
    method_named,
)
from dualbound.data import Dataset
from dualbound.errors import InvalidInput
from dualbound.limits import Clock, Limits
from dualbound.network import Network, replay
from dualbound.region import Box

if TYPE_CHECKING:
    from torch import Tensor, nn

MEASURES = ("l1", "l2", "linf")
"""Norms in which the distances of adversaries are told, whatever the attack measures in."""

AGAIN = (1e-4, 1e-3, 1e-2)
"""Margins of DeepFool for inputs whose adversary was none in float64."""

REPLAYED = 64
"""So many adversaries of each radius are run by onnxruntime, where the network has a file."""


@dataclass(frozen=True, eq=False)
class AtRadius:
    """What an attack does within a radius.

    Attributes:
        eps: the radius; infinite for all that an attack without one finds.
        accuracy: the share of all inputs that are answered by their label still.
        success: the share of the inputs with the right answer that the attack turns; None where
            there are none.
        turned: which inputs those are, as positions in the data, ``(k,)``.
        adversaries: one for each of them, ``(k, *shape)``.
        answers: the network's labels for these, ``(k,)``.
        distances: how far each is from its input, by norm, each ``(k,)``.
        refused: points that the attack took for adversaries and that failed their replay.
        replayed: how many were run by onnxruntime too.
    """

    eps: float
    accuracy: float
    success: float | None
    turned: Int[np.ndarray, " k"] = field(repr=False)
    adversaries: Float32[np.ndarray, "k *shape"] = field(repr=False)
    answers: Int[np.ndarray, " k"] = field(repr=False)
    distances: Mapping[str, Float[np.ndarray, " k"]] = field(repr=False)
    refused: int = 0
    replayed: int = 0


@dataclass(frozen=True, eq=False)
class Attacked:
    """What an attack does to a network on a data set.

    Attributes:
        method: the attack and its options.
        norm: in which it measures.
        count: how many inputs were attacked, the first of the data.
        clean: the share of them that is answered by its label without an attack.
        labels: of these inputs, ``(count,)``.
        answers: the network's, ``(count,)``; -1 where two outputs are level, which is no answer.
        at: what it does within each radius, in the order asked for; with an attack that looks for
            the nearest adversary a last one without a radius.
        nearest: how far the nearest adversary of each input is that was found, in the norm: 0 where
            the answer is wrong as it is, infinite where none was found, ``(count,)``.
        seconds: wall-clock time.
        note: why it stopped early; empty if it did not.
    """

    method: Method
    norm: str
    count: int
    clean: float
    labels: Int[np.ndarray, " count"] = field(repr=False)
    answers: Int[np.ndarray, " count"] = field(repr=False)
    at: tuple[AtRadius, ...]
    nearest: Float[np.ndarray, " count"] = field(repr=False)
    seconds: float = field(repr=False)
    note: str = ""

    def accuracy(self, eps: float) -> float:
        """The share of inputs with the right answer for which nothing found is within a radius.

        With an attack that looks for the nearest adversary this is its accuracy within every
        radius; with others it only falls at the radii that were asked for, or where adversaries
        came nearer.
        """
        return float((self.nearest > eps).mean())


@dataclass(frozen=True)
class Attacking:
    """How far an attack is.

    Attributes:
        done: inputs that are finished.
        total: inputs in all.
        right: of those finished, how many are answered by their label.
        turned: by radius, how many of these were turned.
    """

    done: int
    total: int
    right: int
    turned: Mapping[float, int]


def attack(
    network: Network,
    data: Dataset,
    *,
    method: str = "pgd",
    eps: float | Sequence[float] = (0.1, 0.2, 0.3),
    norm: str = "linf",
    region: Box | None = None,
    mask: ArrayLike | None = None,
    count: int | None = None,
    batch: int = 256,
    seed: int = 0,
    device: str = "cpu",
    limits: Limits | None = None,
    on_progress: Callable[[Attacking], None] | None = None,
    **options: object,
) -> Attacked:
    """Attack a network on a data set, within each of some radii.

    Only inputs with the right answer are attacked. What the attack takes for an adversary counts if
    the network, in float64, has another output above the label's, at the exact numbers returned;
    where the network has a file, 64 of each radius are run by onnxruntime too, and those that it
    answers by their label do not count either.

    Args:
        network: any.
        data: inputs in the network's units, and their labels.
        method: ``fgsm``, ``pgd``, ``momentum``, ``deepfool``, ``virtual``, or ``foolbox:NAME``.
        eps: one radius or several, in the units of the inputs. An attack that looks for the nearest
            adversary runs once, and what it found is counted within each.
        norm: ``linf``, ``l2`` or ``l1``; with some of foolbox's attacks also ``l0``.
        region: of all inputs; [0, 1] for each when not given.
        mask: true where an input may change, in the network's input shape or flat.
        count: how many inputs, the first of the data; all when not given.
        batch: inputs at a time.
        seed: of everything random; the answer is the same for the same seed, batch and device.
        device: where torch computes, such as ``cuda``.
        limits: when to stop.
        on_progress: told of every batch.
        **options: of the attack, such as ``steps`` and ``restarts``; see `dualbound.attacks`.

    Returns:
        What the attack does. A limit or Ctrl-C is no error: the answer is of the inputs finished.

    Raises:
        InvalidInput: the data do not fit the network or the region, or an option makes no sense.

    >>> from dualbound import load
    >>> from dualbound.data import load_dataset
    >>> data = load_dataset("sample", "test")
    >>> found = attack(load("dnn1"), data, method="fgsm", eps=0.05, count=50)
    >>> found.clean, found.at[0].accuracy
    (0.92, 0.26)
    """
    radii = _radii(eps)
    chosen = method_named(method, norm, **options)
    if count is not None and count < 1:
        raise InvalidInput(f"count is {count}; expected how many inputs, 1 or more.")
    if not 0 <= seed < 2**63:
        raise InvalidInput(f"seed is {seed}; expected a whole number from 0, below 2^63.")
    if batch < 1:
        raise InvalidInput(f"batch is {batch}; expected how many inputs at a time, 1 or more.")
    data = data if count is None or count >= len(data) else data.subset(slice(count))
    _check_fit(network, data)
    box = (region or Box(0.0, 1.0)).sized(network.input_size)
    free = None if mask is None else _free(network, data, mask)
    run = _Run(network, data, chosen, norm, radii, box, free, device)
    clock = Clock(limits)
    with clock.catching_ctrl_c():
        for start in range(0, len(data), batch):
            if clock.expired or not run.batch(start, min(start + batch, len(data)), seed, clock):
                break
            if on_progress is not None:
                on_progress(run.progress())
    return run.answer(clock)


def _radii(eps: float | Sequence[float]) -> tuple[float, ...]:
    radii = tuple(float(one) for one in (eps if isinstance(eps, Sequence) else (eps,)))
    if not radii or not all(0 <= one < np.inf for one in radii):
        raise InvalidInput(f"eps is {eps}; expected one radius or several, finite and at least 0.")
    if len(set(radii)) < len(radii):
        raise InvalidInput(f"eps names a radius twice: {', '.join(f'{one:g}' for one in radii)}.")
    return radii


def _check_fit(network: Network, data: Dataset) -> None:
    """Refuse data of another shape, or with labels that the network does not have.

    Axes of length 1 do not count, and where one of the two is flat the sizes decide.
    """
    shape, wanted = (
        tuple(size for size in one if size != 1) for one in (data.shape, network.input_shape)
    )
    flat = len(shape) <= 1 or len(wanted) <= 1
    if np.prod(shape) != np.prod(wanted) or not (flat or shape == wanted):
        raise InvalidInput(
            f"The inputs of {data.name} have the shape {data.shape}; the network reads "
            f"{network.input_shape}."
        )
    most = int(data.labels.max())
    if network.output_size < 2 or most >= network.output_size:
        raise InvalidInput(
            f"{data.name} has labels up to {most}; the network has {network.output_size} "
            f"output{'s' * (network.output_size != 1)}. A classifier needs two or more, and one "
            "for every label."
        )


def _free(network: Network, data: Dataset, mask: ArrayLike) -> Bool[np.ndarray, "*shape"]:
    free = np.asarray(mask)
    if free.dtype != bool or free.size != network.input_size:
        raise InvalidInput(
            f"The mask has {free.size} values of {free.dtype}; expected true where an input may "
            f"change, for each of {network.input_size}."
        )
    return free.reshape(data.shape)


class _Run:
    """An attack under way."""

    def __init__(
        self,
        network: Network,
        data: Dataset,
        method: Method,
        norm: str,
        radii: tuple[float, ...],
        box: Box,
        free: Bool[np.ndarray, "*shape"] | None,
        device: str,
    ) -> None:
        import torch

        self._network, self._data, self._method, self._norm = network, data, method, norm
        self._device = device_named(device)
        self._net = classifier(network, device=self._device)
        self._lower, self._upper = self._side(box.lower), self._side(box.upper)
        self._mask = None if free is None else torch.as_tensor(free, device=self._device)
        self._asked = (np.inf,) if method.minimal else radii
        self._radii = radii
        self._answers: list[np.ndarray] = []
        self._found: dict[float, _Found] = {eps: _Found() for eps in self._asked}

    def _side(self, bound: Float[np.ndarray, " n"]) -> float | Tensor:
        """A bound as attacks take it: a number where it is the same for all."""
        import torch

        if np.all(bound == bound[0]):
            return float(bound[0])
        return torch.tensor(bound.reshape(self._data.shape), device=self._device)

    def _flat(self, x: Float32[np.ndarray, "b *shape"]) -> Float32[np.ndarray, "b n"]:
        return x.reshape(len(x), self._network.input_size)

    @property
    def _done(self) -> int:
        return sum(map(len, self._answers))

    def batch(self, start: int, stop: int, seed: int, clock: Clock) -> bool:
        """Attack some of the inputs within every radius; whether that was finished."""
        x, y = self._data.values(slice(start, stop)), self._data.labels[start:stop]
        outputs = self._network(self._flat(x))
        level = (outputs == outputs.max(axis=1, keepdims=True)).sum(axis=1) > 1
        answers = np.where(level, -1, outputs.argmax(axis=1))  # a tie is no answer
        right = np.flatnonzero(answers == y)
        found = {eps: _Batch.empty(x) for eps in self._asked}
        if len(right):
            for eps in self._asked:
                found[eps] = self._attacked(x[right], y[right], start + right, eps, seed + start)
                if clock.expired and eps != self._asked[-1]:
                    return False
        self._answers.append(answers)
        for eps, one in found.items():
            self._found[eps].add(one)
        return True

    def _attacked(
        self,
        x: Float32[np.ndarray, "b *shape"],
        y: Int[np.ndarray, " b"],
        which: Int[np.ndarray, " b"],
        eps: float,
        seed: int,
    ) -> _Batch:
        import torch

        at, labels = (
            torch.as_tensor(x, device=self._device),
            torch.as_tensor(y, device=self._device),
        )
        bounds: Allowed = {"eps": eps, "lower": self._lower, "upper": self._upper}
        allowed: Allowed = {**bounds, "norm": self._norm}
        if self._mask is not None:
            allowed["mask"] = self._mask
        seeded = {"seed": seed} if self._method.seeded else {}
        points = self._points(at, labels, {**allowed, **seeded})
        claimed = _misread(self._net, points, labels)
        anywhere: Allowed = {**allowed, "eps": np.inf, "norm": "linf"}
        inside = Threat.around(at, **anywhere).contains(points)
        norms = {*MEASURES, self._norm}
        lengths = {norm: distance(points, at, norm).cpu().numpy() for norm in norms}
        adversaries = points.cpu().numpy()
        good = claimed & inside.cpu().numpy() & (lengths[self._norm] <= eps)
        rows = np.flatnonzero(good)
        outputs = self._network(self._flat(adversaries[rows]))
        turned = _above(outputs, y[rows])
        rows, outputs = rows[turned], outputs[turned]
        more = max(REPLAYED - self._found[eps].replayed, 0) if self._network.source else 0
        checked = rows[:more]
        kept = np.ones(len(rows), dtype=bool)
        if len(checked):
            again = replay(self._network, self._flat(adversaries[checked]))
            kept[: len(checked)] = _above(again.before_softmax, y[checked])
        rows, outputs = rows[kept], outputs[kept]
        return _Batch(
            which[rows],
            adversaries[rows],
            outputs.argmax(axis=1),
            {norm: length[rows] for norm, length in lengths.items()},
            refused=int(claimed.sum()) - len(rows),
            replayed=len(checked),
        )

    def _points(self, at: Tensor, labels: Tensor, allowed: Mapping[str, Any]) -> Tensor:
        """What the attack comes to; DeepFool again, and not so near, where float64 disagrees.

        It goes as near to a border as float32 can tell, and may go nearer than that where large
        terms cancel in small outputs.
        """
        import torch

        points = self._method.run(self._net, at, labels, **allowed)
        for margin in AGAIN if self._method.name == "deepfool" else ():
            outputs = self._network(self._flat(points.cpu().numpy()))
            turned = _above(outputs, labels.cpu().numpy())
            refused = np.flatnonzero(_misread(self._net, points, labels) & ~turned)
            if not len(refused):
                break
            rows = torch.as_tensor(refused, device=points.device)
            points[rows] = self._method.run(
                self._net, at[rows], labels[rows], **{**allowed, "margin": margin}
            )
        return points

    def progress(self) -> Attacking:
        """What is known so far."""
        labels = self._data.labels[: self._done]
        right = int((np.concatenate(self._answers) == labels).sum())
        turned = {eps: sum(len(one.which) for one in self._found[eps].parts) for eps in self._asked}
        return Attacking(self._done, len(self._data), right, turned)

    def answer(self, clock: Clock) -> Attacked:
        """What is known in the end.

        Raises:
            KeyboardInterrupt: nothing is.
            InvalidInput: likewise, as the limit is too short.
        """
        done, total = self._done, len(self._data)
        if not done:
            if clock.interrupted:
                raise KeyboardInterrupt
            raise InvalidInput(
                "The time limit ended before the first batch: give more time, or a smaller batch."
            )
        labels, answers = self._data.labels[:done], np.concatenate(self._answers)
        right = answers == labels
        joined = {eps: found.joined() for eps, found in self._found.items()}
        nearest = np.where(right, np.inf, 0.0)
        for one in joined.values():
            nearest[one.which] = np.minimum(nearest[one.which], one.lengths[self._norm])
        radii = (*self._radii, np.inf) if self._method.minimal else self._radii
        by_radius = joined if not self._method.minimal else dict.fromkeys(radii, joined[np.inf])
        stopped = "interrupted" if clock.interrupted else "the time limit was reached"
        return Attacked(
            self._method,
            self._norm,
            done,
            float(right.mean()),
            labels,
            answers,
            tuple(self._within(eps, by_radius[eps], right) for eps in radii),
            nearest,
            clock.seconds,
            "" if done == total else f"{stopped} after {done:,} of {total:,} inputs",
        )

    def _within(self, eps: float, found: _Batch, right: Bool[np.ndarray, " count"]) -> AtRadius:
        near = found.lengths[self._norm] <= eps
        turned = int(near.sum())
        return AtRadius(
            eps,
            float((right.sum() - turned) / len(right)),
            turned / int(right.sum()) if right.any() else None,
            found.which[near],
            found.adversaries[near],
            found.answers[near],
            {norm: found.lengths[norm][near] for norm in MEASURES},
            found.refused,
            found.replayed,
        )


@dataclass(frozen=True, eq=False)
class _Batch:
    """Adversaries that passed their replay."""

    which: Int[np.ndarray, " k"]
    adversaries: Float32[np.ndarray, "k *shape"]
    answers: Int[np.ndarray, " k"]
    lengths: Mapping[str, Float[np.ndarray, " k"]]
    refused: int = 0
    replayed: int = 0

    @classmethod
    def empty(cls, x: Float32[np.ndarray, "b *shape"]) -> _Batch:
        none, far = np.zeros(0, dtype=np.int64), np.zeros(0)
        return cls(none, x[:0], none, dict.fromkeys((*MEASURES, "l0"), far))


class _Found:
    """The adversaries of all batches within one radius."""

    def __init__(self) -> None:
        self.parts: list[_Batch] = []

    @property
    def replayed(self) -> int:
        return sum(one.replayed for one in self.parts)

    def add(self, part: _Batch) -> None:
        self.parts.append(part)

    def joined(self) -> _Batch:
        norms = set.intersection(*(set(one.lengths) for one in self.parts))
        return _Batch(
            np.concatenate([one.which for one in self.parts]),
            np.concatenate([one.adversaries for one in self.parts]),
            np.concatenate([one.answers for one in self.parts]),
            {norm: np.concatenate([one.lengths[norm] for one in self.parts]) for norm in norms},
            sum(one.refused for one in self.parts),
            self.replayed,
        )


def _misread(net: nn.Module, points: Tensor, labels: Tensor) -> Bool[np.ndarray, " b"]:
    """Whether the module, in its own precision, answers otherwise."""
    import torch

    with torch.no_grad():
        outputs = net(points).double().cpu().numpy()
    return _above(outputs, labels.cpu().numpy())


def _above(
    outputs: Float[np.ndarray, "b m"], labels: Int[np.ndarray, " b"]
) -> Bool[np.ndarray, " b"]:
    """Whether some output is above the label's; a tie is none."""
    return np.asarray(outputs.max(axis=1) > outputs[np.arange(len(labels)), labels])
