r"""The L1 ball cut with a box.

.. math:: \{x : \textstyle\sum_i w_i |x_i - x^0_i| \le r,\ l \le x \le u\}

A centre outside the box is moved to the box first; what that costs is taken from the radius. From
then on every input moves away from the moved centre, and each unit costs its weight in radius.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from dualbound.errors import InvalidInput
from dualbound.region.box import Box
from dualbound.region.region import LinearForm, Region
from dualbound.region.weights import checked_weights


@dataclass(frozen=True, eq=False)
class L1Ball(Region):
    """The L1 ball of some radius around a centre, cut with a box.

    Args:
        center: ``(n,)``.
        radius: in the units of the input, at least 0.
        box: ``(n,)`` bounds.
        weights: what a unit of change costs at each input, ``(n,)``, positive; all 1 when not
            given.

    Attributes:
        start: the nearest point of the box to the centre.
        left: what is left of the radius there.
        doubt: what ``left`` may have lost to rounding, if the centre lies outside the box. Bounds
            allow for it; points do not use it.

    Raises:
        InvalidInput: the ball does not meet the box, its radius is infinite, a shape does not fit,
            or a weight is not positive and finite.

    >>> ball = L1Ball(np.array([0.0, 0.5]), 0.7, Box([0, 0], [1, 1]))
    >>> ball.support(np.array([[1.0, 3.0], [-1.0, 1.0]]))  # 0.5 to the second, 0.2 to the first
    array([3.2, 1. ])
    """

    center: Float[np.ndarray, " n"]
    radius: float
    box: Box
    weights: Float[np.ndarray, " n"] | None = None
    lower: Float[np.ndarray, " n"] = field(init=False)
    upper: Float[np.ndarray, " n"] = field(init=False)
    start: Float[np.ndarray, " n"] = field(init=False)
    left: float = field(init=False)
    doubt: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", self.box.checked_center(self.center))
        if self.weights is not None:
            object.__setattr__(self, "weights", checked_weights(self.weights, self.center.size))
        start = self.box.project(self.center[None])[0]
        apart = self._prices * np.abs(start - self.center)
        left = self.radius - float(apart.sum())
        if not self.radius < np.inf:
            raise InvalidInput(
                f"The radius of an L1 ball is {self.radius}, and must be finite. Use a Box."
            )
        if not left >= 0:
            raise InvalidInput(
                f"The L1 ball of radius {self.radius} does not reach the box: it is "
                f"{self.radius - left} away."
            )
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "left", left)
        terms = int(np.count_nonzero(apart))
        unit = float(np.finfo(float).eps)
        doubt = unit * (terms + 8) * (self.radius + float(apart.sum())) if terms else 0.0
        object.__setattr__(self, "doubt", doubt)
        reach = (left + self.doubt) / self._prices
        object.__setattr__(self, "lower", np.maximum(self.box.lower, start - reach))
        object.__setattr__(self, "upper", np.minimum(self.box.upper, start + reach))

    @property
    def _prices(self) -> Float[np.ndarray, " n"]:
        return np.ones(self.center.size) if self.weights is None else self.weights

    def _room(self, directions: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
        """How far each input can move towards the sign of each direction."""
        return np.where(directions > 0, self.upper - self.start, self.start - self.lower)

    def maximiser(self, directions: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
        """A fractional knapsack: spend the radius where it gains most, per weight, first."""
        return self.start + np.sign(directions) * self._steps(directions, self.left)

    def support(self, directions: Float[np.ndarray, "k n"]) -> Float[np.ndarray, " k"]:
        """See `Region.support`; with all that the radius may be."""
        steps = self._steps(directions, self.left + self.doubt)
        return np.einsum("kn,kn->k", directions, self.start + np.sign(directions) * steps)

    def _steps(
        self, directions: Float[np.ndarray, "k n"], left: float, largest: int = 64
    ) -> Float[np.ndarray, "k n"]:
        """How far each input moves. Usually few do, and no full sort is needed to find them."""
        prices = self._prices
        room = self._room(directions) * prices
        gain = np.where(room > 0, np.abs(directions) / prices, 0.0)
        n = gain.shape[1]
        if largest < n:
            order = np.argpartition(gain, n - largest, axis=1)[:, n - largest :]
            inner = np.argsort(-np.take_along_axis(gain, order, axis=1), axis=1, kind="stable")
            order = np.take_along_axis(order, inner, axis=1)
        else:
            order = np.argsort(-gain, axis=1, kind="stable")
        offered = np.take_along_axis(room, order, axis=1)
        spent = np.cumsum(offered, axis=1)
        if largest < n and np.any((spent[:, -1] < left) & (gain > 0).any(axis=1)):
            return self._steps(directions, left, n)
        steps = np.zeros_like(room)
        share = np.clip(left - (spent - offered), 0.0, offered)
        np.put_along_axis(steps, order, share, axis=1)
        return steps / prices

    def linear_form(self) -> LinearForm:
        """``x = x0 + p - n`` with one row ``sum(w (p + n)) <= r``."""
        form = l1_distance_form(self.center, Box(self.lower, self.upper), self.weights)
        return replace(
            form,
            rows=sp.csr_array(form.cost[None]),
            row_upper=np.array([self.radius]),
            cost=np.zeros(len(form.cost)),
        )

    def project(self, points: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
        """Soft thresholding ``clip(|d| - t w, 0, room)``, with the smallest fitting ``t``."""
        away, prices = points - self.start, self._prices
        room, length = self._room(away), np.abs(away)
        low, high = np.zeros(len(points)), (length / prices).max(axis=1)
        fits = np.minimum(length, room) @ prices <= self.left
        for _ in range(40):
            middle = (low + high) / 2
            over = np.clip(length - middle[:, None] * prices, 0, room) @ prices > self.left
            low, high = np.where(over, middle, low), np.where(over, high, middle)
        threshold = np.where(fits, 0.0, high)[:, None] * prices
        return self.start + np.sign(away) * np.clip(length - threshold, 0, room)

    def sample(self, rng: np.random.Generator, count: int) -> Float[np.ndarray, "count n"]:
        """Random signs and shares of the radius on random subsets of the inputs."""
        n = self.center.size
        sparsity = rng.integers(1, n + 1, (count, 1))
        chosen = rng.random((count, n)).argsort(axis=1).argsort(axis=1) < sparsity
        shares = rng.exponential(size=(count, n)) * chosen
        used = rng.random((count, 1)) ** (1 / sparsity)
        steps = self.left * used * shares / shares.sum(axis=1, keepdims=True) / self._prices
        signs = np.where(rng.random((count, n)) < 0.5, -1.0, 1.0)
        return self.start + signs * np.minimum(steps, self._room(signs))

    def violation(self, points: Float[np.ndarray, "k n"]) -> Float[np.ndarray, " k"]:
        """The larger of the box's violation and what the distance exceeds the radius by."""
        over = np.abs(points - self.center) @ self._prices - self.radius
        return np.maximum(self.box.violation(points), over)


