"""Norms: the distance a query is about, its balls, and its distance as columns with a cost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from dualbound.errors import InvalidInput
from dualbound.region.box import Box
from dualbound.region.l0_ball import L0Ball, l0_distance_form
from dualbound.region.l1_ball import L1Ball, l1_distance_form
from dualbound.region.l2_ball import L2Ball
from dualbound.region.region import LinearForm, Region
from dualbound.region.weights import checked_weights


@dataclass(frozen=True, eq=False)
class Norm(ABC):
    """A way to measure how far two inputs are apart.

    Args:
        weights: what a change of each input costs, ``(n,)``, positive; all 1 when not given.

    Attributes:
        name: as on the command line.
        title: for people.
        squared: whether the program of `distance_form` minimises the square of the distance.

    Raises:
        InvalidInput: a weight is not positive and finite.

    >>> print(L1(), LInf(), L2(np.array([1.0, 2.0])))
    L1 L∞ weighted L2
    """

    weights: Float[np.ndarray, " n"] | None = None

    name: ClassVar[str]
    title: ClassVar[str]
    squared: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.weights is not None:
            object.__setattr__(self, "weights", checked_weights(self.weights))

    def __str__(self) -> str:
        return self.title if self.weights is None else f"weighted {self.title}"

    def check(self, n: int) -> None:
        """Refuse weights that do not fit a network.

        Args:
            n: how many inputs it reads.

        Raises:
            InvalidInput: the norm has weights, but not one for each input.
        """
        if self.weights is not None:
            checked_weights(self.weights, n)

    def _prices(self, n: int) -> Float[np.ndarray, " n"]:
        """The weights, ones without."""
        self.check(n)
        return np.ones(n) if self.weights is None else self.weights

    @abstractmethod
    def distance(self, x: Float[np.ndarray, "*b n"], center: Float[np.ndarray, " n"]) -> np.ndarray:
        """The distance of each row of ``x`` from ``center``, in the units of the input."""

    @abstractmethod
    def ball(self, center: Float[np.ndarray, " n"], radius: float, box: Box) -> Region:
        """All points of the box within ``radius`` of ``center``."""

    @abstractmethod
    def distance_form(self, center: Float[np.ndarray, " n"], box: Box) -> LinearForm:
        """The box with columns on which the distance from ``center`` is a cost."""

    def reach(self, center: Float[np.ndarray, " n"], box: Box) -> tuple[float, float]:
        """The distance from ``center`` to the nearest and to the furthest point of the box."""
        nearest = box.project(center[None])[0]
        furthest = np.where(center - box.lower > box.upper - center, box.lower, box.upper)
        return float(self.distance(nearest, center)), float(self.distance(furthest, center))


class L0(Norm):
    """How many inputs change at all, or the sum of their weights.

    Equality is exact: a change of 1e-300 counts. Who rounds or projects a point must put the
    inputs that are not meant to change back on the centre.

    >>> float(L0().distance(np.array([0.0, 1.0]), np.array([0.0, 0.5])))
    1.0
    """

    name = "l0"
    title = "L0"

    def distance(self, x: Float[np.ndarray, "*b n"], center: Float[np.ndarray, " n"]) -> np.ndarray:
        """``sum w [x != center]``."""
        return np.asarray((x != center) @ self._prices(center.size))

    def ball(self, center: Float[np.ndarray, " n"], radius: float, box: Box) -> Region:
        """An `L0Ball`."""
        self.check(center.size)
        return L0Ball(center, radius, box, self.weights)

    def distance_form(self, center: Float[np.ndarray, " n"], box: Box) -> LinearForm:
        """``x = x0 + p - n`` and binaries ``z``, cost ``sum(w z)``."""
        self.check(center.size)
        return l0_distance_form(center, box, self.weights)


class L1(Norm):
    """The sum of the absolute changes.

    >>> float(L1().distance(np.array([0.0, 1.0]), np.array([0.5, 0.5])))
    1.0
    """

    name = "l1"
    title = "L1"

    def distance(self, x: Float[np.ndarray, "*b n"], center: Float[np.ndarray, " n"]) -> np.ndarray:
        """``sum w |x - center|``."""
        return np.asarray((self._prices(center.size) * np.abs(x - center)).sum(axis=-1))

    def ball(self, center: Float[np.ndarray, " n"], radius: float, box: Box) -> Region:
        """An `L1Ball`."""
        self.check(center.size)
        return L1Ball(center, radius, box, self.weights)

    def distance_form(self, center: Float[np.ndarray, " n"], box: Box) -> LinearForm:
        """``x = x0 + p - n``, cost ``sum(w (p + n))``."""
        self.check(center.size)
        return l1_distance_form(center, box, self.weights)


class L2(Norm):
    """The root of the sum of the squared changes; weights are of the squares.

    >>> float(L2().distance(np.array([0.0, 1.0]), np.array([0.3, 0.6])))
    0.5
    """

    name = "l2"
    title = "L2"
    squared = True

    def distance(self, x: Float[np.ndarray, "*b n"], center: Float[np.ndarray, " n"]) -> np.ndarray:
        """``sqrt(sum w (x - center)^2)``."""
        prices = self._prices(center.size)
        return np.asarray(np.sqrt((prices * (x - center) ** 2).sum(axis=-1)))

    def ball(self, center: Float[np.ndarray, " n"], radius: float, box: Box) -> Region:
        """An `L2Ball`."""
        self.check(center.size)
        return L2Ball(center, radius, box, self.weights)

    def distance_form(self, center: Float[np.ndarray, " n"], box: Box) -> LinearForm:
        """``x = x0 + d`` with the quadratic cost ``sum(w d^2)``: the square of the distance."""
        prices = self._prices(center.size)
        low, high = box.lower - center, box.upper - center
        moving = np.flatnonzero((low != 0) | (high != 0))
        count = len(moving)
        return LinearForm(
            offset=center,
            transform=sp.csr_array(
                (np.ones(count), (moving, np.arange(count))), shape=(center.size, count)
            ),
            lower=low[moving],
            upper=high[moving],
            rows=sp.csr_array((0, count)),
            row_upper=np.zeros(0),
            names=tuple(f"d{i}" for i in moving),
            cost=np.zeros(count),
            coordinates=lambda x: (x - center)[moving],
            quadratic=prices[moving],
        )


class LInf(Norm):
    """The largest absolute change.

    >>> float(LInf().distance(np.array([0.0, 1.0]), np.array([0.3, 0.5])))
    0.5
    """

    name = "linf"
    title = "L∞"

    def distance(self, x: Float[np.ndarray, "*b n"], center: Float[np.ndarray, " n"]) -> np.ndarray:
        """``max w |x - center|``."""
        return np.asarray((self._prices(center.size) * np.abs(x - center)).max(axis=-1))

    def ball(self, center: Float[np.ndarray, " n"], radius: float, box: Box) -> Region:
        """A smaller box."""
        each = radius / self._prices(center.size)
        return box.intersect(Box(center - each, center + each))

    def distance_form(self, center: Float[np.ndarray, " n"], box: Box) -> LinearForm:
        """Columns ``x``, ``t`` with rows ``w |x - x0| <= t``, cost ``t``; only movable inputs."""
        n = center.size
        prices = self._prices(n)
        movable = np.flatnonzero(box.upper > box.lower)
        nearest, furthest = self.reach(center, box)
        unit = sp.diags_array(prices, format="csr")[movable]
        minus_t = sp.csr_array(-np.ones((len(movable), 1)))
        sides = (prices * center)[movable]
        return LinearForm(
            offset=np.zeros(n),
            transform=sp.hstack([sp.eye_array(n), sp.csr_array((n, 1))], format="csr"),
            lower=np.append(box.lower, nearest),
            upper=np.append(box.upper, furthest),
            rows=sp.vstack([sp.hstack([unit, minus_t]), sp.hstack([-unit, minus_t])], format="csr"),
            row_upper=np.concatenate([sides, -sides]),
            names=(*(f"x{i}" for i in range(n)), "distance"),
            cost=np.append(np.zeros(n), 1.0),
            coordinates=lambda x: np.append(x, self.distance(x, center)),
        )


NORMS: dict[str, Norm] = {norm.name: norm for norm in (L0(), L1(), L2(), LInf())}


def norm_named(name: str | Norm, weights: object = None) -> Norm:
    """The norm of that name.

    Args:
        name: ``l0``, ``l1``, ``l2`` or ``linf``; a norm is returned as it is.
        weights: one number for each input; none for all alike.

    Raises:
        InvalidInput: there is none, a weight is not positive and finite, or weights are given
            beside a norm that should carry its own.

    >>> norm_named("l1").name
    'l1'
    """
    if isinstance(name, Norm):
        if weights is not None:
            raise InvalidInput(
                "A norm carries its own weights: give them to it, as in `L1(weights)`, or give "
                "the norm's name beside them."
            )
        return name
    if name not in NORMS:
        raise InvalidInput(f"Unknown norm {name!r}; known are {', '.join(sorted(NORMS))}.")
    if weights is None:
        return NORMS[name]
    return type(NORMS[name])(checked_weights(weights))
