"""Pruning from end to end: rankings, thresholds, shares, fine-tuning."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

import dualbound
from dualbound import Limits, load_dataset
from dualbound.data import Dataset
from dualbound.errors import InvalidInput
from dualbound.learn import Recipe
from dualbound.network import read_torch
from dualbound.network.torch_chain import chain
from dualbound.prune import prune
from dualbound.prune.ranking import (
    gradient_order,
    importance_order,
    magnitude_order,
    random_order,
    without_first,
)
from dualbound.prune.units import layers_of
from dualbound.queries.models import load

pruning = importlib.import_module("dualbound.prune.pruning")

pytestmark = pytest.mark.unchecked_shapes


@pytest.fixture(scope="module")
def sample() -> Dataset:
    return load_dataset("sample", "test")


@pytest.mark.parametrize("ranking", ["importance", "random", "magnitude", "gradient"])
@pytest.mark.slow
def test_a_share_of_units_goes_whatever_they_are_ranked_by(ranking: str, sample: Dataset) -> None:
    network = load("mlp-50-20")
    found = prune(
        network, sample, each=2, ranking=ranking, remove=0.3, recipe=None, relaxed=True,
        limits=Limits(4),
    )  # fmt: skip
    assert found.units == (70, 49)
    assert (found.scores is None) == (ranking != "importance")
    before, after = found.parameters
    assert after < before == 40480
    small = dualbound.network.read_onnx(found.models()["after"])
    assert sum(relu.size for relu in small.relus) == 49


@pytest.mark.slow
def test_a_threshold_and_training_after(sample: Dataset) -> None:
    found = prune(
        load("mlp-50-20"), sample, each=2, limits=Limits(4), relaxed=True,
        recipe=dualbound.Recipe(epochs=3, rate=0.01),
    )  # fmt: skip
    before, after = found.units
    assert found.scores is not None
    gone = sum(int((one < 1e-3).sum()) for one in found.scores.scores.values())
    assert after == before - gone < before
    accuracies = found.accuracies(sample)
    assert set(accuracies) == {"before", "cut", "after"}
    assert accuracies["after"] >= accuracies["cut"]
    again = prune(
        load("mlp-50-20"), sample, each=2, limits=Limits(4), relaxed=True,
        recipe=dualbound.Recipe(epochs=3, rate=0.01),
    )  # fmt: skip
    assert again.models()["after"] == found.models()["after"]


def test_orders_hold_every_unit_once(sample: Dataset) -> None:
    made = chain(load("dnn1"))
    drawn = sample.balanced(2, 0)
    orders = (
        random_order(made, 3),
        magnitude_order(made),
        gradient_order(made, drawn.values(), drawn.labels),
        importance_order(
            dualbound.prune.importance(
                load("dnn1"), drawn.values(), drawn.labels, relaxed=True, limits=Limits(0.2)
            )
        ),
    )
    for order in orders:
        assert sorted(order) == list(range(24))
    assert random_order(made, 3) == orders[0] != random_order(made, 4)
    keep = without_first(layers_of(made), orders[1], 21)
    assert [int(mask.sum()) for mask in keep.values()] == [1, 1, 1]


def test_magnitude_is_the_length_of_the_weights() -> None:
    network = dualbound.Network.dense(
        [[[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]], [[1.0, 1.0, 1.0]]], [[0.0, 9.0, 0.0], [0.0]]
    )
    assert magnitude_order(chain(network)) == (1, 2, 0)


def test_what_makes_no_sense(sample: Dataset) -> None:
    network = load("dnn1")
    wide = Dataset("wide", "train", np.zeros((2, 9), np.float32), np.array([0, 1]), ("a", "b"))
    with pytest.raises(InvalidInput, match="inputs of 9 numbers and 2 classes"):
        prune(network, wide, ranking="random", remove=0.1)
    with pytest.raises(InvalidInput, match="ranked by importance"):
        prune(network, sample, ranking="luck")
    with pytest.raises(InvalidInput, match="say what share"):
        prune(network, sample, ranking="random")
    with pytest.raises(InvalidInput, match="from 0 to 1, found 2"):
        prune(network, sample, remove=2.0)
    with pytest.raises(InvalidInput, match="cannot be removed"):
        without_first(layers_of(chain(network)), tuple(range(24)), 22)


def test_what_cannot_work_is_refused_before_scores_are_sought(
    sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "importance", lambda *_, **__: pytest.fail("sought scores"))
    with pytest.raises(InvalidInput, match=r"threshold is 2\.0"):
        prune(load("dnn1"), sample, threshold=2.0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 9, stride=9), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 1, groups=2),
        torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(36, 10),
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="2 groups"):
        prune(read_torch(module.eval(), (1, 28, 28)), sample)


def test_another_cut_of_the_same_sizes_takes_up_no_checkpoint(
    sample: Dataset, tmp_path: Path
) -> None:
    recipe = Recipe(epochs=1, rate=0.01)
    asked = {"ranking": "random", "remove": 0.25, "recipe": recipe, "folder": tmp_path}
    one = prune(load("dnn1"), sample, **asked)
    other = prune(load("dnn1"), sample, **{**asked, "ranking": "magnitude"})
    again = prune(load("dnn1"), sample, **asked)
    weights = [next(iter(found.after.module.parameters())) for found in (one, other, again)]
    assert torch.equal(weights[0], weights[2])
    assert weights[0].shape != weights[1].shape or not torch.equal(weights[0], weights[1])
    assert len(list(tmp_path.iterdir())) == 2


def test_a_layer_is_never_removed_silently(sample: Dataset) -> None:
    with pytest.raises(InvalidInput, match="Give it a larger weight, or say what share"):
        prune(load("dnn1"), sample, each=1, weight=1e-9, recipe=None, relaxed=True)


def test_every_unit_has_a_score(sample: Dataset) -> None:
    found = prune(load("dnn1"), sample, each=1, recipe=None, relaxed=True, limits=Limits(1))
    assert found.scores is not None
    scores = list(found.scores.scores.values())
    assert [len(one) for one in scores] == [8, 8, 8]
    assert all(one.min() >= 0 and one.max() <= 1 for one in scores)
