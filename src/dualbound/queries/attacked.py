"""What an attack does to a network on a data set, and how far one is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32, Int

from dualbound.attacks import Method

MEASURES = ("l1", "l2", "linf")
"""Norms in which the distances of adversaries are told, whatever the attack measures in."""


@dataclass(frozen=True, eq=False)
class AtRadius:
    """What an attack does within a radius.

    Attributes:
        eps: the radius; infinite for all that an attack without one finds.
        accuracy: the share of all inputs that are answered by their label still.
        success: the share of the inputs with the right answer that the attack turns; None where
            there are none.
        turned: which inputs those are, as positions in the data, ``(k,)``.
        adversaries: one for each of them, ``(k, *shape)``.
        answers: the network's labels for these, ``(k,)``.
        distances: how far each is from its input, by norm, each ``(k,)``.
        refused: points that the attack took for adversaries and that failed their replay.
        replayed: how many were run by onnxruntime too.
    """

    eps: float
    accuracy: float
    success: float | None
    turned: Int[np.ndarray, " k"] = field(repr=False)
    adversaries: Float32[np.ndarray, "k *shape"] = field(repr=False)
    answers: Int[np.ndarray, " k"] = field(repr=False)
    distances: Mapping[str, Float[np.ndarray, " k"]] = field(repr=False)
    refused: int = 0
    replayed: int = 0


@dataclass(frozen=True, eq=False)
class Attacked:
    """What an attack does to a network on a data set.

    Attributes:
        method: the attack and its options.
        norm: in which it measures.
        count: how many inputs were attacked, the first of the data.
        clean: the share of them that is answered by its label without an attack.
        labels: of these inputs, ``(count,)``.
        answers: the network's, ``(count,)``; -1 where two outputs are level, which is no answer.
        at: what it does within each radius, in the order asked for; with an attack that looks for
            the nearest adversary a last one without a radius.
        nearest: how far the nearest adversary of each input is that was found, in the norm: 0 where
            the answer is wrong as it is, infinite where none was found, ``(count,)``.
        seconds: wall-clock time.
        note: why it stopped early; empty if it did not.
    """

    method: Method
    norm: str
    count: int
    clean: float
    labels: Int[np.ndarray, " count"] = field(repr=False)
    answers: Int[np.ndarray, " count"] = field(repr=False)
    at: tuple[AtRadius, ...]
    nearest: Float[np.ndarray, " count"] = field(repr=False)
    seconds: float = field(repr=False)
    note: str = ""

    def accuracy(self, eps: float) -> float:
        """The share of inputs with the right answer for which nothing found is within a radius.

        With an attack that looks for the nearest adversary this is its accuracy within every
        radius; with others it only falls at the radii that were asked for, or where adversaries
        came nearer.
        """
        return float((self.nearest > eps).mean())


@dataclass(frozen=True)
class Attacking:
    """How far an attack is.

    Attributes:
        done: inputs that are finished.
        total: inputs in all.
        right: of those finished, how many are answered by their label.
        turned: by radius, how many of these were turned.
    """

    done: int
    total: int
    right: int
    turned: Mapping[float, int]
