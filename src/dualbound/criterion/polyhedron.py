"""Sets of outputs that a property names: half-spaces cut with each other, and unions of such."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float

from dualbound.criterion.criterion import Criterion
from dualbound.errors import InvalidCriterion


@final
@dataclass(frozen=True, eq=False)
class Polyhedron(Criterion):
    """All outputs ``o`` with ``A·o >= b``; on its faces too, unless they are said to be strict.

    A search works with the closed set: what holds of it holds without the faces too. Only a witness
    must not lie on them.

    Args:
        a: ``(k, m)``, one row a half-space; of no rows every output is in the set.
        b: ``(k,)``.
        strict: ``(k,)``, of which rows ``A·o > b`` is meant; or one for all.

    Raises:
        InvalidCriterion: no numbers, not finite, or shapes that do not go together.

    >>> ahead = Polyhedron([[-1.0, 1.0]], [0.5])  # the second is at least 0.5 above the first
    >>> ahead.reached(np.array([0.0, 0.5])), float(ahead.slack(np.array([0.0, 0.75])))
    (True, 0.25)
    >>> Polyhedron(np.zeros((0, 2)), []).slack(np.array([0.0, 0.5]))
    array(inf)
    >>> Polyhedron([[-1.0, 1.0]], [0.5], strict=True).reached(np.array([0.0, 0.5]))
    False
    """

    a: Float[np.ndarray, "k m"]
    b: Float[np.ndarray, " k"]
    strict: Bool[np.ndarray, " k"]

    def __init__(self, a: object, b: object, strict: object = False) -> None:
        try:
            rows, least = np.array(a, dtype=float), np.array(b, dtype=float)
        except (TypeError, ValueError) as error:
            raise InvalidCriterion(
                f"A polyhedron is a matrix A and a vector b of numbers: {error}."
            ) from error
        if rows.ndim != 2 or rows.shape[1] == 0 or least.shape != rows.shape[:1]:
            raise InvalidCriterion(
                f"A polyhedron has a row of A, one number an output, for each number of b; found "
                f"A of shape {rows.shape} and b of shape {least.shape}."
            )
        if not (np.all(np.isfinite(rows)) and np.all(np.isfinite(least))):
            raise InvalidCriterion(
                "A polyhedron needs finite numbers; leave out a row that says nothing."
            )
        object.__setattr__(self, "a", rows)
        object.__setattr__(self, "b", least)
        object.__setattr__(
            self, "strict", np.zeros(len(least), dtype=bool) | np.array(strict, dtype=bool)
        )

    def __str__(self) -> str:
        return self.goal

    @property
    def goal(self) -> str:
        """Such as ``outputs that meet 3 inequalities``."""
        rows = len(self.b)
        if rows == 0:
            return "any outputs"
        return f"outputs that meet {rows} inequalit{'y' if rows == 1 else 'ies'}"

    def at(self, outputs: Float[np.ndarray, " m"]) -> Polyhedron:
        """The same: it may hold the present outputs already."""
        self.check(len(outputs))
        return self

    def alternatives(self, outputs: int) -> tuple[Polyhedron, ...]:
        """It alone."""
        self.check(outputs)
        return (self,)

    def rows(self, outputs: int) -> tuple[Float[np.ndarray, "k m"], Float[np.ndarray, " k"]]:
        """``A`` and ``b``."""
        self.check(outputs)
        return self.a, self.b

    def classified(self, outputs: Float[np.ndarray, " m"]) -> bool:
        """Whether ``A·o >= b``, with no rounding allowed for; of what is not a number, never."""
        inside = outputs @ self.a.T - self.b
        met = np.where(self.strict, inside > 0, inside >= 0)
        return bool(met.all()) and not bool(np.isnan(outputs).any())

    def check(self, outputs: int) -> None:
        """There must be as many outputs as columns.

        Raises:
            InvalidCriterion: there are not.
        """
        if outputs != self.a.shape[1]:
            raise InvalidCriterion(
                f"The polyhedron is of {self.a.shape[1]} outputs; the network has {outputs}."
            )


@final
@dataclass(frozen=True, eq=False)
class OutputSet(Criterion):
    """All outputs that are in one of some polyhedra.

    Args:
        polyhedra: at least one, all of as many outputs.

    Raises:
        InvalidCriterion: none, or not of as many outputs.

    >>> far = OutputSet([Polyhedron([[1.0]], [2.0]), Polyhedron([[-1.0]], [2.0])])
    >>> [far.reached(np.array([o])) for o in (-2.5, 0.0, 2.0)], far.goal
    ([True, False, True], 'outputs in one of 2 polyhedra')
    """

    polyhedra: tuple[Polyhedron, ...]

    def __init__(self, polyhedra: Iterable[Polyhedron]) -> None:
        object.__setattr__(self, "polyhedra", tuple(polyhedra))
        if not self.polyhedra:
            raise InvalidCriterion("A set of outputs is made of at least one polyhedron.")
        sizes = sorted({one.a.shape[1] for one in self.polyhedra})
        if len(sizes) > 1:
            raise InvalidCriterion(
                f"The polyhedra of a set are of one number of outputs; found {sizes[0]} and "
                f"{sizes[-1]}."
            )

    def __str__(self) -> str:
        return self.goal

    @property
    def goal(self) -> str:
        """Such as ``outputs in one of 9 polyhedra``."""
        if len(self.polyhedra) == 1:
            return self.polyhedra[0].goal
        return f"outputs in one of {len(self.polyhedra)} polyhedra"

    def at(self, outputs: Float[np.ndarray, " m"]) -> OutputSet:
        """The same: it may hold the present outputs already."""
        self.alternatives(len(outputs))
        return self

    def alternatives(self, outputs: int) -> tuple[Polyhedron, ...]:
        """The polyhedra."""
        for one in self.polyhedra:
            one.check(outputs)
        return self.polyhedra

    def rows(self, outputs: int) -> tuple[Float[np.ndarray, "k m"], Float[np.ndarray, " k"]]:
        """Those of the only polyhedron."""
        if len(self.polyhedra) > 1:
            raise InvalidCriterion(
                f"A union of {len(self.polyhedra)} polyhedra has no rows of its own: take those of "
                "its alternatives."
            )
        return self.polyhedra[0].rows(outputs)

    def classified(self, outputs: Float[np.ndarray, " m"]) -> bool:
        """Whether the outputs are in one of the polyhedra."""
        return any(one.classified(outputs) for one in self.alternatives(len(outputs)))
