"""Attacks of foolbox, called as ours are."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pytest
import torch
from torch_toys import INF, answers, batch, rectified

from dualbound.attacks import Foolbox, distance, method_named
from dualbound.errors import InvalidInput


def test_without_the_package_its_installation_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "foolbox", None)
    with pytest.raises(InvalidInput, match=r'pip install "dualbound\[foolbox\]"'):
        method_named("foolbox:ddn", "l2")


def test_names_that_there_are_not() -> None:
    with pytest.raises(InvalidInput, match="foolbox:nothing is not known; known are foolbox:"):
        Foolbox("nothing")


@pytest.fixture(scope="module")
def _installed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("foolbox")


@pytest.mark.usefixtures("_installed")
class TestFoolbox:
    @pytest.mark.parametrize(
        ("name", "norm", "given"),
        [
            pytest.param("fgsm", "linf", {}, id="fgsm-linf"),
            pytest.param("pgd", "l1", {"steps": 5}, id="pgd-l1"),
            pytest.param("ddn", "l2", {"steps": 20}, id="ddn-l2"),
            pytest.param("fmn", "l0", {"steps": 20}, id="fmn-l0"),
            pytest.param("ead", "l1", {"steps": 50, "binary_search_steps": 7}, id="ead-l1"),
            pytest.param("deepfool", "linf", {}, id="deepfool-linf"),
        ],
    )
    def test_adversaries_are_misread_in_their_regions_or_the_inputs(
        self, name: str, norm: str, given: dict[str, Any]
    ) -> None:
        net, x = rectified(1).float(), batch(1, count=30).float()
        y = answers(net, x)
        y[0] = (y[0] + 1) % 4  # misread as it is
        method = method_named(f"foolbox:{name}", norm, **given)
        eps = {"l0": 3.0, "l1": 2.0, "l2": 1.0, "linf": 0.5}[norm]
        points = method.run(net, x, y, eps=eps, norm=norm, seed=3)
        turned = answers(net, points) != y
        far = distance(points, x, norm)
        assert bool(turned[0])
        assert torch.equal(points[0], x[0])
        assert int(turned.sum()) >= 3
        assert bool((far <= eps).all() and (points >= 0).all() and (points <= 1).all())
        assert torch.equal(points[~turned], x[~turned])
        assert torch.equal(points, method.run(net, x, y, eps=eps, norm=norm, seed=3))

    def test_those_that_look_for_the_nearest_take_any_radius(self) -> None:
        net, x = rectified(2).float(), batch(2).float()
        y = answers(net, x)
        method = method_named("foolbox:ddn", "l2", steps=30)
        assert method.minimal
        anywhere = method.run(net, x, y, eps=INF, norm="l2")
        assert bool((answers(net, anywhere) != y).any())

    @pytest.mark.parametrize(
        ("name", "norm", "asked", "message"),
        [
            pytest.param("pgd", "linf", {"eps": INF}, "needs a finite eps", id="radius"),
            pytest.param("pgd", "linf", {"eps": -1.0}, "radius of 0 or more", id="negative"),
            pytest.param("pgd", "linf", {"mask": torch.ones(6) > 0}, "know no mask", id="mask"),
            pytest.param("pgd", "linf", {"eps": torch.ones(8)}, "one eps", id="radii"),
            pytest.param("ddn", "linf", {}, "measures in l2, not in linf", id="norm"),
            pytest.param("pgd", "linf", {"options": {"pace": 1}}, "no option 'pace'", id="option"),
        ],
    )
    def test_what_they_cannot_do_is_refused(
        self, name: str, norm: str, asked: dict[str, Any], message: str
    ) -> None:
        x = batch(0).float()
        y = answers(rectified(0).float(), x)
        with pytest.raises(InvalidInput, match=message):
            Foolbox(name)(rectified(0).float(), x, y, **{"eps": 0.1, "norm": norm, **asked})
