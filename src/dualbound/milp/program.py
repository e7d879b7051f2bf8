"""A mixed-integer program as a value in matrix form, and the builder that makes one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from dualbound.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Program:
    r"""Minimise ``cost·v + sum of quadratic·v^2 + offset`` within rows, bounds and integrality.

    .. math::
        \min_v c^\top v + \sum_j q_j v_j^2 + c_0
        \quad r^- \le A v \le r^+,\ l \le v \le u,\ v_I \in \mathbb Z

    A program always minimises; who wants a maximum negates the cost. It knows nothing of any
    solver. Infinite bounds are ``±numpy.inf``.

    Attributes:
        quadratic: of the squares, without a factor of one half; not negative, so that the
            objective is convex. None, or zeros only: the objective is linear.
        indicators: conditional rows, as (column, value, row): the row must hold only where the
            column, which is binary, has that value (0 or 1). A row has at most one condition.

    Raises:
        InvalidInput: sizes that do not fit, NaN, a lower bound above its upper bound, a negative
            square, or an indicator that is none.

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
    quadratic: Float[np.ndarray, " n"] | None = None
    indicators: Int[np.ndarray, "k 3"] | None = None

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
        if self.quadratic is not None:
            self._check_quadratic(self.quadratic)
        if self.indicators is not None:
            self._check_indicators(self.indicators)

    def _check_quadratic(self, quadratic: Float[np.ndarray, " n"]) -> None:
        n = self.shape[1]
        if quadratic.shape != (n,) or not np.all((quadratic >= 0) & np.isfinite(quadratic)):
            raise InvalidInput(
                f"The quadratic costs of a program are {n} numbers, one a column, finite and not "
                f"negative; found {quadratic.size} from {quadratic.min(initial=0)} to "
                f"{quadratic.max(initial=0)}."
            )

    def _check_indicators(self, indicators: Int[np.ndarray, "k 3"]) -> None:
        m, n = self.shape
        columns, values, rows = indicators.T
        if indicators.size and not (
            0 <= columns.min() <= columns.max() < n and 0 <= rows.min() <= rows.max() < m
        ):
            raise InvalidInput("An indicator names a column or a row that the program lacks.")
        binary = self.integer[columns] & (self.lower[columns] >= 0) & (self.upper[columns] <= 1)
        if not np.all(binary & ((values == 0) | (values == 1))):
            worst = int(np.argmin(binary & ((values == 0) | (values == 1))))
            raise InvalidInput(
                "An indicator is a binary column and the value 0 or 1: found "
                f"{self.column_names[columns[worst]]!r} and {values[worst]}."
            )
        if len(np.unique(rows)) < len(rows):
            raise InvalidInput("A row has at most one condition; write it twice for two.")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and number of columns."""
        return self.matrix.shape

    @property
    def is_mixed_integer(self) -> bool:
        """Whether any column must be integral."""
        return bool(self.integer.any())

    @property
    def is_quadratic(self) -> bool:
        """Whether any column has a quadratic cost."""
        return self.quadratic is not None and bool(self.quadratic.any())

    @property
    def has_indicators(self) -> bool:
        """Whether any row is conditional."""
        return self.indicators is not None and len(self.indicators) > 0

    @property
    def conditional(self) -> Bool[np.ndarray, " m"]:
        """Which rows need not always hold."""
        chosen = np.zeros(self.shape[0], dtype=bool)
        if self.indicators is not None:
            chosen[self.indicators[:, 2]] = True
        return chosen

    def value(
        self, v: Float[np.ndarray, " n"], cost: Float[np.ndarray, " n"] | None = None
    ) -> float:
        """The objective at ``v``; ``cost`` replaces the linear part."""
        linear = float((self.cost if cost is None else cost) @ v + self.offset)
        return linear if self.quadratic is None else linear + float(self.quadratic @ (v * v))

    def violation(self, v: Float[np.ndarray, " n"]) -> float:
        """The largest violation of any row, bound or integrality at ``v`` (absolute)."""
        activity = self.matrix @ v
        held = np.ones(len(activity), dtype=bool)
        if self.indicators is not None:
            columns, values, rows = self.indicators.T
            held[rows] = np.round(v[columns]) == values
        parts = [
            (self.row_lower - activity)[held],
            (activity - self.row_upper)[held],
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
    _quadratic: list[float] = field(default_factory=list)
    _indicators: list[tuple[int, int, int]] = field(default_factory=list)
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
        quadratic: np.ndarray | list[float] | float = 0.0,
    ) -> np.ndarray:
        """Add columns and return their indices. All but the names broadcast over them."""
        first, count = self.column_count, len(names)
        for store, values in (
            (self._lower, lower),
            (self._upper, upper),
            (self._cost, cost),
            (self._quadratic, quadratic),
        ):
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
        only_if: tuple[np.ndarray, int] | None = None,
    ) -> None:
        """Add rows, each given by its column indices and their coefficients.

        Args:
            names: one a row.
            indices: the columns that each row reads.
            values: their coefficients.
            lower: of the rows, one number or one a row.
            upper: the same.
            only_if: binary columns, one a row, and a value, 0 or 1: each row must hold only where
                its column has that value.
        """
        if only_if is not None:
            columns, when = only_if
            first = len(self._row_names)
            self._indicators.extend(
                (int(column), when, first + k)
                for k, column in enumerate(np.broadcast_to(columns, len(names)))
            )
        self._row_names.extend(names)
        self._row_indices.extend(np.asarray(part, dtype=np.int64) for part in indices)
        self._row_values.extend(np.asarray(part, dtype=float) for part in values)
        for store, bound in ((self._row_lower, lower), (self._row_upper, upper)):
            store.extend(np.broadcast_to(np.asarray(bound, dtype=float), len(names)).tolist())

    def matrix_rows(
        self,
        name: str,
        matrix: sp.csr_array,
        *,
        columns: np.ndarray | None = None,
        lower: np.ndarray | float = -np.inf,
        upper: np.ndarray | float = np.inf,
    ) -> None:
        """Add the rows of a sparse matrix.

        Args:
            name: of each, with its number.
            matrix: ``(m, k)``.
            columns: ``(k,)`` that it reads; the first ones if not given.
            lower: see `rows`.
            upper: likewise.
        """
        parts = [slice(a, b) for a, b in zip(matrix.indptr, matrix.indptr[1:], strict=False)]
        read = matrix.indices if columns is None else columns[matrix.indices]
        self.rows(
            [f"{name}{i}" for i in range(len(parts))],
            [read[part] for part in parts],
            [matrix.data[part] for part in parts],
            lower=lower,
            upper=upper,
        )

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
            quadratic=np.array(self._quadratic, dtype=float) if any(self._quadratic) else None,
            indicators=np.array(self._indicators, dtype=np.int64) if self._indicators else None,
        )
