"""Cells: the inputs of one activation pattern, and when one counts as such.

The cells of two patterns share their faces, and there are cells that are all face: of a neuron that
is another's multiple, say, two of the four patterns. Whoever tells patterns apart asks for inputs
that are *inside*: every neuron's pre-activation is off zero by more than rounding. A neuron that is
constant zero on the cell is inactive.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dualbound.network.graph import Network
from dualbound.network.patterns import Pattern, maps_on_pattern, pattern_at
from dualbound.region import Box

ZERO = 1e-12
"""Coefficients and constants up to this are what rounding leaves of zero."""

INSIDE = 1e-10
"""How far from a cell's faces an input is inside it; by the largest change of an input, at most."""


def key_of(pattern: Pattern) -> bytes:
    """A pattern as something that sets can hold.

    >>> key_of({"relu1": np.array([False, True])})
    b'@'
    """
    return b"".join(np.packbits(active).tobytes() for active in pattern.values())


def named(network: Network, box: Box, pattern: Pattern) -> Pattern:
    """The name that a cell goes by: neurons that are constant zero on it are inactive.

    Args:
        network: any.
        box: of its inputs.
        pattern: of the cell.
    """
    maps, free = maps_on_pattern(network, pattern), box.lower < box.upper
    found = {}
    for relu in network.relus:
        weight, bias = maps[relu.reads[0]]
        constant = bias + weight[:, ~free] @ box.lower[~free]
        still = np.abs(weight[:, free]).max(axis=1, initial=0.0) <= ZERO
        found[relu.name] = pattern[relu.name] & ~(still & (np.abs(constant) <= ZERO))
    return found


def cell_at(network: Network, box: Box, x: Float[np.ndarray, " n"]) -> Pattern | None:
    """The cell that an input is inside of, by name; None where it is on a face.

    Args:
        network: any.
        box: of its inputs.
        x: ``(n,)``.

    >>> net = Network.dense([[[1.0, -1.0]], [[2.0], [-2.0]]], [[0.5], [0.0, 1.0]])
    >>> cell_at(net, Box(0, 1).sized(2), np.array([0.3, 0.1]))
    {'relu1': array([ True])}
    >>> cell_at(net, Box(0, 1).sized(2), np.array([0.25, 0.75])) is None
    True
    """
    pattern = pattern_at(network, x)
    maps, free = maps_on_pattern(network, pattern), box.lower < box.upper
    found = {}
    for relu in network.relus:
        weight, bias = maps[relu.reads[0]]
        largest = np.abs(weight[:, free]).max(axis=1, initial=0.0)
        value = weight @ x + bias
        still = largest <= ZERO
        if np.any(~still & (np.abs(value) < INSIDE * largest)):
            return None
        found[relu.name] = pattern[relu.name] & ~(still & (np.abs(value) <= ZERO))
    return found
