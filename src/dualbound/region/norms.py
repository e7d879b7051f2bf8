"""Norms: the distance a query is about, its balls, and its distance as linear columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from dualbound.errors import InvalidInput
from dualbound.region.box import Box
from dualbound.region.l1_ball import L1Ball, l1_distance_form
from dualbound.region.region import LinearForm, Region


class Norm(ABC):
    """A way to measure how far two inputs are apart.

    Attributes:
        name: as on the command line.
    """

    name: ClassVar[str]

    @abstractmethod
    def distance(self, x: Float[np.ndarray, "*b n"], center: Float[np.ndarray, " n"]) -> np.ndarray:
        """The distance of each row of ``x`` from ``center``, in the units of the input."""

    @abstractmethod
    def ball(self, center: Float[np.ndarray, " n"], radius: float, box: Box) -> Region:
        """All points of the box within ``radius`` of ``center``."""

    @abstractmethod
    def distance_form(self, center: Float[np.ndarray, " n"], box: Box) -> LinearForm:
        """The box with columns on which the distance from ``center`` is a linear cost."""

    def reach(self, center: Float[np.ndarray, " n"], box: Box) -> tuple[float, float]:
        """The distance from ``center`` to the nearest and to the furthest point of the box."""
        nearest = box.project(center[None])[0]
        furthest = np.where(center - box.lower > box.upper - center, box.lower, box.upper)
        return float(self.distance(nearest, center)), float(self.distance(furthest, center))


class L1(Norm):
    """The sum of the absolute changes.

    >>> float(L1().distance(np.array([0.0, 1.0]), np.array([0.5, 0.5])))
    1.0
    """

    name = "l1"

    def distance(self, x: Float[np.ndarray, "*b n"], center: Float[np.ndarray, " n"]) -> np.ndarray:
        """``sum |x - center|``."""
        return np.asarray(np.abs(x - center).sum(axis=-1))

    def ball(self, center: Float[np.ndarray, " n"], radius: float, box: Box) -> Region:
        """An `L1Ball`."""
        return L1Ball(center, radius, box)

    def distance_form(self, center: Float[np.ndarray, " n"], box: Box) -> LinearForm:
        """``x = x0 + p - n``, cost ``sum(p + n)``."""
        return l1_distance_form(center, box)


class LInf(Norm):
    """The largest absolute change.

    >>> float(LInf().distance(np.array([0.0, 1.0]), np.array([0.3, 0.5])))
    0.5
    """

    name = "linf"

    def distance(self, x: Float[np.ndarray, "*b n"], center: Float[np.ndarray, " n"]) -> np.ndarray:
        """``max |x - center|``."""
        return np.asarray(np.abs(x - center).max(axis=-1))

    def ball(self, center: Float[np.ndarray, " n"], radius: float, box: Box) -> Region:
        """A smaller box."""
        return box.intersect(Box(center - radius, center + radius))

    def distance_form(self, center: Float[np.ndarray, " n"], box: Box) -> LinearForm:
        """Columns ``x`` and ``t`` with rows ``|x - x0| <= t``, cost ``t``; only movable inputs."""
        n = center.size
        movable = np.flatnonzero(box.upper > box.lower)
        nearest, furthest = self.reach(center, box)
        unit = sp.eye_array(n, format="csr")[movable]
        minus_t = sp.csr_array(-np.ones((len(movable), 1)))
        return LinearForm(
            offset=np.zeros(n),
            transform=sp.hstack([sp.eye_array(n), sp.csr_array((n, 1))], format="csr"),
            lower=np.append(box.lower, nearest),
            upper=np.append(box.upper, furthest),
            rows=sp.vstack([sp.hstack([unit, minus_t]), sp.hstack([-unit, minus_t])], format="csr"),
            row_upper=np.concatenate([center[movable], -center[movable]]),
            names=(*(f"x{i}" for i in range(n)), "distance"),
            cost=np.append(np.zeros(n), 1.0),
            coordinates=lambda x: np.append(x, self.distance(x, center)),
        )


NORMS: dict[str, Norm] = {norm.name: norm for norm in (L1(), LInf())}


def norm_named(name: str | Norm) -> Norm:
    """The norm of that name.

    Raises:
        InvalidInput: there is none.

    >>> norm_named("l1").name
    'l1'
    """
    if isinstance(name, Norm):
        return name
    if name not in NORMS:
        raise InvalidInput(f"Unknown norm {name!r}; known are {', '.join(sorted(NORMS))}.")
    return NORMS[name]
