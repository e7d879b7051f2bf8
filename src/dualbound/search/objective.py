r"""A function of a network's values: what a search is to maximise.

.. math:: \sum_v w_v \cdot v(x) + \sum_j \gamma_j z_j - \sum_v q_v \cdot (v(x) - c_v)^2

over values of any nodes, and the papers' phases: :math:`z_j = 1` where neuron j is *inactive*
(Schoenfeld section 3, Koot section 3.2). A slack :math:`s = \max(-a, 0)` is no third kind: it is
the rectifier's value minus its pre-activation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from dualbound.bounds import Bounds
from dualbound.bounds.layer_bounds import magnitude, rounding
from dualbound.network.elementwise import Relu
from dualbound.network.graph import Network
from dualbound.network.nodes import Affine, Input, Node
from dualbound.region import Region

LIFT = 1e-6
"""How far above its lower bound a carried value is lifted, so that rounding does not let its
rectifier look unstable."""

Weights = Mapping[str, Float[np.ndarray, " _"]]


@dataclass(frozen=True, eq=False)
class Objective:
    """A function to be maximised.

    Attributes:
        network: no longer than the function needs.
        weights: for each node that counts, one a value.
        phases: for each rectifier that counts, what an inactive neuron adds. A pre-activation of
            exactly 0 is both active and inactive, as in the papers' program, and counts as what
            adds more.
        squares: for each node that counts, what the squares of its values cost, not negative, and
            what they are squares of differences from.
        confines: nodes whose values say something of the objective: the magnitude of each, to this
            power, is at most minus the objective.

    >>> net = Network.dense([[[1.0], [-1.0]], [[1.0, 2.0]]], [[0.0, 0.0], [0.0]])
    >>> both = Objective(net, {"affine1": np.array([0.0, 1.0]), "affine2": np.array([10.0])})
    >>> both(np.array([[0.5], [-0.5]]))
    array([ 4.5, 10.5])
    """

    network: Network
    weights: Weights
    phases: Weights = field(default_factory=dict)
    squares: Mapping[str, tuple[Float[np.ndarray, " _"], Float[np.ndarray, " _"]]] = field(
        default_factory=dict
    )
    confines: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wanted = {*self.weights, *self.phases, *self.squares}
        last = [node.name for node in self.network.nodes if node.name in wanted]
        part = self.network.up_to(last[-1]) if last else self.network
        if wanted <= {node.name for node in part.nodes}:
            object.__setattr__(self, "network", part)

    def __call__(self, x: Float[np.ndarray, "k n"]) -> Float[np.ndarray, " k"]:
        """Its value at every row, in float64."""
        values = self.network.values(x)
        total = np.zeros(len(x))
        for name, weights in self.weights.items():
            total += values[name] @ weights
        for name, worth in self.phases.items():
            before = values[self.network[name].reads[0]]
            inactive = np.where(worth > 0, before <= 0, before < 0)
            total += inactive @ worth
        for name, (costs, center) in self.squares.items():
            total -= (values[name] - center) ** 2 @ costs
        return total

    @property
    def on_chain(self) -> bool:
        """Whether every node reads the one before it, and all activations are rectifiers."""
        nodes = self.network.nodes
        chained = all(b.reads == (a.name,) for a, b in pairwise(nodes))
        return chained and self.network.is_piecewise_linear

    def rounding(self, region: Region, bounds: Bounds) -> float:
        """By how much float64 sums of its terms, and of theirs, can err.

        Args:
            region: of inputs.
            bounds: of all nodes over the region.
        """
        size, terms = 0.0, 1
        for name, weights in self.weights.items():
            reach = np.maximum(np.abs(bounds.lower[name]), np.abs(bounds.upper[name]))
            if isinstance(self.network[name].op, Affine):
                reach = reach + magnitude(self.network, region, bounds, name)
            size += np.abs(weights) @ reach
            terms += len(weights)
        return rounding(terms + max(node.size for node in self.network.nodes)) * float(size)

    def confined(self, value: float) -> Bounds:
        """Bounds that hold wherever the objective is at least some value, somewhat relaxed.

        >>> net = Network.dense([[[1.0]]], [[0.0]])
        >>> square = Objective(net, {}, squares={"affine1": (np.ones(1), np.zeros(1))},
        ...     confines={"affine1": 2})
        >>> square.confined(-4.0).upper["affine1"].round(3)
        array([2.])
        """
        upper = {}
        for name, power in self.confines.items():
            radius = max(-value, 0.0) ** (1 / power)
            upper[name] = np.full(self.network[name].size, radius + 1e-6 * (1 + radius))
        return Bounds({name: -radii for name, radii in upper.items()}, upper)

    def single(self) -> tuple[Network, Float[np.ndarray, " m"]] | None:
        """Network and direction, where its function is linear in the network's outputs."""
        if self.phases or self.squares or set(self.weights) != {self.network.output}:
            return None
        return self.network, self.weights[self.network.output]

    def along_chain(self, bounds: Bounds) -> tuple[Network, Float[np.ndarray, " m"]] | None:
        """A chain and a direction: the weighted values, as a function of outputs alone.

        Where several nodes count, what the earlier ones add is carried along by one more neuron a
        layer, lifted by its lower bound so that its rectifier is active everywhere.

        Args:
            bounds: of all nodes of the network.

        Returns:
            None if the graph branches. Phases and squares are left out.
        """
        alone = Objective(self.network, self.weights)
        single = alone.single()
        if single is not None:
            return single
        if not alone.on_chain:
            return None
        nodes = alone.network.nodes
        made = [nodes[0]]
        low = 0.0  # of what is carried

        def add(name: str, weight: np.ndarray, bias: np.ndarray) -> None:
            made.append(Node(name, Affine(weight, bias), (made[-1].name,), len(bias)))

        for node in nodes:
            weights = alone.weights.get(node.name, np.zeros(node.size))
            ends = weights * bounds.lower[node.name], weights * bounds.upper[node.name]
            least = float(np.minimum(*ends).sum())
            match node.op:
                case Input():
                    weight, bias = np.vstack([np.eye(node.size), weights]), np.zeros(node.size + 1)
                case Affine((only,), vector):
                    matrix = only.toarray()
                    column = np.append(np.zeros(node.size), 1.0)[:, None]
                    rows = np.vstack([matrix, weights @ matrix])
                    weight, bias = np.hstack([rows, column]), np.append(vector, weights @ vector)
                case Relu():
                    lift = np.append(np.zeros(node.size), LIFT * (1 + abs(low)) - low)
                    add(f"{node.name} lifted", np.eye(node.size + 1), lift)
                    made.append(Node(node.name, Relu(), (made[-1].name,), node.size + 1))
                    weight, bias = np.eye(node.size + 1), -lift
                    weight[-1, :-1] = weights
            low += least
            add(f"{node.name} and sum", weight, bias)
        return Network(tuple(made), alone.network.input_shape, made[-1].name), np.append(
            np.zeros(nodes[-1].size), 1.0
        )
