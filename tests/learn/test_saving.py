"""What is written of a trained network, and that others read the same function."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

import dualbound
from dualbound.errors import OutputError, SoundnessError
from dualbound.learn import Adversarial, Interval, Plain, Recipe, Trained, evaluate, train
from dualbound.learn import saving as room
from dualbound.learn.exact import Exact
from dualbound.learn.saving import CARD, MODEL, save
from learn.toys import EVERYTHING, Watched, stripes

RECIPE = Recipe(epochs=3, batch=16, rate=0.05, seed=3)
TEST = stripes(30, seed=1, split="test")


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(EVERYTHING, stripes(), RECIPE, test=TEST)


@pytest.fixture(scope="module")
def folder(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    there = tmp_path_factory.mktemp("trained")
    card = save(
        there, trained, stripes(), RECIPE, method=Plain(), architecture=EVERYTHING, test=TEST
    )
    assert card == json.loads((there / CARD).read_text(encoding="utf-8"))
    return there


@pytest.fixture
def card(folder: Path) -> dict[str, Any]:
    return json.loads((folder / CARD).read_text(encoding="utf-8"))


def outputs(module: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return module(torch.from_numpy(x)).numpy()


class TestModel:
    def test_is_read_as_the_same_function(self, folder: Path, trained: Trained) -> None:
        network = dualbound.load(folder / MODEL)
        assert network.input_shape == (1, 6, 6)
        x = TEST.values()
        assert network(x.reshape(len(x), -1)) == pytest.approx(outputs(trained.module, x), abs=1e-5)

    @pytest.mark.parametrize("size", [1, 2, 30])
    def test_takes_batches_of_any_size(self, folder: Path, trained: Trained, size: int) -> None:
        session = onnxruntime.InferenceSession(folder / MODEL)
        x = TEST.values(slice(0, size))
        [found] = session.run(None, {session.get_inputs()[0].name: x})
        assert found == pytest.approx(outputs(trained.module, x), abs=1e-5)

    def test_says_nothing_of_where_it_was_made(self, folder: Path) -> None:
        assert str(Path(room.__file__).parents[3]).encode() not in (folder / MODEL).read_bytes()

    def test_that_computes_something_else_is_not_written(
        self, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = train(EVERYTHING, stripes(), Recipe(epochs=0, seed=9)).module
        right = room.exported
        monkeypatch.setattr(room, "exported", lambda module, *a, **k: right(other, *a, **k))
        with pytest.raises(SoundnessError, match="exported network differ from torch's by"):
            save(tmp_path, trained, stripes(), RECIPE, method=Plain(), architecture="")
        assert list(tmp_path.iterdir()) == []


class TestCard:
    def test_has_these_keys(self, card: dict[str, Any]) -> None:
        assert list(card) == [
            *("architecture", "input", "data", "test", "recipe", "method", "finished"),
            *("accuracy", "seconds", "history", "sha256", "versions"),
        ]

    def test_says_what_was_done(self, card: dict[str, Any], trained: Trained) -> None:
        assert card["architecture"] == EVERYTHING
        assert card["input"] == {"shape": [1, 6, 6], "classes": ["a", "b", "c"]}
        assert card["data"] == {
            "name": "stripes", "split": "train", "count": 60, "sha256": stripes().sha256,
        }  # fmt: skip
        assert card["test"]["count"] == 30
        assert Recipe(**card["recipe"]) == RECIPE
        assert card["method"] == {"name": "plain"}
        assert card["finished"] is True
        assert card["history"] == [asdict(one) for one in trained.history]
        assert card["seconds"] == pytest.approx(
            sum(one.seconds for one in trained.history), abs=0.01
        )
        assert set(card["versions"]) == {
            "python", "dualbound", "numpy", "onnx", "onnxruntime", "torch",
        }  # fmt: skip

    def test_has_the_accuracies_of_evaluation(self, card: dict[str, Any], trained: Trained) -> None:
        for split, data in (("train", stripes()), ("test", TEST)):
            score = evaluate(trained.module, data)
            assert card["accuracy"][split] == pytest.approx(score.accuracy, abs=1e-6)

    def test_has_the_hash_of_the_model(self, card: dict[str, Any], folder: Path) -> None:
        assert card["sha256"] == hashlib.sha256((folder / MODEL).read_bytes()).hexdigest()

    @pytest.mark.parametrize(
        ("method", "options"),
        [
            (
                Adversarial("pgd", 0.1, steps=3),
                {
                    "name": "adversarial", "attack": "pgd", "eps": 0.1, "norm": "linf", "steps": 3,
                    "step": None, "share": 1.0, "ramp": 0.25, "lower": 0.0, "upper": 1.0,
                },
            ),
            (
                Interval(0.1),
                {
                    "name": "interval", "eps": 0.1, "share": 0.5, "ramp": 0.5,
                    "lower": 0.0, "upper": 1.0,
                },
            ),
            (
                Exact(partners=(1, 2, 0), on_found=lambda epoch, found: None),
                {
                    "name": "exact", "partners": [1, 2, 0], "norm": "l1", "ratio": None,
                    "after": None, "count": None, "seconds": 10.0, "cap": None, "gap": 1e-4,
                },
            ),
            (Watched(), {"name": "watched"}),
        ],
        ids=["adversarial", "interval", "exact", "of one's own"],
    )  # fmt: skip
    def test_says_every_option_of_a_method(
        self,
        trained: Trained,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        method: Any,
        options: dict[str, object],
    ) -> None:
        monkeypatch.setattr(room, "to_onnx", lambda module, shape: b"model")
        save(tmp_path, trained, stripes(), RECIPE, method=method, architecture=EVERYTHING)
        card = json.loads((tmp_path / CARD).read_text())
        assert card["method"] == options
        assert card["test"] is None
        assert list(card["accuracy"]) == ["train"]


def test_a_folder_that_is_not_there_is_a_sentence(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "to_onnx", lambda module, shape: b"model")
    with pytest.raises(OutputError, match=r"model\.onnx cannot be written: No such file"):
        save(tmp_path / "no", trained, stripes(), RECIPE, method=Plain(), architecture=EVERYTHING)
