"""Regions of attacks: nothing leaves them, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_toys import INF, batch, rectified

from dualbound import Box, L1Ball, L2Ball
from dualbound.attacks import Threat, deepfool, fgsm, momentum_pgd, pgd, virtual
from dualbound.attacks.moves import furthest, least
from dualbound.errors import InvalidInput
from dualbound.region import Region
from examples import examples

NORMS = ("linf", "l2", "l1")


def inside(points: torch.Tensor, x: torch.Tensor, asked: dict[str, Any]) -> bool:
    """By numpy, in float64, without tolerance."""
    found, start = points.double().numpy(), x.double().numpy()
    moved = (found - start).reshape(len(start), -1)
    length = {
        "linf": np.abs(moved).max(axis=1),
        "l2": np.sqrt((moved**2).sum(axis=1)),
        "l1": np.abs(moved).sum(axis=1),
    }[asked["norm"]]
    frozen = np.zeros_like(start, dtype=bool)
    if asked["mask"] is not None:
        frozen = ~np.broadcast_to(asked["mask"].numpy(), start.shape)
    same = points.numpy()[frozen].tobytes() == x.numpy()[frozen].tobytes()
    low, high = np.asarray(asked["lower"]), np.asarray(asked["upper"])
    return bool(
        same
        and np.all(length <= np.asarray(asked["eps"]))
        and np.all(found >= low)
        and np.all(found <= high)
    )


def asked_at_random(
    seed: int, norm: str, dtype: torch.dtype
) -> tuple[torch.Tensor, dict[str, Any]]:
    """Inputs in an odd box, and what an attack may do to them."""
    rng = np.random.default_rng(seed)
    low, high = -(10.0 ** rng.uniform(-3, 3)), 10.0 ** rng.uniform(-3, 3)
    x = torch.as_tensor(rng.uniform(low, high, (5, 2, 3))).to(dtype)
    if seed % 3 == 0:
        x[0, 0, 0] = -0.0
    x = x.clamp(float(np.float32(low)) * 0.999, float(np.float32(high)) * 0.999)
    lower, upper = min(low, float(x.min())), max(high, float(x.max()))
    eps: Any = float(10.0 ** rng.uniform(-9, 1))
    if seed % 4 == 1:
        eps = torch.as_tensor(10.0 ** rng.uniform(-9, 1, 5))
    mask = None
    if seed % 2:
        mask = torch.as_tensor(rng.random((2, 3)) < 0.6)
    return x, {"eps": eps, "norm": norm, "lower": lower, "upper": upper, "mask": mask}


@given(
    seed=st.integers(0, 10_000),
    norm=st.sampled_from(NORMS),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@examples(150)
def test_no_point_leaves_the_region(seed: int, norm: str, dtype: torch.dtype) -> None:
    x, asked = asked_at_random(seed, norm, dtype)
    threat = Threat.around(x, **asked)
    generator = torch.Generator().manual_seed(seed)
    wild = x + torch.randn(x.shape, generator=generator).to(dtype) * 10 ** (seed % 9 - 4)
    for points in (
        threat.project(wild),
        threat.project(x),
        threat.furthest(wild),
        threat.random(generator),
        threat.clamped(x) if norm == "linf" else x,
    ):
        assert points.dtype == dtype
        assert inside(points, x, asked)
        assert bool(threat.contains(points).all())


@given(
    seed=st.integers(0, 10_000),
    norm=st.sampled_from(NORMS),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    attack=st.sampled_from([fgsm, pgd, momentum_pgd, deepfool, virtual]),
)
@examples(100)
@pytest.mark.slow
def test_no_attack_leaves_its_region(seed: int, norm: str, dtype: torch.dtype, attack: Any) -> None:
    x, asked = asked_at_random(seed, norm, dtype)
    net = rectified(seed).to(dtype)
    y = torch.as_tensor(np.random.default_rng(seed).integers(0, 4, 5))
    few = {} if attack in (fgsm, virtual) else {"steps": 4}
    points = attack(net, x, y, **few, **asked)
    assert points.dtype == dtype
    assert inside(points, x, asked)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("seed", range(8))
def test_projection_and_maximiser_are_those_of_the_regions(norm: str, seed: int) -> None:
    """Ours in torch beside the exact ones of the proofs."""
    rng = np.random.default_rng(seed)
    x, eps = batch(seed, count=1), float(rng.uniform(0.05, 1.5))
    center, box = x[0].numpy(), Box(0, 1).sized(6)
    region: Region = {
        "linf": box.intersect(Box(center - eps, center + eps)),
        "l2": L2Ball(center, eps, box),
        "l1": L1Ball(center, eps, box),
    }[norm]
    threat = Threat.around(x, eps=eps, norm=norm)
    wild = rng.normal(size=(20, 6))
    for row in wild:
        point = torch.as_tensor(row[None])
        np.testing.assert_allclose(
            threat.project(point)[0].numpy(), region.project(row[None])[0], atol=1e-8
        )
        best = float(threat.furthest(point)[0].numpy() @ row)
        assert best == pytest.approx(float(region.support(row[None])[0]), abs=1e-9)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("seed", range(5))
def test_the_least_moves_are_the_furthest_of_their_own_length(norm: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    slope, room = (torch.as_tensor(rng.random((30, 7))) for _ in range(2))
    slope[slope < 0.1] = 0.0
    goal = torch.as_tensor(rng.uniform(0, 1.2, 30)) * (slope * room).sum(1)
    moves, enough = least(slope, room, goal, norm)
    gain = (slope * moves).sum(1)
    assert bool(((moves >= 0) & (moves <= room)).all())
    torch.testing.assert_close(gain[enough], goal[enough])
    torch.testing.assert_close(gain[~enough], (slope * room).sum(1)[~enough])
    length = {"linf": moves.amax(1), "l2": moves.norm(dim=1), "l1": moves.sum(1)}[norm]
    same = furthest(slope, room, length, norm)
    torch.testing.assert_close((slope * same).sum(1)[enough], goal[enough])


def test_what_rounds_is_rounded_towards_the_input() -> None:
    x = torch.tensor([[0.3, 0.7]])
    points = Threat.around(x, eps=0.1).furthest(torch.tensor([[1.0, -1.0]]))
    moved = (points.double() - x.double()).abs().numpy()
    assert np.all(moved <= 0.1)
    assert np.all(moved > 0.1 - 1e-7)


def test_masks_keep_bits_even_of_a_negative_zero() -> None:
    x = torch.tensor([[-0.0, 0.5]])
    mask = torch.tensor([False, True])
    for norm in NORMS:
        threat = Threat.around(x, eps=0.25, norm=norm, mask=mask)
        for points in (threat.project(x + 1), threat.furthest(x + 1)):
            assert bool(torch.signbit(points[0, 0]))
            assert points[0].tolist() == pytest.approx([0.0, 0.75])


def test_a_threat_of_some_rows_is_the_threat_of_these() -> None:
    x, asked = asked_at_random(5, "l2", torch.float64)
    asked["eps"] = torch.linspace(0.1, 0.5, 5)
    part = Threat.around(x, **asked).rows(torch.tensor([3, 1]))
    whole = Threat.around(x[[3, 1]], **{**asked, "eps": asked["eps"][[3, 1]]})
    assert torch.equal(part.project(x[[0, 2]]), whole.project(x[[0, 2]]))


@pytest.mark.parametrize("norm", NORMS)
def test_without_a_radius_the_bounds_are_the_region(norm: str) -> None:
    x = batch(0)
    threat = Threat.around(x, eps=INF, norm=norm)
    corner = threat.furthest(torch.ones_like(x))
    torch.testing.assert_close(corner, torch.ones_like(x))


X = torch.tensor([[0.25, 0.75]])


@pytest.mark.parametrize(
    ("x", "asked", "message"),
    [
        pytest.param(torch.tensor([[0.5, float("nan")]]), {}, "not finite", id="nan"),
        pytest.param(torch.tensor([[1, 0]]), {}, "floating type", id="integers"),
        pytest.param(torch.tensor([0.5]), {}, "expected a batch", id="no-batch"),
        pytest.param(X[:0], {}, "one or more inputs", id="empty"),
        pytest.param(X, {"eps": -0.1}, "radius of 0 or more", id="negative"),
        pytest.param(X, {"eps": float("nan")}, "radius of 0 or more", id="nan-radius"),
        pytest.param(X, {"eps": torch.ones(3)}, "one for each of 1", id="three-radii"),
        pytest.param(X, {"norm": "l0"}, "norm is 'l0'", id="norm"),
        pytest.param(X, {"lower": 0.5, "upper": 0.4}, "above its upper", id="empty-box"),
        pytest.param(X, {"lower": 0.3}, "outside of their bounds", id="outside"),
        pytest.param(X, {"upper": torch.ones(3)}, "does not fit", id="bound-shape"),
        pytest.param(X, {"mask": torch.ones(3, dtype=torch.bool)}, "does not fit", id="mask-shape"),
        pytest.param(X, {"mask": torch.ones(2)}, "mask is of", id="mask-type"),
        pytest.param(X, {"eps": INF, "lower": -INF, "upper": INF}, "infinite", id="unbounded"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(
    x: torch.Tensor, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        Threat.around(x, **{"eps": 0.1, **asked})
