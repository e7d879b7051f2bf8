r"""The L0 ball cut with a box: few inputs change, each as far as the box allows.

.. math:: \{x : \textstyle\sum_{i : x_i \ne x^0_i} w_i \le r,\ l \le x \le u\}

An input whose box leaves out the centre must change, and what that costs is taken from the radius.
Which of the others change best is a knapsack: with equal weights the largest gains, otherwise hard
to say, and the support function is that of the fractional knapsack.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

from dualbound.errors import InvalidInput
from dualbound.region.box import Box
from dualbound.region.l1_ball import l1_distance_form
from dualbound.region.region import LinearForm, Region
from dualbound.region.weights import checked_weights

ROUNDING = 1e-12
"""Weights that sum up to the radius but for this share of it fit (0.1 + 0.1 + 0.1 fits 0.3)."""


@dataclass(frozen=True, eq=False)
class L0Ball(Region):
    """The points of a box in which few inputs differ from a centre.

    Args:
        center: ``(n,)``; it may lie outside the box.
        radius: how many inputs may differ, or the most that their weights may sum up to.
        box: ``(n,)`` bounds.
        weights: what a change of each input costs, ``(n,)``, positive; all 1 when not given.

    Raises:
        InvalidInput: more inputs than that must change to be in the box, a shape does not fit, or
            a weight is not positive and finite.

    >>> ball = L0Ball(np.array([0.0, 0.5, 1.0]), 1, Box(0, 1).sized(3))
    >>> ball.maximiser(np.array([[1.0, 3.0, -2.0]]))  # the gains are 1, 1.5 and 2
    array([[0. , 0.5, 0. ]])
    """

    center: Float[np.ndarray, " n"]
    radius: float
    box: Box
    weights: Float[np.ndarray, " n"] | None = None
    lower: Float[np.ndarray, " n"] = field(init=False)
    upper: Float[np.ndarray, " n"] = field(init=False)
    forced: Bool[np.ndarray, " n"] = field(init=False)
    free: Bool[np.ndarray, " n"] = field(init=False)
    left: float = field(init=False)

    def __post_init__(self) -> None:
        box, center = self.box, self.box.checked_center(self.center)
        object.__setattr__(self, "center", center)
        if np.isnan(center).any():
            raise InvalidInput("The centre of an L0 ball has inputs that are not numbers.")
        if self.weights is not None:
            object.__setattr__(self, "weights", checked_weights(self.weights, center.size))
        forced = (center < box.lower) | (center > box.upper)
        apart = float(self._weights[forced].sum())
        left = self.radius * (1 + ROUNDING) - apart
        if not 0 <= left < np.inf:
            raise InvalidInput(
                f"The L0 ball of radius {self.radius} does not reach the box: it is {apart} away."
            )
        free = ~forced & (self._weights <= left) & (box.lower < box.upper)
        object.__setattr__(self, "forced", forced)
        object.__setattr__(self, "free", free)
        object.__setattr__(self, "left", left)
        object.__setattr__(self, "lower", np.where(forced | free, box.lower, center))
        object.__setattr__(self, "upper", np.where(forced | free, box.upper, center))

    @property
    def _weights(self) -> Float[np.ndarray, " n"]:
        return np.ones(self.center.size) if self.weights is None else self.weights

    def _chosen(self, gains: Float[np.ndarray, "k n"]) -> Bool[np.ndarray, "k n"]:
        """Which free inputs change: those of most gain per weight, as long as they fit.

        With equal weights no choice has more gain; otherwise another one may.
        """
        gains = np.where(self.free, gains, 0.0)
        order = np.argsort(-gains / self._weights, axis=1, kind="stable")
        chosen = np.zeros(gains.shape, dtype=bool)
        if self.weights is None:
            np.put_along_axis(chosen, order[:, : int(self.left)], True, axis=1)
            return chosen & (gains > 0)
        rows, left = np.arange(len(gains)), np.full(len(gains), self.left)
        for at in order.T:
            fits = (gains[rows, at] > 0) & (self._weights[at] <= left)
            chosen[rows, at] = fits
            left = left - np.where(fits, self._weights[at], 0.0)
        return chosen

    def _gains(
        self, directions: Float[np.ndarray, "k n"]
    ) -> tuple[Float[np.ndarray, "k n"], Float[np.ndarray, "k n"]]:
        """The best value of each input alone, and what that gains over the centre."""
        best = np.where(directions > 0, self.upper, self.lower)
        return best, directions * (best - self.center)

    def maximiser(self, directions: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
        """The inputs of most gain per weight go to their bounds; exact with equal weights."""
        best, gains = self._gains(directions)
        return np.where(self.forced | self._chosen(gains), best, self.center)

    def support(self, directions: Float[np.ndarray, "k n"]) -> Float[np.ndarray, " k"]:
        """The maximum of ``d·x``; with weights, that of the fractional knapsack, which is above it.

        **Trusts** float64 sums; whoever fixes a neuron by it must leave a slack.
        """
        if self.weights is None:
            return np.einsum("kn,kn->k", directions, self.maximiser(directions))
        best, gains = self._gains(directions)
        kept = np.where(self.forced, best, self.center)
        gains = np.where(self.free, gains, 0.0)
        order = np.argsort(-gains / self.weights, axis=1, kind="stable")
        weights = self.weights[order]
        before = np.cumsum(weights, axis=1) - weights
        share = np.clip((self.left - before) / weights, 0.0, 1.0)
        extra = (np.take_along_axis(gains, order, axis=1) * share).sum(axis=1)
        return np.asarray(np.einsum("kn,kn->k", directions, kept) + extra)

    def linear_form(self) -> LinearForm:
        """``x = x0 + p - n`` with a binary for each input that can change, and their row."""
        form = l0_distance_form(self.center, Box(self.lower, self.upper), self.weights)
        return replace(
            form,
            rows=sp.vstack([form.rows, sp.csr_array(form.cost[None])], format="csr"),
            row_upper=np.append(form.row_upper, self.radius * (1 + ROUNDING)),
            cost=np.zeros(len(form.cost)),
        )

    def project(self, points: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
        """The changes that matter most are kept; the nearest point with equal weights."""
        clipped = self.box.project(points)
        gains = (points - self.center) ** 2 - (points - clipped) ** 2
        kept = self.forced | self._chosen(np.where(clipped == self.center, 0.0, gains))
        return np.where(kept, clipped, self.center)

    def sample(self, rng: np.random.Generator, count: int) -> Float[np.ndarray, "count n"]:
        """Points of the box on random subsets of the inputs."""
        chosen = self._chosen(self._weights * rng.uniform(0.5, 1.0, (count, self.center.size)))
        fewer = rng.random(chosen.shape) < rng.choice([0.5, 1.0], (count, 1))
        return np.where(self.forced | (chosen & fewer), self.box.sample(rng, count), self.center)

    def violation(self, points: Float[np.ndarray, "k n"]) -> Float[np.ndarray, " k"]:
        """The larger of the box's violation and what the count exceeds the radius by."""
        count = (points != self.center) @ self._weights
        return np.maximum(self.box.violation(points), count - self.radius * (1 + ROUNDING)).clip(
            min=0.0
        )


