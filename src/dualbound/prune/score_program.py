r"""The score program: how few units a network can do with, and at what cost.

.. math::
    \min_s\; \frac{1}{N} \max_{i} \sum_{l \ne i} I_l
    + \frac{\lambda}{K} \sum_{k=1}^{K} \ell\bigl(o_k(s), y_k\bigr),
    \qquad I_l = \sum_{j \in l} (s_{lj} - 2)

over scores *s* of N units in several layers, *K* inputs and the outputs :math:`o_k` of the scored
network. The maximum is the sum of all layers but the one with the lowest sum (ElAraby, Wolf,
Carvalho, 2020, section 3); of a single layer it is that layer's own. The loss is convex: the margin
hinge is linear, and the softmax loss is approached from below by tangents.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from dualbound.errors import InvalidInput
from dualbound.milp import Encoding, Program, encode_moderately
from dualbound.prune.scored import Scored


class Loss(ABC):
    """A convex function of a network's outputs and the right label."""

    name: ClassVar[str]

    @abstractmethod
    def __call__(
        self, outputs: Float[np.ndarray, "k m"], labels: Int[np.ndarray, " k"]
    ) -> Float[np.ndarray, " k"]:
        """The loss of each row."""

    @abstractmethod
    def rows(
        self, outputs: Float[np.ndarray, "k m"], labels: Int[np.ndarray, " k"]
    ) -> list[tuple[int, Float[np.ndarray, " m"], float]]:
        """Affine functions below the loss that meet it at some outputs.

        Returns:
            For each, which row it is of, and its slope and constant.
        """

    @abstractmethod
    def first_rows(
        self, size: int, labels: Int[np.ndarray, " k"]
    ) -> list[tuple[int, Float[np.ndarray, " m"], float]]:
        """Affine functions below the loss that are known before any outputs are."""


class Hinge(Loss):
    r""":math:`\max(0,\; 1 + \max_{j \ne y} o_j - o_y)`; all of it is known at once.

    >>> Hinge()(np.array([[3.0, 2.5], [3.0, 1.0]]), np.array([0, 0]))
    array([0.5, 0. ])
    """

    name = "hinge"

    def __call__(
        self, outputs: Float[np.ndarray, "k m"], labels: Int[np.ndarray, " k"]
    ) -> Float[np.ndarray, " k"]:
        """See `Loss`."""
        rows = np.arange(len(outputs))
        others = outputs.copy()
        others[rows, labels] = -np.inf
        return np.maximum(1 + others.max(axis=1) - outputs[rows, labels], 0.0)

    def rows(
        self, outputs: Float[np.ndarray, "k m"], labels: Int[np.ndarray, " k"]
    ) -> list[tuple[int, Float[np.ndarray, " m"], float]]:
        """None: the first ones are all."""
        return []

    def first_rows(
        self, size: int, labels: Int[np.ndarray, " k"]
    ) -> list[tuple[int, Float[np.ndarray, " m"], float]]:
        """One for every label that is not the right one."""
        unit = np.eye(size)
        return [
            (k, unit[j] - unit[label], 1.0)
            for k, label in enumerate(labels)
            for j in range(size)
            if j != label
        ]


class Softmax(Loss):
    r"""The cross-entropy of the softmax, :math:`\log \sum_j e^{o_j} - o_y`, by its tangents.

    >>> Softmax()(np.array([[0.0, 0.0]]), np.array([0])).round(4)
    array([0.6931])
    """

    name = "softmax"

    def __call__(
        self, outputs: Float[np.ndarray, "k m"], labels: Int[np.ndarray, " k"]
    ) -> Float[np.ndarray, " k"]:
        """See `Loss`."""
        highest = outputs.max(axis=1)
        total = np.exp(outputs - highest[:, None]).sum(axis=1)
        return highest + np.log(total) - outputs[np.arange(len(outputs)), labels]

    def rows(
        self, outputs: Float[np.ndarray, "k m"], labels: Int[np.ndarray, " k"]
    ) -> list[tuple[int, Float[np.ndarray, " m"], float]]:
        """The tangent at each row's outputs."""
        shares = np.exp(outputs - outputs.max(axis=1)[:, None])
        shares /= shares.sum(axis=1)[:, None]
        slopes = shares - np.eye(outputs.shape[1])[labels]
        constants = self(outputs, labels) - np.einsum("km,km->k", slopes, outputs)
        return [(k, slope, float(constants[k])) for k, slope in enumerate(slopes)]

    def first_rows(
        self, size: int, labels: Int[np.ndarray, " k"]
    ) -> list[tuple[int, Float[np.ndarray, " m"], float]]:
        """The largest output is below the logarithm of the sum; and the tangent where all agree."""
        unit = np.eye(size)
        each = [
            (k, unit[j] - unit[label], 0.0)
            for k, label in enumerate(labels)
            for j in range(size)
            if j != label
        ]
        return each + self.rows(np.zeros((len(labels), size)), labels)


