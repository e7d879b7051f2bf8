"""Small torch networks of convolutions and all that goes with them, through both exporters."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from test_exporters import exported
from torch import nn
from torch.nn import functional

from dualbound.network import Affine, Relu, load, read_onnx, replay
from dualbound.network.linear import Convolution


class Block(nn.Module):
    """A residual block that halves the image."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, filters, 3, stride=2, padding=1, bias=False)
        self.second = nn.Conv2d(filters, filters, 3, padding=1)
        self.short = nn.Conv2d(channels, filters, 1, stride=2)
        self.norm1, self.norm2 = nn.BatchNorm2d(filters), nn.BatchNorm2d(filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.norm1(self.first(x)))
        return torch.relu(self.norm2(self.second(h)) + self.short(x))


class Branches(nn.Module):
    """Tensors that part, meet, turn, and are compared with each other."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(2, 5, 3, padding=1), nn.Conv2d(2, 2, 1)
        self.last = nn.Linear(3 * 16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = self.wide(x).chunk(2, dim=1)
        c = self.narrow(x)
        largest = torch.maximum(a[:, :2], b)
        smallest = torch.minimum(c.abs(), largest.clamp(max=0.7)).clamp(min=-0.3)
        joined = torch.cat([smallest, a[:, 2:]], dim=1)
        return self.last(joined.permute(0, 2, 3, 1).reshape(x.shape[0], -1))


class Reductions(nn.Module):
    """Sums, means and largest entries, and what selects or repeats."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        shifted = x - x.mean(1, keepdim=True).expand(-1, 3, -1, -1)
        chosen = torch.where(torch.tensor([True, False]), shifted, -x)
        parts = [x.amax((2, 3)), x.amin(1).flatten(1), x.max(1)[0].flatten(1), x.sum((1, 2))]
        parts += [torch.flip(chosen, [2])[:, [2, 0], ::2, -1].flatten(1)]
        return torch.cat(parts, dim=1)


MODULES = {
    "residual": (
        lambda: nn.Sequential(Block(2, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
        (2, 6, 6),
    ),
    "pools": (
        lambda: nn.Sequential(
            *(nn.Conv2d(2, 4, 3), nn.LeakyReLU(0.2), nn.MaxPool2d(2, ceil_mode=True)),
            *(nn.Conv2d(4, 3, 2), nn.PReLU(3), nn.AvgPool2d(2, stride=1, padding=1)),
            *(nn.Flatten(), nn.Linear(27, 3)),
        ),
        (2, 7, 7),
    ),
    "bent": (
        lambda: nn.Sequential(
            *(nn.Conv2d(1, 3, 2), nn.Hardtanh(-0.5, 0.7), nn.Conv2d(3, 4, 2, groups=1)),
            *(nn.ReLU6(), nn.Conv2d(4, 4, 2, groups=4), nn.Hardsigmoid()),
            *(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 5), nn.PReLU(), nn.Softmax(1)),
        ),
        (1, 5, 5),
    ),
    "branches": (Branches, (2, 4, 4)),
    "reductions": (Reductions, (2, 2, 2)),
    "padded": (
        lambda: nn.Sequential(
            *(nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), nn.ReLU()),
            *(nn.Conv2d(3, 3, 3, padding=1, padding_mode="replicate"), nn.ReLU()),
            *(nn.Conv2d(3, 2, 3, padding=1, padding_mode="circular"), nn.ReLU()),
            *(nn.Conv2d(2, 2, (3, 5), padding="same"), nn.ZeroPad2d((1, 0, 2, -1))),
            *(nn.ConstantPad2d(1, 0.5), nn.Flatten()),
        ),
        (2, 4, 4),
    ),
    "signal": (
        lambda: nn.Sequential(
            *(nn.Conv1d(2, 3, 3, stride=2, padding=1, dilation=2), nn.BatchNorm1d(3), nn.ReLU()),
            *(nn.MaxPool1d(2), nn.AvgPool1d(2, stride=1), nn.Flatten()),
            *(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU()),
        ),
        (2, 12),
    ),
    "back": (
        lambda: nn.Sequential(
            *(nn.ConvTranspose2d(2, 4, 3, 2, padding=1, output_padding=1, groups=2), nn.ReLU()),
            *(nn.PixelShuffle(2), nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten()),
        ),
        (2, 2, 2),
    ),
}


def made(name):
    """A module in evaluation mode, its normalisations having seen data, and its input shape."""
    make, shape = MODULES[name]
    torch.manual_seed(0)
    module = make()
    with torch.no_grad():
        module.train()(torch.randn(8, *shape))
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias)
    return module.eval(), shape


def assert_is(network, module):
    """The network, and its file, are the module."""
    for x in np.random.default_rng(3).normal(size=(3, *network.input_shape)):
        with torch.no_grad():
            expected = module(torch.as_tensor(x[None], dtype=torch.float32)).numpy().reshape(-1)
        found = replay(network, x)
        np.testing.assert_allclose(found.outputs, expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found.before_softmax, network(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODULES)
def test_load(name):
    module, shape = made(name)
    network = load(module, input_shape=shape)
    assert network.input_shape == shape
    assert_is(network, module)


@pytest.mark.parametrize("batched", [False, True], ids=["one", "batch"])
@pytest.mark.parametrize("name", MODULES)
def test_torchscript(name, batched):
    module, shape = made(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = exported(module, shape, dynamo=False, batched=batched)
    assert_is(read_onnx(model), module)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["residual", "branches"])
def test_dynamo_with_a_batch(name):
    module, shape = made(name)
    assert_is(read_onnx(exported(module, shape, dynamo=True, batched=True)), module)


def test_a_residual_network_is_its_convolutions_and_its_rectifiers():
    module, shape = made("residual")
    network = load(module, input_shape=shape)
    convolutions = [
        one
        for node in network.nodes
        if isinstance(node.op, Affine)
        for one in node.op.maps
        if isinstance(one, Convolution)
    ]
    assert [one.kernel.shape for one in convolutions] == [(4, 2, 3, 3), (4, 4, 3, 3), (4, 2, 1, 1)]
    assert [node.size for node in network.nodes if isinstance(node.op, Relu)] == [36, 36]


@pytest.mark.slow
def test_functional_forms():
    class Functions(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = functional.pad(x, (1, 1), value=0.25)
            x = functional.leaky_relu(functional.max_pool2d(x, 2), 0.1)
            return functional.hardtanh(functional.adaptive_avg_pool2d(x, 1)).flatten(1)

    assert_is(load(Functions(), input_shape=(2, 4, 4)), Functions())
