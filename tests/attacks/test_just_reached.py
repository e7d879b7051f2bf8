"""A criterion that is exactly reached on a whole pattern, and missed all around it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brute_force import random_question
from dualbound import Box, Columns, Limits, Network, Status, Targeted, nearest


def test_the_nearest_point_of_such_a_pattern_is_found() -> None:
    """Its outputs are constant, one exactly twice the other; its border rounds to either side."""
    case = replace(random_question(21_044), norm="linf", levels=None)
    tiny, wish = case.tiny, case.wish
    assert wish.ratio == 2.0
    answer = nearest(
        Network.dense(tiny.weights, tiny.biases, final_relu=tiny.final_relu),
        case.center,
        Targeted(wish.target, ratio=2.0, floor=wish.floor),
        norm="linf",
        region=Box(case.lower, case.upper),
        cap=case.cap,
        mask=case.mask,
        engine=Columns(threads=1),
        limits=Limits(60),
    )
    assert answer.status is Status.OPTIMAL
    assert answer.value == pytest.approx(case.distance(), rel=1e-6)
    assert answer.stats.nodes < 100
