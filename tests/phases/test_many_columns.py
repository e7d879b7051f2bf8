"""Programs in which more inputs move than have columns at first."""

from __future__ import annotations

import numpy as np
import pytest

from dualbound import Columns, Network, Status, Targeted, nearest
from dualbound.phases.program import PRICED_AT_MOST


@pytest.mark.slow
def test_an_optimum_that_moves_hundreds_of_inputs_is_proved() -> None:
    rng = np.random.default_rng(3)
    net = Network.dense(
        [rng.normal(size=(6, 400)) / 10, rng.normal(size=(2, 6))],
        [np.zeros(6), np.zeros(2)],
    )
    center = rng.random(400)
    target = int(np.argmin(net(center)))
    cap = 1.1 * nearest(net, center, Targeted(target), norm="linf").bound
    answer = nearest(net, center, Targeted(target), cap=cap, engine=Columns(threads=1))
    assert answer.status is Status.OPTIMAL
    assert answer.witness is not None
    assert np.count_nonzero(answer.witness.x != center) > PRICED_AT_MOST
    assert answer.value == pytest.approx(answer.bound, rel=2e-4)
