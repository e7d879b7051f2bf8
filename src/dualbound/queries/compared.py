"""Networks side by side, as `compare` finds them, and how far it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class Margin:
    r"""By how much an input's label wins over another one, at worst, within a radius.

    .. math:: \min_{\|x' - x\|_\infty \le \varepsilon}\; o_y(x') - o_t(x')

    Attributes:
        index: of the input.
        label: y, the right one.
        target: t.
        value: the smallest found; negative where an adversary was found; None where nothing was.
        bound: proved: no input within the radius has a smaller one.
        x: where the value is reached, ``(n,)``, if it is negative.
        seconds: that it took.
    """

    index: int
    label: int
    target: int
    value: float | None
    bound: float
    x: Float[np.ndarray, " n"] | None
    seconds: float

    @property
    def found(self) -> bool:
        """Whether there is an adversary: an input at which the other output is larger."""
        return self.value is not None and self.value < 0

    @property
    def decided(self) -> bool:
        """Whether there is one, or a proof that there is none."""
        return self.found or self.bound >= 0


@dataclass(frozen=True, eq=False)
class Distance:
    """How near the nearest adversary of an input is, L∞.

    Attributes:
        index: of the input.
        value: of the nearest one found; None without one.
        bound: proved: none is nearer.
        decided: whether the two agree, or there is none at all, proved.
    """

    index: int
    value: float | None
    bound: float
    decided: bool


@dataclass(frozen=True, eq=False)
class Side:
    """What is known of one network.

    Attributes:
        name: of it.
        accuracy: on all of the data.
        parameters: how many numbers it is made of.
        margins: within the radius, for every image and every other label.
        distances: of the nearest adversaries, of as many images as asked for.
    """

    name: str
    accuracy: float
    parameters: int
    margins: tuple[Margin, ...] = field(repr=False)
    distances: tuple[Distance, ...] = field(repr=False)

    @property
    def adversaries(self) -> list[Margin]:
        """The margins below 0."""
        return [one for one in self.margins if one.found]

    @property
    def open(self) -> int:
        """How many margins are not decided."""
        return sum(not one.decided for one in self.margins)

    def robust(self, images: Sequence[int], classes: int) -> tuple[float, float] | None:
        """The share of some images with no adversary at all: proved, and not refuted.

        A margin that is missing, because the search ended before it, is not decided.

        Args:
            images: whose margins were asked for.
            classes: how many labels there are.

        Returns:
            The two shares, or None where no margin is known at all.
        """
        if not self.margins:
            return None
        attacked = {one.index for one in self.margins if one.found}
        safe = Counter(one.index for one in self.margins if one.decided and not one.found)
        proved = sum(safe[k] == classes - 1 for k in images)
        return proved / len(images), (len(images) - len(attacked)) / len(images)

    def matrix(self, classes: int) -> Int[np.ndarray, "c c"]:
        """How many adversaries of each label (row) are for each target (column)."""
        counts = np.zeros((classes, classes), dtype=int)
        for one in self.adversaries:
            counts[one.label, one.target] += 1
        return counts

    def asked(self, classes: int) -> Int[np.ndarray, "c c"]:
        """How many questions there were of each."""
        counts = np.zeros((classes, classes), dtype=int)
        for one in self.margins:
            counts[one.label, one.target] += 1
        return counts


@dataclass(frozen=True, eq=False)
class Compared:
    """Networks side by side.

    Attributes:
        sides: one for each network.
        eps: the radius, L∞.
        images: those whose margins were asked for, as positions in the data.
        classes: how many labels there are.
        transfer: the accuracy of each network (row) on the adversaries of each (column); NaN where
            there are none.
        seconds: wall-clock time.
        note: why it stopped early; empty if it did not.
    """

    sides: tuple[Side, ...]
    eps: float
    images: tuple[int, ...]
    classes: int
    transfer: Float[np.ndarray, "k k"]
    seconds: float
    note: str = ""


@dataclass(frozen=True)
class Comparing:
    """How far a comparison is.

    Attributes:
        done: questions answered.
        total: questions in all.
        found: adversaries so far, by network.
    """

    done: int
    total: int
    found: Mapping[str, int]
