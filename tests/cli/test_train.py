"""``dualbound train``: from a file with data to a network that can be asked about."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cli.conftest import Cli
from dualbound.cli import run
from dualbound.cli.train import CURVES
from dualbound.learn import Architecture, Plain, Recipe, Step
from dualbound.learn.architecture import NAMED
from dualbound.learn.checkpoint import FILE as CHECKPOINT
from dualbound.learn.methods import METHODS
from dualbound.learn.saving import CARD, MODEL
from learn.toys import stripes

PAGE = Path(__file__).parents[2] / "docs" / "learning.md"
ARCH, EPOCHS = "36-8-d0.2-3", 4
KEYS = [
    *("query", "folder", "architecture", "input", "data", "test", "recipe", "method"),
    *("finished", "accuracy", "seconds", "history", "sha256", "versions"),
]
EPOCH_KEYS = [
    *("epoch", "rate", "loss", "accuracy", "test_loss", "test_accuracy", "seconds", "added"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety pictures in bytes, of which fifteen become the test part."""
    path = tmp_path_factory.mktemp("data") / "stripes.npz"
    here = stripes(90)
    np.savez(path, x=here.inputs[:, 0], y=here.labels)
    return path


def asked(data: Path, out: Path, *options: object) -> list[str]:
    words = ("train", "-a", ARCH, "-d", data, "-o", out, "--epochs", EPOCHS, "--batch", 16)
    return [str(word) for word in (*words, *options)]


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a training says with --json."""
    out = tmp_path_factory.mktemp("trained") / "new" / "folder"
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert run(asked(data, out, "--json")) == 0
    assert said.getvalue().count("\n") == 1
    return json.loads(said.getvalue())


class TestTraining:
    def test_says_its_card_as_one_object_with_the_documented_keys(
        self, trained: dict[str, Any]
    ) -> None:
        assert list(trained) == KEYS
        assert all(list(epoch) == EPOCH_KEYS for epoch in trained["history"])
        folder = Path(trained["folder"])
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        assert {"query": "train", "folder": str(folder), **card} == trained
        assert trained["architecture"] == ARCH
        assert trained["input"] == {"shape": [1, 6, 6], "classes": ["0", "1", "2"]}
        assert (trained["data"]["count"], trained["test"]["count"]) == (75, 15)
        assert Recipe(**trained["recipe"]) == Recipe(epochs=EPOCHS, batch=16)
        assert (trained["finished"], len(trained["history"])) == (True, EPOCHS)

    def test_has_its_keys_explained(self) -> None:
        text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
        section = text[text.index("### `train`") :]
        section = section[: section.index("\n### ")]
        for key in KEYS[1:] + EPOCH_KEYS:
            assert f"`{key}`" in section, key

    def test_writes_a_network_that_can_be_asked_about(
        self, cli: Cli, trained: dict[str, Any], tmp_path: Path
    ) -> None:
        folder = Path(trained["folder"])
        assert sorted(path.name for path in folder.iterdir()) == sorted(
            [MODEL, CARD, CURVES, CHECKPOINT]
        )
        model = folder / MODEL
        assert hashlib.sha256(model.read_bytes()).hexdigest() == trained["sha256"]
        assert (folder / CURVES).read_bytes().startswith(b"\x89PNG")
        np.save(tmp_path / "x.npy", stripes(90).inputs[0])
        classified = json.loads(cli("classify", model, tmp_path / "x.npy", "--json").out)
        assert classified["outputs"] == pytest.approx(classified["runtime_outputs"], abs=1e-4)
        nearest = cli("nearest", model, tmp_path / "x.npy", "--any", "--norm", "linf", "--json")
        answer = json.loads(nearest.out)
        assert (nearest.code, answer["status"], answer["replayed"]) == (0, "optimal", True)
        assert answer["label_before"] == classified["label"] != answer["label_after"]

    def test_that_is_done_is_told_again_in_words(
        self, cli: Cli, data: Path, trained: dict[str, Any]
    ) -> None:
        folder = Path(trained["folder"])
        outcome = cli(*asked(data, folder))
        assert (outcome.code, outcome.err) == (0, "")
        accuracy = f"{100 * trained['accuracy']['test']:.2f} %"
        assert outcome.out.startswith(f"TRAINED: {accuracy} of 15 test inputs right.\n")
        for words in (ARCH, "75 inputs to train on", "4 of 4 epochs", "plain, sgd, seed 0", MODEL):
            assert words in outcome.out
        assert str(folder) in outcome.out.replace("\n", "")
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        assert card["sha256"] == trained["sha256"]

    @pytest.mark.slow
    def test_stopped_by_a_limit_goes_on_to_the_same_network(
        self,
        cli: Cli,
        data: Path,
        trained: dict[str, Any],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        steps: list[int] = []
        right = Plain.loss

        def late(self: Plain, step: Step) -> tuple[Tensor, Tensor]:
            steps.append(1)
            if len(steps) == 7:  # the second of the second epoch
                time.sleep(2.0)
            return right(self, step)

        monkeypatch.setattr(Plain, "loss", late)
        stopped = cli(*asked(data, tmp_path, "--time-limit", 2))
        assert (stopped.code, stopped.err) == (3, "")
        assert stopped.out.startswith("STOPPED: ")
        assert "1 of 4 epochs" in stopped.out
        assert re.search(r"go on +with the same command", stopped.out)
        assert json.loads((tmp_path / CARD).read_text())["finished"] is False
        on = cli(*asked(data, tmp_path, "--json"))
        assert on.code == 0
        assert json.loads(on.out)["sha256"] == trained["sha256"]

    def test_stopped_in_its_first_epoch_has_nothing_to_show(
        self, cli: Cli, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        words = [*asked(data, tmp_path, "--time-limit", 1e-9)]
        del words[5:7]  # --out
        outcome = cli(*words)
        assert (outcome.code, outcome.out) == (3, "")
        assert outcome.err == (
            "Stopped in the first epoch. The same command goes on; it is kept in "
            "36-8-d0.2-3-stripes.\n"
        )
        outcome = cli(*words, "--json")
        assert outcome.code == 3
        assert json.loads(outcome.out) == {
            "query": "train", "folder": "36-8-d0.2-3-stripes", "finished": False, "history": [],
        }  # fmt: skip

    def test_for_no_epoch_writes_the_network_as_it_begins(
        self, cli: Cli, data: Path, tmp_path: Path
    ) -> None:
        outcome = cli(*asked(data, tmp_path, "--epochs", 0))
        assert outcome.code == 0
        assert "0 of 0 epochs" in outcome.out


class TestRecipes:
    def test_in_files_are_overruled_by_options(
        self, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table = "a,b,kind,c\n" + "".join(f"{k},{k % 3},{k % 2},{k % 5}\n" for k in range(40))
        (tmp_path / "table.csv").write_text(table)
        (tmp_path / "recipe.toml").write_text(
            'optimiser = "adam"\nrate = 1\nepochs = 2\ndampening = 0.0\nnesterov = false\n'
        )
        (tmp_path / "layers.toml").write_text("layers = [{ dense = 5 }, { dense = 2 }]")
        monkeypatch.chdir(tmp_path)
        outcome = cli(
            *("train", "--arch", "layers.toml", "--data", "table.csv", "--label-column", "kind"),
            *("--recipe", "recipe.toml", "--rate", 0.01, "--per-class", 9, "--seed", 4),
            *("--schedule", "linear", "--json"),
        )
        assert outcome.code == 0, outcome.err
        card = json.loads(outcome.out)
        assert card["folder"] == "layers-table"
        assert card["architecture"] == "3-5-2"
        assert card["data"]["count"] == 18
        assert Recipe(**card["recipe"]) == Recipe(
            epochs=2, optimiser="adam", rate=0.01, seed=4, schedule="linear"
        )

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("epoch = 3", "has a key 'epoch'; expected some of epochs, batch"),
            ("epochs = 3.5", "epochs is 3.5; expected int"),
            ("rate = 'fast'", "rate is 'fast'; expected float"),
            ("nesterov = 1", "nesterov is 1; expected bool"),
            ("batch = true", "batch is True; expected int"),
            ("[epochs]\nmany = 3", "epochs is .*; expected int"),
            ("rate = -1.0", "learning rate is -1.0"),
            ("epochs = ", "cannot be read as TOML"),
        ],
    )
    def test_with_mistakes_are_refused(
        self, cli: Cli, data: Path, tmp_path: Path, content: str, message: str
    ) -> None:
        (tmp_path / "recipe.toml").write_text(content)
        refused(cli, *asked(data, tmp_path, "--recipe", tmp_path / "recipe.toml"), message=message)

    def test_that_are_not_there_are_named(self, cli: Cli, data: Path, tmp_path: Path) -> None:
        words = asked(data, tmp_path, "--recipe", tmp_path / "nowhere.toml")
        refused(cli, *words, message=r"nowhere\.toml cannot be read")


def refused(cli: Cli, *words: object, message: str) -> None:
    outcome = cli(*words)
    assert (outcome.code, outcome.out) == (2, ""), outcome
    assert re.fullmatch(rf"Error: .*{message}.*\n", outcome.err), outcome.err


class TestMistakes:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("-d", "minst"), r"There is no data set 'minst' \(did you mean mnist\?\)"),
            (("-d", "sample"), "sample has no split 'train'"),
            (("-a", "36-8-4"), "ends in 4 outputs, but the data have 3 classes: end it with 3"),
            (("-a", "784-8-3"), "inputs of 784 numbers.*begin it with 36"),
            (("-a", "dnn9"), "'dnn9'.*not known.*dnn1, dnn2"),
            (("-a", "nowhere.toml"), "no architecture file 'nowhere.toml'"),
            (("--method", "magic"), "no method 'magic'; expected one of plain, fgsm, pgd"),
            (("--method", "pgd"), "method pgd needs eps"),
            (("--eps", 0.1), "method plain has no use for eps; it takes nothing"),
            (
                ("--method", "exact", "--eps", 0.1),
                "method exact has no use for eps; it takes adversaries",
            ),
            (("--share", 0.5), "method plain has no use for share"),
            (("--steps", 3), "method plain has no use for steps"),
            (
                ("--method", "fgsm", "--eps", 0.1, "--steps", 3),
                "method fgsm has no use for steps; it takes eps, share",
            ),
            (("--method", "fgsm", "--eps", -1), "eps is -1.0; expected a radius"),
            (("--method", "fgsm", "--eps", 0.1, "--share", 2), "share is 2.0; expected a part"),
            (("--method", "pgd", "--eps", 0.1, "--steps", 0), "steps is 0; expected 1 or more"),
            (("--optimiser", "lion"), "optimiser is 'lion'; expected sgd, adam, rmsprop"),
            (("--schedule", "sine"), "schedule is 'sine'"),
            (("--loss", "l1"), "loss is 'l1'"),
            (("--rate", 0), "learning rate is 0.0"),
            (("--seed", -1), "seed is -1; expected 0 or more"),
            (("--epochs", -1), "epochs is -1"),
            (("--epochs", "many"), "--epochs.*integer.*See dualbound train --help"),
            (("--time-limit", 0), "time limit must be greater than 0"),
            (("--per-class", 0), "At least 1 input of every class"),
            (("--per-class", 1000), "at most 25 of every class"),
            (("--label-column", "kind"), "has no columns"),
            (("--device", "tpu"), "device 'tpu' "),
            (("--rate", 1e9, "--loss", "squared"), r"diverged\. Try a rate below 1e\+09"),
        ],
        ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
    )
    def test_have_their_sentence(
        self, cli: Cli, data: Path, tmp_path: Path, options: tuple[object, ...], message: str
    ) -> None:
        refused(cli, *asked(data, tmp_path, *options), message=message)

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_include_a_gpu_that_is_not_there(self, cli: Cli, data: Path, tmp_path: Path) -> None:
        message = "device 'cuda' here.*Use one of cpu"
        refused(cli, *asked(data, tmp_path, "--device", "cuda"), message=message)

    def test_include_a_folder_that_cannot_be_made(
        self, cli: Cli, data: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        refused(cli, *asked(data, tmp_path / "file"), message="file cannot be used: File exists")
        words = asked(data, tmp_path / "file" / "below")
        refused(cli, *words, message="below cannot be used: Not a directory")

    def test_include_the_folder_of_another_training(
        self, cli: Cli, data: Path, trained: dict[str, Any]
    ) -> None:
        words = asked(data, Path(trained["folder"]), "--seed", 1)
        refused(cli, *words, message=r"checkpoint\.pt is of another training.*Name another folder")

    def test_include_a_data_file_that_is_damaged(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "data.npz").write_text("a letter")
        refused(cli, *asked(tmp_path / "data.npz", tmp_path), message=r"data\.npz")

    @pytest.mark.parametrize("missing", ["--arch", "--data"])
    def test_include_what_is_not_said(self, cli: Cli, missing: str) -> None:
        given = {"--arch": "mlp-64", "--data": "mnist"}
        words = [word for pair in given.items() if pair[0] != missing for word in pair]
        refused(cli, "train", *words, message=f"Missing option '{missing}'.*See dualbound train")


def test_help_names_every_method(cli: Cli) -> None:
    text = re.sub(r"[\s│]+", "", cli("train", "--help").out)
    for method in ("plain", "fgsm", "pgd", "fast", "virtual", "interval", "exact"):
        assert method in text
    assert "Exitcodes:0trained" in text


class TestPage:
    def test_of_training_has_a_file_that_is_read(self, tmp_path: Path) -> None:
        [block] = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        (tmp_path / "layers.toml").write_text(block)
        found = Architecture.of(str(tmp_path / "layers.toml"))
        assert str(found) == "32c3p1-bn-m2-d0.25-128-10"

    def test_of_training_names_every_architecture_method_and_key(self) -> None:
        text = PAGE.read_text(encoding="utf-8")
        named = set(re.findall(r"`([^`\n]+)`", text))
        assert set(NAMED.values()) <= named
        assert set(METHODS) <= named
        assert {one.name for one in dataclasses.fields(Recipe)} <= named
