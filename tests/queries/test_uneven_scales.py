"""Networks whose layers are of very different sizes, where a solver's tolerances are absolute.

A rectifier commutes with positive factors: such a network is the same function for every factor
between two layers, and every answer about it must be the same.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from dualbound import Box, Columns, Limits, Milp, Network, Status, Targeted, nearest
from dualbound.network import Affine
from dualbound.queries import bounds
from dualbound.tighten import Layerwise

pytestmark = pytest.mark.unchecked_shapes

FACTORS = [1e-12, 1e-7, 1e9, 1e12]
ENGINES = {
    "margin": Milp(),
    "no attack": Milp(attack=None),
    "direct": Milp(strategy="direct"),
    "fischetti-jo": Milp(strategy="direct", formulation="fischetti-jo"),
}


def scaled(seed: int, factor: float) -> tuple[Network, np.ndarray]:
    rng = np.random.default_rng(seed)
    first, middle, last = (rng.normal(size=size) for size in [(4, 3), (4, 4), (2, 4)])
    bias = 0.3 * rng.normal(size=4)
    network = Network.dense(
        [first * factor, middle, last / factor], [bias * factor, np.zeros(4), np.zeros(2)]
    )
    return network, rng.uniform(0, 1, 3)


@cache
def truth(seed: int) -> tuple[int, float]:
    """A label that can be reached, and from how far, by an engine without tolerances."""
    network, x = scaled(seed, 1.0)
    target = 1 - int(np.argmax(network(x)))
    answer = nearest(network, x, Targeted(target, margin=0.05), engine=Columns(threads=1))
    assert answer.status is Status.OPTIMAL
    return target, float(answer.value)


@pytest.mark.parametrize("name", sorted(ENGINES))
@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("seed", [5, 23])
def test_a_factor_between_layers_changes_no_answer(seed: int, factor: float, name: str) -> None:
    target, value = truth(seed)
    network, x = scaled(seed, factor)
    answer = nearest(
        network, x, Targeted(target, margin=0.05), engine=ENGINES[name], limits=Limits(60)
    )
    assert answer.bound <= value * (1 + 1e-6)
    assert answer.status is Status.OPTIMAL
    assert answer.value == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize("name", sorted(ENGINES))
@pytest.mark.parametrize("factor", [1e-9, 1e-4, 1e9])
@pytest.mark.parametrize("seed", [5, 23])
def test_a_factor_of_the_outputs_changes_no_answer(seed: int, factor: float, name: str) -> None:
    target, value = truth(seed)
    plain, x = scaled(seed, 1.0)
    weights = [node.op.weight for node in plain.nodes if isinstance(node.op, Affine)]
    biases = [node.op.bias for node in plain.nodes if isinstance(node.op, Affine)]
    network = Network.dense([*weights[:-1], weights[-1] * factor], biases)
    answer = nearest(
        network, x, Targeted(target, margin=0.05 * factor), engine=ENGINES[name], limits=Limits(60)
    )
    assert answer.bound <= value * (1 + 1e-6)
    assert answer.status is Status.OPTIMAL
    assert answer.value == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("seed", range(4))
def test_a_factor_between_layers_changes_no_bound(seed: int, factor: float) -> None:
    plain, _ = scaled(seed, 1.0)
    network, _ = scaled(seed, factor)
    region = Box(0, 1).sized(3)
    expected = bounds(plain, region, method="milp")
    found = Layerwise("milp")(network, region)
    for side in ("lower", "upper"):
        np.testing.assert_allclose(
            getattr(found, side)[network.output], getattr(expected, side)[plain.output], atol=1e-4
        )
