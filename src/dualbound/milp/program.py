"""A mixed-integer linear program as a value in matrix form, and the builder that makes one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

from dualbound.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Program:
    r"""Minimise ``cost·v + offset`` subject to rows, bounds and integrality.

    .. math:: \min_v c^\top v + c_0 \quad r^- \le A v \le r^+,\ l \le v \le u,\ v_I \in \mathbb Z

    A program always minimises; who wants a maximum negates the cost. It knows nothing of any
    solver. Infinite bounds are ``±numpy.inf``.

    Raises:
        InvalidInput: sizes that do not fit, NaN, or a lower bound above its upper bound.

    >>> builder = ProgramBuilder()
    >>> both = builder.columns(["x", "y"], lower=0, upper=3, integer=True, cost=[-1, -2])
    >>> builder.rows(["sum"], [both], [[1, 1]], upper=4)
    >>> program = builder.build()
    >>> program.shape, program.is_mixed_integer
    ((1, 2), True)
    """

    cost: Float[np.ndarray, " n"]
    lower: Float[np.ndarray, " n"]
    upper: Float[np.ndarray, " n"]
    integer: Bool[np.ndarray, " n"]
    matrix: sp.csr_array
    row_lower: Float[np.ndarray, " m"]
    row_upper: Float[np.ndarray, " m"]
    column_names: tuple[str, ...]
    row_names: tuple[str, ...]
    offset: float = 0.0

    def __post_init__(self) -> None:
        m, n = self.matrix.shape
        sizes = (self.cost, self.lower, self.upper, self.integer, self.column_names)
        if any(len(part) != n for part in sizes) or any(
            len(part) != m for part in (self.row_lower, self.row_upper, self.row_names)
        ):
            raise InvalidInput(f"The parts of a program disagree with its {m} x {n} matrix.")
        for what, low, high in (
            ("column", self.lower, self.upper),
            ("row", self.row_lower, self.row_upper),
        ):
            if not np.all(low <= high):  # also catches NaN
                worst = int(np.argmax(~(low <= high)))
                names = self.column_names if what == "column" else self.row_names
                raise InvalidInput(
                    f"The bounds of {what} {names[worst]!r} are empty or not numbers: "
                    f"[{low[worst]}, {high[worst]}]."
                )
        if not (np.all(np.isfinite(self.cost)) and np.all(np.isfinite(self.matrix.data))):
            raise InvalidInput("A program's costs and coefficients must be finite numbers.")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and number of columns."""
        return self.matrix.shape

    @property
    def is_mixed_integer(self) -> bool:
        """Whether any column must be integral."""
        return bool(self.integer.any())

    def value(self, v: Float[np.ndarray, " n"]) -> float:
        """The objective at ``v``."""
        return float(self.cost @ v + self.offset)

    def violation(self, v: Float[np.ndarray, " n"]) -> float:
        """The largest violation of any row, bound or integrality at ``v`` (absolute)."""
        activity = self.matrix @ v
        parts = [
            self.row_lower - activity,
            activity - self.row_upper,
            self.lower - v,
            v - self.upper,
            np.abs(v - np.round(v))[self.integer],
        ]
        return max((float(part.max()) for part in parts if part.size), default=0.0)


@dataclass
class ProgramBuilder:
    """Collects columns and rows, then builds a `Program`."""

    _cost: list[float] = field(default_factory=list)
    _lower: list[float] = field(default_factory=list)
    _upper: list[float] = field(default_factory=list)
    _integer: list[bool] = field(default_factory=list)
    _column_names: list[str] = field(default_factory=list)
    _row_names: list[str] = field(default_factory=list)
    _row_lower: list[float] = field(default_factory=list)
    _row_upper: list[float] = field(default_factory=list)
    _row_indices: list[np.ndarray] = field(default_factory=list)
    _row_values: list[np.ndarray] = field(default_factory=list)

    @property
    def column_count(self) -> int:
        """How many columns there are so far."""
        return len(self._cost)

    def columns(
        self,
        names: list[str],
        *,
        lower: np.ndarray | float = -np.inf,
        upper: np.ndarray | float = np.inf,
        cost: np.ndarray | list[float] | float = 0.0,
        integer: np.ndarray | bool = False,
    ) -> np.ndarray:
        """Add columns and return their indices. All but the names broadcast over them."""
        first, count = self.column_count, len(names)
        for store, values in ((self._lower, lower), (self._upper, upper), (self._cost, cost)):
            store.extend(np.broadcast_to(np.asarray(values, dtype=float), count).tolist())
        self._integer.extend(np.broadcast_to(integer, count).tolist())
        self._column_names.extend(names)
        return np.arange(first, first + count)

    def rows(
        self,
        names: list[str],
        indices: list[np.ndarray] | list[list[int]],
        values: list[np.ndarray] | list[list[float]],
        *,
        lower: np.ndarray | float = -np.inf,
        upper: np.ndarray | float = np.inf,
    ) -> None:
        """Add rows, each given by its column indices and their coefficients."""
        self._row_names.extend(names)
        self._row_indices.extend(np.asarray(part, dtype=np.int64) for part in indices)
        self._row_values.extend(np.asarray(part, dtype=float) for part in values)
        for store, bound in ((self._row_lower, lower), (self._row_upper, upper)):
            store.extend(np.broadcast_to(np.asarray(bound, dtype=float), len(names)).tolist())

    def build(self, *, offset: float = 0.0) -> Program:
        """The finished program."""
        starts = np.cumsum([0, *(len(part) for part in self._row_indices)])
        empty = np.zeros(0)
        matrix = sp.csr_array(
            (
                np.concatenate([empty, *self._row_values]),
                np.concatenate([empty.astype(np.int64), *self._row_indices]),
                starts,
            ),
            shape=(len(self._row_names), self.column_count),
        )
        matrix.sum_duplicates()
        return Program(
            cost=np.array(self._cost, dtype=float),
            lower=np.array(self._lower, dtype=float),
            upper=np.array(self._upper, dtype=float),
            integer=np.array(self._integer, dtype=bool),
            matrix=matrix,
            row_lower=np.array(self._row_lower, dtype=float),
            row_upper=np.array(self._row_upper, dtype=float),
            column_names=tuple(self._column_names),
            row_names=tuple(self._row_names),
            offset=offset,
        )
