"""The one door for models, and what it says to those who come with something else."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from handmade_onnx import dense

from dualbound.errors import InvalidInput, InvalidModel
from dualbound.network import Network, load

SMALL = Network.dense([np.eye(2)], [np.ones(2)])


@pytest.mark.parametrize("name", ["a.onnx", "b.ONNX", "c.onnx.gz"])
@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_file(tmp_path, name, kind):
    model = dense()
    path = tmp_path / name
    path.write_bytes(gzip.compress(model, mtime=0) if name.endswith("gz") else model)
    network = load(kind(path))
    assert repr(network) == "Network(4-3-2, 3 ReLU)"
    assert network.source.model == model
    assert network.source.path == path


def test_a_network_is_returned_as_it_is():
    assert load(SMALL) is SMALL


CUT_SHORT = gzip.compress(dense(), mtime=0)[:-20]
EMPTY = gzip.compress(b"", mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.onnx", None, r"There is no file .*missing\.onnx; expected an \.onnx"),
        ("net.txt", b"", r"net\.txt does not end in \.onnx.*Export the model to ONNX"),
        ("net.pt", b"", "pass the module itself"),
        ("net.h5", b"", r"net\.h5: these 0 bytes are not a Keras model in the format \.h5"),
        ("net.keras", b"hello", "these 5 bytes are not a Keras model in the format \\.keras"),
        ("net.joblib", b"", "skl2onnx"),
        ("net.onnx", b"", r"net\.onnx: the file is empty"),
        ("net.onnx", b"hello", r"net\.onnx: these 5 bytes are not an ONNX model"),
        ("net.onnx.gz", b"hello", "is not a gzip file, or only part of one"),
        ("net.onnx.gz", CUT_SHORT, "is not a gzip file, or only part of one"),
        ("net.onnx.gz", EMPTY, "the file is empty"),
    ],
)
def test_a_file_that_is_not_a_model(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidModel, match=message):
        load(tmp_path / name)


def test_a_folder(tmp_path):
    with pytest.raises(InvalidModel, match=r"is a folder; expected an \.onnx"):
        load(tmp_path)


def test_a_file_that_cannot_be_read(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_bytes(dense())

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_bytes", refuse)
    with pytest.raises(InvalidModel, match="cannot be read: Permission denied"):
        load(path)


@pytest.mark.parametrize("thing", [None, 5, np.eye(2), b"bytes"])
def test_something_else(thing):
    with pytest.raises(InvalidInput, match=f"A {type(thing).__name__} is not a model; expected"):
        load(thing)


def test_an_input_shape_for_a_model_that_knows_its_own():
    with pytest.raises(InvalidInput, match="only for torch modules"):
        load(SMALL, input_shape=(2,))
