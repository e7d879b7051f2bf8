"""What every set of inputs can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

from dualbound.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class LinearForm:
    """A set of inputs as linear rows over its own columns: ``x = offset + transform·v``.

    Attributes:
        offset: ``(n,)``.
        transform: ``(n, c)``.
        lower, upper: bounds of the columns ``v``, ``(c,)``.
        rows, row_upper: ``rows·v <= row_upper``.
        names: one a column.
        cost: of a distance form: the distance of ``x`` from the centre is at most ``cost·v``, and
            equal to it for the best ``v``. All zero in the form of a region.
        coordinates: a ``v`` for a given ``x`` of the set.
        integer: which columns are integral; none when not given.
        quadratic: of a distance form: the *square* of the distance is ``cost·v`` plus the sum of
            ``quadratic·v^2``, and so is the program's objective; none when not given.
    """

    offset: Float[np.ndarray, " n"]
    transform: sp.csr_array
    lower: Float[np.ndarray, " c"]
    upper: Float[np.ndarray, " c"]
    rows: sp.csr_array
    row_upper: Float[np.ndarray, " r"]
    names: tuple[str, ...]
    cost: Float[np.ndarray, " c"]
    coordinates: Callable[[np.ndarray], np.ndarray]
    integer: Bool[np.ndarray, " c"] | None = None
    quadratic: Float[np.ndarray, " c"] | None = None


class Region(ABC):
    """A non-empty, bounded set of inputs, in the user's units, flat.

    Attributes:
        lower, upper: the smallest box around it is within these, ``(n,)``.
    """

    lower: Float[np.ndarray, " n"]
    upper: Float[np.ndarray, " n"]

    def sized(self, n: int) -> Region:
        """The same region, of ``n`` inputs.

        Raises:
            InvalidInput: it is one of other inputs.
        """
        if self.lower.shape != (n,):
            raise InvalidInput(
                f"The {type(self).__name__} is a region of {self.lower.size} inputs; the network "
                f"reads {n}. Give one number for each."
            )
        return self

    @abstractmethod
    def maximiser(self, directions: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
        """For every direction, a point of the region that is furthest along it."""

    def support(self, directions: Float[np.ndarray, "k n"]) -> Float[np.ndarray, " k"]:
        """The support function: for every direction ``d`` the exact maximum of ``d·x``.

        **Trusts** float64 sums; whoever fixes a neuron by it must leave a slack.
        """
        return np.einsum("kn,kn->k", directions, self.maximiser(directions))

    @abstractmethod
    def linear_form(self) -> LinearForm:
        """The region as columns and rows of a program."""

    @abstractmethod
    def project(self, points: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
        """The nearest points (Euclidean) of the region."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, count: int) -> Float[np.ndarray, "count n"]:
        """Random points of the region, its corners and thin parts included."""

    @abstractmethod
    def violation(self, points: Float[np.ndarray, "k n"]) -> Float[np.ndarray, " k"]:
        """How far each point is outside: 0 for a member, else the largest violation."""
