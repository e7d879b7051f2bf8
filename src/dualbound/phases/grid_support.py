r"""The support function of the grid points of an L2 ball.

Between the levels of a coarse grid a ball reaches much further than at them: there many inputs move
by a little, and on the grid none can move by less than a step. For every price :math:`\mu \ge 0` of
the squared length, a linear function of the moves m of grid points is at most

.. math:: \mu r^2 + \sum_i \max_{m_i} (d_i m_i - \mu w_i m_i^2),

and each of these maxima is at the level nearest to :math:`d_i / (2 \mu w_i)`.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dualbound.bounds.layer_bounds import rounding
from dualbound.region import Box, Grid

HALVINGS = 24
"""Of the interval in which the best price lies; any price gives a bound."""

WIDTH = 1024.0
"""How far that interval reaches from the price of a ball without a grid, downwards and upwards."""


class GridSupport:
    """What linear functions reach on the grid points of L2 balls around a centre, at most.

    Args:
        center: of the balls, ``(n,)``.
        box: in which all points lie, ``(n,)``.
        grid: of which they are.
        weights: of the squared changes, ``(n,)``; all 1 when not given.

    Raises:
        InvalidInput: an input has no value of the grid in the box.

    **Trusts** float64 sums, within the slack that is added for them.

    Of a hundred inputs, four can take a step of a quarter within 0.5; the whole ball reaches 5.

    >>> support = GridSupport(np.zeros(100), Box(0, 1).sized(100), Grid(4))
    >>> round(support(np.ones(100), 0.5), 3)
    1.0
    """

    def __init__(
        self,
        center: Float[np.ndarray, " n"],
        box: Box,
        grid: Grid,
        weights: Float[np.ndarray, " n"] | None = None,
    ) -> None:
        self._center, self._grid, self._narrow = center, grid, grid.narrowed(box)
        self._prices = np.ones(len(center)) if weights is None else weights
        self._step = np.broadcast_to(grid.step, center.shape)

    def __call__(self, direction: Float[np.ndarray, " n"], radius: float) -> float:
        """An upper bound of ``direction·(x - center)`` over the grid points of a ball.

        Never above that of the whole ball.

        Args:
            direction: of the function.
            radius: of the ball.
        """
        between = float(np.sqrt((direction**2 / self._prices).sum())) * radius
        usual = between / (2 * radius**2) if radius else 0.0
        low, high, best = usual / WIDTH, usual * WIDTH, between
        if not 0.0 < low < high < np.inf:
            return between
        for _ in range(HALVINGS):
            price = float(np.sqrt(low * high))
            bound, length = self._at(direction, radius, price)
            best = min(best, bound)
            low, high = (price, high) if length > radius**2 else (low, price)
        return best

    def _at(
        self, direction: Float[np.ndarray, " n"], radius: float, price: float
    ) -> tuple[float, float]:
        """The bound for one price, and the squared length of the move at which it is reached."""
        wanted = self._center + direction / (2 * price * self._prices)
        low, high = self._narrow.lower, self._narrow.upper
        move = np.clip(self._grid.values(self._grid.steps(wanted)), low, high) - self._center
        lengths = self._prices * move**2
        gain, cost = direction * move, price * (radius**2 - lengths.sum())
        size = np.abs(direction) @ (np.abs(move) + self._step) + price * (radius**2 + lengths.sum())
        slack = rounding(len(direction)) * float(size)
        return float(gain.sum() + cost) + slack, float(lengths.sum())
