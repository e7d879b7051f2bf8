"""Two ways, one answer: a network written and read again, and two solvers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from brute_force import random_case
from dualbound import Answer, Box, Milp, Network, Status, Targeted, load, nearest
from dualbound.data.sample import sample
from dualbound.network import read_onnx, write_onnx

pytestmark = pytest.mark.unchecked_shapes


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    """One thread of torch."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("seed", range(5000, 5004))
def test_a_network_written_and_read_again_answers_the_same(seed: int, tmp_path: Path) -> None:
    case = random_case(seed)
    tiny, wish = case.tiny, case.wish
    # In float32 from the start, so that the file holds the same numbers.
    network = Network.dense(
        [weight.astype(np.float32) for weight in tiny.weights],
        [bias.astype(np.float32) for bias in tiny.biases],
        final_relu=tiny.final_relu,
    )
    file = tmp_path / "written.onnx"
    file.write_bytes(write_onnx(network))

    def asked(net: Network) -> Answer:
        return nearest(
            net,
            case.center,
            Targeted(wish.target, ratio=wish.ratio, margin=wish.margin),
            norm=case.norm,
            region=Box(case.lower, case.upper),
            cap=case.cap,
            mask=case.mask,
        )

    first = asked(network)
    for again in (asked(load(file)), asked(read_onnx(write_onnx(network)))):
        assert again.status is first.status
        assert again.value == pytest.approx(first.value, rel=1e-6)
        assert again.bound == pytest.approx(first.bound, rel=1e-4)


def image(k: int) -> np.ndarray:
    return sample().inputs[k].reshape(-1) / 255


@pytest.mark.parametrize(("k", "target"), [(0, 3), (7, 4), (13, 2)])
@pytest.mark.slow
def test_two_solvers_prove_the_same_distance(k: int, target: int) -> None:
    pytest.importorskip("pyscipopt")
    network = load("dnn1")
    criterion = Targeted(target, ratio=1.2)
    one, other = (
        nearest(network, image(k), criterion, engine=Milp(solver=solver))
        for solver in ("highs", "scip")
    )
    for answer in (one, other):
        assert answer.status is Status.OPTIMAL
        assert answer.value is not None
        assert answer.witness is not None
        assert answer.witness.label == target
    assert one.value == pytest.approx(other.value, rel=2e-4)
    assert max(one.bound, other.bound) <= min(one.value, other.value) + 1e-6
