"""Scores in a file: taken up where the question is the same, and nowhere else."""

from __future__ import annotations

import importlib
import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dualbound import Limits, load_dataset
from dualbound.data import Dataset
from dualbound.errors import DataError, OutputError
from dualbound.learn import Recipe
from dualbound.network import read_torch
from dualbound.prune import kept, prune
from dualbound.prune.scores import Importance
from dualbound.queries.models import load

pruning = importlib.import_module("dualbound.prune.pruning")

pytestmark = pytest.mark.unchecked_shapes

ASKED: dict[str, Any] = {"each": 2, "relaxed": True, "recipe": None}
LIMIT = Limits(3)


@pytest.fixture(scope="module")
def sample() -> Dataset:
    return load_dataset("sample", "test")


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of every search for scores."""
    seen: list[dict[str, Any]] = []
    real = pruning.importance

    def counted(*args: Any, **options: Any) -> Importance:
        seen.append(options)
        found: Importance = real(*args, **options)
        return found

    monkeypatch.setattr(pruning, "importance", counted)
    return seen


@pytest.mark.slow
def test_the_same_question_is_not_sought_twice(
    sample: Dataset, tmp_path: Path, searches: list[dict[str, Any]]
) -> None:
    asked = {**ASKED, "folder": tmp_path / "new" / "folder", "limits": LIMIT}
    first = prune(load("dnn1"), sample, **asked)
    again = prune(load("dnn1"), sample, **asked)
    assert len(searches) == 1
    assert first.scores is not None
    assert again.scores is not None
    for one in fields(Importance):
        there, here = getattr(first.scores, one.name), getattr(again.scores, one.name)
        if one.name == "scores":
            assert all(np.array_equal(there[name], here[name]) for name in there)
        else:
            assert there == here, one.name
    assert first.models()["cut"] == again.models()["cut"]
    prune(load("dnn1"), sample, **asked, threshold="mean")
    prune(load("dnn1"), sample, **asked, remove=0.5)
    assert len(searches) == 1


@pytest.mark.parametrize(
    "other",
    [{"weight": 6.0}, {"loss": "hinge"}, {"by": "layer"}, {"seed": 1}, {"each": 1},
     {"relaxed": False}, {"limits": Limits(3.5)}, {"limits": None, "each": 1}],
    ids=["weight", "loss", "by", "seed", "each", "relaxed", "longer", "no-limit"],
)  # fmt: skip
@pytest.mark.slow
def test_another_question_is_sought_anew(
    sample: Dataset, tmp_path: Path, searches: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch, other: dict[str, Any],
) -> None:  # fmt: skip
    asked = {**ASKED, "folder": tmp_path, "limits": LIMIT}
    found = prune(load("dnn1"), sample, **asked).scores
    assert found is not None
    open_ = replace(found, finished=False)  # as one that ran into its limit
    monkeypatch.setattr(pruning, "importance", lambda *_, **how: searches.append(how) or open_)
    kept_at = kept.FILE
    (tmp_path / kept_at).unlink()
    prune(load("dnn1"), sample, **asked)
    prune(load("dnn1"), sample, **{**asked, **other})
    assert len(searches) == 3


@pytest.mark.slow
def test_what_is_closed_needs_no_more_time_and_what_was_interrupted_does(
    sample: Dataset, tmp_path: Path, searches: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {**ASKED, "folder": tmp_path, "limits": LIMIT}
    found = prune(load("dnn1"), sample, **asked).scores
    assert found is not None
    closed = replace(found, finished=True)
    monkeypatch.setattr(pruning, "importance", lambda *_, **how: searches.append(how) or closed)
    (tmp_path / kept.FILE).unlink()
    prune(load("dnn1"), sample, **asked)
    prune(load("dnn1"), sample, **{**asked, "limits": None})
    assert len(searches) == 2
    stopped = replace(found, finished=False, interrupted=True, seconds=1.0)
    monkeypatch.setattr(pruning, "importance", lambda *_, **how: searches.append(how) or stopped)
    (tmp_path / kept.FILE).unlink()
    prune(load("dnn1"), sample, **asked)
    prune(load("dnn1"), sample, **asked)
    assert len(searches) == 4


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"question": 1', "null", "[" * 100_000, '{"question": null, "sha256": 1}'],
    ids=["empty", "object", "list", "torn", "null", "deep", "sum"],
)
def test_a_damaged_file_is_named(sample: Dataset, tmp_path: Path, text: str) -> None:
    (tmp_path / kept.FILE).write_text(text)
    with pytest.raises(DataError, match="delete it to seek scores anew"):
        prune(load("dnn1"), sample, **ASKED, folder=tmp_path, limits=LIMIT)


@pytest.mark.slow
def test_no_figure_in_a_file_can_be_another(sample: Dataset, tmp_path: Path) -> None:
    asked = {**ASKED, "folder": tmp_path, "limits": LIMIT}
    prune(load("dnn1"), sample, **asked)
    path = tmp_path / kept.FILE
    content = json.loads(path.read_text())
    for change in (
        {"limit": 10**400}, {"limit": math.nan}, {"answer": content["answer"] | {"order": [999]}},
        {"answer": content["answer"] | {"value": "x"}}, {"question": "another"},
    ):  # fmt: skip
        path.write_text(json.dumps(content | change))
        with pytest.raises(DataError, match="delete it"):
            prune(load("dnn1"), sample, **asked)


@pytest.mark.slow
def test_another_network_takes_up_neither_scores_nor_training(
    sample: Dataset, tmp_path: Path
) -> None:
    recipe = Recipe(epochs=1, rate=0.01)
    asked: dict[str, Any] = {"ranking": "random", "remove": 0.25, "recipe": recipe}
    networks = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        module = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(784, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10)
        )
        networks.append(read_torch(module.eval(), (1, 28, 28)))
    for network in networks:
        straight = prune(network, sample, **asked)
        found = prune(network, sample, **asked, folder=tmp_path)
        assert found.models()["after"] == straight.models()["after"]
    longer = {**asked, "recipe": Recipe(epochs=2, rate=0.01)}
    assert prune(networks[0], sample, **longer, folder=tmp_path).finished


@pytest.mark.slow
def test_types_of_options_do_not_matter(
    sample: Dataset, tmp_path: Path, searches: list[dict[str, Any]]
) -> None:
    asked = {**ASKED, "folder": tmp_path, "limits": LIMIT}
    for weight, relaxed in ((5.0, True), (5, np.bool_(True)), (np.float32(5), True)):
        prune(load("dnn1"), sample, **{**asked, "weight": weight, "relaxed": relaxed})
    assert len(searches) == 1


def test_a_folder_that_cannot_be_made_is_refused_before_the_search(
    sample: Dataset, tmp_path: Path, searches: list[dict[str, Any]]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        prune(load("dnn1"), sample, **ASKED, folder=tmp_path / "file", limits=LIMIT)
    assert not searches


@pytest.mark.slow
def test_training_that_was_stopped_goes_on_with_the_same_scores(
    sample: Dataset, tmp_path: Path, searches: list[dict[str, Any]]
) -> None:
    asked = {**ASKED, "folder": tmp_path, "limits": LIMIT, "recipe": Recipe(epochs=4, rate=0.01)}

    class Killed(BaseException):
        pass

    def killed(now: Any) -> None:
        if now.epoch >= 2:
            raise Killed

    with pytest.raises(Killed):
        prune(load("dnn1"), sample, **asked, on_training=killed)
    epochs: list[int] = []
    found = prune(load("dnn1"), sample, **asked, on_training=lambda now: epochs.append(now.epoch))
    assert len(searches) == 1
    assert min(epochs) >= 1
    assert found.finished
    straight = prune(load("dnn1"), sample, **{**asked, "folder": tmp_path / "other"})
    assert straight.models()["after"] == found.models()["after"]
