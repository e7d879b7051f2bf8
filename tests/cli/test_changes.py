"""What limits and prices the changes, from the command line to the file that is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dualbound
from cli.conftest import Cli
from dualbound.cli import saving
from dualbound.network import Network, replay, write_onnx
from dualbound.region import Box

SHAPES = {"grey": (1, 1, 4, 5), "flat": (1, 16), "colour": (1, 3, 4, 5), "plain": (6,)}


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of every shape a network, and an input that it answers 0; any pixel alone can change that.

    Output 1 is ``relu(g) + relu(h) / 10 - relu(-g) / 20``, output 0 is 0.2, with g and h linear and
    0 at the input; the coefficients of g are from 1 to 2, half of them negative.
    """
    folder = tmp_path_factory.mktemp("images")
    for name, shape in SHAPES.items():
        size = int(np.prod(shape))
        at = np.arange(size)
        x = (64 + (37 * at) % 128) / 255
        g = (1 + at / size) * np.where(at % 2, -1.0, 1.0)
        h = np.cos(at)
        first = np.vstack([g, h, -g])
        network = Network.dense(
            [first, [[0, 0, 0], [1, 0.1, -0.05]]], [-first @ x, [0.2, 0]], input_shape=shape
        )
        (folder / f"{name}.onnx").write_bytes(write_onnx(network))
        np.save(folder / f"{name}.npy", x.reshape(shape))
    return folder


def ask(images: Path, name: str, *options: object) -> tuple[object, ...]:
    return ("nearest", images / f"{name}.onnx", images / f"{name}.npy", "-t", 1, *options)


def moved(images: Path, name: str, answer: dict[str, object]) -> np.ndarray:
    x = np.load(images / f"{name}.npy")
    assert answer["status"] == "optimal"
    return np.abs(np.array(answer["witness"]).reshape(x.shape) - x)


INLINE = ("--json", "--witness", "inline")


class TestNorms:
    @pytest.mark.parametrize(
        ("norm", "words"),
        [
            ("l0", ("no change of fewer than 1 input reaches label 1.", "inputs changed", "(L0)")),
            ("l1", ("nothing closer than 0.", "(L1); ")),
            ("l2", ("nothing closer than 0.", "(L2); ")),
            ("linf", ("nothing closer than 0.", "(L∞); ")),
        ],
    )
    def test_each_in_its_own_words(
        self, cli: Cli, images: Path, norm: str, words: tuple[str, ...]
    ) -> None:
        outcome = cli(*ask(images, "grey", "--norm", norm))
        assert outcome.code == 0
        for word in words:
            assert word in outcome.out

    @pytest.mark.parametrize("norm", ["l0", "l1", "l2", "linf"])
    @pytest.mark.slow
    def test_equal_weights_scale_the_distance(
        self, cli: Cli, images: Path, tmp_path: Path, norm: str
    ) -> None:
        np.save(tmp_path / "fours.npy", np.full(20, 4.0))
        plain = json.loads(cli(*ask(images, "grey", "--norm", norm, "--json")).out)
        asked = ask(images, "grey", "--norm", norm, "--weights", tmp_path / "fours.npy")
        priced = json.loads(cli(*asked, "--json").out)
        by = 2.0 if norm == "l2" else 4.0
        assert priced["value"] == pytest.approx(by * plain["value"], rel=1e-3)
        assert priced["weights"] == str(tmp_path / "fours.npy")
        assert plain["weights"] is None
        assert "weighted " in cli(*asked).out

    @pytest.mark.slow
    def test_a_high_price_is_not_paid(self, cli: Cli, images: Path, tmp_path: Path) -> None:
        change = moved(images, "grey", json.loads(cli(*ask(images, "grey", *INLINE)).out))
        prices = np.where(change > 1e-6, 100.0, 1.0)
        np.save(tmp_path / "prices.npy", prices)
        asked = ask(images, "grey", "--weights", tmp_path / "prices.npy", *INLINE)
        otherwise = moved(images, "grey", json.loads(cli(*asked).out))
        assert otherwise[change > 1e-6].max() <= 1e-6 < otherwise.max()


class TestPlaces:
    @pytest.mark.parametrize(
        ("name", "rectangle", "inside"),
        [
            ("grey", "1:3,2:5", np.s_[0, 0, 1:3, 2:5]),
            ("grey", " :2, 3: ", np.s_[0, 0, :2, 3:]),
            ("flat", "0:2,0:4", np.s_[0, :8]),
            ("colour", "1:4,1:", np.s_[0, :, 1:4, 1:]),
        ],
    )
    def test_only_inside_a_rectangle(
        self, cli: Cli, images: Path, name: str, rectangle: str, inside: tuple[object, ...]
    ) -> None:
        answer = json.loads(cli(*ask(images, name, "--mask", rectangle, *INLINE)).out)
        change = moved(images, name, answer)
        assert change[inside].max() > 0
        assert change.sum() == change[inside].sum()
        assert (answer["mask"], answer["freeze"]) == (rectangle, None)

    @pytest.mark.parametrize("name", ["grey", "colour"])
    def test_only_outside_of_what_is_frozen(self, cli: Cli, images: Path, name: str) -> None:
        answer = json.loads(cli(*ask(images, name, "--freeze", "1:3,1:5", *INLINE)).out)
        change = moved(images, name, answer)
        assert change.max() > 0
        assert change[..., 1:3, 1:5].max() == 0

    def test_masked_and_not_frozen(self, cli: Cli, images: Path, tmp_path: Path) -> None:
        mask = np.zeros((4, 5))
        mask[:3, :3] = 7
        np.save(tmp_path / "mask.npy", mask)
        options = ("--mask", tmp_path / "mask.npy", "--freeze", "0:1,:")
        answer = json.loads(cli(*ask(images, "grey", *options, *INLINE)).out)
        change = moved(images, "grey", answer)[0, 0]
        assert change[1:3, :3].max() > 0
        assert change.sum() == change[1:3, :3].sum()

    def test_a_cap_for_each(self, cli: Cli, images: Path, tmp_path: Path) -> None:
        caps = np.full(20, 0.15)
        caps[:10] = 0
        (tmp_path / "caps.csv").write_text("\n".join(map(str, caps)))
        answer = json.loads(cli(*ask(images, "grey", "--cap", tmp_path / "caps.csv", *INLINE)).out)
        change = moved(images, "grey", answer).reshape(-1)
        assert (change <= caps * (1 + 1e-12)).all()
        assert change.max() > 0
        assert answer["cap"] == str(tmp_path / "caps.csv")
        assert json.loads(cli(*ask(images, "grey", "--cap", 0.2, "--json")).out)["cap"] == 0.2


