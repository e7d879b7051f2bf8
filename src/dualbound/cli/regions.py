"""Which inputs may change, by how much, to which values, and at what price."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from jaxtyping import Bool, Float

from dualbound.data.image_files import READERS
from dualbound.data.images import load_image
from dualbound.errors import InvalidInput
from dualbound.network import Network
from dualbound.report import as_image

PLACES = "IMAGE|ROWS,COLUMNS"

Cap = Annotated[
    str | None,
    typer.Option(
        metavar="C|FILE",
        help="No input moves by more than C, or than its number in FILE.",
        show_default=False,
    ),
]
Mask = Annotated[
    str | None,
    typer.Option(
        metavar=PLACES,
        help="Only these inputs may change: those that are not 0 in an image or file, or a "
        "rectangle: 10:18,5:20 is rows 10 to 17, columns 5 to 19.",
        show_default=False,
    ),
]
Freeze = Annotated[
    str | None,
    typer.Option(
        metavar=PLACES,
        help="These inputs may not change, named as for --mask.",
        show_default=False,
    ),
]
Levels = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Every input of the witness is one of N + 1 evenly spaced values; 255: an 8-bit "
        "image.",
        show_default=False,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="What a unit of change costs at each input: a positive number for each.",
        show_default=False,
    ),
]

_EXAMPLE = "such as 10:18,5:20 for rows 10 to 17 and columns 5 to 19, counted from 0"


def read_weights(name: str | None, network: Network) -> Float[np.ndarray, " n"] | None:
    """A price for each input; None if there are none.

    Raises:
        DataError: there is no such file, or it cannot be read.
        InvalidInput: it does not fit.
    """
    return None if name is None else _values("--weights", name, "a file", network)


def read_cap(given: str | None, network: Network) -> float | Float[np.ndarray, " n"] | None:
    """A cap for all inputs, or one for each.

    Raises:
        DataError: there is no such file, or it cannot be read.
        InvalidInput: it is neither a number nor a file, or does not fit.
    """
    if given is None:
        return None
    try:
        return float(given)
    except ValueError:
        return _values("--cap", given, "a number, or a file", network)


def _values(option: str, name: str, what: str, network: Network) -> Float[np.ndarray, " n"]:
    """A number for each input, read as images are."""
    if Path(name).suffix.lower() not in READERS and ":" not in name:
        raise InvalidInput(
            f"{option} takes {what} with a number for each input ({', '.join(READERS)}); found "
            f"{name!r}."
        )
    return load_image(name, network.input_shape).pixels.reshape(-1)


def changeable(
    mask: str | None, freeze: str | None, network: Network
) -> Bool[np.ndarray, " n"] | None:
    """Which inputs may change: those of the mask that are not frozen. None where all may.

    Raises:
        DataError: there is no such file, or it cannot be read.
        InvalidInput: it does not fit, or nothing is left.
    """
    if mask is None and freeze is None:
        return None
    may = np.ones(network.input_size, dtype=bool)
    if mask is not None:
        may &= _places("--mask", mask, network)
    if freeze is not None:
        may &= ~_places("--freeze", freeze, network)
    if not may.any():
        given = " and ".join(
            f"{option} {name}" for option, name in (("--mask", mask), ("--freeze", freeze)) if name
        )
        raise InvalidInput(f"With {given} no input may change: leave at least one.")
    return may


def allowed_words(
    cap: float | Float[np.ndarray, " n"] | None, may: Bool[np.ndarray, " n"] | None
) -> str:
    """Which inputs are allowed, if not all of the range; nothing if they are.

    >>> allowed_words(0.2, np.array([True, False, True]))
    '2 of 3 inputs may change, each by at most 0.2'
    """
    said = (
        "every input may change" if may is None else f"{may.sum()} of {may.size} inputs may change"
    )
    match cap:
        case None:
            return "" if may is None else said
        case float():
            return f"{said}, each by at most {cap:g}"
    return f"{said}, each by at most its cap"


def _places(option: str, name: str, network: Network) -> Bool[np.ndarray, " n"]:
    """The inputs named by a file or a rectangle."""
    if not re.fullmatch(r"[-\d:,\s]+", name):
        return np.asarray(_values(option, name, "a rectangle, or a file", network) != 0)
    inputs = as_image(np.arange(network.input_size).reshape(network.input_shape))
    if inputs is None:
        raise InvalidInput(
            f"{option} {name} names a rectangle of an image, but inputs of the shape "
            f"{network.input_shape} are none: give a file with a number for each input, not 0 for "
            "those that are meant."
        )
    named = np.zeros(network.input_size, dtype=bool)
    named[inputs[rectangle(option, name, inputs.shape[0], inputs.shape[1])]] = True
    return named


def rectangle(option: str, text: str, height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns as ``FROM:TO,FROM:TO``, ends not included; an end left out is the image's.

    Raises:
        InvalidInput: not of that form, empty, or not inside the image.

    >>> rectangle("--mask", "10:18,:20", 28, 28)
    (slice(10, 18, None), slice(0, 20, None))
    """
    form = re.fullmatch(r"\s*(\d{0,9}):(\d{0,9})\s*,\s*(\d{0,9}):(\d{0,9})\s*", text)
    if form is None:
        raise InvalidInput(f"{option} {text} is no rectangle: give rows and columns, {_EXAMPLE}.")
    top, bottom, left, right = form.groups()
    sides = []
    for what, size, low, high in (("rows", height, top, bottom), ("columns", width, left, right)):
        start, stop = int(low or 0), int(high or size)
        if start >= stop:
            raise InvalidInput(
                f"{option} {text} is empty: its {what} go from {start} up to, but not including, "
                f"{stop}. Give rows and columns, {_EXAMPLE}."
            )
        if stop > size:
            raise InvalidInput(
                f"{option} {text} reaches beyond the image, which has {height} rows and {width} "
                "columns."
            )
        sides.append(slice(start, stop))
    return sides[0], sides[1]
