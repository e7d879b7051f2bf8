"""Weights of a norm: what a unit of change costs at each input."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidInput

SMALLEST, LARGEST = 1e-6, 1e6
"""Beyond these, distances are no longer told from rounding."""


def checked_weights(weights: object, n: int | None = None) -> Float[np.ndarray, " n"]:
    """Weights as a flat array of positive numbers of moderate size.

    Args:
        weights: one number for each input, in any shape.
        n: how many inputs there are; any number when not given.

    Raises:
        InvalidInput: another number of weights, or one that is not between 1e-6 and 1e6.

    >>> checked_weights([[1, 2], [0.5, 4]])
    array([1. , 2. , 0.5, 4. ])
    """
    array = np.array(weights, dtype=float)
    if array.ndim == 0:
        raise InvalidInput("A norm's weights are one number for each input, not a single number.")
    array = array.reshape(-1)
    good = np.isfinite(array) & (array > 0)
    if not good.all():
        at = int(np.argmin(good))
        reason = (
            "An input that moves for free makes no norm; to freeze an input use a mask."
            if array[at] == 0
            else "Weights are positive and finite."
        )
        raise InvalidInput(f"The weight of input {at} is {array[at]}. {reason}")
    far = (array < SMALLEST) | (array > LARGEST)
    if far.any():
        at = int(np.argmax(far))
        raise InvalidInput(
            f"The weight of input {at} is {array[at]:g}. Weights are between {SMALLEST:g} and "
            f"{LARGEST:g}: only what they are to each other counts, so divide all by the largest."
        )
    if n is not None and array.size != n:
        raise InvalidInput(
            f"The norm has {array.size} weights; there are {n} inputs. Give one for each."
        )
    array.setflags(write=False)
    return array
