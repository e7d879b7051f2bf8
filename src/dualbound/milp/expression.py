"""A vector of linear expressions in the columns of a program under construction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from dualbound.milp.program import ProgramBuilder
from dualbound.network.linear import Dense, LinearMap


@dataclass(frozen=True, eq=False)
class Expression:
    """``coefficients · columns + constant``, one row an entry.

    The matrix is as wide as the program was when the expression was made; columns that are added
    later simply do not occur in it.

    >>> x = Expression.of_columns(np.array([0, 1]))
    >>> y = x.mapped(np.array([[1.0, -1.0]]), np.array([0.5]))
    >>> y.coefficients.toarray(), y.constant
    (array([[ 1., -1.]]), array([0.5]))
    """

    coefficients: sp.csr_array
    constant: Float[np.ndarray, " k"]

    @classmethod
    def of_columns(cls, columns: np.ndarray) -> Expression:
        """The columns themselves; an index of -1 stands for the constant 0."""
        real = np.flatnonzero(columns >= 0)
        shape = (len(columns), int(columns.max(initial=0)) + 1)
        values = (np.ones(len(real)), (real, columns[real]))
        return cls(sp.csr_array(values, shape=shape), np.zeros(len(columns)))

    @classmethod
    def total(cls, parts: Sequence[Expression], bias: Float[np.ndarray, " k"]) -> Expression:
        """``sum of parts + bias``."""
        [first, *others] = parts
        matrix, constant = first.coefficients, first.constant + bias
        for one in others:
            width = max(matrix.shape[1], one.coefficients.shape[1])
            matrix = _widened(matrix, width) + _widened(one.coefficients, width)
            constant = constant + one.constant
        return cls(sp.csr_array(matrix), constant)

    def mapped(
        self, weight: LinearMap | Float[np.ndarray, "m k"], bias: Float[np.ndarray, " m"]
    ) -> Expression:
        """``weight · self + bias``."""
        part = weight if isinstance(weight, LinearMap) else Dense(weight)
        product = part.tocsr() @ self.coefficients
        return Expression(sp.csr_array(product), part.apply(self.constant[None])[0] + bias)

    def row(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Column indices and coefficients of one entry."""
        part = slice(self.coefficients.indptr[i], self.coefficients.indptr[i + 1])
        return self.coefficients.indices[part], self.coefficients.data[part]

    def costs(self, i: int, columns: int) -> Float[np.ndarray, " n"]:
        """One entry as the cost vector of a program with so many columns."""
        cost = np.zeros(columns)
        indices, values = self.row(i)
        cost[indices] = values
        return cost

    def rows_at_least(
        self,
        builder: ProgramBuilder,
        names: list[str],
        bound: Float[np.ndarray, " k"],
        *,
        minus: np.ndarray | None = None,
    ) -> None:
        """Add the rows ``self - minus >= bound`` (``minus``: one column index for all)."""
        indices, values = [], []
        for i in range(len(names)):
            columns, coefficients = self.row(i)
            if minus is not None:
                columns = np.append(columns, minus)
                coefficients = np.append(coefficients, -np.ones(len(minus)))
            indices.append(columns)
            values.append(coefficients)
        builder.rows(names, indices, values, lower=bound - self.constant)


def _widened(matrix: sp.csr_array, columns: int) -> sp.csr_array:
    """The matrix with columns of zeros after it."""
    parts = (matrix.data, matrix.indices, matrix.indptr)
    return sp.csr_array(parts, shape=(matrix.shape[0], columns))
