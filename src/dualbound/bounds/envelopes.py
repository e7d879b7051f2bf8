r"""Lines above and below an activation: ``slope v + intercept`` over an interval.

Of a rectifier they are CROWN's: the chord above, and below it the slope of 0 and 1 that leaves the
smaller area. For the others a slope is chosen, a tangent's or a chord's, and the intercepts that
it allows are computed:

.. math:: \min_{l \le v \le u} (f(v) - s v) \le f(v) - s v \le \max_{l \le v \le u} (f(v) - s v)

whose extremes are at the ends, and of the sigmoid where its derivative is s. So the lines are sound
whatever the slope.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from dualbound.network.elementwise import Elementwise, Relu, Sigmoid, Sign

HALVINGS = 40
"""Steps in which the tangent through an end is looked for; it need not be found exactly."""

ERR = 2.0**-49
"""Of a sum of numbers of the size of 1: what intercepts are moved outwards by."""


@dataclass(frozen=True, eq=False)
class Envelope:
    """``low_slope v + low <= f(v) <= high_slope v + high`` over an interval, neuron by neuron."""

    low_slope: Float[np.ndarray, "*m"]
    low: Float[np.ndarray, "*m"]
    high_slope: Float[np.ndarray, "*m"]
    high: Float[np.ndarray, "*m"]


def envelope(
    op: Elementwise, lower: Float[np.ndarray, "*m"], upper: Float[np.ndarray, "*m"]
) -> Envelope:
    """The lines between which an activation lies.

    Args:
        op: the activation.
        lower: of what it reads, finite.
        upper: likewise.

    **Trusts** float64 functions within `ERR`.

    >>> lines = envelope(Sigmoid(), np.array([-2.0]), np.array([3.0]))
    >>> lines.high_slope.round(3), lines.high.round(3)
    (array([0.204]), array([0.527]))
    """
    match op:
        case Relu():
            return _of_relu(lower, upper)
        case Sigmoid():
            high_slope = _steepness_above(lower, upper)
            low_slope = _steepness_above(-upper, -lower)  # 1 - f(-v) is f
        case Sign():
            width = np.where((lower < 0) & (upper > 0), np.maximum(-lower, upper), 1.0)
            open_ = (lower < 0) & (upper > 0)
            high_slope = np.where(open_ & (upper < -lower), 2.0 / width, 0.0)
            low_slope = np.where(open_ & (upper > -lower), 2.0 / width, 0.0)
        case _:
            raise AssertionError(op)
    return Envelope(
        low_slope,
        intercepts(op, low_slope, lower, upper)[0],
        high_slope,
        intercepts(op, high_slope, lower, upper)[1],
    )


def intercepts(
    op: Elementwise,
    slope: Float[np.ndarray, "*m"],
    lower: Float[np.ndarray, "*m"],
    upper: Float[np.ndarray, "*m"],
) -> tuple[Float[np.ndarray, "*m"], Float[np.ndarray, "*m"]]:
    """The least and the largest of ``f(v) - slope v`` over an interval, moved outwards by rounding.

    Args:
        op: a sigmoid or a sign.
        slope: not negative.
        lower: where the interval begins.
        upper: where it ends.

    >>> low, high = intercepts(Sigmoid(), np.array([0.0]), np.array([-1.0]), np.array([1.0]))
    >>> low.round(3), high.round(3)
    (array([0.269]), array([0.731]))
    """
    at = [lower, upper]
    values = [op(lower) - slope * lower, op(upper) - slope * upper]
    match op:
        case Sigmoid():
            flat = _where_as_steep(slope)
            at += [np.clip(sign * flat, lower, upper) for sign in (-1.0, 1.0)]
            values += [op(v) - slope * v for v in at[2:]]
        case Sign():
            # On both sides of the jump, and at it.
            jump = np.clip(0.0, lower, upper)
            at += [jump, jump, jump]
            before = np.where(lower < 0, -1.0, op(lower))
            after = np.where(upper > 0, 1.0, op(upper))
            values += [value - slope * jump for value in (before, op(jump), after)]
        case _:
            raise AssertionError(op)
    size = 1.0 + slope * np.maximum(np.abs(lower), np.abs(upper))
    least, most = np.minimum.reduce(values), np.maximum.reduce(values)
    return least - ERR * size, most + ERR * size


def _of_relu(lower: np.ndarray, upper: np.ndarray) -> Envelope:
    unstable = (lower < 0) & (upper > 0)
    width = np.where(unstable, upper - lower, 1.0)
    chord = np.where(unstable, upper / width, lower >= 0)
    below = np.where(unstable, upper > -lower, lower >= 0).astype(float)
    return Envelope(below, np.zeros(lower.shape), chord, np.where(unstable, chord * -lower, 0.0))


def _steepness_above(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """The slope of a line above the sigmoid that leaves a small area.

    That of the chord, or of the tangent at the middle; or, where that one would cut the sigmoid,
    of the tangent through the lower end. Zhang et al. 2018, table 2.
    """
    f = Sigmoid()
    width = upper - lower
    chord = np.where(width > 0, (f(upper) - f(lower)) / np.where(width > 0, width, 1.0), 0.0)
    near, far = np.maximum(lower, 0.0), np.maximum(upper, 0.0)
    touches = f.slope(far) * (far - lower) < f(far) - f(lower)
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        below = f.slope(middle) * (middle - lower) > f(middle) - f(lower)
        near, far = np.where(below, middle, near), np.where(below, far, middle)
    tangent = f.slope(np.maximum(far, (lower + upper) / 2))
    return np.where((upper > 0) & touches & (width > 0), tangent, chord)


def _where_as_steep(slope: np.ndarray) -> np.ndarray:
    r"""The ``v >= 0`` at which the sigmoid's derivative is this; 0 for more than 1/4.

    With :math:`r = \sqrt{1 - 4 s}` it is :math:`2 \log \frac{1 + r}{2} - \log s`.
    """
    inside = np.clip(slope, 1e-300, 0.25)
    root = np.sqrt(np.maximum(1 - 4 * inside, 0.0))
    return np.maximum(2 * np.log((1 + root) / 2) - np.log(inside), 0.0)


def pieces(
    op: Elementwise, lower: float, upper: float, band: float
) -> list[tuple[float, float, float, float, float]]:
    """Intervals that make up a whole one, each with two lines of one slope around the activation.

    Args:
        op: a sigmoid or a sign.
        lower: where the whole interval begins.
        upper: where it ends.
        band: how far apart the two lines may be, about.

    Returns:
        Of each piece its ends, the slope, and the intercepts of the lower and the upper line.

    >>> [f"{a:.2f} to {b:.2f}: {high - low:.3f}" for a, b, _, low, high in
    ...     pieces(Sigmoid(), -2.0, 2.0, 0.02)]
    ['-2.00 to -1.14: 0.009', '-1.14 to 0.00: 0.010', '0.00 to 1.14: 0.010', '1.14 to 2.00: 0.009']
    """
    if isinstance(op, Sign):
        ends = [(lower, min(upper, 0.0))] * (lower < 0)
        ends += [(0.0, 0.0)] * (lower <= 0 <= upper)
        ends += [(max(lower, 0.0), upper)] * (upper > 0)
        values = [-1.0] * (lower < 0) + [0.0] * (lower <= 0 <= upper) + [1.0] * (upper > 0)
        return [(a, b, 0.0, y, y) for (a, b), y in zip(ends, values, strict=True)]
    knots = _knots(lower, upper, band)
    a, b = knots[:-1], knots[1:]
    width = np.where(b > a, b - a, 1.0)
    slope = np.maximum((op(b) - op(a)) / width, 0.0)
    low, high = intercepts(op, slope, a, b)
    return list(zip(*(part.tolist() for part in (a, b, slope, low, high)), strict=True))


def _knots(lower: float, upper: float, band: float) -> Float[np.ndarray, " k"]:
    """Ends of pieces of the sigmoid: close together where it is most curved, and 0 if it is inside.

    A chord of width h is off by about ``h^2 f'' / 8``.
    """
    found = [np.array([lower])]
    parts = [(lower, min(upper, 0.0)), (max(lower, 0.0), upper)]
    for a, b in parts:
        if not a < b:
            continue
        v = np.linspace(np.clip(a, -40, 40), np.clip(b, -40, 40), 200)
        f = expit(v)
        density = np.sqrt(np.abs(f * (1 - f) * (1 - 2 * f)) / (8 * band))
        count = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(v))])
        most = max(int(np.ceil(count[-1])), 1)
        inner = np.interp(np.linspace(0, count[-1], most + 1)[1:-1], count, v)
        found += [inner, np.array([b])]
    found = found if lower < upper else [*found, found[0]]
    return np.concatenate(found)
