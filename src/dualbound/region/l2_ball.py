r"""The L2 ball cut with a box.

.. math:: \{x : \textstyle\sum_i w_i (x_i - x^0_i)^2 \le r^2,\ l \le x \le u\}

Maximising a linear function over it is a problem of one number, the multiplier :math:`\mu` of the
ball: with :math:`s = x - x^0` every input is its own problem,

.. math::
    \max_s\ d \cdot s + \tfrac\mu2 \Bigl(r^2 - \sum_i w_i s_i^2\Bigr)
    \quad\Rightarrow\quad s_i = \operatorname{clip}(d_i / (\mu w_i),\ l_i - x^0_i,\ u_i - x^0_i),

and by weak duality its value bounds the maximum from above for *every* :math:`\mu \ge 0`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidInput
from dualbound.region.box import Box
from dualbound.region.region import LinearForm, Region
from dualbound.region.weights import checked_weights

UNDERFLOW = 1e-300
"""More than all squares together that are too small for a float."""

STEPS = 60
"""At most so many Newton steps or halvings; a handful is usual."""


@dataclass(frozen=True, eq=False)
class L2Ball(Region):
    """The L2 ball of some radius around a centre, cut with a box.

    Args:
        center: ``(n,)``; it may lie outside the box.
        radius: in the units of the input, at least 0.
        box: ``(n,)`` bounds.
        weights: of the squared changes, ``(n,)``, positive; all 1 when not given.

    Raises:
        InvalidInput: the ball does not meet the box, a shape does not fit, or a weight is not
            positive and finite.

    >>> ball = L2Ball(np.zeros(2), 1.0, Box([0.0, 0.0], [0.6, 1.0]))
    >>> ball.support(np.array([[3.0, 4.0], [4.0, 3.0], [-1.0, 0.0]])).round(9) + 0
    array([5. , 4.8, 0. ])
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
        away = self._weights * (start - self.center) ** 2
        apart = float(away.sum())
        if not np.sqrt(apart) <= self.radius < np.inf:
            raise InvalidInput(
                f"The L2 ball of radius {self.radius} does not reach the box: it is "
                f"{np.sqrt(apart)} away."
            )
        # What the difference below may have lost to rounding, and squares to underflow.
        unit = float(np.finfo(float).eps)
        doubt = unit * ((np.count_nonzero(away) + 8) * apart + 4 * self.radius**2)
        doubt += UNDERFLOW if self.radius > 0 else 0.0
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "left", max(self.radius**2 - apart, 0.0))
        object.__setattr__(self, "doubt", doubt)
        # One input may use all that is left, on top of what it has used at the start.
        own = np.sqrt((self.left + doubt + away) / self._weights)
        object.__setattr__(self, "lower", np.maximum(self.box.lower, self.center - own))
        object.__setattr__(self, "upper", np.minimum(self.box.upper, self.center + own))

    @property
    def _weights(self) -> Float[np.ndarray, " n"]:
        return np.ones(self.center.size) if self.weights is None else self.weights

    def _used(self, s: Float[np.ndarray, "k n"]) -> Float[np.ndarray, " k"]:
        """What moves use of `left`; a sum without cancellation, as no move is below the start's."""
        nearest = self.start - self.center
        return np.asarray(((s - nearest) * (s + nearest)) @ self._weights)

    def _moves(
        self, directions: Float[np.ndarray, "k n"], scale: Float[np.ndarray, " k"]
    ) -> Float[np.ndarray, "k n"]:
        """The best moves ``x - center`` for ``1/mu = scale``; infinity is the box's corner."""
        low, high = self.lower - self.center, self.upper - self.center
        nearest = self.start - self.center
        corner = np.where(directions > 0, high, np.where(directions < 0, low, nearest))
        finite = np.isfinite(scale)
        step = directions / self._weights * np.where(finite, scale, 0.0)[:, None]
        return np.where(finite[:, None], np.clip(step, low, high), corner)

    def _scales(self, directions: Float[np.ndarray, "k n"], left: float) -> Float[np.ndarray, " k"]:
        """The best ``1/mu``: the largest found whose moves use at most ``left·(1 + 2e-12)``.

        What the moves use is piecewise linear in the square ``q`` of the scale: Newton's method
        ends in its last piece after finitely many steps. A step out of the bracket is halved.
        """
        weights, nearest = self._weights, self.start - self.center
        low, high = self.lower - self.center, self.upper - self.center
        rate = directions**2 / weights
        total, infinite = rate.sum(axis=1), np.full(len(directions), np.inf)
        fits_corner = self._used(self._moves(directions, infinite)) <= left
        done = fits_corner.copy()
        q, below, above = np.zeros(len(directions)), np.zeros(len(directions)), infinite
        np.divide(left, total, out=q, where=total > 0)
        # An input whose nearest point is not the centre waits until its step gets there.
        entry = np.full(directions.shape, np.inf)
        np.divide(weights * nearest, directions, out=entry, where=directions * nearest > 0)
        entry = entry**2
        for _ in range(STEPS):
            moves = self._moves(directions, np.sqrt(q))
            used = self._used(moves)
            fits = used <= left * (1 + 2e-12)
            below, above = np.where(fits, q, below), np.where(fits, above, q)
            done |= (np.abs(used - left) <= 1e-12 * left) | (above <= below * (1 + 1e-15))
            if np.all(done):
                break
            slope = np.where((moves > low) & (moves < high), rate, 0.0).sum(axis=1)
            newton = np.full(len(q), np.inf)
            np.divide(left - used, slope, out=newton, where=slope > 0)
            newton = newton + q
            waiting = np.where(entry > q[:, None], entry, np.inf).min(axis=1) * (1 + 1e-12)
            halfway = np.where(np.isfinite(above), (below + above) / 2, 4 * q + 1e-300)
            jump = np.where((slope == 0) & fits & (waiting < above), waiting, halfway)
            following = np.where((newton > below) & (newton < above), newton, jump)
            q = np.where(done, q, following)
        return np.where(fits_corner, np.inf, np.sqrt(below))

    def maximiser(self, directions: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
        """Moves in proportion to ``d/w`` where the box has room, as long as the ball allows."""
        unit, _ = _unit(directions)
        return self._inside(self._moves(unit, self._scales(unit, self.left)))

    def _inside(self, moves: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
        """The points of moves that may use a little more than is left, by rounding.

        Towards the start, what is used falls at least in proportion.
        """
        used, nearest = self._used(moves), self.start - self.center
        share = np.ones(len(used))
        np.divide(self.left, used, out=share, where=used > self.left)
        x = self.center + nearest + share[:, None] * (moves - nearest)
        return np.clip(x, self.lower, self.upper)

    def support(self, directions: Float[np.ndarray, "k n"]) -> Float[np.ndarray, " k"]:
        """An upper bound on the maximum of ``d·x``: the dual value at the multiplier found.

        It is the maximum up to about 1e-12 relative; an unfinished search for the multiplier makes
        it larger, never smaller. Where the ball only touches the box, the difference of the
        squares of radius and distance is known to rounding only, and the bound is that of the
        largest ball which it may be.

        **Trusts** float64 sums; whoever fixes a neuron by it must leave a slack.
        """
        unit, size = _unit(directions)
        left = self.left + self.doubt
        scale = self._scales(unit, left)
        moves = self._moves(unit, scale)
        corner = np.where(unit > 0, self.upper, self.lower)
        unspent = left - self._used(moves)
        penalty = np.where(np.isinf(scale), 0.0, np.inf)
        np.divide(unspent, 2 * scale, out=penalty, where=np.isfinite(scale) & (scale > 0))
        dual = np.einsum("kn,kn->k", unit, self.center + moves) + penalty
        return np.asarray(size * np.minimum(dual, np.einsum("kn,kn->k", unit, corner)))

    def linear_form(self) -> LinearForm:
        """There is none.

        Raises:
            InvalidInput: always.
        """
        raise InvalidInput(
            "An L2 ball is not a set of linear rows, which a mixed-integer program needs: use the "
            "engine columns where it can, or ask over the box around the ball, "
            "`Box(ball.lower, ball.upper)`."
        )

    def project(self, points: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
        """Shrinking ``clip(d / (1 + t w), l, u)``, with the smallest fitting ``t``.

        Without weights that is a maximiser's move, shorter than the way to the point.
        """
        away, weights = points - self.center, self._weights
        low, high = self.box.lower - self.center, self.box.upper - self.center
        fits = self._used(np.clip(away, low, high)) <= self.left
        if self.weights is None:
            unit, size = _unit(away)
            moves = self._moves(unit, np.minimum(self._scales(unit, self.left), size))
            return np.where(fits[:, None], self.box.project(points), self._inside(moves))

        def shrunk(t: Float[np.ndarray, " k"]) -> Float[np.ndarray, "k n"]:
            """The moves for the multiplier ``t / (1 - t)``."""
            kept = (1 - t)[:, None]
            return np.clip(kept * away / (kept + t[:, None] * weights), low, high)

        below, above = np.zeros(len(points)), np.ones(len(points))
        for _ in range(STEPS):
            middle = (below + above) / 2
            over = self._used(shrunk(middle)) > self.left
            below, above = np.where(over, middle, below), np.where(over, above, middle)
        return np.where(fits[:, None], self.box.project(points), self._inside(shrunk(above)))

    def sample(self, rng: np.random.Generator, count: int) -> Float[np.ndarray, "count n"]:
        """Random rays from the start on random subsets of the inputs, half of them to the end."""
        n, weights, nearest = self.center.size, self._weights, self.start - self.center
        sparsity = rng.integers(1, n + 1, (count, 1))
        chosen = rng.random((count, n)).argsort(axis=1).argsort(axis=1) < sparsity
        signs = np.where(rng.random((count, n)) < 0.5, -1.0, 1.0)
        room = np.where(signs > 0, self.upper - self.start, self.start - self.lower)
        ray = chosen * (room > 0) * signs * np.abs(rng.normal(size=(count, n))) / np.sqrt(weights)
        # The ray leaves the ball at the positive root of a·t^2 + 2·b·t = left.
        a, b = ray**2 @ weights, ray @ (weights * nearest)
        root = b + np.sqrt(b**2 + a * self.left)
        end = np.zeros(count)
        np.divide(self.left, root, out=end, where=root > 0)
        end *= np.where(np.arange(count) % 2 == 0, 1.0, rng.random(count) ** (1 / sparsity[:, 0]))
        return self.start + np.clip(end[:, None] * ray, -room, room)

    def violation(self, points: Float[np.ndarray, "k n"]) -> Float[np.ndarray, " k"]:
        """The larger of the box's violation and what the distance exceeds the radius by."""
        over = np.sqrt((points - self.center) ** 2 @ self._weights) - self.radius
        return np.maximum(self.box.violation(points), over)


def _unit(
    directions: Float[np.ndarray, "k n"],
) -> tuple[Float[np.ndarray, "k n"], Float[np.ndarray, " k"]]:
    """Directions with a largest entry of 1, and their sizes; a square of them cannot vanish."""
    size = np.abs(directions).max(axis=1)
    size = np.where(size > 0, size, 1.0)
    return directions / size[:, None], size
