"""Whether a network is the function of its file: evaluated beside onnxruntime at many inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidInput
from dualbound.network.gradients import pulled_back
from dualbound.network.graph import Network
from dualbound.network.onnx_file import open_onnx
from dualbound.network.replay import replay

_TOLERANCE = 1e-4
_LITTLE = 1e-3
_STEPS = 4
_STEP = 0.05


@dataclass(frozen=True, eq=False)
class Check:
    """How far a network and its file are apart.

    Attributes:
        points: how many inputs were tried.
        difference: the largest difference of an output, relative to the largest output at that
            input or a thousandth of the largest at any; infinite where onnxruntime answers with
            what is no number.
        tolerance: what rounding explains.
        worst: the input with the largest difference.
    """

    points: int
    difference: float
    tolerance: float
    worst: Float[np.ndarray, " n"]

    @property
    def agrees(self) -> bool:
        """Whether rounding explains the difference."""
        return self.difference <= self.tolerance


def check(network: Network, *, count: int = 24, seed: int = 0) -> Check:
    """Evaluate a network in float64, and its file by onnxruntime, at the same inputs.

    They are drawn evenly from [0, 1] and from the standard normal distribution, and then moved by
    some steps along the sign of the gradient that take the two largest outputs apart.

    Args:
        network: whose file is run; one without a file is run as `write_onnx` writes it.
        count: of inputs of either distribution; as many again are moved.
        seed: of the inputs.

    Raises:
        InvalidInput: ``count`` is below 1, or float64 cannot hold an output.
        InvalidModel: onnxruntime cannot run the file.

    >>> net = Network.dense([[[1.0, -1.0]], [[2.0], [-2.0]]], [[0.5], [0.0, 1.0]])
    >>> found = check(net)
    >>> found.points, found.agrees
    (96, True)
    """
    if count < 1:
        raise InvalidInput(f"count is {count}; expected at least 1.")
    rng = np.random.default_rng(seed)
    shape = count, network.input_size
    drawn = np.concatenate([rng.uniform(size=shape), rng.normal(size=shape)])
    rows = np.concatenate([drawn, _apart(network, drawn)])
    outputs, answers = network(rows), replay(network, rows).before_softmax
    difference, size = (np.max(np.abs(v), axis=1) for v in (outputs - answers, outputs))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = difference / np.maximum(size, _LITTLE * np.max(size))
    relative[difference == 0] = 0.0
    relative[np.isnan(relative)] = np.inf
    worst = int(np.argmax(relative))
    return Check(len(rows), float(relative[worst]), _tolerance(network), rows[worst])


def _apart(network: Network, rows: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
    """The inputs moved so that the two largest outputs are further apart, or the only one grows."""
    for _ in range(_STEPS):
        values = network.values(rows)
        order = np.argsort(values[network.output], axis=1)
        slope = np.zeros(order.shape)
        np.put_along_axis(slope, order[:, -2:-1], -1.0, axis=1)
        np.put_along_axis(slope, order[:, -1:], 1.0, axis=1)
        rows = rows + _STEP * np.sign(pulled_back(network, values, slope))
    return rows


def _tolerance(network: Network) -> float:
    """What the precision of the file explains; those of half precision are coarse."""
    file = None if network.source is None else open_onnx(network.source.model)
    coarse = {"float16": 2e-2, "bfloat16": 2e-1}
    return _TOLERANCE if file is None else coarse.get(file.dtype, _TOLERANCE)