class TestPng:
    @pytest.mark.parametrize(
        ("name", "levels"), [("grey", 255), ("flat", 51), ("colour", 255), ("colour", 1)]
    )
    def test_it_is_exactly_the_witness(
        self, cli: Cli, images: Path, tmp_path: Path, name: str, levels: int
    ) -> None:
        file = tmp_path / "found.png"
        outcome = cli(*ask(images, name, "--levels", levels, "--witness", file, "--json"))
        answer = json.loads(outcome.out)
        assert (answer["witness"], answer["levels"]) == (str(file), levels)
        with Image.open(file) as picture:
            assert picture.mode == ("RGB" if name == "colour" else "L")
            pixels = np.asarray(picture, dtype=float) / 255
        if name == "colour":
            pixels = pixels.transpose(2, 0, 1)
        network = dualbound.load(str(images / f"{name}.onnx"))
        assert replay(network, pixels.reshape(-1)).before_softmax.argmax() == 1
        x = np.load(images / f"{name}.npy").reshape(-1)
        assert answer["value"] == pytest.approx(np.abs(pixels.reshape(-1) - x).sum(), abs=1e-12)
        assert (np.rint(pixels * levels) / levels == pixels).all()
        again = json.loads(cli("classify", images / f"{name}.onnx", file, "--json").out)
        assert again["label"] == 1

    @pytest.mark.slow
    def test_of_a_real_network(self, cli: Cli, tmp_path: Path) -> None:
        """The picture's bytes fool onnxruntime, and rounding to a grid can only cost."""
        file = tmp_path / "adversary.png"
        asked = ("nearest", "dnn1", "sample:0", "-t", 2, "--ratio", 1.2, "--norm", "linf", "--json")
        between = json.loads(cli(*asked).out)
        onto = json.loads(cli(*asked, "--levels", 255, "--witness", file).out)
        assert between["status"] == onto["status"] == "optimal"
        assert onto["value"] >= between["bound"]
        assert onto["value"] * 255 == pytest.approx(round(onto["value"] * 255), abs=1e-9)
        with Image.open(file) as picture:
            x = np.asarray(picture, dtype=float) / 255
        outputs = replay(dualbound.load("dnn1"), x.reshape(-1)).before_softmax
        assert outputs.argmax() == 2
        assert np.delete(outputs, 2).max() * 1.2 <= outputs[2] * (1 + 1e-5)

    def test_a_file_that_is_not_what_was_written_is_not_called_saved(
        self, cli: Cli, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = saving.write_whole

        def damaged(path: Path, data: bytes) -> None:
            grey = Image.fromarray(np.zeros((4, 5), dtype=np.uint8))
            grey.save(path, format="PNG")

        asked = ask(images, "grey", "--levels", 255, "--witness", tmp_path / "a.png", "--json")
        monkeypatch.setattr(saving, "write_whole", damaged)
        outcome = cli(*asked)
        assert outcome.code == 2
        assert json.loads(outcome.out)["witness"] is None
        assert "holds other values than the witness" in outcome.err
        monkeypatch.setattr(saving, "write_whole", lambda path, data: write(path, data[:-20]))
        outcome = cli(*asked)
        assert outcome.code == 2
        assert "cannot be read back" in outcome.err


def test_bounds_of_round_and_sparse_balls(cli: Cli, images: Path) -> None:
    network = dualbound.load(str(images / "grey.onnx"))
    x = np.load(images / "grey.npy").reshape(-1)
    for norm, methods in (("l2", ("crown", "exact")), ("l0", ("crown", "lp", "milp"))):
        width = np.inf
        for method in methods:
            asked = ("bounds", images / "grey.onnx", images / "grey.npy", "--radius", 1)
            workers = () if method == "crown" else ("--workers", 1)
            outcome = cli(*asked, "--norm", norm, "--method", method, *workers, "--json")
            record = json.loads(outcome.out)
            assert (outcome.code, record["norm"]) == (0, norm)
            ball = dualbound.region.norm_named(norm).ball(x, 1.0, Box(0, 1).sized(20))
            points = ball.sample(np.random.default_rng(0), 200)
            logits, last = network(points), record["layers"][-1]
            assert (logits <= np.array(last["upper"]) + 1e-6).all()
            assert (logits >= np.array(last["lower"]) - 1e-6).all()
            assert last["mean_width"] <= width * (1 + 1e-9)
            width = last["mean_width"]
