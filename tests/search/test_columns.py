"""What the engine says before its clock starts."""

from __future__ import annotations

import pytest

from dualbound import Columns, Limits, Network, Progress, Targeted, nearest


@pytest.mark.parametrize("kept", [True, False])
def test_compiling_is_announced_and_is_not_the_querys_time(
    kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dualbound.phases.compiled.is_kept", lambda: kept)
    heard: list[Progress] = []
    net = Network.dense([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]], [[0.0, 0.0]] * 2)
    answer = nearest(
        net,
        [0.7, 0.2],
        Targeted(1, margin=0.1),
        engine=Columns(threads=1),
        limits=Limits(30),
        on_progress=heard.append,
    )
    assert answer.status.name == "OPTIMAL"
    first = heard[0]
    assert first.phase.startswith("compiling") != kept
    assert (first.seconds == 0.0) or kept
    assert "compiling" not in " ".join(answer.stats.phases)
