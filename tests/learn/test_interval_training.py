"""Interval bounds of torch modules: they contain everything, and training by them certifies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dualbound.bounds import interval as proved_interval
from dualbound.data import Dataset
from dualbound.errors import InvalidInput
from dualbound.learn import Architecture, Interval, Recipe, Step, train
from dualbound.learn.interval import interval, worst_outputs
from dualbound.network import Network
from dualbound.region import Box
from examples import examples
from learn.toys import Watched, rows, same, stripes

ARCHITECTURES = {
    "dense": "36-12-8-3",
    "convolutions": "4c3-6c3s2p1-8-3",
    "max pool": "4c3p1-m2-8-3",
    "average pool": "4c3p1-a3-8-3",
    "dropout": "4c3-d0.5-8-d0.25-3",
    "rectified": "36-8-3-relu",
}


def module_of(text: str, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    module = Architecture.of(text).build((1, 6, 6))
    with torch.no_grad():
        for value in module.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return module


class TestBounds:
    @pytest.mark.parametrize("name", ARCHITECTURES)
    @examples(15)
    @given(seed=st.integers(0, 999), radius=st.floats(0, 0.5))
    def test_contain_the_outputs_of_sampled_points(
        self, name: str, seed: int, radius: float
    ) -> None:
        module = module_of(ARCHITECTURES[name], seed).eval()
        centre = torch.rand(2, 1, 6, 6)
        spread = radius * torch.rand(2, 1, 6, 6)
        with torch.no_grad():
            low, high = interval(module, centre - spread, centre + spread)
            for kind in range(20):
                direction = 2 * torch.rand_like(centre) - 1
                if kind % 2:
                    direction = direction.sign()  # a corner
                outputs = module(centre + spread * direction)
                assert (outputs >= low - 1e-5 * (1 + low.abs())).all()
                assert (outputs <= high + 1e-5 * (1 + high.abs())).all()

    @pytest.mark.parametrize("name", ARCHITECTURES)
    def test_of_a_point_are_its_outputs(self, name: str) -> None:
        module = module_of(ARCHITECTURES[name]).eval()
        x = torch.rand(3, 1, 6, 6)
        low, high = interval(module, x, x)
        torch.testing.assert_close(low, module(x))
        torch.testing.assert_close(high, module(x))

    def test_are_those_of_the_engine_that_proves(self) -> None:
        module = module_of("36-12-8-3")
        dense = [layer for layer in module if isinstance(layer, nn.Linear)]
        network = Network.dense(
            [layer.weight.detach().double().numpy() for layer in dense],
            [layer.bias.detach().double().numpy() for layer in dense],
        )
        x = torch.rand(1, 1, 6, 6)
        low, high = interval(module, x - 0.05, x + 0.05)
        centre = x.numpy().reshape(-1).astype(float)
        proved = proved_interval(network, Box(centre - 0.05, centre + 0.05))
        last = network.nodes[-1].name
        assert low[0].tolist() == pytest.approx(proved.lower[last], abs=1e-4)
        assert high[0].tolist() == pytest.approx(proved.upper[last], abs=1e-4)

    def test_of_one_affine_layer_are_reached_at_corners(self) -> None:
        module = nn.Linear(5, 3)
        low, high = torch.rand(1, 5) - 0.5, torch.rand(1, 5) + 0.5
        corners = torch.tensor(list(np.ndindex(*[2] * 5)), dtype=torch.float32)
        outputs = module(low + corners * (high - low))
        found = interval(module, low, high)
        torch.testing.assert_close(found[0][0], outputs.min(dim=0).values)
        torch.testing.assert_close(found[1][0], outputs.max(dim=0).values)

    def test_drop_the_same_at_both_ends(self) -> None:
        module = nn.Sequential(nn.Flatten(), nn.Dropout(0.5)).train()
        low, high = interval(module, torch.full((1, 1, 6, 6), 0.25), torch.ones(1, 1, 6, 6))
        assert set(high[0].tolist()) == {0.0, 2.0}
        assert torch.equal(low, high / 4)

    def test_go_through_nested_chains(self) -> None:
        inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        x = torch.rand(2, 4)
        for module in (nn.Sequential(inner, nn.Identity(), nn.Linear(4, 2)), inner):
            low, high = interval(module, x - 0.1, x + 0.1)
            assert (low <= module(x)).all()
            assert (module(x) <= high).all()

    def test_can_be_differentiated(self) -> None:
        module = module_of("36-8-3")
        low, high = interval(module, torch.zeros(1, 1, 6, 6), torch.ones(1, 1, 6, 6))
        (high - low).sum().backward()
        assert all(value.grad is not None for value in (module[1].weight, module[3].weight))


def test_worst_outputs_are_the_least_of_the_label_and_the_most_of_the_others() -> None:
    module = module_of("36-8-3").eval()
    low, high, y = torch.rand(2, 1, 6, 6) - 0.5, torch.rand(2, 1, 6, 6) + 0.5, torch.tensor([2, 0])
    least, most = interval(module, low, high)
    worst = worst_outputs(module, low, high, y)
    assert torch.equal(worst[0], torch.stack([most[0, 0], most[0, 1], least[0, 2]]))
    assert torch.equal(worst[1], torch.stack([least[1, 0], most[1, 1], most[1, 2]]))


UNKNOWN = {
    "BatchNorm2d": nn.BatchNorm2d(1),
    "Sigmoid": nn.Sequential(nn.Sequential(nn.Flatten(), nn.Sigmoid())),
    "'circular'": nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_layers_that_are_not_known_are_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidInput, match=f"Interval training knows.*{name}"):
        interval(UNKNOWN[name], torch.zeros(1, 1, 6, 6), torch.ones(1, 1, 6, 6))


def test_layers_that_are_not_known_are_refused_before_anything_is_learned() -> None:
    told: list[object] = []
    with pytest.raises(InvalidInput, match="BatchNorm1d"):
        train("36-8-bn-3", stripes(), method=Interval(0.1), on_progress=told.append)
    assert told == []


def certified(module: nn.Module, data: Dataset, eps: float) -> float:
    """The share of the data of which intervals prove that no point nearby is answered otherwise."""
    x, y = torch.from_numpy(data.values()), torch.from_numpy(data.labels.copy())
    with torch.no_grad():
        worst = worst_outputs(module, (x - eps).clamp(min=0), (x + eps).clamp(max=1), y)
        return float((worst.argmax(dim=1) == y).float().mean())


class TestTraining:
    @pytest.mark.slow
    def test_certifies_more(self) -> None:
        recipe = Recipe(epochs=60, batch=10, rate=0.05)
        data, test = rows(60, apart=0.5), rows(60, apart=0.5, seed=1, split="test")
        plain = train("4-32-32-3", data, recipe)
        robust = train("4-32-32-3", data, recipe, method=Interval(0.1, ramp=0.4))
        shares = [certified(one.module, test, 0.1) for one in (plain, robust)]
        assert shares[0] < 0.5
        assert shares[1] > 0.9
        assert robust.history[-1].accuracy > 0.9

    def test_is_plain_without_a_radius(self) -> None:
        recipe = Recipe(epochs=2, batch=16)
        plain = train("36-8-3", stripes(), recipe)
        point = train("36-8-3", stripes(), recipe, method=Interval(0.0, ramp=0))
        for a, b in zip(point.module.parameters(), plain.module.parameters(), strict=True):
            torch.testing.assert_close(a, b)

    def test_minimises_the_stated_mixture(self) -> None:
        module = module_of("36-8-3")
        x, y = torch.rand(4, 1, 6, 6), torch.tensor([0, 1, 2, 0])
        method = Interval(0.2, share=0.6, ramp=0.4)

        def loss(epoch: float) -> Tensor:
            return method.loss(Step(module, x, y, Recipe(epochs=10), epoch, 0))[0]

        def mixture(grown: float) -> Tensor:
            low, high = (x - grown * 0.2).clamp(min=0), (x + grown * 0.2).clamp(max=1)
            entropy = nn.functional.cross_entropy
            worst = entropy(worst_outputs(module, low, high, y), y)
            return (1 - 0.6 * grown) * entropy(module(x), y) + 0.6 * grown * worst

        for epoch, grown in ((0.0, 0), (1, 0.25), (2, 0.5), (4, 1), (9, 1)):
            torch.testing.assert_close(loss(epoch), mixture(grown))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": -0.1}, "eps is -0.1; expected a radius of 0 or more"),
        ({"eps": float("nan")}, "eps is nan"),
        ({"eps": float("inf")}, "eps is inf"),
        ({"eps": 0.1, "share": 1.5}, "share is 1.5; expected a part of the loss"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Interval(**options)


def test_watched_and_plain_are_alike() -> None:
    """What the tests of training say of the one holds for the other."""
    one, other = (train("36-8-3", stripes(), Recipe(epochs=1), method=m) for m in (Watched(), None))
    assert same(one.module, other.module)
