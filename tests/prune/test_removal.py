"""Networks without some units: equal to those units at 0, smaller, and run by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from dualbound import Network
from dualbound.errors import InvalidInput
from dualbound.learn.saving import to_onnx
from dualbound.network import read_torch
from dualbound.network.torch_chain import TorchChain, chain
from dualbound.prune.removal import parameters, removed
from dualbound.prune.units import layers_of, masked

pytestmark = pytest.mark.unchecked_shapes


def convolutional(seed: int = 0, padding: int = 1) -> TorchChain:
    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=padding), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=padding), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(24 if padding else 6, 5), nn.ReLU(), nn.Linear(5, 3),
    )  # fmt: skip
    with torch.no_grad():
        for part in module:
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.uniform_(-0.5, 0.5)
                part.bias.uniform_(0.1, 0.5)
    return chain(read_torch(module.eval(), (1, 8, 8) if padding else (1, 10, 10)))


def normalised_flat(seed: int = 0) -> TorchChain:
    """A batch normalisation after the flattening: of every place of each channel."""
    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(48), nn.Linear(48, 4),
        nn.ReLU(), nn.Linear(4, 2),
    )  # fmt: skip
    module[3].running_mean.uniform_(-0.5, 0.5)
    return chain(read_torch(module.eval(), (1, 6, 6)))


def dense(seed: int = 0) -> TorchChain:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    return chain(read_torch(module))


def masks(made: TorchChain, seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    found = {}
    for layer in layers_of(made):
        mask = generator.random(layer.units) < 0.6
        mask[generator.integers(layer.units)] = True
        found[layer.name] = mask
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", [dense, convolutional, normalised_flat])
@pytest.mark.slow
def test_removed_units_are_units_at_zero(kind: Callable[[int], TorchChain], seed: int) -> None:
    made = kind(seed)
    keep = masks(made, seed)
    cut = removed(made, keep)
    x = torch.rand((7, *made.shape))
    with torch.no_grad():
        assert torch.allclose(cut.module(x), masked(made, keep)(x), atol=1e-5)
    for layer in layers_of(cut):
        assert layer.units == keep[layer.name].sum()
    session = onnxruntime.InferenceSession(to_onnx(cut.module, cut.shape))
    [there] = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        assert np.allclose(there, cut.module(x), atol=1e-5)
    lost = sum(int((~mask).sum()) for mask in keep.values())
    assert (parameters(cut.module) < parameters(made.module)) == (lost > 0)
    assert len(to_onnx(cut.module, cut.shape)) <= len(to_onnx(made.module, made.shape))


def test_what_a_unit_stands_for_goes_into_the_next_bias() -> None:
    made = convolutional(padding=0)
    layers = layers_of(made)
    generator = np.random.default_rng(0)
    for layer in layers:
        keep = {layer.name: np.arange(layer.units) > 1}
        values = generator.random(layer.units)
        cut = removed(made, keep, {layer.name: values})
        x = torch.rand((3, *made.shape))
        with torch.no_grad():
            value = x
            for k, part in enumerate(made.module):
                value = part(value)
                if k == layer.rectifier:
                    for unit in (0, 1):
                        value[:, unit] = float(np.float32(values[unit]))
            assert torch.allclose(cut.module(x), value, atol=1e-5)


def test_a_number_that_no_bias_takes_up_is_refused() -> None:
    made = convolutional()
    first = layers_of(made)[0]
    keep = {first.name: np.arange(first.units) > 0}
    with pytest.raises(InvalidInput, match="pads with zeros"):
        removed(made, keep, {first.name: np.ones(first.units)})


def test_the_original_stays_as_it_was() -> None:
    made = dense()
    before = [one.clone() for one in made.module.parameters()]
    removed(made, masks(made, 1))
    assert all(torch.equal(a, b) for a, b in zip(before, made.module.parameters(), strict=True))


def test_what_cannot_be_removed() -> None:
    made = dense()
    name = layers_of(made)[0].name
    with pytest.raises(InvalidInput, match="All 5 units of layer"):
        removed(made, {name: np.zeros(5, dtype=bool)})
    with pytest.raises(InvalidInput, match="one bool for each of its 5 units"):
        removed(made, {name: np.ones(4, dtype=bool)})
    with pytest.raises(InvalidInput, match="no layer 'other'"):
        removed(made, {"other": np.ones(4, dtype=bool)})
    grouped = chain(
        read_torch(
            nn.Sequential(
                nn.Conv2d(2, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3, groups=2), nn.ReLU(),
                nn.Flatten(), nn.Linear(8, 2),
            ),
            (2, 6, 6),
        )
    )  # fmt: skip
    first = layers_of(grouped)[0]
    with pytest.raises(InvalidInput, match="2 groups"):
        removed(grouped, {first.name: np.array([True, False])})
    with pytest.raises(InvalidInput, match="no rectified layer"):
        layers_of(chain(Network.dense([np.eye(2)], [np.zeros(2)])))
