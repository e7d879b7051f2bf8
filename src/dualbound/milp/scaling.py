r"""Networks with huge or tiny values as programs with moderate ones.

A solver's tolerances are absolute: a row may be missed by 1e-7, whatever its numbers. Where a
neuron's values reach 1e6 or stay below 1e-6, that is too little or too much. A rectifier commutes
with positive factors,

.. math:: \max(a, 0) = u \cdot \max(a / u, 0),

so every neuron may be measured in a unit of its own. Units are powers of 2: no number is rounded.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from dualbound.bounds import Bounds
from dualbound.milp.encoding import Encoding, encode
from dualbound.milp.expression import Expression
from dualbound.milp.relu import Formulation
from dualbound.network.elementwise import Relu
from dualbound.network.graph import Network
from dualbound.network.nodes import Affine, Input, Node
from dualbound.region import LinearForm

MODERATE = (2.0**-4, 2.0**13)
"""Neurons whose largest magnitude is between these keep the unit 1."""

FURTHEST = 60
"""The largest exponent of a unit, upwards and downwards."""

Units = dict[str, Float[np.ndarray, " _"]]


def encode_moderately(
    network: Network,
    inputs: LinearForm,
    bounds: Bounds,
    *,
    formulation: Formulation | None = None,
    integer: bool = True,
) -> Encoding:
    """`encode`, with every neuron in a unit in which its values are moderate.

    Args:
        network: any.
        inputs: the region.
        bounds: of every pre-activation over at least that region.
        formulation: of the unstable rectifiers.
        integer: False leaves the binaries continuous.

    Returns:
        The encoding; its values are those of ``network``, in the units of the user.

    Raises:
        InvalidInput: a bound is missing.
    """
    units = units_of(network, bounds)
    if all(np.all(unit == 1.0) for unit in units.values()):
        return encode(network, inputs, bounds, formulation=formulation, integer=integer)
    scaled = Bounds(
        {name: low / units.get(name, 1.0) for name, low in bounds.lower.items()},
        {name: high / units.get(name, 1.0) for name, high in bounds.upper.items()},
        bounds.loose,
    )
    encoding = encode(
        in_units(network, units), inputs, scaled, formulation=formulation, integer=integer
    )
    encoding.values = {
        name: Expression(
            sp.csr_array(sp.diags_array(units[name]) @ value.coefficients),
            units[name] * value.constant,
        )
        for name, value in encoding.values.items()
    }
    return encoding


def units_of(network: Network, bounds: Bounds) -> Units:
    """A power of 2 for each value of each node: 1 where that is moderate, else about its size.

    >>> from dualbound.bounds import crown
    >>> from dualbound.region import Box
    >>> net = Network.dense([[[1e6], [1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> units_of(net, crown(net, Box([-1], [1])))["relu1"].tolist()
    [1048576.0, 1.0]
    """
    units: Units = {}
    others = (name for name, op in network.activations.items() if not isinstance(op, Relu))
    fixed = {network[name].reads[0] for name in others}
    for node in network.nodes:
        match node.op:
            case Input():
                units[node.name] = np.ones(node.size)
            case Relu():
                units[node.name] = units[node.reads[0]]
            case Affine() if node.name in bounds.lower and node.name not in fixed:
                size = np.maximum(np.abs(bounds.lower[node.name]), np.abs(bounds.upper[node.name]))
                units[node.name] = _units(size)
            case _:
                units[node.name] = np.ones(node.size)
    return units


def unit_of(size: float) -> float:
    """A power of 2 for numbers of this size: 1 where that is moderate.

    >>> unit_of(3.0), unit_of(0.03), unit_of(0.0)
    (1.0, 0.03125, 1.0)
    """
    return float(_units(np.array([size]))[0])


def _units(size: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    usual = (size == 0) | ~np.isfinite(size) | ((size >= MODERATE[0]) & (size <= MODERATE[1]))
    power = np.ceil(np.log2(np.where(usual, 1.0, size)))
    return 2.0 ** np.clip(power, -FURTHEST, FURTHEST)


def in_units(network: Network, units: Units) -> Network:
    """The network whose every value is that of the given one, divided by its unit.

    >>> net = Network.dense([[[1e6]], [[1.0]]], [[0.0], [0.0]])
    >>> small = in_units(net, {n.name: np.array([2.0**20 if "1" in n.name else 1.0])
    ...     for n in net.nodes})
    >>> small([0.5]), net([0.5]), small.nodes[1].op.weight.round(3)
    (array([500000.]), array([500000.]), array([[0.954]]))
    """
    nodes: list[Node] = []
    for node in network.nodes:
        match node.op:
            case Affine(maps, bias):
                own = units[node.name]
                parts = tuple(
                    part.rescaled(1 / own, units[name])
                    for part, name in zip(maps, node.reads, strict=True)
                )
                nodes.append(replace(node, op=Affine(parts, bias / own)))
            case _:
                nodes.append(node)
    return Network(tuple(nodes), network.input_shape, network.output)
