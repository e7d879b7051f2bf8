"""Counterexamples in the competition's format, and their check: no tolerance, the file as given.

::

    ((X_0 0.25)
    (X_1 0.5)
    (Y_0 -1.25))

Numbers are the shortest decimals that are read as the same float64.
"""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Float

from dualbound.criterion import Property
from dualbound.errors import InvalidInput
from dualbound.network import Network, Replayer

_ENTRY = re.compile(r"\(\s*([XY])_([0-9]+)\s+([^\s()]+)\s*\)")


def written(x: Float[np.ndarray, "..."], outputs: Float[np.ndarray, " m"]) -> str:
    """The text of a counterexample.

    >>> print(written(np.array([0.1, 2.0]), np.array([-1e-5])))
    ((X_0 0.1)
    (X_1 2.0)
    (Y_0 -1e-05))
    """
    entries = [f"(X_{i} {float(value)!r})" for i, value in enumerate(x.reshape(-1))]
    entries += [f"(Y_{j} {float(value)!r})" for j, value in enumerate(outputs)]
    return "(" + "\n".join(entries) + ")"


def read(text: str) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " m"]]:
    """Inputs and outputs of a counterexample.

    Raises:
        InvalidInput: it is none.

    >>> read("((X_0 0.1) (Y_0 2))")
    (array([0.1]), array([2.]))
    """
    values: dict[str, dict[int, float]] = {"X": {}, "Y": {}}
    rest = _ENTRY.sub("", text)
    if "".join(rest.split()) != "()":
        raise InvalidInput(f"No counterexample: expected ((X_0 0.25) ...), found {text[:60]!r}.")
    for kind, number, value in _ENTRY.findall(text):
        if int(number) in values[kind]:
            raise InvalidInput(f"{kind}_{number} has two values.")
        try:
            values[kind][int(number)] = float(value)
        except ValueError:
            raise InvalidInput(f"{kind}_{number} is no number: {value!r}.") from None
    for kind, known in values.items():
        if sorted(known) != list(range(len(known))):
            raise InvalidInput(f"Some {kind} are missing: the largest is {kind}_{max(known)}.")
    x, y = (np.array([known[k] for k in range(len(known))]) for known in values.values())
    return x, y


def refusal(network: Network, asked: Property, text: str) -> str:
    """Why a text is no counterexample to a property; empty where it is one.

    Args:
        network: whose file onnxruntime runs, in a session of its own.
        asked: the property.
        text: as `written`.
    """
    try:
        x, claimed = read(text)
    except InvalidInput as error:
        return str(error)
    if (x.size, claimed.size) != (network.input_size, network.output_size):
        return f"it has {x.size} inputs and {claimed.size} outputs"
    outputs = Replayer(network)(x[None]).outputs[0]
    if not np.array_equal(outputs, claimed):
        most = float(np.abs(outputs - claimed).max())
        return f"onnxruntime answers otherwise, by up to {most:.3g}"
    if not asked.violated_by(x, outputs):
        return "it does not meet what the property asserts, or its inputs leave their bounds"
    return ""
