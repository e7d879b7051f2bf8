"""The torch twin is the network, and its gradients are those of the network."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from test_onnx_writer import PLANS, planned

from dualbound.network import Network, maps_on_pattern, pattern_at, twin

SMALL = Network.dense([[[1.0, -1.0]], [[2.0], [-2.0]]], [[0.5], [0.0, 1.0]])


@given(**PLANS)
def test_float64_twin_equals_the_network(**plan):
    network = planned(**plan)
    rows = np.random.default_rng(0).normal(size=(4, network.input_size))
    outputs = twin(network, dtype=torch.float64)(torch.from_numpy(rows))
    np.testing.assert_allclose(outputs.numpy(), network(rows), rtol=1e-12, atol=1e-12)


@given(**PLANS)
def test_gradient_is_the_affine_map_of_the_pattern(**plan):
    network = planned(**plan)
    x = np.random.default_rng(1).normal(size=network.input_size)
    module = twin(network, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(module, torch.from_numpy(x[None]))
    weight, _ = maps_on_pattern(network, pattern_at(network, x))[network.output]
    np.testing.assert_allclose(jacobian[0, :, 0].numpy(), weight, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_dtype_is_that_asked_for(dtype):
    outputs = twin(SMALL, dtype=dtype)(torch.tensor([[3.0, 1.0]], dtype=dtype))
    assert outputs.dtype == dtype
    assert outputs.tolist() == [[5.0, -4.0]]


def test_weights_are_buffers_that_move_but_are_not_trained():
    module = twin(SMALL)
    assert list(module.parameters()) == []
    assert {b.dtype for b in module.buffers()} == {torch.float32}
    assert {b.dtype for b in module.to(torch.float64).buffers()} == {torch.float64}
    x = torch.tensor([[3.0, 1.0]], dtype=torch.float64, requires_grad=True)
    module(x)[0, 0].backward()
    assert x.grad.tolist() == [[2.0, -2.0]]


def test_the_network_does_not_change_with_its_twin():
    module = twin(SMALL, dtype=torch.float64)
    next(module.buffers()).mul_(0.0)
    assert SMALL([3.0, 1.0]).tolist() == [5.0, -4.0]


def test_can_be_pickled():
    module = pickle.loads(pickle.dumps(twin(SMALL)))
    assert module(torch.tensor([[3.0, 1.0]])).tolist() == [[5.0, -4.0]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_cuda_device():
    outputs = twin(SMALL, device="cuda")(torch.tensor([[3.0, 1.0]], device="cuda"))
    assert outputs.cpu().tolist() == [[5.0, -4.0]]
