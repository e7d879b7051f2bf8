"""Points at which a linear function of the outputs is large, by gradient: no proofs.

On one activation pattern the function is linear, so its gradient there points to a point of the
region that is better still, unless the pattern is left on the way. `climb` jumps to that point at
once; `ascend_and_climb` goes there in steps, from many points, and from the best of them again.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dualbound.limits import Clock
from dualbound.network.gradients import slopes
from dualbound.network.graph import Network
from dualbound.network.torch_twin import twin
from dualbound.region import Box, Region

STEPS = 100
"""Of an ascent."""

FIRST, LAST = 0.3, 0.003
"""The part of the region's width, or of the way through it, that the first and last step go."""

NEARER = 0.1
"""In a box, steps towards a goal for the outputs are shorter by this: it is soon passed."""

PUSHES, PUSHED = 3, 0.2
"""How often the best points are pushed, and the part of their inputs that is."""

SMALL = 10_000
"""Networks of fewer values than this are evaluated on one thread."""

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


def ascend_and_climb(
    network: Network,
    region: Region,
    direction: Float[np.ndarray, " m"],
    starts: Float[np.ndarray, "k n"],
    clock: Clock | None = None,
    *,
    around: Float[np.ndarray, " m"] | None = None,
) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, "p n"]]:
    """Go from every start along the gradient, then from what is best after a push, and climb.

    In a box a step goes along the signs of the gradient; in another region a part of the way to the
    furthest point along it (Frank, Wolfe, *An algorithm for quadratic programming*, 1956).
    Gradients are taken in float32; the values returned are of float64.

    Args:
        network: whose outputs count.
        region: where to stay.
        direction: of the outputs; or, not negative, what the squares below cost.
        starts: of the region.
        clock: when to stop.
        around: ascend_and_climb ``-direction·(output - around)^2`` instead, and do not climb.

    Returns:
        Fewer points than starts: the best, and what was reached from them.
    """
    gradient = _Gradient(network, direction, around)
    rng = np.random.default_rng(len(starts))
    first = FIRST * NEARER if around is not None and isinstance(region, Box) else FIRST
    values, x = _ascended(gradient, region, starts, STEPS, first, clock)
    for _ in range(PUSHES):
        best = np.argsort(-values, kind="stable")[: max(1, len(values) // 10)]
        again = np.repeat(best, 3)
        pushed = _pushed(region, x[again], rng)
        more, further = _ascended(gradient, region, pushed, STEPS // 2, first, clock)
        values, x = np.append(values[best], more), np.vstack([x[best], further])
    x = region.project(x)
    if around is not None:
        return -((network(x) - around) ** 2) @ direction, x
    return climb(network, region, direction, x)


class _Gradient:
    """Values and gradients of what `ascend_and_climb` ascends, in float32."""

    def __init__(
        self,
        network: Network,
        direction: Float[np.ndarray, " m"],
        around: Float[np.ndarray, " m"] | None,
    ) -> None:
        import torch

        self._small = sum(node.size for node in network.nodes) < SMALL
        self._module = twin(network, dtype=torch.float32)
        self._around = None if around is None else torch.as_tensor(around, dtype=torch.float32)
        self._direction = torch.as_tensor(direction, dtype=torch.float32)

    def __call__(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import torch

        threads = torch.get_num_threads()
        if self._small:
            torch.set_num_threads(1)  # more of them only wait for one another
        try:
            points = torch.as_tensor(x, dtype=torch.float32).requires_grad_()
            outputs = self._module(points)
            terms = outputs if self._around is None else -((outputs - self._around) ** 2)
            value = terms @ self._direction
            (slope,) = torch.autograd.grad(value.sum(), points)
        finally:
            torch.set_num_threads(threads)
        return value.detach().numpy(), slope.numpy()


def _ascended(
    gradient: _Gradient,
    region: Region,
    x: np.ndarray,
    steps: int,
    first: float,
    clock: Clock | None,
) -> Points:
    """The best point on the way from each start, and its value in float32."""
    box = isinstance(region, Box)
    low, high = (end.astype(np.float32) for end in (region.lower, region.upper))
    x = x.astype(np.float32)
    best, at = np.full(len(x), -np.inf, dtype=np.float32), x.copy()
    for k in range(steps):
        if clock is not None and clock.expired:
            break
        value, slope = gradient(x)
        better = value > best
        best[better], at[better] = value[better], x[better]
        part = first * (LAST / FIRST) ** (k / (steps - 1))
        if box:
            x = np.clip(x + part * (high - low) * np.sign(slope), low, high)
        else:
            x += part * (region.maximiser(slope.astype(float)).astype(np.float32) - x)
    return best.astype(float), at.astype(float)


def _pushed(
    region: Region, x: Float[np.ndarray, "k n"], rng: np.random.Generator
) -> Float[np.ndarray, "k n"]:
    """Some inputs of each point replaced at random; in what is no box, all of them a little."""
    other = region.sample(rng, len(x))
    if isinstance(region, Box):
        return np.where(rng.random(x.shape) < PUSHED, other, x)
    return x + PUSHED * (other - x)
