"""What the arguments name: models, images, ranges."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass

import numpy as np

from dualbound.cli.streams import say_note
from dualbound.data import networks
from dualbound.data.images import Image, load_image
from dualbound.errors import DataError, InvalidInput, InvalidModel
from dualbound.network import Network
from dualbound.queries.models import load
from dualbound.region import NORMS, Box, Region, norm_named


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
    network = load(name)
    if network.lacks_softmax:
        say_note(
            f"{name} ends in a softmax, which is left out: outputs and margins are those of the "
            "logits before it."
        )
    return network


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


@dataclass(frozen=True)
class AskedRegion:
    """The ball around an image, or the whole box.

    Attributes:
        region: the inputs that are looked at.
        image: what the centre of the ball was named; None for the box, as norm and radius.
        norm: its name.
        radius: in the norm.
        range: of every input.

    >>> box = Box(0, 1)
    >>> str(AskedRegion(box, "sample:0", "linf", 0.1, (0, 1))), str(AskedRegion(box, range=(0, 1)))
    ('the L∞ ball of radius 0.1 around sample:0', '[0, 1] for every input')
    """

    region: Region
    image: str | None = None
    norm: str | None = None
    radius: float | None = None
    range: tuple[float, float] = (0.0, 1.0)

    def __str__(self) -> str:
        if self.norm is None:
            return f"[{self.range[0]:g}, {self.range[1]:g}] for every input"
        return f"the {NORMS[self.norm].title} ball of radius {self.radius:g} around {self.image}"

    @property
    def record(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "image": self.image,
            "norm": self.norm,
            "radius": self.radius,
            "range": list(self.range),
        }


def region_asked(
    network: Network,
    image: str | None,
    norm: str | None,
    radius: float | None,
    limits: tuple[float, float],
) -> AskedRegion:
    """The region that IMAGE, --norm, --radius and --range name.

    Raises:
        DataError: there is no such image, or it cannot be read.
        InvalidInput: an image without a radius, or the other way round, or a norm without either;
            or one of them does not fit.
    """
    if norm is not None and radius is None:
        raise InvalidInput(
            "--norm is that of a ball around an image: add IMAGE and --radius, or leave it out."
        )
    chosen = norm_named(norm or "l1")
    box = input_box(limits, network)
    if (image is None) != (radius is None):
        raise InvalidInput("An image and --radius go together; without both, the box is looked at.")
    if image is None or radius is None:
        return AskedRegion(box, range=limits)
    if not 0 <= radius < np.inf:
        raise InvalidInput(f"The radius must be at least 0 and finite, found {radius}.")
    center = read_image(image, network).pixels.reshape(-1)
    if box.violation(center[None])[0] > 0:
        raise InvalidInput(
            f"{image} has values from {center.min():g} to {center.max():g}, outside "
            f"[{box.lower[0]:g}, {box.upper[0]:g}]. Divide 8-bit pixels by 255, or give the range "
            "of the network's inputs by --range."
        )
    return AskedRegion(chosen.ball(center, radius, box), image, chosen.name, radius, limits)
