"""Names for neurons, and what a linear combination of them is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dualbound.errors import InvalidInput
from dualbound.network import Network
from dualbound.search.objective import Objective


@dataclass(frozen=True)
class Neuron:
    """One neuron of a network.

    Args:
        layer: of rectifiers, counted from 1; or ``"logits"``, the outputs.
        index: in its layer, counted from 0.
        post: after the rectifier; otherwise its pre-activation is meant.

    >>> print(Neuron(2, 5), "|", Neuron(1, 3, post=True), "|", Neuron("logits", 7))
    neuron 5 of layer 2 | rectified neuron 3 of layer 1 | logit 7
    """

    layer: int | str
    index: int
    post: bool = False

    def __str__(self) -> str:
        if self.layer == "logits":
            return f"logit {self.index}"
        return ("rectified " if self.post else "") + f"neuron {self.index} of layer {self.layer}"


Neurons = Neuron | Mapping[Neuron, float] | Iterable[Neuron]
"""One, some that count once each, or some with a coefficient each."""


def layer_node(network: Network, layer: int | str, *, post: bool = False) -> str:
    """The name of the node whose values a layer's neurons are.

    Raises:
        InvalidInput: there is no such layer.

    >>> layer_node(Network.dense([[[1.0]], [[1.0]]], [[0.0], [0.0]]), 1, post=True)
    'relu1'
    """
    count = len(network.relus)
    if layer == "logits":
        if post:
            raise InvalidInput("No rectifier follows the logits: ask for them without post.")
        return network.output
    if isinstance(layer, str) or not 1 <= layer <= count:
        known = f"1 to {count}, or logits" if count else "logits only"
        raise InvalidInput(f"There is no layer {layer!r}; the network has {known}.")
    relu = network.relus[layer - 1]
    return relu.name if post else relu.reads[0]


def objective_of(
    network: Network,
    neurons: Neurons,
    *,
    inputs: ArrayLike | None = None,
    phases: Neurons = (),
    slacks: Neurons = (),
    sign: float = 1.0,
) -> Objective:
    """Put the parts of a linear combination together; see `dualbound.activate`.

    Raises:
        InvalidInput: nothing counts, or something that does is not there.
    """
    weights: dict[str, np.ndarray] = {}
    inactive: dict[str, np.ndarray] = {}

    def add(store: dict[str, np.ndarray], name: str, index: int, value: float) -> None:
        store.setdefault(name, np.zeros(network[name].size))[index] += sign * value

    for neuron, value in _pairs(network, neurons):
        add(weights, layer_node(network, neuron.layer, post=neuron.post), neuron.index, value)
    for neuron, value in _pairs(network, phases, hidden="A phase"):
        add(inactive, layer_node(network, neuron.layer, post=True), neuron.index, value)
    for neuron, value in _pairs(network, slacks, hidden="A slack"):
        add(weights, layer_node(network, neuron.layer, post=True), neuron.index, value)
        add(weights, layer_node(network, neuron.layer), neuron.index, -value)
    if inputs is not None:
        row = sign * network.one_input(inputs)
        weights[network.input] = weights.get(network.input, 0.0) + row
    if not any(np.any(part) for part in (*weights.values(), *inactive.values())):
        raise InvalidInput("Nothing is asked for: every coefficient is 0, or there are none.")
    return Objective(network, weights, inactive)


def _pairs(network: Network, neurons: Neurons, *, hidden: str = "") -> list[tuple[Neuron, float]]:
    """Neurons and their coefficients, all of them there and finite."""
    if isinstance(neurons, Neuron):
        neurons = (neurons,)
    given = neurons.items() if isinstance(neurons, Mapping) else ((one, 1.0) for one in neurons)
    found = []
    for neuron, value in given:
        if hidden and (neuron.layer == "logits" or neuron.post):
            raise InvalidInput(
                f"{hidden} is that of a hidden neuron's rectifier, found {neuron}: name the layer "
                "by its number, without post."
            )
        size = network[layer_node(network, neuron.layer, post=neuron.post)].size
        if not isinstance(neuron.index, (int, np.integer)) or not 0 <= neuron.index < size:
            raise InvalidInput(f"There is no {neuron}; its layer has the neurons 0 to {size - 1}.")
        if not np.isfinite(value):
            raise InvalidInput(f"The coefficient of {neuron} is {value}, not a finite number.")
        found.append((neuron, float(value)))
    return found
