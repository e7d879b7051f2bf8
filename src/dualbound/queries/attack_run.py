"""An attack under way: batch by batch, every adversary replayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from dualbound.attacks import Allowed, Method, Threat, classifier, device_named, distance
from dualbound.data import Dataset
from dualbound.errors import InvalidInput
from dualbound.limits import Clock
from dualbound.network import Network, replay
from dualbound.queries.attacked import MEASURES, AtRadius, Attacked, Attacking
from dualbound.region import Box

if TYPE_CHECKING:
    from torch import Tensor, nn

AGAIN = (1e-4, 1e-3, 1e-2)
"""Margins of DeepFool for inputs whose adversary was none in float64."""

REPLAYED = 64
"""So many adversaries of each radius are run by onnxruntime, where the network has a file."""


class AttackRun:
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
