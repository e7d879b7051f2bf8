"""The box, and what caps and masks make of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from dualbound.errors import InvalidInput
from dualbound.region.region import LinearForm, Region


@dataclass(frozen=True, eq=False)
class Box(Region):
    """All ``x`` with ``lower <= x <= upper``; numbers stand for every input alike.

    Args:
        lower: a number, or ``(n,)``; finite.
        upper: likewise.

    Raises:
        InvalidInput: not finite, or empty: some lower bound is above its upper bound.

    >>> Box(0, 1).sized(3).support(np.array([[1.0, -2.0, 0.5]]))
    array([1.5])
    """

    lower: Float[np.ndarray, " *n"]
    upper: Float[np.ndarray, " *n"]

    def __init__(self, lower: object, upper: object) -> None:
        low, high = np.asarray(lower, dtype=float), np.asarray(upper, dtype=float)
        if low.shape != high.shape and low.ndim and high.ndim:
            raise InvalidInput(f"A box has bounds of two shapes: {low.shape} and {high.shape}.")
        low, high = np.broadcast_arrays(low, high)
        if not (np.all(np.isfinite(low)) and np.all(np.isfinite(high))):
            raise InvalidInput("A box needs finite bounds: a proof over an unbounded set has none.")
        if np.any(low > high):
            at = int(np.argmax(np.ravel(low > high)))
            raise InvalidInput(
                f"The box is empty: at input {at} its lower bound {np.ravel(low)[at]} is above "
                f"its upper bound {np.ravel(high)[at]}."
            )
        object.__setattr__(self, "lower", low.reshape(-1) if low.ndim > 1 else low)
        object.__setattr__(self, "upper", high.reshape(-1) if high.ndim > 1 else high)

    def sized(self, n: int) -> Box:
        """The same box for ``n`` inputs; numbers are repeated, arrays must fit."""
        if not self.lower.ndim:
            return Box(np.broadcast_to(self.lower, n), np.broadcast_to(self.upper, n))
        super().sized(n)
        return self

    @classmethod
    def of_inputs(cls, region: Box | None, n: int) -> Box:
        """What a user says of ``n`` inputs, who may have said nothing: they lie in [0, 1].

        Raises:
            InvalidInput: it is no box, or one of other inputs.

        >>> Box.of_inputs(None, 2).upper
        array([1., 1.])
        """
        if region is None:
            return cls(0.0, 1.0).sized(n)
        if not isinstance(region, Box):
            raise InvalidInput(
                f"Inputs are said to lie in a {type(region).__name__}; expected a Box: say between "
                "which values each lies."
            )
        return region.sized(n)

    def checked_center(self, center: object) -> Float[np.ndarray, " n"]:
        """The centre of a ball that is to be cut with this box, as an array.

        Raises:
            InvalidInput: it has not one number for each of the box's inputs.
        """
        found = np.asarray(center, dtype=float)
        if found.shape != self.lower.shape:
            raise InvalidInput(f"The centre has shape {found.shape}, the box {self.lower.shape}.")
        return found

    def intersect(self, other: Box) -> Box:
        """The common part of two boxes."""
        return Box(np.maximum(self.lower, other.lower), np.minimum(self.upper, other.upper))

    def within(
        self,
        center: Float[np.ndarray, " n"],
        *,
        cap: object = None,
        mask: object = None,
    ) -> Box:
        """The part in which no input leaves ``center`` by more than its cap.

        Args:
            center: ``(n,)``.
            cap: how far an input may move, a number or one for each, not negative.
            mask: true where an input may change; the others stay at ``center``.

        >>> Box(0, 1).sized(2).within(np.array([0.1, 0.5]), cap=0.2, mask=[True, False]).upper
        array([0.3, 0.5])
        """
        allowed = np.full(center.shape, np.inf)
        if cap is not None:
            allowed = np.minimum(allowed, _per_input(cap, center.size, "cap"))
            if np.isnan(allowed).any() or np.any(allowed < 0):
                raise InvalidInput(
                    "A cap is how far an input may move: a number of at least 0 for all inputs, or "
                    f"one for each; found {np.asarray(cap).min()}."
                )
        if mask is not None:
            allowed = np.where(_per_input(mask, center.size, "mask") != 0, allowed, 0.0)
        frozen = allowed == 0
        low = np.where(frozen, center, np.maximum(self.lower, center - allowed))
        high = np.where(frozen, center, np.minimum(self.upper, center + allowed))
        if np.any(frozen & ((center < self.lower) | (center > self.upper))):
            at = int(np.argmax(frozen & ((center < self.lower) | (center > self.upper))))
            raise InvalidInput(
                f"Input {at} may not change, but its value {center[at]} lies outside "
                f"[{self.lower[at]}, {self.upper[at]}]."
            )
        return Box(low, high)

    def maximiser(self, directions: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
        """The corner along each direction."""
        return np.where(directions > 0, self.upper, self.lower)

    def linear_form(self) -> LinearForm:
        """One column an input, no rows."""
        n = self.lower.size
        return LinearForm(
            offset=np.zeros(n),
            transform=sp.eye_array(n, format="csr"),
            lower=self.lower,
            upper=self.upper,
            rows=sp.csr_array((0, n)),
            row_upper=np.zeros(0),
            names=tuple(f"x{i}" for i in range(n)),
            cost=np.zeros(n),
            coordinates=np.asarray,
        )

    def project(self, points: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
        """Clip."""
        return np.clip(points, self.lower, self.upper)

    def sample(self, rng: np.random.Generator, count: int) -> Float[np.ndarray, "count n"]:
        """Half of the points uniform, half with about half of their inputs at a bound."""
        points = rng.uniform(self.lower, self.upper, (count, self.lower.size))
        corners = np.where(rng.random(points.shape) < 0.5, self.lower, self.upper)
        at_bound = (rng.random(points.shape) < 0.5) & (np.arange(count) % 2 == 0)[:, None]
        return np.where(at_bound, corners, points)

    def violation(self, points: Float[np.ndarray, "k n"]) -> Float[np.ndarray, " k"]:
        """The largest amount by which an input is outside its bounds."""
        return np.maximum(self.lower - points, points - self.upper).max(axis=1).clip(min=0.0)


def _per_input(values: object, n: int, what: str) -> Float[np.ndarray, " n"]:
    array = np.asarray(values, dtype=float)
    if array.ndim and array.size != n:
        raise InvalidInput(
            f"The {what} has {array.size} values; the network reads {n}. "
            "Give one number for all, or one for each."
        )
    return np.broadcast_to(array.reshape(-1) if array.ndim else array, n)
