"""A property from a file, for one network: its sizes, and whether it speaks of the same outputs."""

from __future__ import annotations

import os

import numpy as np

from dualbound.criterion import Polyhedron, Property, read_vnnlib
from dualbound.errors import InvalidProperty
from dualbound.network import Network


def property_for(network: Network, source: str | os.PathLike[str]) -> Property:
    """Read a property of a network from a file.

    A file speaks of the model's own outputs. Where a softmax at its end was stripped, these are
    probabilities, and the network's are logits: only what compares two of them is the same.

    Args:
        network: that it is of.
        source: a ``.vnnlib`` or ``.vnnlib.gz`` file.

    Raises:
        InvalidProperty: no such file, or one that is not understood or not of this network, or it
            asks for values of probabilities.
    """
    asked = read_vnnlib(source, inputs=network.input_size, outputs=network.output_size)
    check_speaks_of_outputs(network, asked, f"{source}: the")
    return asked


def check_speaks_of_outputs(network: Network, asked: Property, beginning: str = "The") -> None:
    """Refuse a file's property of probabilities where the network gives logits.

    Args:
        network: that it is of.
        asked: any property; see `Property.of_model`.
        beginning: of the message.

    Raises:
        InvalidProperty: a softmax was stripped, and more is asked for than which of two outputs is
            larger.
    """
    if not (network.lacks_softmax and asked.of_model):
        return
    if not all(_only_compares(one) for case in asked.cases for one in case.criterion.polyhedra):
        raise InvalidProperty(
            f"{beginning} model ends in a softmax, and the property asks for more than which of "
            "two probabilities is larger. Export the model without its softmax, and state the "
            "property of the logits."
        )


def _only_compares(one: Polyhedron) -> bool:
    """Whether every row says that an output is at least another one, which no softmax changes."""
    ones = np.sort(one.a, axis=1)
    between = one.a.shape[1] >= 2 and not ones[:, 1:-1].any()
    pairs = between and bool((ones[:, 0] == -ones[:, -1]).all()) and bool((ones[:, -1] > 0).all())
    return len(one.b) == 0 or (pairs and not one.b.any())