LOSSES: Mapping[str, Loss] = {one.name: one for one in (Softmax(), Hinge())}


def loss_named(name: str) -> Loss:
    """The loss of that name.

    Raises:
        InvalidInput: there is none.
    """
    if name not in LOSSES:
        raise InvalidInput(f"Unknown loss {name!r}; known are {', '.join(LOSSES)}.")
    return LOSSES[name]


@dataclass
class ScoreProgram:
    r"""The program of a scored network, and what its objective is at given scores.

    Attributes:
        scored: the network.
        labels: the right one at each input.
        owners: which loss each input counts for: the largest of its inputs', so that several
            inputs may stand for the worst of many. One of its own for each when not given.
        loss: of the outputs.
        weight: of the loss, the :math:`\\lambda` above.
        whole: whether a score is 0 or 1, and nothing between.
        fixed: scores that are given, NaN where they are sought.
        integer: False relaxes the rectifiers to their triangles.
    """

    scored: Scored
    labels: Int[np.ndarray, " k"]
    loss: Loss
    weight: float
    whole: bool
    fixed: Float[np.ndarray, " units"]
    integer: bool = True
    owners: Int[np.ndarray, " k"] | None = None

    def __post_init__(self) -> None:
        self.of = np.arange(self.scored.count) if self.owners is None else self.owners
        self.losses = int(self.of.max()) + 1
        size = self.scored.original.output_size
        self.below = list(self.loss.first_rows(size, self.labels))
        dead = self.scored.most == 0
        self.live = np.flatnonzero(~dead)
        self.fixed = np.where(dead, 0.0, self.fixed)
        ends = np.cumsum([0, *(layer.units for layer in self.scored.layers)])
        self.parts = [slice(*pair) for pair in itertools.pairwise(ends)]

    # At given scores.

    def sparsity(self, scores: Float[np.ndarray, " units"]) -> float:
        """The first term; the lower, the more units can be removed."""
        sums = [float((scores[part] - 2).sum()) for part in self.parts]
        return (sum(sums) - (min(sums) if len(sums) > 1 else 0.0)) / len(scores)

    @property
    def least(self) -> float:
        """What no scores have a lower value than: nothing kept that may go, and no loss."""
        return self.sparsity(np.where(np.isnan(self.fixed), 0.0, self.fixed))

    def mean_loss(self, scores: Float[np.ndarray, " units"]) -> float:
        """Of the scored network, which is evaluated outside the solver."""
        outputs = self.scored.outputs(self.scored.shifts(scores))
        return float(self.worst(self.loss(outputs, self.labels)).mean())

    def worst(self, losses: Float[np.ndarray, " k"]) -> Float[np.ndarray, " owners"]:
        """The largest loss of each owner's inputs."""
        found = np.full(self.losses, -np.inf)
        np.maximum.at(found, self.of, losses)
        return found

    def value(self, scores: Float[np.ndarray, " units"]) -> float:
        """The objective."""
        return self.sparsity(scores) + self.weight * self.mean_loss(scores)

    def meet(self, scores: Float[np.ndarray, " units"]) -> None:
        """Add the tangents of the loss at the outputs of these scores."""
        self.meet_outputs(self.scored.outputs(self.scored.shifts(scores)))

    def meet_outputs(self, outputs: Float[np.ndarray, "k m"]) -> None:
        """Add the tangents of the loss at some outputs."""
        self.below += self.loss.rows(outputs, self.labels)

    # As a program.

    def build(self) -> tuple[Program, Encoding, np.ndarray]:
        """The program with all tangents so far, its encoding, and the columns of the losses."""
        scored, total = self.scored, len(self.scored.most)
        form = scored.box.linear_form()
        encoding = encode_moderately(scored.network, form, scored.bounds, integer=self.integer)
        builder = encoding.builder
        lacking = encoding.input_columns
        given = ~np.isnan(self.fixed)
        at = scored.lacking(np.where(given, self.fixed, 0.0))
        rows = [k for k in self.live if given[k]]
        builder.rows(
            [f"given{k}" for k in rows],
            [[int(lacking[k])] for k in rows],
            [[1.0] for _ in rows],
            lower=at[rows],
            upper=at[rows],
        )
        if self.whole:
            free = [k for k in self.live if not given[k]]
            on = builder.columns([f"on{k}" for k in free], lower=0, upper=1, integer=True)
            builder.rows(
                [f"whole{k}" for k in free],
                [[int(lacking[k]), int(column)] for k, column in zip(free, on, strict=True)],
                [[1.0, 1.0] for _ in free],
                lower=1.0,
                upper=1.0,
            )
        self._add_sparsity(encoding, total)
        losses = self._add_losses(encoding)
        return builder.build(), encoding, losses

    def _add_sparsity(self, encoding: Encoding, total: int) -> None:
        """A column at least every sum of all layers but one."""
        builder, most = encoding.builder, self.scored.most
        [column] = builder.columns(["sparsity"], cost=1.0 / total)
        several = len(self.parts) > 1
        for left_out in range(len(self.parts)):
            chosen = np.concatenate(
                [
                    np.arange(part.start, part.stop)
                    for k, part in enumerate(self.parts)
                    if k != left_out or not several
                ]
            )
            live = chosen[most[chosen] > 0]
            constant = -2.0 * len(chosen) + len(live)  # a score is 1 less what lacks
            builder.rows(
                [f"sum{left_out}"],
                [np.append(encoding.input_columns[live], column)],
                [np.ones(len(live) + 1)],
                lower=constant,
            )

    def _add_losses(self, encoding: Encoding) -> np.ndarray:
        """A column for each input's loss, above all that is known to be below it."""
        builder, count = encoding.builder, self.losses
        losses = builder.columns(
            [f"loss{k}" for k in range(count)], lower=0.0, cost=self.weight / count
        )
        outputs = encoding.values[self.scored.network.output]
        size = self.scored.network.output_size // self.scored.count
        slopes = np.zeros((len(self.below), self.scored.network.output_size))
        for row, (k, slope, _) in enumerate(self.below):
            slopes[row, k * size : (k + 1) * size] = slope
        lines = outputs.mapped(slopes, np.array([constant for *_, constant in self.below]))
        names, indices, values = [], [], []
        for row, (k, *_) in enumerate(self.below):
            columns, coefficients = lines.row(row)
            names.append(f"below{row}")
            indices.append(np.append(columns, losses[self.of[k]]))
            values.append(np.append(-coefficients, 1.0))
        builder.rows(names, indices, values, lower=lines.constant)
        return losses

    def start(
        self, encoding: Encoding, program: Program, scores: Float[np.ndarray, " units"]
    ) -> Float[np.ndarray, " n"]:
        """The program's columns at some scores, for a solver to start from."""
        start = encoding.start_at(self.scored.lacking(scores))
        for name, value in self._named(scores).items():
            start[program.column_names.index(name)] = value
        return start

    def _named(self, scores: Float[np.ndarray, " units"]) -> dict[str, float]:
        given = ~np.isnan(self.fixed)
        outputs = self.scored.outputs(self.scored.shifts(scores))
        losses = np.zeros(self.losses)
        for k, slope, constant in self.below:
            owner = self.of[k]
            losses[owner] = max(losses[owner], float(slope @ outputs[k]) + constant)
        whole = {f"on{k}": scores[k] for k in self.live if not given[k]} if self.whole else {}
        return {
            **{name: float(value) for name, value in whole.items()},
            "sparsity": self.sparsity(scores) * len(scores),
            **{f"loss{k}": float(value) for k, value in enumerate(losses)},
        }

    def scores_at(
        self, encoding: Encoding, v: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, " units"]:
        """The scores in a solution."""
        scores = self.scored.scores(np.clip(encoding.input_at(v), 0.0, 1.0))
        if self.whole:
            scores = np.where(np.isnan(self.fixed), np.round(scores), scores)
        return np.where(np.isnan(self.fixed), scores, self.fixed)
