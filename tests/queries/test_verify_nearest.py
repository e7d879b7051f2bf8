"""Two engines, one truth: a property holds just below the nearest distance, and not above it."""

from __future__ import annotations

import pytest

import dualbound
from dualbound import Milp, Targeted, nearest
from dualbound.limits import Limits
from dualbound.queries.verify import Outcome, robustness, verify
from dualbound.search.bab import Bab

pytestmark = pytest.mark.unchecked_shapes


@pytest.mark.parametrize("image", ["sample:0", "sample:3"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.slow
def test_on_either_side_of_the_nearest_distance(image: str, norm: str) -> None:
    net = dualbound.load("dnn1")
    x = dualbound.load_image(image, net.input_shape).pixels
    wanted = Targeted((dualbound.classify(net, x).label + 5) % 10, margin=0.05)
    answer = nearest(net, x, wanted, norm=norm, gap=1e-4)
    assert answer.value is not None
    for share, outcome in ((0.998, Outcome.HOLDS), (1.01, Outcome.VIOLATED)):
        asked = robustness(net, x, share * answer.value, norm=norm, criterion=wanted)
        found = verify(net, asked, engine=Bab(branching="phases"), limits=Limits(seconds=60))
        assert found.outcome is outcome


@pytest.mark.slow
def test_programs_agree_on_one_of_them() -> None:
    net = dualbound.load("dnn1")
    x = dualbound.load_image("sample:1", net.input_shape).pixels
    wanted = Targeted((dualbound.classify(net, x).label + 5) % 10, margin=0.05)
    one = nearest(net, x, wanted, norm="linf", gap=1e-4, engine=Milp())
    other = nearest(net, x, wanted, norm="linf", gap=1e-4)
    assert one.value == pytest.approx(other.value, rel=2e-4)
