"""Torch modules become the same function, quietly, and stay as they were."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest
import torch
from test_exporters import Normalised
from torch import nn

from dualbound.errors import InvalidInput, InvalidModel, UnsupportedOperator
from dualbound.network import load, read_torch, replay


def chain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_network_is_the_module_in_evaluation_mode(dtype):
    module = chain().to(dtype)
    network = load(module)
    x = np.random.default_rng(0).normal(size=4)
    with torch.no_grad():
        expected = module.eval()(torch.as_tensor(x[None], dtype=dtype))[0].numpy()
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    np.testing.assert_allclose(network(x), expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(replay(network, x).outputs, expected, rtol=1e-5, atol=1e-6)


def test_normalisation_inside_is_part_of_the_network():
    torch.manual_seed(1)
    module = Normalised()
    network = load(module, input_shape=(2, 3, 3))
    x = np.random.default_rng(0).uniform(size=(2, 3, 3))
    expected = module.eval()(torch.as_tensor(x[None], dtype=torch.float32))[0]
    np.testing.assert_allclose(network(x), expected.detach().numpy(), atol=1e-5)
    assert [relu.size for relu in network.relus] == [6]


def test_the_same_module_gives_the_same_bytes_without_paths():
    module = chain()
    model = load(module).source.model
    assert load(module).source.model == model
    assert b".py" not in model
    assert b"/" not in model


def test_the_mode_of_every_part_is_restored():
    module = chain()
    module[2].eval()
    load(module)
    assert module.training
    assert module[0].training
    assert not module[2].training


def test_nothing_is_printed_warned_or_logged(capfd, caplog):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load(chain())
    assert caught == []
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
    assert capfd.readouterr() == ("", "")
    assert logging.root.manager.disable == 0


@pytest.mark.slow
def test_the_input_shape_is_inferred_from_the_first_linear_layer():
    nested = nn.Sequential(nn.Sequential(nn.Dropout(), nn.Identity()), chain())
    assert read_torch(nn.Linear(3, 2)).input_shape == (3,)
    assert read_torch(nn.Sequential(nn.Dropout(), chain())).input_shape == (4,)
    assert read_torch(nested).input_shape == (4,)


@pytest.mark.parametrize(
    ("module", "first"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), "Flatten"),
        (Normalised(), "Normalised"),
        (nn.Sequential(), "Sequential"),
    ],
)
def test_an_input_shape_that_cannot_be_inferred(module, first):
    with pytest.raises(InvalidInput, match=rf"{first}; pass it .* input_shape=\(1, 28, 28\)"):
        load(module)


@pytest.mark.parametrize("shape", [(), (0, 3), (-1,)])
def test_an_input_shape_that_is_none(shape):
    with pytest.raises(InvalidInput, match="input_shape is"):
        load(chain(), input_shape=shape)


def test_a_shape_that_the_module_refuses():
    with pytest.raises(InvalidModel, match=r"torch cannot export this Sequential .*\(7,\)"):
        load(chain(), input_shape=(7,))


def test_a_smooth_activation():
    with pytest.raises(UnsupportedOperator, match=r"(Exp|Elu) .*only Sigmoid and Tanh are known"):
        load(nn.Sequential(nn.Linear(2, 2), nn.ELU()))
