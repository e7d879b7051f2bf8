"""Points at which a linear function of the outputs is large, by gradient: no proofs.

On one activation pattern the function is linear, so its gradient there points to a point of the
region that is better still, unless the pattern is left on the way. `climb` jumps to that point,
`ascend` goes a part of the way (Frank, Wolfe, *An algorithm for quadratic programming*, 1956): both
stay in any convex region of which the support function is known, without a projection.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dualbound.limits import Clock
from dualbound.network.graph import Network, slopes
from dualbound.region import Region

STEPS = 60
"""Of an ascent."""

FIRST, LAST = 0.5, 0.01
"""The part of the way that the first and the last step of an ascent go."""

Points = tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k n"]]
"""Values, and the points where they are reached."""


def climb(
    network: Network,
    region: Region,
    direction: Float[np.ndarray, " m"],
    starts: Float[np.ndarray, "k n"],
) -> Points:
    """Jump from every start to the best point of its linear function, while that is better.

    >>> from dualbound.region import Box
    >>> net = Network.dense([[[1.0], [-1.0]], [[1.0, 2.0]]], [[0.0, 0.0], [0.0]])  # |x|, steeper
    >>> climb(net, Box([-1], [1]), np.ones(1), np.array([[0.1], [-0.1]]))  # on the left
    (array([1., 2.]), array([[ 1.],
           [-1.]]))
    """
    x = starts.copy()
    best, at = np.full(len(x), -np.inf), x.copy()
    rising = np.arange(len(x))
    for _ in range(20):
        value, slope = slopes(network, x[rising], direction)
        better = value > best[rising] + 1e-9 * (1 + np.abs(value))
        higher = rising[value > best[rising]]
        at[higher] = x[higher]
        best[rising] = np.maximum(best[rising], value)
        rising = rising[better]
        if not len(rising):
            break
        x[rising] = region.maximiser(slope[better])
    return best, at


def ascend(
    network: Network,
    region: Region,
    direction: Float[np.ndarray, " m"],
    starts: Float[np.ndarray, "k n"],
    clock: Clock | None = None,
) -> Points:
    """Go from every start along the gradient in ever smaller steps, and climb from the best point.

    Slower than `climb`, and better where patterns are small: it does not jump over them.
    """
    x = starts.copy()
    best, at = np.full(len(x), -np.inf), x.copy()
    for k in range(STEPS):
        if clock is not None and clock.expired:
            break
        value, slope = slopes(network, x, direction)
        better = value > best
        best[better], at[better] = value[better], x[better]
        part = FIRST * (LAST / FIRST) ** (k / (STEPS - 1))
        x = x + part * (region.maximiser(slope) - x)
    return climb(network, region, direction, at)
