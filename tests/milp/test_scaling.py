"""Units of neurons: the function, its bounds and its program stay what they are."""

from __future__ import annotations

import numpy as np
import pytest

from brute_force import random_tiny
from dualbound import Box, Network
from dualbound.bounds import crown
from dualbound.limits import Clock
from dualbound.milp import FORMULATIONS, encode_moderately
from dualbound.milp.scaling import MODERATE, in_units, units_of
from dualbound.solvers import Highs, Stop


def uneven(seed: int) -> tuple[Network, Box]:
    """A random network whose neurons are of every size, and a box of its inputs."""
    rng = np.random.default_rng(seed)
    tiny = random_tiny(rng)
    weights, biases = list(tiny.weights), list(tiny.biases)
    for k in range(len(weights)):
        size = 10.0 ** rng.integers(-7, 8, len(biases[k]))
        weights[k], biases[k] = size[:, None] * weights[k], size * biases[k]
        if k + 1 < len(weights):
            weights[k + 1] = weights[k + 1] / size
    network = Network.dense(weights, biases, final_relu=tiny.final_relu)
    return network, Box(-np.ones(tiny.inputs), np.ones(tiny.inputs))


@pytest.mark.parametrize("seed", range(20))
def test_a_network_in_units_is_the_same_function_to_the_last_bit(seed: int) -> None:
    network, box = uneven(seed)
    units = units_of(network, crown(network, box))
    scaled = in_units(network, units)
    x = box.sample(np.random.default_rng(seed), 50)
    values, before = scaled.values(x), network.values(x)
    for node in network.nodes:
        assert np.array_equal(values[node.name] * units[node.name], before[node.name])


@pytest.mark.parametrize("seed", range(20))
def test_in_units_no_value_is_huge_and_no_range_tiny(seed: int) -> None:
    network, box = uneven(seed)
    bounds = crown(network, box)
    units = units_of(network, bounds)
    for name in network.pre_activations:
        size = np.maximum(np.abs(bounds.lower[name]), np.abs(bounds.upper[name]))
        assert np.all(size / units[name] <= MODERATE[1])
        assert np.all((size / units[name] >= MODERATE[0]) | (size == 0))


@pytest.mark.parametrize("formulation", ["bigm", "fischetti-jo"])
@pytest.mark.parametrize("seed", range(20))
def test_the_program_of_one_input_is_the_forward_pass_in_the_users_units(
    seed: int, formulation: str
) -> None:
    network, box = uneven(seed)
    x = box.sample(np.random.default_rng(seed), 1)[0]
    bounds = crown(network, box)
    encoding = encode_moderately(
        network, Box(x, x).linear_form(), bounds, formulation=FORMULATIONS[formulation]
    )
    solution = Highs().solve(encoding.builder.build(), Clock())
    assert solution.stop is Stop.OPTIMAL
    assert solution.x is not None
    before = network.values(x[None])
    for name in network.pre_activations:
        value = encoding.values[name]
        found = value.coefficients @ solution.x[: value.coefficients.shape[1]] + value.constant
        size = np.maximum(np.abs(bounds.lower[name]), np.abs(bounds.upper[name]))
        assert np.all(np.abs(found - before[name][0]) <= 1e-5 * size)


def test_moderate_networks_keep_their_numbers() -> None:
    network = Network.dense([np.eye(2), np.eye(2)], [np.zeros(2), np.zeros(2)])
    units = units_of(network, crown(network, Box([0.0, 0.0], [1.0, 1.0])))
    assert all(np.all(unit == 1.0) for unit in units.values())
