"""Models as the exporters really write them."""

from __future__ import annotations

import gzip
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import skl2onnx
import torch
from handmade_onnx import assert_agrees, run
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from dualbound.errors import InvalidModel
from dualbound.network import load, read_onnx, replay


class Normalised(nn.Module):
    """An image classifier that normalises its input itself."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.2, 0.3]).reshape(2, 1, 1))
        self.register_buffer("std", torch.tensor([0.5, 0.25]).reshape(2, 1, 1))
        self.hidden, self.last = nn.Linear(18, 6), nn.Linear(6, 3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.flatten((x - self.mean) / self.std, 1)
        return self.last(self.dropout(torch.relu(self.hidden(x))))


MODULES = {
    "normalised": (Normalised, (2, 3, 3)),
    "softmax": (
        lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(6, 4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 3), nn.Softmax(1)
        ),
        (2, 3),
    ),
    "no bias": (lambda: nn.Sequential(nn.Linear(4, 5, bias=False), nn.ReLU()), (4,)),
    "two linear maps": (lambda: nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 2)), (4,)),
    "on rows": (lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)), (3, 4)),
    "double": (lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)).double(), (4,)),
}


def exported(module: nn.Module, shape: tuple[int, ...], *, dynamo: bool, batched: bool) -> bytes:
    """The module's file as `torch.onnx.export` writes it."""
    example = torch.zeros((2 if batched else 1, *shape), dtype=next(module.parameters()).dtype)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            axes = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if batched else {}
            program = torch.onnx.export(module, (example,), dynamo=True, verbose=False, **axes)
            program.save(file)
        else:
            axes = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}} if batched else {}
            torch.onnx.export(module, (example,), file, dynamo=False, **axes)
    return file.getvalue()


@pytest.mark.parametrize("batched", [False, True], ids=["one", "batch"])
@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
@pytest.mark.parametrize("name", MODULES)
def test_torch(name, dynamo, batched):
    make, shape = MODULES[name]
    torch.manual_seed(0)
    module = make().eval()
    network = read_onnx(exported(module, shape, dynamo=dynamo, batched=batched))
    assert network.input_shape == shape
    x = np.random.default_rng(3).normal(size=shape)
    answer = module(torch.as_tensor(x[None], dtype=next(module.parameters()).dtype))
    found = replay(network, x)
    np.testing.assert_allclose(found.outputs, answer.detach().numpy().reshape(-1), atol=1e-6)
    np.testing.assert_allclose(found.before_softmax, network(x), atol=1e-5)
    assert found.logits is (name != "softmax")


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(60, 4), loc=3.0, scale=2.0).astype(np.float32)
    return x, rng.integers(0, 3, 60)


def fitted(model, table):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(*table)


def converted(model, example, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return skl2onnx.to_onnx(model, example, **options).SerializeToString()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "scaled"])
def test_sklearn_classifier(table, dtype, scaled):
    model = MLPClassifier((6, 5), max_iter=20, random_state=0)
    model = fitted(make_pipeline(StandardScaler(), model) if scaled else model, table)
    network = read_onnx(converted(model, table[0][:1].astype(dtype), options={"zipmap": False}))
    assert [relu.size for relu in network.relus] == [6, 5]
    assert "Softmax" in network.source.notes[0]
    for x in table[0][:5].astype(dtype):
        found = replay(network, x)
        np.testing.assert_allclose(found.outputs, model.predict_proba(x[None])[0], atol=1e-5)
        np.testing.assert_allclose(found.before_softmax, network(x), atol=1e-4)
        assert np.argmax(network(x)) == model.predict(x[None])[0]


def test_sklearn_regressor(table):
    model = MLPRegressor(hidden_layer_sizes=(6,), max_iter=20, random_state=0)
    fitted(model, (table[0], table[0][:, 0]))
    network = read_onnx(converted(model, table[0][:1]))
    for x in table[0][:5]:
        np.testing.assert_allclose(network(x), model.predict(x[None]), rtol=1e-4, atol=1e-4)


def test_sklearn_zipmap_says_how_to_export_without(table):
    model = fitted(MLPClassifier((5,), max_iter=5, random_state=0), table)
    with pytest.raises(InvalidModel, match=r'options=\{"zipmap": False\}'):
        read_onnx(converted(model, table[0][:1]))


def test_sklearn_binary_classifier_ends_in_a_sigmoid(table):
    model = fitted(MLPClassifier((5,), max_iter=5, random_state=0), (table[0], table[1] > 0))
    network = read_onnx(converted(model, table[0][:1], options={"zipmap": False}))
    for x in table[0][:5]:
        np.testing.assert_allclose(network(x), model.predict_proba(x[None])[0], atol=1e-5)


@pytest.fixture(scope="session")
def competition(data_root) -> Path:
    folder = data_root.parent / "vnncomp"
    if not folder.is_dir():
        pytest.skip(f"needs the competition's benchmarks in {folder}")
    return folder


@pytest.mark.parametrize(
    ("name", "shape", "relus"),
    [
        ("mnist_fc/onnx/mnist-net_256x2.onnx.gz", (784, 1), 2),
        ("mnist_fc/onnx/mnist-net_256x4.onnx.gz", (784, 1), 4),
        ("acasxu/onnx/ACASXU_run2a_1_1_batch_2000.onnx.gz", (1, 1, 5), 6),
        ("acasxu/onnx/ACASXU_run2a_3_9_batch_2000.onnx.gz", (1, 1, 5), 6),
        ("oval21/onnx/cifar_base_kw.onnx.gz", (3, 32, 32), 3),
        ("oval21/onnx/cifar_deep_kw.onnx.gz", (3, 32, 32), 5),
    ],
)
def test_competition(competition, name, shape, relus):
    network = load(competition / name)
    assert network.input_shape == shape
    assert len(network.relus) == relus
    assert_agrees(gzip.decompress((competition / name).read_bytes()), network)


def test_run_and_replay_agree():
    module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)).eval()
    model = exported(module, (4,), dynamo=False, batched=True)
    x = np.arange(4.0)
    np.testing.assert_array_equal(replay(read_onnx(model), x).outputs, run(model, x))
