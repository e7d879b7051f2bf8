"""FGSM, PGD, momentum, DeepFool and virtual adversaries: what each of them promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_toys import INF, affine, answers, batch, rectified, smooth

from dualbound import Dataset, Network, Untargeted, attack, nearest
from dualbound.attacks import (
    classifier,
    deepfool,
    device_named,
    distance,
    fgsm,
    log_odds,
    method_named,
    momentum_pgd,
    pgd,
    virtual,
)
from dualbound.attacks.loss import climbed, lead, of_label
from dualbound.attacks.virtual import divergence_from
from dualbound.errors import InvalidInput

ATTACKS = [fgsm, pgd, momentum_pgd, deepfool, virtual]
NORMS = ("linf", "l2", "l1")


def by_differences(loss: Callable[[Tensor], Tensor], x: Tensor, step: float = 1e-5) -> Tensor:
    """The gradient of a function of each row, by central differences."""
    found = torch.zeros_like(x)
    for k in range(x.shape[1]):
        move = torch.zeros_like(x)
        move[:, k] = step
        found[:, k] = (loss(x + move) - loss(x - move)) / (2 * step)
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["log-odds", "divergence"])
def test_gradients_are_those_of_finite_differences(seed: int, name: str) -> None:
    net, x, y = smooth(seed), batch(seed), torch.arange(8) % 4
    before = net(x.flip(0)).detach().log_softmax(1)
    loss = of_label(y) if name == "log-odds" else divergence_from(before)
    _, values, slope = climbed(net, x, loss)
    with torch.no_grad():
        wanted = by_differences(lambda points: loss(net(points)), x)
        torch.testing.assert_close(values, loss(net(x)))
    torch.testing.assert_close(slope, wanted, rtol=1e-6, atol=1e-8)


def test_the_odds_climb_where_the_cross_entropy_does() -> None:
    net, x, y = smooth(0), batch(0), torch.arange(8) % 4
    entropy = nn.CrossEntropyLoss(reduction="none")
    _, values, slope = climbed(net, x, of_label(y))
    _, losses, steep = climbed(net, x, lambda logits: entropy(logits, y))
    torch.testing.assert_close(values.exp().log1p(), losses)
    cosine = nn.functional.cosine_similarity(slope, steep)
    torch.testing.assert_close(cosine, torch.ones_like(cosine))


def test_a_network_that_is_sure_has_a_gradient_still() -> None:
    """The cross-entropy of a label that is 200 ahead is 0 in float32, and so is its gradient."""
    net = nn.Linear(2, 2)
    net.weight.data, net.bias.data = (
        torch.tensor([[1.0, -1.0], [0.0, 0.0]]),
        torch.tensor([200.0, 0.0]),
    )
    x, y = torch.tensor([[0.5, 0.5]]), torch.tensor([0])
    assert float(nn.CrossEntropyLoss()(net(x).detach(), y)) == 0.0
    torch.testing.assert_close(fgsm(net, x, y, eps=0.1), torch.tensor([[0.4, 0.6]]))


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("training", [False, True])
def test_modules_are_left_as_they_are(attack: Any, training: bool) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 4)).double()
    net.train(training)
    weights = [one.detach().clone() for one in net.parameters()]
    with torch.no_grad():  # as in a loop of evaluation
        attack(net, batch(1), torch.arange(8) % 4, eps=0.1)
    assert all(one.training is training for one in net.modules())
    assert all(one.grad is None and one.requires_grad for one in net.parameters())
    assert all(map(torch.equal, weights, net.parameters()))


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_do_not_hold_on_to_what_led_to_an_input(attack: Any) -> None:
    x = batch(1).requires_grad_()
    points = attack(rectified(1), x * 0.5, torch.arange(8) % 4, eps=0.1)
    assert not points.requires_grad
    assert x.grad is None


@pytest.mark.parametrize("attack", [pgd, virtual])
def test_the_same_seed_gives_the_same_adversaries(attack: Any) -> None:
    net, x, y = rectified(3), batch(3), torch.arange(8) % 4
    few = {"steps": 1} if attack is pgd else {"iterations": 0}
    one, same, other = (
        attack(net, x, y, eps=0.2, norm="l2", seed=seed, **few) for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.unchecked_shapes
def test_pgd_finds_what_fgsm_finds_and_more(norm: str) -> None:
    eps = {"linf": 0.1, "l2": 0.2, "l1": 0.3}[norm]
    turned = {"fgsm": 0, "pgd": 0, "restarts": 0, "momentum": 0}
    for seed in range(5):
        net, x = rectified(seed), batch(seed, count=20)
        y = answers(net, x)
        for name, points in (
            ("fgsm", fgsm(net, x, y, eps=eps, norm=norm)),
            ("pgd", pgd(net, x, y, eps=eps, norm=norm)),
            ("restarts", pgd(net, x, y, eps=eps, norm=norm, restarts=4, early=True)),
            ("momentum", momentum_pgd(net, x, y, eps=eps, norm=norm)),
        ):
            turned[name] += int((answers(net, points) != y).sum())
    assert turned["restarts"] >= max(turned["fgsm"], turned["pgd"])
    assert turned["momentum"] >= turned["fgsm"] - 1
    assert turned["fgsm"] > 5


def test_the_best_point_is_kept() -> None:
    """With a step that jumps to and fro across the region, the last point is a bad one."""
    net, x = rectified(2), batch(2)
    y = answers(net, x)
    best = pgd(net, x, y, eps=0.3, steps=7, step=0.6)
    for steps in range(1, 7):
        passed = pgd(net, x, y, eps=0.3, steps=steps, step=0.6)
        fooled, before = (lead(net(points), y) > 0 for points in (best, passed))
        assert bool((fooled | ~before).all())
        same = fooled == before
        odds, earlier = log_odds(net(best), y), log_odds(net(passed), y)
        assert bool((odds >= earlier)[same].all())


def test_an_input_that_is_misread_is_left_alone_once_that_is_seen() -> None:
    net, x = rectified(4), batch(4)
    y = (answers(net, x) + 1) % 4
    found = pgd(net, x, y, eps=0.1, random=False, early=True)
    assert torch.equal(found, x)
    assert torch.equal(deepfool(net, x, y, eps=INF), x)


@pytest.mark.parametrize("seed", range(6))
def test_fgsm_is_optimal_on_an_affine_network_of_two_labels(seed: int) -> None:
    """The smallest radius at which it turns an input is the proved minimum."""
    rng = np.random.default_rng(seed)
    network = Network.dense([rng.normal(size=(2, 5))], [0.3 * rng.normal(size=2)])
    net = classifier(network, dtype=torch.float64)
    x = torch.as_tensor(rng.random((1, 5)))
    y = answers(net, x)
    best = nearest(network, x[0].numpy(), Untargeted(margin=1e-9), norm="linf", gap=1e-6)
    if best.value is None:
        assert torch.equal(answers(net, fgsm(net, x, y, eps=INF)), y)
        return
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        turned = bool(answers(net, fgsm(net, x, y, eps=middle)) != y)
        low, high = (low, middle) if turned else (middle, high)
    assert high == pytest.approx(best.value, abs=1e-6)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("labels", [2, 5])
def test_deepfool_is_exact_on_affine_networks(norm: str, labels: int) -> None:
    """Without bounds in the way: the least, over the labels, of how far behind over how steep."""
    dual = {"linf": 1.0, "l2": 2.0, "l1": float("inf")}[norm]
    net, x = affine(labels, labels=labels), batch(labels)
    logits, y = net(x).detach(), answers(net, x)
    weight = net[1].weight.detach()
    steep = (weight[None] - weight[y][:, None]).norm(dual, dim=2)
    behind = logits.gather(1, y[:, None]) - logits
    wanted = torch.where(steep > 0, behind / steep, INF).amin(1)
    found = deepfool(net, x, y, eps=INF, norm=norm, lower=-99.0, upper=99.0, margin=0.0)
    assert bool((lead(net(found), y) > 0).all())
    torch.testing.assert_close(distance(found, x, norm), wanted, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("norm", ["linf", "l1"])
@pytest.mark.slow
def test_deepfool_is_exact_between_bounds_too(norm: str) -> None:
    rng = np.random.default_rng(1)
    network = Network.dense([rng.normal(size=(3, 6))], [np.zeros(3)])
    net, x = classifier(network, dtype=torch.float64), batch(1, count=6)
    y = answers(net, x)
    found = deepfool(net, x, y, eps=INF, norm=norm, margin=0.0)
    for k, row in enumerate(x):
        best = nearest(network, row.numpy(), Untargeted(margin=1e-9), norm=norm, gap=1e-6)
        turned = bool(lead(net(found[k : k + 1]), y[k : k + 1]) > 0)
        assert turned == (best.value is not None)
        if turned:
            assert float(distance(found, x, norm)[k]) == pytest.approx(best.value, rel=1e-5)


def test_deepfool_gives_back_what_it_cannot_turn() -> None:
    net, x = rectified(6), batch(6)
    y = answers(net, x)
    near = deepfool(net, x, y, eps=0.01, norm="linf")
    far = deepfool(net, x, y, eps=INF, norm="linf")
    turned = answers(net, near) != y
    assert torch.equal(near[~turned], x[~turned])
    assert torch.equal(turned, (distance(far, x, "linf") <= 0.01) & (answers(net, far) != y))


@pytest.mark.parametrize("norm", NORMS)
def test_drawn_back_is_nearer_than_published(norm: str) -> None:
    for seed in range(5):
        net, x = rectified(seed), batch(seed)
        y = answers(net, x)
        near, plain = (
            distance(deepfool(net, x, y, eps=INF, norm=norm, rounds=rounds), x, norm)
            for rounds in (10, 0)
        )
        assert bool((near <= plain).all())


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_virtual_adversaries_turn_the_answer_more_than_random_moves(norm: str) -> None:
    turned, random = 0.0, 0.0
    for seed in range(10):
        net, x = smooth(seed, inputs=30), batch(seed, inputs=30).clamp(0.2, 0.8)
        loss = divergence_from(net(x).detach().log_softmax(1))
        points = virtual(net, x, eps=0.1, norm=norm, seed=seed)
        drawn = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).double()
        move = drawn.sign() if norm == "linf" else drawn / drawn.norm(dim=1, keepdim=True)
        with torch.no_grad():
            turned += float(loss(net(points)).sum())
            random += float(loss(net(x + 0.1 * move)).sum())
    assert turned > 3 * random


def test_more_iterations_come_closer_to_the_eigenvector() -> None:
    """On an affine network the Hessian of the divergence is known: ``W' (diag p - p p') W``."""
    net, x = affine(3, inputs=12, labels=5), batch(3, inputs=12).clamp(0.3, 0.7)
    weight = net[1].weight.detach()
    cosines = []
    for iterations in (0, 1, 30):
        moves = virtual(net, x, eps=0.01, norm="l2", iterations=iterations, xi=1e-4) - x
        share = []
        for move, p in zip(moves, net(x).detach().softmax(1), strict=True):
            hessian = weight.T @ (torch.diag(p) - torch.outer(p, p)) @ weight
            first = torch.linalg.eigh(hessian).eigenvectors[:, -1]
            share.append(abs(float(move @ first)) / 0.01)
        cosines.append(np.mean(share))
    assert cosines[0] < cosines[1] < cosines[2]
    assert cosines[2] > 0.99


def test_virtual_adversaries_do_not_see_labels() -> None:
    net, x = rectified(1), batch(1)
    one, other = (virtual(net, x, y, eps=0.1) for y in (None, torch.arange(8)))
    assert torch.equal(one, other)


def test_a_network_is_attacked_in_its_own_shape() -> None:
    network = Network.dense([np.eye(4)], [np.zeros(4)], input_shape=(1, 2, 2))
    net = classifier(network)
    assert not net.training
    x = torch.rand(3, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(net(x), x.flatten(1))
    assert pgd(net, x, torch.tensor([0, 1, 2]), eps=0.1, steps=2).shape == x.shape


X, Y = torch.full((2, 6), 0.5).double(), torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("attack", "y", "asked", "message"),
    [
        pytest.param(fgsm, torch.tensor([0, 4]), {}, "labels go from 0 to 4", id="label"),
        pytest.param(pgd, torch.tensor([-1, 0]), {}, "labels go from -1", id="negative-label"),
        pytest.param(deepfool, torch.tensor([0, 4]), {}, "labels go from 0 to 4", id="deepfool"),
        pytest.param(fgsm, torch.tensor([0]), {}, "one of torch.int64 for each of 2", id="count"),
        pytest.param(fgsm, torch.tensor([0.0, 1.0]), {}, "torch.float32", id="label-type"),
        pytest.param(pgd, Y, {"steps": -1}, "-1 steps", id="steps"),
        pytest.param(pgd, Y, {"restarts": 0}, "0 restarts", id="restarts"),
        pytest.param(pgd, Y, {"step": float("nan")}, "step is nan", id="step"),
        pytest.param(momentum_pgd, Y, {"eps": INF}, "step is inf", id="momentum"),
        pytest.param(deepfool, Y, {"overshoot": -1.0}, "overshoot of -1", id="overshoot"),
        pytest.param(virtual, None, {"xi": 0.0}, "xi 0.0", id="xi"),
        pytest.param(virtual, None, {"eps": -1.0}, "radius of 0 or more", id="eps"),
    ],
)
def test_nonsense_is_refused(
    attack: Any, y: Tensor | None, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        attack(rectified(0), X, y, **{"eps": 0.1, **asked})


def test_one_output_is_no_classifier() -> None:
    with pytest.raises(InvalidInput, match="two outputs or more"):
        fgsm(affine(0, labels=1), X, torch.tensor([0, 0]), eps=0.1)


@pytest.mark.parametrize(
    ("name", "norm", "given", "message"),
    [
        pytest.param("cw", "linf", {}, "no attack 'cw'.*fgsm, pgd", id="name"),
        pytest.param("pgd", "l0", {}, "pgd measures in linf or l2 or l1", id="norm"),
        pytest.param("fgsm", "linf", {"steps": 3}, "fgsm has no option 'steps'", id="option"),
        pytest.param("pgd", "linf", {"steps": 2.5}, "steps of pgd is 2.5", id="kind"),
        pytest.param("pgd", "linf", {"seed": 1}, "no option 'seed'", id="seed"),
    ],
)
def test_methods_that_there_are_not(
    name: str, norm: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        method_named(name, norm, **given)


def test_a_device_that_is_not_there() -> None:
    assert device_named("cpu").type == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(InvalidInput, match=r"There is no device 'cuda' here: .*Use one of cpu"):
            device_named("cuda")


def test_deepfool_finds_what_float32_hardly_tells() -> None:
    """Small outputs of large terms that cancel: a border is nearer than float32 can say."""
    generator = np.random.default_rng(0)
    first = generator.normal(size=(16, 4)) * 30
    second = generator.normal(size=(2, 16)) * 1e-3
    network = Network.dense([first, second], [np.zeros(16), np.zeros(2)])
    x = generator.random((40, 4)).astype(np.float32)
    labels = network(x).argmax(axis=1)
    if len(set(labels)) == 1:
        labels[0] = 1 - labels[0]
    data = Dataset("cancelling", "test", x, labels, ("a", "b"))
    found = attack(network, data, method="deepfool", eps=1.0)
    near = attack(network, data, method="pgd", eps=1.0, steps=40, restarts=3)
    assert found.at[-1].refused == 0
    assert found.at[0].accuracy <= near.at[0].accuracy + 0.1


def test_a_tie_is_no_right_answer() -> None:
    network = Network.dense([[[0.0], [0.0]]], [[1.0, 1.0]])
    data = Dataset(
        "level", "test", np.zeros((4, 1), dtype=np.float32), np.array([0, 1, 0, 1]), ("a", "b")
    )
    found = attack(network, data, method="fgsm", eps=0.1)
    assert (found.clean, found.answers.tolist()) == (0.0, [-1] * 4)
