"""Proved bounds on the value of every node over a region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float

from dualbound.errors import SoundnessError
from dualbound.network.elementwise import Elementwise
from dualbound.network.graph import Network
from dualbound.network.nodes import Affine
from dualbound.region import Region


def rounding(terms: int) -> float:
    """The relative error of float64 sums of so many terms, and then some.

    A computed sum errs by at most this times the sum of the *magnitudes* of its terms, which may
    cancel: what is left of them says nothing about the error. (Higham, *Accuracy and stability of
    numerical algorithms*, section 3.1; four times his bound, for sums of sums.)

    >>> rounding(784) < 1e-12
    True
    """
    return 4 * (terms + 16) * 2.0**-53


@dataclass(frozen=True, eq=False)
class Bounds:
    """``lower[name] <= value of the node <= upper[name]`` over a region, for the nodes named.

    Bounds of several methods hold together: they `intersect`, they never replace one another.

    Attributes:
        lower, upper: by name of the node.
        loose: nodes where a limit or rounding left a bound less tight than the method makes it.

    >>> loose = Bounds({"a": np.array([-1.0])}, {"a": np.array([2.0])})
    >>> tight = Bounds({"a": np.array([-3.0])}, {"a": np.array([1.0])})
    >>> both = loose.intersect(tight)
    >>> both.lower["a"], both.upper["a"], both.unstable("a")
    (array([-1.]), array([1.]), array([ True]))
    """

    lower: Mapping[str, Float[np.ndarray, " _"]]
    upper: Mapping[str, Float[np.ndarray, " _"]]
    loose: frozenset[str] = frozenset()

    def intersect(self, other: Bounds) -> Bounds:
        """The tighter of both, neuron by neuron.

        Raises:
            SoundnessError: the two contradict each other by more than rounding.
        """
        lower, upper = dict(self.lower), dict(self.upper)
        for name in other.lower:
            if name in lower:
                low = np.maximum(lower[name], other.lower[name])
                high = np.minimum(upper[name], other.upper[name])
                _check_order(name, low, high)
                # Crossed by rounding only: both ends hold up to rounding, so keep them in order.
                lower[name], upper[name] = np.minimum(low, high), np.maximum(low, high)
            else:
                lower[name], upper[name] = other.lower[name], other.upper[name]
        return Bounds(lower, upper, self.loose | other.loose)

    def unstable(self, name: str) -> Bool[np.ndarray, " _"]:
        """Which neurons of a pre-activation can be on either side of 0."""
        return (self.lower[name] < 0) & (self.upper[name] > 0)

    def unstable_count(self, network: Network) -> int:
        """How many neurons of the network cost a binary."""
        return sum(int(self.unstable(relu.reads[0]).sum()) for relu in network.relus)

    def check(self, network: Network, points: Float[np.ndarray, "batch n"]) -> None:
        """Evaluate the network at points of the region and compare.

        Raises:
            SoundnessError: a value lies outside its bounds; the message names node and neuron.
        """
        values = network.values(points)
        for name, low in self.lower.items():
            value = values[name]
            slack = 1e-7 * (1.0 + np.abs(value).max(axis=0, initial=0.0))
            inside = (value >= low - slack) & (value <= self.upper[name] + slack)
            if not inside.all():  # NaN is not inside
                point, neuron = (int(i) for i in np.argwhere(~inside)[0])
                raise SoundnessError(
                    f"Node {name!r}, neuron {neuron}: a point of the region has the value "
                    f"{float(value[point, neuron])!r}, outside the claimed bounds "
                    f"[{float(low[neuron])!r}, {float(self.upper[name][neuron])!r}]. "
                    "No figure of this run can be trusted; please report it."
                )


class BoundMethod(Protocol):
    """A direct way to bound every node of a network over a region."""

    def __call__(self, network: Network, region: Region, known: Bounds | None = None) -> Bounds:
        """Bounds over the region, at least as tight as those already known."""


def reach(network: Network, region: Region, bounds: Bounds, name: str) -> Float[np.ndarray, " m"]:
    """The largest magnitude of each value of a node; of an activation, of its lines' terms."""
    node, lines = network[name], 0.0
    if isinstance(node.op, Elementwise):
        name, lines = node.reads[0], node.op.intercept
    if name == network.input:
        return np.maximum(np.abs(region.lower), np.abs(region.upper)) + lines
    return np.maximum(np.abs(bounds.lower[name]), np.abs(bounds.upper[name])) + lines


def magnitude(
    network: Network, region: Region, bounds: Bounds, name: str
) -> Float[np.ndarray, " m"]:
    """For each neuron of an affine node, the sum of the magnitudes of its terms, at most."""
    node = network[name]
    assert isinstance(node.op, Affine)  # noqa: S101  # callers have matched it
    total = np.abs(node.op.bias)
    for part, name in zip(node.op.magnitudes, node.reads, strict=True):
        total = total + part.apply(reach(network, region, bounds, name)[None])[0]
    return total


def _check_order(name: str, low: np.ndarray, high: np.ndarray) -> None:
    crossed = ~(low - high <= 1e-6 * (1 + np.abs(low)))  # NaN is no bound
    if crossed.any():
        at = int(np.argmax(crossed))
        raise SoundnessError(
            f"Node {name!r}, neuron {at}: one method proves at least {float(low[at])!r}, "
            f"another at most {float(high[at])!r}. No figure of this run can be trusted; please "
            "report it."
        )
