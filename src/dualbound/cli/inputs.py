"""What the arguments name: models, images, ranges."""

from __future__ import annotations

import os
import re
import sys

import numpy as np

from dualbound.data import networks
from dualbound.data.images import Image, load_image
from dualbound.errors import DataError, InvalidModel
from dualbound.network import Network
from dualbound.queries.models import load
from dualbound.region import Box


def read_model(name: str) -> Network:
    """A network from a file, or an embedded one by its name.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    plain = os.path.basename(name) == name and "." not in name
    if plain and not os.path.exists(name) and name not in networks.names():
        raise InvalidModel(
            f"There is no file {name!r} and no embedded network of this name. Give an .onnx file "
            f"or one of {', '.join(networks.names())}."
        )
    return load(name)


def read_image(name: str, network: Network) -> Image:
    """An image in the shape that the network reads; ``-`` is standard input.

    Raises:
        DataError: there is none, or it cannot be read.
        InvalidInput: it does not fit.
    """
    if name != "-":
        return load_image(name, network.input_shape)
    most = 64 * network.input_size + 1024  # characters; an endless pipe is not an image
    try:
        cells = re.split(r"[\s,]+", sys.stdin.read(most).strip(" \t\r\n,"))
        values = np.array([float(cell) for cell in cells])
    except ValueError as error:
        raise DataError(
            f"Standard input is not a list of numbers with commas or spaces between: {error}."
        ) from error
    return Image("-", network.one_input(values).reshape(network.input_shape), None)


def input_box(limits: tuple[float, float], network: Network) -> Box:
    """The box in which every input lies between two numbers.

    Raises:
        InvalidInput: not finite, or empty.
    """
    return Box(*limits).sized(network.input_size)
