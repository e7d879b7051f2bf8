"""Networks that answer together, beside a count by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dualbound.errors import InvalidInput
from dualbound.learn.ensemble import Ensemble


class Saying(nn.Module):
    """Answers the same outputs to every input."""

    def __init__(self, *outputs: float) -> None:
        super().__init__()
        self.outputs = nn.Parameter(torch.tensor(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.outputs.expand(len(x), -1)


def vote(*members: tuple[float, ...]) -> int:
    found = Ensemble([Saying(*outputs) for outputs in members]).vote(torch.zeros(2, 1))
    assert found[0] == found[1]
    return int(found[0])


class TestVotes:
    def test_follow_the_majority_whatever_the_mean_is(self) -> None:
        sure, unsure = (0.0, 9.0, 0.0), (0.2, 0.1, 0.0)
        assert vote(sure, unsure, unsure) == 0

    def test_that_are_level_go_to_the_largest_mean_share(self) -> None:
        assert vote((3.0, 0.0, 0.0), (0.0, 1.0, 0.0)) == 0
        assert vote((1.0, 0.0, 0.0), (0.0, 3.0, 0.0)) == 1

    def test_that_are_level_go_to_nobody_without_one(self) -> None:
        """Label 2 has the largest mean share here, and no vote."""
        assert vote((2.0, 0.0, 1.9), (0.0, 2.1, 2.0)) in (0, 1)

    def test_that_are_level_in_all_go_to_the_smallest_label(self) -> None:
        assert vote((0.0, 1.0, 0.0), (0.0, 0.0, 1.0)) == 1
        assert vote((1.0, 1.0, 0.0)) == 0

    @given(st.integers(0, 9999), st.integers(1, 5), st.integers(2, 4))
    def test_are_those_of_a_count_by_hand(self, seed: int, members: int, classes: int) -> None:
        outputs = np.random.default_rng(seed).normal(size=(members, classes)).astype(np.float32)
        count = Counter(int(k) for k in outputs.argmax(axis=1))
        first = {label for label, n in count.items() if n == max(count.values())}
        exp = np.exp(outputs.astype(float))
        shares = (exp / exp.sum(axis=1, keepdims=True)).mean(axis=0)
        expected = max(sorted(first), key=lambda label: shares[label])
        assert vote(*(tuple(map(float, row)) for row in outputs)) == expected

    def test_differ_from_input_to_input(self) -> None:
        layer = nn.Linear(1, 2)
        with torch.no_grad():
            layer.weight[:], layer.bias[:] = torch.tensor([[1.0], [-1.0]]), 0.0
        assert Ensemble([layer] * 3).vote(torch.tensor([[1.0], [-1.0]])).tolist() == [0, 1]


class TestModule:
    def test_returns_the_mean_of_the_outputs(self) -> None:
        found = Ensemble([Saying(1.0, 2.0), Saying(3.0, 0.0)])(torch.zeros(3, 1))
        assert found.tolist() == [[2.0, 1.0]] * 3

    def test_has_the_weights_and_the_mode_of_its_members(self) -> None:
        members = [nn.Sequential(nn.Linear(1, 2), nn.Dropout(0.5)) for _ in range(3)]
        together = Ensemble(members)
        assert list(together) == members
        assert len(list(together.parameters())) == 6
        together.eval()
        assert not members[0].training

    def test_needs_a_member(self) -> None:
        with pytest.raises(InvalidInput, match="needs a member"):
            Ensemble([])
