"""Training on adversaries made by gradient: what they are, and that it makes more robust."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from dualbound.attacks import pgd
from dualbound.errors import InvalidInput
from dualbound.learn import (
    Adversarial,
    Interval,
    Method,
    Plain,
    Recipe,
    Step,
    Virtual,
    evaluate,
    fresh,
    method_named,
    train,
)
from dualbound.learn.exact import Exact
from dualbound.learn.methods import METHODS
from learn.toys import same, stripes

RECIPE = Recipe(epochs=20, batch=15)
ARCHITECTURE = "36-16-3"
EPS = 0.15
TEST = stripes(90, seed=1, split="test")

ATTACKS: dict[str, Adversarial] = {
    "fgsm": Adversarial("fgsm", EPS),
    "half fgsm": Adversarial("fgsm", EPS, share=0.5),
    "pgd": Adversarial("pgd", EPS, steps=4),
    "fast": Adversarial("pgd", EPS, steps=1, step=1.25),
    "l2": Adversarial("pgd", 4 * EPS, steps=4, norm="l2"),
}


def a_step(module: nn.Module | None = None, seed: int = 5, epoch: float = 20.0) -> Step:
    data = stripes(12)
    module = fresh(ARCHITECTURE, data) if module is None else module
    x, y = torch.from_numpy(data.values()), torch.from_numpy(data.labels.copy())
    return Step(module.train(), x, y, Recipe(epochs=20), epoch, seed)


def under_attack(module: nn.Module) -> float:
    """The share of the test set that is answered right at the adversaries of a longer attack."""
    x, y = torch.from_numpy(TEST.values()), torch.from_numpy(TEST.labels.copy())
    found = pgd(module, x, y, eps=EPS, steps=20, seed=9, lower=0.0, upper=1.0)
    with torch.no_grad():
        return float((module(found).argmax(dim=1) == y).float().mean())


@pytest.fixture(scope="module")
def plain() -> nn.Module:
    return train(ARCHITECTURE, stripes(90), RECIPE).module


class TestTraining:
    @pytest.mark.parametrize("name", ["fgsm", "pgd", "fast"])
    def test_leaves_more_right_under_attack(self, plain: nn.Module, name: str) -> None:
        robust = train(ARCHITECTURE, stripes(90), RECIPE, method=ATTACKS[name]).module
        assert under_attack(robust) > under_attack(plain) + 0.08
        assert evaluate(robust, TEST).accuracy > 0.95

    def test_by_virtual_adversaries_does_too(self, plain: nn.Module) -> None:
        robust = train(ARCHITECTURE, stripes(90), RECIPE, method=Virtual(4 * EPS)).module
        assert under_attack(robust) > under_attack(plain) + 0.05
        assert evaluate(robust, TEST).accuracy > 0.95

    @pytest.mark.parametrize("method", [ATTACKS["fast"], Virtual(EPS)], ids=["fast", "virtual"])
    def test_follows_from_the_seed(self, method: Method) -> None:
        recipe = replace(RECIPE, epochs=2)
        one, again, other = (
            train("36-8-bn-d0.5-3", stripes(), replace(recipe, seed=seed), method=method).module
            for seed in (0, 0, 1)
        )
        assert same(one, again)
        assert not same(one, other)


class TestAdversaries:
    @pytest.mark.parametrize("name", ATTACKS)
    def test_are_in_the_ball_and_the_range_and_worse_than_the_inputs(self, name: str) -> None:
        method, step = ATTACKS[name], a_step()
        found = method.adversaries(step)
        moved = (found - step.x).flatten(1)
        far = moved.norm(dim=1) if method.norm == "l2" else moved.abs().amax(dim=1)
        assert (far <= method.eps * (1 + 1e-5)).all()
        assert 0 <= found.min() <= found.max() <= 1
        assert not found.requires_grad
        assert step.mean_loss(step.module(found)) > step.mean_loss(step.module(step.x))

    def test_of_another_range_stay_in_it(self) -> None:
        method = replace(ATTACKS["pgd"], lower=0.25, upper=0.5)
        step = a_step()
        step = replace(step, x=step.x.clamp(0.25, 0.5))
        found = method.adversaries(step)
        assert 0.25 <= found.min() <= found.max() <= 0.5

    def test_begin_at_points_of_the_steps_seed(self) -> None:
        one, again, other = (ATTACKS["fast"].adversaries(a_step(seed=seed)) for seed in (5, 5, 6))
        assert torch.equal(one, again)
        assert not torch.equal(one, other)

    def test_without_a_radius_are_the_inputs(self) -> None:
        step = a_step()
        for method in ATTACKS.values():
            assert torch.equal(replace(method, eps=0.0).adversaries(step), step.x)


class TestLoss:
    @pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
    def test_is_at_adversaries_and_inputs_by_their_share(self, share: float) -> None:
        method, step = replace(ATTACKS["fgsm"], share=share), a_step()
        loss, outputs = method.loss(step)
        there = step.module(method.adversaries(step))
        torch.testing.assert_close(outputs, there)
        mixed = share * step.mean_loss(there) + (1 - share) * step.mean_loss(step.module(step.x))
        torch.testing.assert_close(loss, mixed)

    @pytest.mark.parametrize("seed", range(5))
    def test_of_virtual_adversaries_is_never_below_the_plain_one(self, seed: int) -> None:
        step = a_step(fresh(ARCHITECTURE, stripes(), seed), seed)
        plain, outputs = Plain().loss(step)
        found = [Virtual(eps, norm=norm).loss(step) for eps in (0.1, 1.0) for norm in NORMS]
        for loss, same_outputs in found:
            assert loss >= plain
            assert torch.equal(outputs, same_outputs)
        assert found[-1][0] > plain
        without = Virtual(1.0, weight=0.0).loss(step)[0]
        torch.testing.assert_close(without, plain)

    def test_of_virtual_adversaries_grows_with_their_radius_and_weight(self) -> None:
        step = a_step()
        plain = Plain().loss(step)[0]
        near, far, heavy = (
            Virtual(eps, weight=weight).loss(step)[0] - plain
            for eps, weight in ((0.1, 1.0), (0.5, 1.0), (0.5, 3.0))
        )
        assert 0 < near < far
        torch.testing.assert_close(heavy, 3 * far)

    def test_of_virtual_adversaries_beats_directions_at_random(self) -> None:
        """The divergence where it turns fastest is above that of most directions."""
        step = a_step(fresh(ARCHITECTURE, stripes(), 3))
        module, plain = step.module, Plain().loss(step)[0]
        distance = Virtual(0.5, iterations=3, lower=-9.0, upper=9.0).loss(step)[0] - plain

        def divergence(x: Tensor) -> Tensor:
            before, after = (module(at).log_softmax(dim=1) for at in (step.x, x))
            return (before.exp() * (before - after)).sum(dim=1).mean()

        torch.manual_seed(0)
        for _ in range(20):
            direction = torch.randn_like(step.x)
            direction *= 0.5 / direction.flatten(1).norm(dim=1)[:, None, None, None]
            assert divergence(step.x + direction) < distance

    @pytest.mark.parametrize(
        "method",
        [*ATTACKS.values(), Virtual(EPS)],
        ids=[*ATTACKS, "virtual"],
    )
    def test_leaves_gradients_and_modes_alone(self, method: Method) -> None:
        step = a_step(fresh("36-8-bn-d0.5-3", stripes()))
        step.module[2].weight.requires_grad_(False)
        method.loss(step)
        assert all(part.training for part in step.module.modules())
        assert all(value.grad is None for value in step.module.parameters())
        assert not step.module[2].weight.requires_grad
        assert step.module[1].weight.requires_grad


NORMS = ("l2", "linf")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": -0.1}, "eps is -0.1; expected a radius of 0 or more"),
        ({"eps": math.nan}, "eps is nan"),
        ({"attack": "bim"}, "attack is 'bim'; expected fgsm or pgd"),
        ({"share": -0.5}, "share is -0.5; expected a part of the loss"),
        ({"steps": 0}, "steps is 0; expected 1 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Adversarial(**{"attack": "pgd", "eps": 0.1, **options})
    if set(options) == {"eps"}:
        with pytest.raises(InvalidInput, match=message):
            Virtual(**options)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "options", "method"),
        [
            ("plain", {}, Plain()),
            ("exact", {}, Exact()),
            ("exact", {"adversaries": 5, "processes": 2}, Exact(count=5)),
            ("fgsm", {"eps": 0.1}, Adversarial("fgsm", 0.1, share=0.5)),
            ("fgsm", {"eps": 0.1, "share": 1.0}, Adversarial("fgsm", 0.1)),
            ("pgd", {"eps": 0.1}, Adversarial("pgd", 0.1, steps=7)),
            ("pgd", {"eps": 0.1, "steps": 3}, Adversarial("pgd", 0.1, steps=3)),
            ("fast", {"eps": 0.1}, Adversarial("pgd", 0.1, steps=1, step=1.25)),
            ("virtual", {"eps": 2.0, "share": 0.5}, Virtual(2.0, weight=0.5)),
            ("interval", {"eps": 0.1}, Interval(0.1, share=0.5)),
            ("interval", {"eps": 0.1, "share": 0.0}, Interval(0.1, share=0.0)),
        ],
        ids=str,
    )
    def test_mean_methods(self, name: str, options: dict[str, float], method: Method) -> None:
        assert method_named(name, **options) == method
        assert name in METHODS

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("magic", {}, "no method 'magic'; expected one of plain, fgsm, pgd, fast, virtual"),
            ("magic", {"eps": 0.1}, "no method 'magic'"),
            ("pgd", {}, "pgd needs eps"),
            ("plain", {"eps": 0.1}, "The method plain has no use for eps; it takes nothing"),
            ("exact", {"share": 0.5}, "exact has no use for share; it takes adversaries"),
            ("fast", {"eps": 0.1, "steps": 3}, "fast has no use for steps; it takes eps, share"),
            ("plain", {"steps": 3}, "plain has no use for steps"),
        ],
        ids=str,
    )
    def test_come_with_what_they_need(
        self, name: str, options: dict[str, float], message: str
    ) -> None:
        with pytest.raises(InvalidInput, match=message):
            method_named(name, **options)


@pytest.mark.parametrize(("epoch", "share"), [(0.0, 0.0), (2.0, 0.5), (4.0, 1.0), (19.0, 1.0)])
def test_the_radius_grows(epoch: float, share: float) -> None:
    step = a_step(epoch=epoch)
    found = Adversarial("fgsm", EPS, ramp=0.2).adversaries(step)
    assert float((found - step.x).abs().max()) == pytest.approx(share * EPS, rel=1e-5)


def test_a_ramp_is_a_share_of_the_training() -> None:
    with pytest.raises(InvalidInput, match=r"ramp is 5\.0; expected a share"):
        Adversarial("fgsm", 0.1, ramp=5.0)
