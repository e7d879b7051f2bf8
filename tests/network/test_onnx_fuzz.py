"""Damaged files end in a `ModelError`, or in a network that the runtime agrees with."""

from __future__ import annotations

import numpy as np
import pytest
from handmade_onnx import build, dense
from onnx import helper

from dualbound.errors import ModelError
from dualbound.network import read_onnx, replay


def normalised() -> bytes:
    """A model with more kinds of operators in it."""
    rng = np.random.default_rng(5)
    nodes = [
        helper.make_node("Sub", ["x", "mean"], ["c"]),
        helper.make_node("Div", ["c", "std"], ["d"]),
        helper.make_node("Transpose", ["d"], ["t"], perm=[0, 2, 1]),
        helper.make_node("Reshape", ["t", "s"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["z"]),
        helper.make_node("Relu", ["z"], ["h"]),
        helper.make_node("Unsqueeze", ["h", "a"], ["u"]),
        helper.make_node("Squeeze", ["u", "a"], ["v"]),
        helper.make_node("Softmax", ["v"], ["y"], axis=1),
    ]
    constants = {
        "mean": np.float32([[0.1], [0.2]]),
        "std": np.float32([[0.3], [0.4]]),
        "s": np.array([0, -1]),
        "w": rng.normal(size=(6, 4)).astype(np.float32),
        "a": np.array([1]),
    }
    return build(nodes, ["n", 2, 3], constants)


MODELS = {"dense": dense(), "normalised": normalised()}


def damaged(model: bytes, seed: int) -> bytes:
    """The model with some bytes changed, removed, repeated or cut off, differently each time."""
    rng = np.random.default_rng(seed)
    data = bytearray(model)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(data)))
        match rng.integers(6):
            case 0:
                del data[at:]
            case 1:
                del data[at : at + int(rng.integers(1, 9))]
            case 2:
                data[at:at] = data[at : at + int(rng.integers(1, 9))]
            case 3:
                data[at] ^= 1 << int(rng.integers(8))
            case _:
                data[at] = int(rng.integers(256))
        if not data:
            break
    return bytes(data)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("block", range(10))
def test_damage_is_refused_or_harmless(name, block):
    for seed in range(20 * block, 20 * block + 20):
        try:
            network = read_onnx(damaged(MODELS[name], seed))
        except ModelError:
            continue
        x = np.random.default_rng(seed).normal(size=network.input_size)
        with np.errstate(all="ignore"):
            values = network.values(x[None].astype(np.float32))
        try:
            found = replay(network, x)
        except ModelError:
            continue
        largest = max(np.max(np.abs(value), initial=1.0) for value in values.values())
        if largest < 1e30:
            np.testing.assert_allclose(
                found.before_softmax, values[network.output][0], atol=1e-5 * largest
            )
