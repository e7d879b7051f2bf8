"""Scores of the units of a network, from 0 (not needed) to 1, and how good they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidInput
from dualbound.prune.units import Keep, Layer

THRESHOLD = 1e-3
"""Units with a score below it are not needed (the papers' choice)."""

CLOSED = 1e-4
"""The relative gap between value and bound that counts as closed."""


@dataclass(frozen=True)
class Moment:
    """How a search for scores is going.

    Attributes:
        part: which program, where there are several: a class, or a layer.
        value: of the best scores so far.
        bound: that is proved.
        removable: how many units of the best scores are below the threshold.
        seconds: since the beginning.
    """

    part: str
    value: float
    bound: float
    removable: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Importance:
    """Scores of all units, from 0 (not needed) to 1.

    Attributes:
        layers: whose units they are of.
        scores: of each layer's units, by its name.
        value: of the objective at the scores, evaluated outside the solver.
        bound: proved: no scores have a lower value. Where layers were scored one after another it
            is what the objective cannot be below whatever the network: what their programs prove
            holds for the other layers' scores as they are.
        sparsity: the first part of the value.
        loss: the mean loss at the scores.
        loss_before: the mean loss of the network as it is.
        order: the units as they were let go one by one, the one that is missed least first, as
            places among the units of all layers; those that are never active are the first.
        relaxed: whether the bound is that of linear programs alone.
        finished: whether the gap is closed, layer by layer that of every program; else the time
            was over.
        interrupted: whether Ctrl-C ended it.
        note: what there is to say; usually empty.
        seconds: that it took.
        programs: how many programs were solved.
    """

    layers: tuple[Layer, ...]
    scores: Mapping[str, Float[np.ndarray, " units"]]
    value: float
    bound: float
    sparsity: float
    loss: float
    loss_before: float
    order: tuple[int, ...]
    relaxed: bool
    finished: bool
    interrupted: bool = field(default=False, kw_only=True)
    note: str = field(default="", kw_only=True)
    seconds: float = field(repr=False, kw_only=True)
    programs: int = field(repr=False, kw_only=True)

    @property
    def gap(self) -> float:
        """Between value and bound, relative to the value where that is above 1."""
        return max(self.value - self.bound, 0.0) / max(abs(self.value), 1.0)

    def keep(self, threshold: float | str = THRESHOLD) -> Keep:
        """Which units stay.

        Args:
            threshold: a unit with a score below it goes; ``mean`` stands for the mean score of
                its layer.

        Raises:
            InvalidInput: another word, or no number from 0 to 1.
        """
        check_threshold(threshold)
        if threshold == "mean":
            return {name: scores >= scores.mean() for name, scores in self.scores.items()}
        return {name: scores >= threshold for name, scores in self.scores.items()}


def check_threshold(threshold: float | str) -> None:
    """Refuse what no score can be compared with.

    Raises:
        InvalidInput: neither ``mean`` nor a number from 0 to 1.
    """
    if threshold != "mean" and (isinstance(threshold, str) or not 0 <= threshold <= 1):
        raise InvalidInput(
            f"The threshold is {threshold!r}; expected a number from 0 to 1, or 'mean'."
        )


def closed(value: float, bound: float, gap: float) -> bool:
    """Whether a proved bound is as near to a value as was asked, see `Importance.gap`."""
    return value - bound <= gap * max(1.0, abs(value)) + 1e-9