def l1_distance_form(
    center: Float[np.ndarray, " n"], box: Box, weights: Float[np.ndarray, " n"] | None = None
) -> LinearForm:
    """``x = x0 + p - n`` with bounded ``p, n >= 0``; the distance is ``sum(w (p + n))``.

    An input that can move one way only gets one column; one that cannot move gets none. (An MNIST
    pixel at 0 has no ``n``.) No row and no variable is spent on the distance itself.
    """
    n = center.size
    up, down = np.maximum(box.upper - center, 0.0), np.maximum(center - box.lower, 0.0)
    least_up, least_down = np.maximum(box.lower - center, 0.0), np.maximum(center - box.upper, 0.0)
    plus, minus = np.flatnonzero(up > 0), np.flatnonzero(down > 0)
    count = len(plus) + len(minus)
    transform = sp.csr_array(
        (
            np.concatenate([np.ones(len(plus)), -np.ones(len(minus))]),
            (np.concatenate([plus, minus]), np.arange(count)),
        ),
        shape=(n, count),
    )

    def coordinates(x: np.ndarray) -> np.ndarray:
        away = x - center
        return np.concatenate([np.maximum(away, 0.0)[plus], np.maximum(-away, 0.0)[minus]])

    return LinearForm(
        offset=center,
        transform=transform,
        lower=np.concatenate([least_up[plus], least_down[minus]]),
        upper=np.concatenate([up[plus], down[minus]]),
        rows=sp.csr_array((0, count)),
        row_upper=np.zeros(0),
        names=(*(f"p{i}" for i in plus), *(f"n{i}" for i in minus)),
        cost=np.ones(count) if weights is None else weights[np.concatenate([plus, minus])],
        coordinates=coordinates,
    )
