"""What the network says of an input, in float64 and by onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from dualbound.network import Network, replay
from dualbound.network.graph import check_finite


@dataclass(frozen=True, eq=False)
class Classification:
    """The network's answer for one input.

    Attributes:
        label: the argmax of the outputs.
        outputs: logits in float64, ``(m,)``.
        runtime_outputs: logits of onnxruntime on the file as given, ``(m,)``.
        difference: the largest difference of the two.
        activity: for each rectifier, how many of its neurons are active.
    """

    label: int
    outputs: Float[np.ndarray, " m"]
    runtime_outputs: Float[np.ndarray, " m"]
    difference: float
    activity: dict[str, int]


def classify(network: Network, x: ArrayLike) -> Classification:
    """Evaluate a network at one input.

    Args:
        network: from `dualbound.load`.
        x: in the network's input shape or flat.

    Returns:
        Label and outputs by both evaluations.

    Raises:
        InvalidInput: ``x`` does not fit, is not finite, or is so large that an output is not.

    >>> from dualbound import Network
    >>> classify(Network.dense([[[1.0, 0.0], [0.0, 1.0]]], [[0.0, 0.0]]), [0.7, 0.2]).label
    0
    """
    row = network.one_input(x)
    outputs = network(row)
    values = network.values(row[None])
    with np.errstate(over="ignore", invalid="ignore"):
        runtime = replay(network, row).before_softmax
    check_finite(runtime, "by onnxruntime, in the file's precision")
    return Classification(
        label=int(np.argmax(outputs)),
        outputs=outputs,
        runtime_outputs=runtime,
        difference=float(np.abs(outputs - runtime).max()),
        activity={relu.name: int((values[relu.reads[0]][0] > 0).sum()) for relu in network.relus},
    )
