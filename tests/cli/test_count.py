"""``--count``: several inputs as a table, as an object, as a file and as a picture."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.conftest import Cli
from dualbound import Network, load, nearest_several
from dualbound.criterion import Untargeted
from dualbound.errors import InvalidInput, OutputError
from dualbound.network import write_onnx
from dualbound.report import save_rows

KEYS = {
    *("query", "model", "model_sha256", "softmax", "version", "status", "image", "count"),
    *("distinct", "exhausted", "seconds", "answers"),
}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two inputs, four rectifiers, three labels; the image beside it is answered 0."""
    folder = tmp_path_factory.mktemp("three")
    network = Network.dense(
        [[[2.0, -1.0], [-1.0, 1.5], [1.0, 1.0], [0.5, 0.5]], np.eye(3, 4)],
        [np.zeros(4), [0.0, 0.0, -1.0]],
    )
    (folder / "three.onnx").write_bytes(write_onnx(network))
    (folder / "point.csv").write_text("0.8,0.2\n")
    return folder


def ask(three: Path, *options: object) -> tuple[object, ...]:
    return ("nearest", three / "three.onnx", three / "point.csv", *options)


def test_labels_in_a_table_and_in_an_object(cli: Cli, three: Path) -> None:
    asked = ask(three, "--any", "--count", 2)
    words, record = cli(*asked), json.loads(cli(*asked, "--json", "--witness", "inline").out)
    assert words.code == 0
    assert words.out.startswith("PROVED IN ORDER: the nearest 2 inputs of different labels to")
    assert [re.findall(rf"^{k} +0 → (\d)", words.out, re.M) for k in (1, 2)] == [["1"], ["2"]]
    assert set(record) == KEYS
    assert (record["status"], record["exhausted"], record["count"]) == ("optimal", False, 2)
    first, second = record["answers"]
    assert (first["label_after"], second["label_after"]) == (1, 2)
    assert first["value"] <= second["value"]
    assert (first["pattern"], second["criterion"]) == (None, "label 2, margin 0.0001")
    distance = np.abs(np.array(second["witness"]) - [0.8, 0.2]).sum()
    assert second["value"] == pytest.approx(distance)


@pytest.mark.slow
def test_patterns_to_the_last_one(cli: Cli, three: Path, tmp_path: Path) -> None:
    asked = ask(three, "-t", 1, "--count", 9, "--distinct", "pattern")
    saved = tmp_path / "all.npy"
    words = cli(*asked, "--witness", saved, "--save-image", tmp_path / "all.svg")
    record = json.loads(cli(*asked, "--json").out)
    assert words.code == 0
    said = "PROVED, AND NO MORE: no allowed input reaches label 1 in a further pattern."
    assert words.out.startswith(said)
    assert "switched" in words.out
    assert f"saved   {saved}, {tmp_path / 'all.svg'}" in words.out
    assert (record["status"], record["exhausted"]) == ("optimal", True)
    *found, last = record["answers"]
    assert (last["status"], last["pattern"], last["witness"]) == ("infeasible", None, None)
    inputs, network = np.load(saved), load(three / "three.onnx")
    assert inputs.shape == (len(found), 2)
    patterns = []
    for x, answer in zip(inputs, found, strict=True):
        assert network(x).argmax() == 1
        (bits,) = answer["pattern"].values()
        values = network.values(x[None])[network.relus[0].reads[0]][0]
        assert bits == "".join(str(int(value > 0)) for value in values)
        patterns.append(bits)
    assert len(set(patterns)) == len(patterns) >= 2
    assert (tmp_path / "all.svg").read_text(encoding="utf-8").count("in a pattern not shown") >= 1


def test_none_at_all_is_infeasible(cli: Cli, three: Path, tmp_path: Path) -> None:
    asked = ask(three, "--any", "--cap", 0.001, "--count", 2)
    words = cli(*asked, "--save-image", tmp_path / "none.png")
    assert words.code == 1
    assert words.out.startswith("PROVED INFEASIBLE: no allowed input reaches any other label.")
    record = json.loads(cli(*asked, "--json").out)
    assert (record["status"], record["exhausted"]) == ("infeasible", True)
    assert not (tmp_path / "none.png").exists()


def test_a_limit_leaves_the_list_open(cli: Cli, three: Path) -> None:
    asked = ask(three, "--any", "--count", 2, "--time-limit", 1e-9)
    words = cli(*asked)
    assert words.code == 3
    assert words.out.startswith("STOPPED, LIST OPEN: proved 0 of 2 inputs to reach any other")
    assert json.loads(cli(*asked, "--json").out)["status"] == "unknown"


@pytest.mark.parametrize("shape", [(4, 4), (3, 4, 4), (5,)])
def test_rows_of_any_shape_are_drawn(tmp_path: Path, shape: tuple[int, ...]) -> None:
    n = int(np.prod(shape))
    x = np.linspace(0.9, 0.1, n)
    answers = nearest_several(Network.dense([np.eye(3, n)], [np.zeros(3)]), x, Untargeted(), 2)
    heights = []
    for count in (1, 2):
        save_rows(tmp_path / "a.png", x.reshape(shape), answers[:count], model="net")
        with Image.open(tmp_path / "a.png") as picture:
            heights.append(picture.size[1])
    assert heights[1] == 2 * heights[0]


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    network = Network.dense([np.eye(3)], [[0.0, 0.0, 0.0]])
    answers = nearest_several(network, [0.9, 0.5, 0.1], Untargeted(margin=0.1), 1, cap=0.01)
    with pytest.raises(InvalidInput, match="no witness"):
        save_rows(tmp_path / "a.png", np.zeros(3), answers)
    with pytest.raises(OutputError, match=r"written as .png"):
        save_rows(tmp_path / "a.doc", np.zeros(3), answers)
