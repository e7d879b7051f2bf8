r"""Grids: inputs that take evenly spaced values only, as the pixels of an 8-bit image do.

.. math:: x_i = l_i + \frac{k_i}{L} (u_i - l_i), \quad k_i \in \{0, \dots, L\}

Over [0, 1] with 255 levels these are exactly the numbers ``k / 255`` of float64, as they are read
from an image file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Shaped

from dualbound.errors import InvalidInput
from dualbound.region.box import Box
from dualbound.region.region import LinearForm

UNIT = Box(0.0, 1.0)
"""The range of a pixel."""


@dataclass(frozen=True, eq=False)
class Grid:
    """All points whose every input is one of ``levels + 1`` values from end to end of its range.

    Args:
        levels: how many steps lie between the ends: 255 for 8-bit images.
        ends: of each input's range, numbers or one for each; a query may ask about less of it.

    Raises:
        InvalidInput: levels that are not a whole number from 1 to 2^31.

    >>> grid = Grid(255)
    >>> float(grid.snap(np.array([0.3]))[0] * 255)
    76.0
    >>> grid.contains(np.array([0.3, 76 / 255]))
    array([False,  True])
    """

    levels: int
    ends: Box = UNIT

    def __post_init__(self) -> None:
        whole = not isinstance(self.levels, bool) and float(self.levels).is_integer()
        if not whole or not 1 <= self.levels <= 2**31:
            raise InvalidInput(
                f"A grid has a whole number of levels, at least 1 (255 for 8-bit images); found "
                f"{self.levels}."
            )

    @property
    def step(self) -> Float[np.ndarray, " *n"]:
        """From one value to the next: a number, or one for each input."""
        return np.asarray((self.ends.upper - self.ends.lower) / self.levels)

    def values(self, k: Shaped[np.ndarray, "*b n"]) -> Float[np.ndarray, "*b n"]:
        """The inputs at whole numbers of steps; the ends are met exactly."""
        low, high = self.ends.lower, self.ends.upper
        inner = low + (high - low) * (k / self.levels)
        return np.where(k == self.levels, high, inner)

    def steps(self, x: Float[np.ndarray, "*b n"]) -> Float[np.ndarray, "*b n"]:
        """The whole numbers of steps from the lower ends that are nearest to each input.

        >>> Grid(4).steps(np.array([0.1, 0.3, 0.99]))
        array([0., 1., 4.])
        """
        low, high = self.ends.lower, self.ends.upper
        width = np.where(high > low, high - low, 1.0)
        most = np.where(high > low, self.levels, 0)
        return np.clip(np.rint((x - low) / width * self.levels), 0, most)

    def contains(self, x: Float[np.ndarray, "*b n"]) -> Bool[np.ndarray, "*b n"]:
        """For each input, whether it is exactly one of the values."""
        return np.asarray(x == self.values(self.steps(x)))

    def narrowed(self, box: Box) -> Box:
        """The box of all grid points in a box: its bounds moved inwards to the grid.

        Args:
            box: ``(n,)`` bounds.

        Raises:
            InvalidInput: an input has no value of the grid in the box; a frozen one, say, whose
                value is not one.

        >>> Grid(10).narrowed(Box([0.1, 0.25], [0.35, 1.5])).upper
        array([0.3, 1. ])
        """
        ends = self.ends.sized(box.lower.size)
        grid = replace(self, ends=ends)
        low, high = grid.steps(box.lower), grid.steps(box.upper)
        low = low + (grid.values(low) < box.lower)
        high = high - (grid.values(high) > box.upper)
        top = np.where(ends.upper > ends.lower, self.levels, 0)
        empty = (low > high) | (low > top) | (high < 0)
        if empty.any():
            at = int(np.argmax(empty))
            if box.lower[at] == box.upper[at]:
                raise InvalidInput(self._off_grid(at, box.lower[at]))
            raise InvalidInput(
                f"No value of the grid of {self.levels} levels lies between the bounds "
                f"{box.lower[at]} and {box.upper[at]} of input {at}."
            )
        return Box(grid.values(low), grid.values(high))

    def snap(
        self, x: Float[np.ndarray, "*b n"], box: Box | None = None
    ) -> Float[np.ndarray, "*b n"]:
        """The nearest grid points; those in a box if one is given.

        Args:
            x: one point, or a batch.
            box: where the answer must lie.

        Raises:
            InvalidInput: an input has no value of the grid in the box.

        >>> Grid(10).snap(np.array([0.33, 0.99]), Box([0, 0], [1, 0.95]))
        array([0.3, 0.9])
        """
        snapped = self.values(self.steps(x))
        if box is None:
            return snapped
        narrow = self.narrowed(box.sized(x.shape[-1]))
        return np.clip(snapped, narrow.lower, narrow.upper)

    def form(self, form: LinearForm) -> LinearForm:
        """The points of a linear form that are on the grid, by an integral column an input.

        .. math:: x_i = l_i + k_i (u_i - l_i) / L

        Args:
            form: of a region, or of a distance over a box; best over a box that is `narrowed`.

        Raises:
            InvalidInput: an input that cannot change is off the grid.

        **Trusts** the solver's tolerances no further than its caller does: `snap` what it finds.
        """
        n, count = form.transform.shape
        ends = self.ends.sized(n)
        moving = np.diff(form.transform.indptr) > 0
        still = ~moving & ~replace(self, ends=ends).contains(form.offset)
        if still.any():
            at = int(np.argmax(still))
            raise InvalidInput(self._off_grid(at, form.offset[at]))
        inputs = np.flatnonzero(moving & (ends.upper > ends.lower))
        step = (ends.upper - ends.lower)[inputs] / self.levels
        side = (ends.lower - form.offset)[inputs]
        link = sp.hstack([form.transform[inputs], -sp.diags_array(step)], format="csr")
        more = len(inputs)

        def with_zeros(values: np.ndarray) -> np.ndarray:
            return np.concatenate([values, np.zeros(more, dtype=values.dtype)])

        old = np.zeros(count, dtype=bool) if form.integer is None else form.integer
        return replace(
            form,
            transform=sp.hstack([form.transform, sp.csr_array((n, more))], format="csr"),
            lower=with_zeros(form.lower),
            upper=np.concatenate([form.upper, np.full(more, float(self.levels))]),
            rows=sp.vstack(
                [sp.hstack([form.rows, sp.csr_array((form.rows.shape[0], more))]), link, -link],
                format="csr",
            ),
            row_upper=np.concatenate([form.row_upper, side, -side]),
            names=(*form.names, *(f"k{i}" for i in inputs)),
            cost=with_zeros(form.cost),
            coordinates=lambda x: np.concatenate(
                [form.coordinates(x), replace(self, ends=ends).steps(x)[inputs]]
            ),
            integer=np.concatenate([old, np.ones(more, dtype=bool)]),
            quadratic=None if form.quadratic is None else with_zeros(form.quadratic),
        )

    def _off_grid(self, at: int, value: float) -> str:
        return (
            f"Input {at} may not change, but its value {value} is not on the grid of "
            f"{self.levels} levels: use an image on the grid, or let it change."
        )
