r"""What is done to every number of one value: the rectifier, the sigmoid and the sign.

All three never fall. Everything else that is piecewise linear is written with rectifiers
(`onnx_pieces`), and the hyperbolic tangent with the sigmoid:
:math:`\tanh v = 2 \sigma(2 v) - 1`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from scipy.special import expit


class Elementwise(ABC):
    """A function of one number that never falls.

    Attributes:
        operator: its name in ONNX.
        intercept: the lines around it have intercepts of at most this and what it reads, in
            magnitude.
        err: how far float64 may be from its value.
    """

    operator: ClassVar[str]
    intercept: ClassVar[float] = 0.0
    err: ClassVar[float] = 0.0

    @abstractmethod
    def __call__(self, v: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """The function's values."""

    @abstractmethod
    def slope(self, v: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Its derivative; where there is none, that from the left."""


@dataclass(frozen=True)
class Relu(Elementwise):
    """``max(v, 0)``."""

    operator: ClassVar[str] = "Relu"

    def __call__(self, v: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """``max(v, 0)``."""
        return np.maximum(v, 0.0)

    def slope(self, v: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """1 above 0, else 0."""
        return (v > 0).astype(float)


@dataclass(frozen=True)
class Sigmoid(Elementwise):
    r""":math:`\sigma(v) = 1 / (1 + e^{-v})`.

    >>> Sigmoid()(np.array([0.0, 2.0])).round(4), Sigmoid().slope(np.array([0.0]))
    (array([0.5   , 0.8808]), array([0.25]))
    """

    operator: ClassVar[str] = "Sigmoid"
    intercept: ClassVar[float] = 2.0
    err: ClassVar[float] = 2.0**-50

    def __call__(self, v: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """The logistic function."""
        return np.asarray(expit(v))

    def slope(self, v: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        r""":math:`\sigma (1 - \sigma)`."""
        return self(v) * self(-v)


@dataclass(frozen=True)
class Sign(Elementwise):
    """-1, 0 or 1.

    It jumps: where what is read is within rounding of 0, the function that is proved something of
    and the one that a runtime computes may differ by 1 or 2. Witnesses are replayed, as always.
    """

    operator: ClassVar[str] = "Sign"
    intercept: ClassVar[float] = 4.0

    def __call__(self, v: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """The sign, 0 at 0."""
        return np.sign(v)

    def slope(self, v: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Nowhere any."""
        return np.zeros(np.shape(v))