def l0_distance_form(
    center: Float[np.ndarray, " n"], box: Box, weights: Float[np.ndarray, " n"] | None = None
) -> LinearForm:
    r"""``x = x0 + p - n`` and a binary for each input that can change; the distance is their sum.

    .. math:: p_i \le p_i^{\max} z_i,\quad n_i \le n_i^{\max} z_i,\quad z_i \in \{0, 1\}
    """
    form = l1_distance_form(center, box)
    inputs, moves = form.transform.nonzero()
    inputs = inputs[np.argsort(moves)]  # the input of each column
    changing, binary = np.unique(inputs, return_inverse=True)
    count, binaries = len(inputs), len(changing)
    must = (center < box.lower) | (center > box.upper)
    # ``- max·z <= 0`` beside each ``p`` and ``n``.
    switches = sp.csr_array((-form.upper, (np.arange(count), binary)), shape=(count, binaries))
    n = center.size
    return LinearForm(
        offset=form.offset,
        transform=sp.hstack([form.transform, sp.csr_array((n, binaries))], format="csr"),
        lower=np.concatenate([form.lower, must[changing].astype(float)]),
        upper=np.concatenate([form.upper, np.ones(binaries)]),
        rows=sp.hstack([sp.eye_array(count), switches], format="csr"),
        row_upper=np.zeros(count),
        names=(*form.names, *(f"z{i}" for i in changing)),
        cost=np.concatenate(
            [np.zeros(count), np.ones(binaries) if weights is None else weights[changing]]
        ),
        coordinates=lambda x: np.concatenate(
            [form.coordinates(x), (x != center)[changing].astype(float)]
        ),
        integer=np.arange(count + binaries) >= count,
    )
