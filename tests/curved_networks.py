"""Random tiny networks with sigmoids and signs, and the truth as far as a grid shows it."""

from __future__ import annotations

import numpy as np

from dualbound import Box
from dualbound.network import Network, Relu, Sigmoid, Sign
from dualbound.network.elementwise import Elementwise
from dualbound.network.nodes import Affine, Input, Node

KINDS: tuple[tuple[Elementwise, ...], ...] = (
    (Sigmoid(),),
    (Sign(),),
    (Sigmoid(), Relu()),
    (Sigmoid(), Sign(), Relu()),
)


def random_curved(seed: int, sizes: tuple[int, ...] = (5, 4)) -> tuple[Network, Box]:
    """A chain of two inputs and one output, and a box of inputs."""
    rng, kinds = np.random.default_rng(seed), KINDS[seed % len(KINDS)]
    nodes = [Node("x", Input(), (), 2)]
    for k, size in enumerate(sizes):
        weight = rng.normal(size=(size, nodes[-1].size)) * 2
        op = kinds[int(rng.integers(len(kinds)))]
        nodes.append(Node(f"a{k}", Affine(weight, rng.normal(size=size)), (nodes[-1].name,), size))
        nodes.append(Node(f"h{k}", op, (f"a{k}",), size))
    weight = rng.normal(size=(1, sizes[-1]))
    nodes.append(Node("out", Affine(weight, rng.normal(size=1)), (nodes[-1].name,), 1))
    center = rng.normal(size=2)
    return Network(tuple(nodes), (2,), "out"), Box(center - 0.7, center + 0.7)


def grid(box: Box, count: int = 300) -> np.ndarray:
    """Points of a box of two inputs."""
    axes = (np.linspace(low, high, count) for low, high in zip(box.lower, box.upper, strict=True))
    return np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)


def asked_about(seed: int) -> tuple[Network, Box, np.ndarray] | None:
    """A network whose second output of two wins in the middle of a box, if one can be made."""
    network, box = random_curved(seed, (4, 3))
    seen, x = network(grid(box, 100))[:, 0], (box.lower + box.upper) / 2
    here, last = network(x)[0], network["out"]
    far = seen.max() if seen.max() - here > here - seen.min() else seen.min()
    if abs(far - here) < 0.05:
        return None
    side, sign = here + 0.6 * (far - here), np.sign(far - here)
    assert isinstance(last.op, Affine)
    weight = np.vstack([sign * last.op.weight, 0 * last.op.weight])
    bias = sign * np.array([last.op.bias[0], side])
    out = Node("out", Affine(weight, bias), last.reads, 2)
    return Network((*network.nodes[:-1], out), (2,), "out"), box, x
