"""Keras models, as objects and as files, become the same function, in their own order of axes."""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import logging
import os
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest
from handmade_onnx import run as run_onnx

from dualbound.cli import exit_codes, run
from dualbound.errors import InvalidInput, InvalidModel, UnsupportedOperator
from dualbound.network import Affine, load, read_onnx, replay
from dualbound.network import keras_reader as reader
from dualbound.network.linear import Convolution

if importlib.util.find_spec("keras") is None:
    pytest.skip("needs Keras: pip install 'dualbound[keras]'", allow_module_level=True)
if os.environ.get("KERAS_BACKEND", "torch") != "torch":
    pytest.skip("tests Keras with the torch backend", allow_module_level=True)

keras = reader.imported_keras()
layers = keras.layers

# Keras hands its weights to numpy in a way that numpy is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def sequential(shape, *parts):
    return keras.Sequential([keras.Input(shape), *parts])


def dense():
    return sequential(
        (5,),
        *(layers.Dense(6, activation=name) for name in ("relu", "leaky_relu", "hard_sigmoid")),
        layers.Dense(4, activation="linear"),
    )


def convolutions():
    return sequential(
        (8, 7, 2),
        layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(6, (3, 2), dilation_rate=2, groups=2, padding="same", use_bias=False),
        layers.ReLU(),
        layers.DepthwiseConv2D(2, depth_multiplier=2, activation="relu"),
        layers.SeparableConv2D(3, 2, activation="relu"),
        layers.Flatten(),
        layers.Dense(3),
    )


def valid():
    return sequential(
        (9, 8, 2),
        layers.Conv2D(3, 3, strides=(2, 1), padding="valid", activation="relu"),
        layers.Conv2D(4, 2, dilation_rate=(1, 2), activation="relu"),
        layers.DepthwiseConv2D(3, strides=2, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(3),
    )


def signal():
    return sequential(
        (12, 2),
        layers.Conv1D(3, 3, strides=2, padding="same", activation="relu"),
        layers.Conv1D(3, 2, dilation_rate=2, padding="causal", activation="relu"),
        layers.MaxPooling1D(2, strides=1),
        layers.ZeroPadding1D((0, 1)),
        layers.AveragePooling1D(2),
        layers.SeparableConv1D(4, 2, activation="relu"),
        layers.Conv1DTranspose(2, 3, strides=2, padding="same", activation="relu"),
        layers.Cropping1D((1, 0)),
        layers.GlobalMaxPooling1D(),
    )


def transposed():
    return sequential(
        (2, 3, 2),
        layers.Conv2DTranspose(3, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(2, (2, 3), strides=(1, 2), activation="relu"),
        layers.Flatten(),
        layers.Dense(2),
    )


def pools():
    return sequential(
        (7, 6, 2),
        layers.MaxPooling2D((2, 3), strides=2, padding="same"),
        layers.Conv2D(3, 1),
        layers.AveragePooling2D(3, strides=1, padding="same"),
        layers.ReLU(),
        layers.MaxPooling2D(2, strides=1),
        layers.ReLU(),
        layers.AveragePooling2D(2, strides=1),
        layers.Flatten(),
        layers.Dense(3),
    )


def uneven_pool():
    return sequential(
        (5, 4, 2),
        layers.AveragePooling2D(2, padding="same", name="halves"),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(3),
    )


def global_pools():
    inputs = keras.Input((4, 3, 2))
    hidden = layers.Conv2D(3, 2, activation="relu")(inputs)
    kept = layers.GlobalAveragePooling2D(keepdims=True)(hidden)
    mean, most = layers.GlobalAveragePooling2D()(hidden), layers.GlobalMaxPooling2D()(hidden)
    return keras.Model(inputs, layers.Concatenate()([mean, most, layers.Flatten()(kept)]))


def normalised():
    seen = np.random.default_rng(0).normal(2.0, 3.0, size=(20, 4, 4, 2))
    first = layers.Normalization()
    first.adapt(seen.astype(np.float32))
    return sequential(
        (4, 4, 2),
        first,
        layers.Rescaling(0.5, offset=-1.0),
        layers.Conv2D(3, 2, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dropout(0.5),
        layers.Flatten(),
        layers.Dense(3),
        layers.BatchNormalization(scale=False),
    )


def moved():
    return sequential(
        (4, 6, 2),
        layers.Permute((2, 3, 1)),
        layers.ZeroPadding2D(((1, 2), (0, 3))),
        layers.Conv2D(3, 2, activation="relu"),
        layers.Cropping2D(((1, 0), (2, 1))),
        layers.Reshape((-1, 3)),
        layers.Permute((2, 1)),
        layers.Dense(2, activation="relu"),
        layers.Flatten(),
        layers.Dense(3),
    )


def residual():
    inputs = keras.Input((4, 4, 2))
    a = layers.Conv2D(3, 3, padding="same", activation="relu")(inputs)
    b = layers.Conv2D(3, 1)(inputs)
    total = layers.ReLU()(layers.Add()([a, b]))
    largest = layers.Maximum()([layers.Subtract()([total, b]), a])
    mean = layers.Average()([layers.Minimum()([largest, b]), a])
    joined = layers.ReLU()(layers.Concatenate()([mean, inputs]))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(joined)))


def rectifiers():
    bent = (
        layers.ReLU(max_value=1.0, negative_slope=0.1),
        layers.ReLU(max_value=0.5),
        layers.ReLU(negative_slope=0.2),
        layers.LeakyReLU(negative_slope=0.1),
        layers.PReLU(),
        layers.Activation("relu6"),
    )
    return sequential(
        (5,), *(part for one in bent for part in (layers.Dense(6), one)), layers.Dense(3)
    )


def shared_slopes():
    return sequential(
        (4, 3, 2), layers.Conv2D(3, 2), layers.PReLU(shared_axes=[1, 2]), layers.Flatten()
    )


def nested():
    block = sequential((4,), layers.Dense(4, activation="relu"), layers.Dense(4), layers.ReLU())
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(3)(layers.Add()([block(inputs), inputs])))


def operations():
    inputs = keras.Input((5,))
    a = layers.Dense(4)(inputs)
    b = keras.ops.maximum(keras.ops.relu(a * 2.0 - 1.0), keras.ops.abs(layers.Dense(4)(inputs)))
    return keras.Model(inputs, layers.Dense(3)(keras.ops.clip(b, 0.2, 1.5)))


def with_lambda():
    return sequential((5,), layers.Lambda(lambda x: 2.0 * keras.ops.abs(x)), layers.Dense(3))


@keras.saving.register_keras_serializable("tests")
class Subclass(keras.Model):
    """A model whose own code calls its layers."""

    def __init__(self, **options):
        super().__init__(**options)
        self.first, self.second = layers.Dense(6), layers.Dense(3)

    def call(self, inputs):
        return self.second(keras.ops.relu(self.first(inputs)))


def subclass():
    model = Subclass()
    model(np.zeros((2, 5), np.float32))
    return model


def channels_first():
    return sequential(
        (2, 5, 4),
        layers.Conv2D(3, 2, data_format="channels_first", activation="relu"),
        layers.MaxPooling2D(2, data_format="channels_first"),
        layers.Flatten(data_format="channels_first"),
        layers.Dense(3),
    )


MODELS = {
    make.__name__: make
    for make in (
        *(dense, convolutions, valid, signal, transposed, pools, uneven_pool, global_pools),
        *(normalised, moved, residual, rectifiers, shared_slopes, nested, operations),
        *(with_lambda, subclass, channels_first),
    )
}


def with_weights(model):
    """The model, all its weights random, those of normalisations and slopes included."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if "float" in str(weight.dtype):
            value = rng.normal(size=weight.shape, scale=0.5)
            weight.assign(np.abs(value) + 0.3 if "variance" in weight.path else value)
    return model


def answers(model, x):
    """What the model predicts for one input."""
    return np.ravel(model.predict(np.asarray(x, np.float32)[None], verbose=0)).astype(float)


def assert_is(network, model):
    """The network, and the file that it is replayed on, are the model."""
    for x in np.random.default_rng(3).normal(size=(3, *network.input_shape)):
        expected = answers(model, x)
        found = replay(network, x)
        scale = max(1.0, np.max(np.abs(expected)))
        np.testing.assert_allclose(found.outputs, expected, atol=1e-5 * scale)
        np.testing.assert_allclose(run_onnx(network.source.model, x), expected, atol=1e-5 * scale)
        np.testing.assert_allclose(found.before_softmax, network(x), atol=1e-5 * scale)
        if found.logits:
            np.testing.assert_allclose(network(x), expected, atol=1e-5 * scale)
        assert np.argmax(network(x)) == np.argmax(expected)


@pytest.mark.parametrize("name", MODELS)
def test_the_network_is_the_model(name):
    model = with_weights(MODELS[name]())
    shape = (5,) if name == "subclass" else model.input_shape[1:]
    network = load(model)
    assert network.input_shape == shape
    assert_is(network, model)


def trained():
    """A small classifier after some steps of training, and data of its kind."""
    keras.utils.set_random_seed(2)
    rng = np.random.default_rng(2)
    x = rng.uniform(size=(64, 6, 5, 1)).astype(np.float32)
    y = np.argmax(x.mean(axis=1)[:, :3, 0], axis=1)
    model = sequential(
        (6, 5, 1),
        layers.Conv2D(4, 3, activation="relu", padding="same"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(8, activation="relu"),
        layers.Dropout(0.3),
        layers.Dense(3, activation="softmax", name="label"),
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=2, batch_size=8, verbose=0)
    return model


@pytest.fixture(scope="module")
def classifier():
    return trained()


def test_a_trained_classifier_whose_softmax_is_stripped(classifier):
    network = load(classifier)
    assert network.source.notes == (
        "Softmax (node 'label/softmax') at the end was left out: the outputs are the logits "
        "before it.",
    )
    assert_is(network, classifier)
    assert answers(classifier, np.zeros((6, 5, 1))).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("ending", [".keras", ".h5", ".keras.gz", ".KERAS"])
@pytest.mark.slow
def test_a_file(tmp_path, classifier, ending):
    saved, path = tmp_path / f"saved{ending.lower().removesuffix('.gz')}", tmp_path / f"m{ending}"
    classifier.save(saved)
    content = saved.read_bytes()
    path.write_bytes(gzip.compress(content, mtime=0) if ending.endswith("gz") else content)
    network = load(path)
    assert network.source.path == path
    assert network.source.model == load(classifier).source.model
    assert path.read_bytes()[:4] in (b"PK\x03\x04", b"\x89HDF", gzip.compress(b"")[:4])
    assert network.input_shape == (6, 5, 1)


@pytest.mark.slow
def test_a_file_of_a_registered_subclass(tmp_path):
    model = with_weights(subclass())
    model.save(tmp_path / "model.keras")
    assert_is(load(tmp_path / "model.keras"), model)


@pytest.mark.slow
def test_convolutions_stay_convolutions():
    network = load(with_weights(convolutions()))
    maps = [one for node in network.nodes if isinstance(node.op, Affine) for one in node.op.maps]
    kernels = [one.kernel.shape for one in maps if isinstance(one, Convolution)]
    assert (4, 2, 3, 3) in kernels


def test_nodes_are_named_after_the_layers():
    inputs = keras.Input((4,))
    block = sequential((4,), layers.Dense(3, activation="relu", name="deep"))
    block.name = "block"
    network = load(keras.Model(inputs, layers.Dense(2, name="last")(block(inputs))))
    assert [relu.name for relu in network.nodes[2:3]] == ["block/deep/relu"]
    assert network.output.startswith("last/")


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes_without_paths(classifier):
    model = load(classifier).source.model
    assert load(classifier).source.model == model
    assert b".py" not in model
    assert b"site-packages" not in model


@pytest.mark.slow
def test_the_model_stays_as_it_was(classifier):
    before = [np.array(keras.ops.convert_to_numpy(w)) for w in classifier.weights]
    modes = [part.training for part in classifier.modules()]
    x = np.ones((6, 5, 1))
    expected = answers(classifier, x)
    load(classifier)
    assert [part.training for part in classifier.modules()] == modes
    for weight, value in zip(classifier.weights, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), value)
    np.testing.assert_array_equal(answers(classifier, x), expected)


@pytest.mark.slow
def test_nothing_is_printed_warned_or_logged(tmp_path, classifier, capfd, caplog):
    classifier.save(tmp_path / "model.keras")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load(tmp_path / "model.keras")
    assert caught == []
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("batch", [1, 32])
def test_a_fixed_batch_size_is_dropped(batch):
    model = keras.Sequential([keras.Input((4,), batch_size=batch), layers.Dense(3)])
    network = load(model)
    assert network.input_shape == (4,)
    np.testing.assert_allclose(
        network(np.ones(4)), answers(keras.Sequential(model.layers), np.ones(4)), atol=1e-5
    )


def open_sizes():
    return sequential(
        (None, None, 2), layers.Conv2D(3, 2), layers.GlobalAveragePooling2D(), layers.Dense(2)
    )


@pytest.mark.slow
def test_sizes_that_the_model_leaves_open(tmp_path):
    model = open_sizes()
    with pytest.raises(InvalidInput, match=r"leaves sizes of its input open: \(None, None, 2\)"):
        load(model)
    network = load(model, input_shape=(4, 3, 2))
    assert network.input_shape == (4, 3, 2)
    assert_is(network, model)
    model.save(tmp_path / "model.keras")
    with pytest.raises(InvalidInput, match=r"model\.keras: .*open: \(None, None, 2\)"):
        load(tmp_path / "model.keras")
    assert load(tmp_path / "model.keras", input_shape=(4, 3, 2)).input_shape == (4, 3, 2)


@pytest.mark.parametrize("shape", [(4, 3, 1), (4, 3), (2,), (2, 4, 3, 2)])
def test_an_input_shape_that_does_not_fit(shape):
    with pytest.raises(InvalidInput, match=r"shape \(None, None, 2\); input_shape is \("):
        load(open_sizes(), input_shape=shape)


def two_inputs():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    return keras.Model([a, b], layers.Add()([a, b]))


def two_outputs():
    a = keras.Input((3,))
    return keras.Model(a, [layers.Dense(2)(a), layers.Dense(2)(a)])


def whole_numbers():
    return keras.Sequential(
        [keras.Input((3,), dtype="int32"), layers.Embedding(4, 2), layers.Flatten()]
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (two_inputs, r"has 2 inputs \('a', 'b'\); expected exactly one"),
        (two_outputs, r"has 2 outputs \(.*\); expected exactly one"),
        (whole_numbers, "reads int32; expected floating-point"),
        (lambda: keras.Sequential([layers.Dense(3)]), "This Sequential has not been built"),
        (lambda: Subclass(), "This Subclass has not been built"),
    ],
    ids=["inputs", "outputs", "integers", "sequential", "subclass"],
)
def test_a_model_that_is_no_network(make, message):
    with pytest.raises(InvalidModel, match=message):
        load(make())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: sequential((3,), layers.Dense(3, activation="softmax", name="attend"),
                               layers.Dense(2)),
            r"Softmax \(node 'attend/softmax'\)",
        ),
        (
            lambda: sequential((3,), layers.Dense(3, activation="mish", name="bent")),
            r"\(node 'bent/",
        ),
        (lambda: squared("times"), r"Mul \(node 'times/"),
        (
            lambda: sequential((3,), layers.ReLU(threshold=0.3, name="jumps")),
            r"Greater \(node 'jumps/",
        ),
    ],
    ids=["softmax", "mish", "product", "jump"],
)  # fmt: skip
def test_a_layer_that_cannot_be_represented_is_named(make, message):
    with pytest.raises(UnsupportedOperator, match=message):
        load(make())


def squared(name):
    inputs = keras.Input((3,))
    return keras.Model(inputs, layers.Multiply(name=name)([inputs, layers.Dense(3)(inputs)]))


@pytest.mark.slow
def test_a_model_that_torch_cannot_export():
    class Deciding(keras.Model):
        def call(self, inputs):
            return inputs if bool((inputs.sum() > 0).item()) else -inputs

    model = Deciding()
    model(np.zeros((1, 3), np.float32))
    with pytest.raises(InvalidModel, match="torch cannot export this Keras model, a Deciding,"):
        load(model)


@pytest.mark.slow
def test_an_uneven_average_in_a_file_is_refused(tmp_path):
    model = with_weights(uneven_pool())
    model.save(tmp_path / "model.keras")
    with pytest.raises(UnsupportedOperator, match=r"model\.keras: .*'halves/.*backends"):
        load(tmp_path / "model.keras")


@pytest.mark.slow
def test_even_averages_in_a_file_are_read(tmp_path):
    model = with_weights(pools())
    model.save(tmp_path / "model.keras")
    assert_is(load(tmp_path / "model.keras"), model)


def cut(data):
    return data[: len(data) // 2]


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", "these 0 bytes are not a Keras model in the format"),
        (lambda data: b"hello", "these 5 bytes are not a Keras model in the format"),
        (cut, "Keras cannot load it: .*save the whole model again"),
    ],
    ids=["empty", "words", "cut"],
)
def test_a_damaged_file(tmp_path, ending, damage, message):
    path = tmp_path / f"model{ending}"
    sequential((3,), layers.Dense(2)).save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InvalidModel, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).count("\n") == 0


def weights_only(path):
    sequential((3,), layers.Dense(2)).save_weights(path.with_suffix(".weights.h5"))
    path.with_suffix(".weights.h5").rename(path)


def other_archive(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "no model")


class Own(layers.Layer):
    """A layer that no file can bring along."""

    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("ending", "write", "message"),
    [
        (".h5", weights_only, "No model config found in the file"),
        (".keras", other_archive, "config.json"),
        (".keras", lambda path: with_lambda().save(path), "Lambda.*load it in Python"),
        (".h5", lambda path: with_lambda().save(path), "Lambda.*load it in Python"),
        (".keras", lambda path: sequential((3,), Own()).save(path), "Own.*load it in Python"),
        (".h5", lambda path: sequential((3,), Own()).save(path), "Own.*load it in Python"),
    ],
    ids=["weights", "archive", "lambda-keras", "lambda-h5", "own-keras", "own-h5"],
)
def test_a_file_that_is_no_whole_model(tmp_path, ending, write, message):
    path = tmp_path / f"model{ending}"
    write(path)
    with pytest.raises(InvalidModel, match=message) as caught:
        load(path)
    assert str(caught.value).count("\n") == 0
    assert len(str(caught.value)) < 700


def test_keras_is_not_installed(tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    sequential((3,), layers.Dense(2)).save(path)
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidModel, match=r"not installed.*pip install 'dualbound\[keras\]'"):
        load(path)


def test_a_backend_that_is_not_installed(monkeypatch):
    def refuse(name):
        raise ImportError("No module named 'jax'")

    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(InvalidModel, match="with the backend jax: No module named 'jax'"):
        reader.imported_keras()
    assert os.environ["KERAS_BACKEND"] == "jax"


def test_an_older_keras(monkeypatch):
    class Old:
        __version__ = "2.15.0"

    monkeypatch.setattr(importlib, "import_module", lambda name: Old)
    with pytest.raises(InvalidModel, match=r"Keras 2\.15\.0 is installed; expected Keras 3"):
        reader.imported_keras()


def test_the_backend_is_chosen_for_keras_alone(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert reader.imported_keras() is keras
    assert "KERAS_BACKEND" not in os.environ


OTHER_BACKEND = """
import numpy as np, keras
from keras import layers
import dualbound
assert keras.config.backend() == "jax"
def model(pool):
    made = keras.Sequential([
        keras.Input((5, 4, 2)), layers.Conv2D(3, 2, padding="same", activation="relu"),
        pool, layers.Flatten(), layers.Dense(3, activation="softmax"),
    ])
    rng = np.random.default_rng(0)
    for weight in made.weights:
        weight.assign(rng.normal(size=weight.shape))
    return made
one = model(layers.MaxPooling2D(2, padding="same"))
network = dualbound.load(one)
x = np.random.default_rng(1).uniform(size=(5, 4, 2))
found = dualbound.network.replay(network, x).outputs
print(network.input_shape, np.max(np.abs(found - one(x[None].astype("float32"))[0])) < 1e-5)
try:
    dualbound.load(model(layers.AveragePooling2D(2, padding="same")))
except dualbound.errors.UnsupportedOperator as error:
    print("its other backends" in str(error))
"""


def test_a_model_on_jax():
    if importlib.util.find_spec("jax") is None:
        pytest.skip("needs jax, another backend of Keras")
    done = subprocess.run(
        [sys.executable, "-c", OTHER_BACKEND],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "(5, 4, 2) True\nTrue\n", done.stderr


@pytest.mark.slow
def test_a_model_of_another_backend_is_exported_by_a_process_of_its_own(monkeypatch):
    model = with_weights(sequential((5,), layers.Dense(4, activation="relu"), layers.Softmax()))
    export = load(model).source.model
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    network = load(model)
    assert network.source.model == export
    assert_is(network, model)


@pytest.mark.slow
def test_what_goes_wrong_in_the_other_process_is_said(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(UnsupportedOperator, match=r"'halves/.*other backends"):
        load(uneven_pool())


def test_a_model_that_cannot_be_saved_for_the_other_process(monkeypatch):
    class Stubborn(layers.Layer):
        def get_config(self):
            raise NotImplementedError("no configuration")

        def call(self, x):
            return x

    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(InvalidModel, match="Keras cannot save this Sequential: no configuration"):
        load(sequential((3,), Stubborn()))


@pytest.mark.slow
def test_backends_that_do_not_agree(monkeypatch):
    model, other = with_weights(dense()), dense()
    export = load(other).source.model
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    monkeypatch.setattr(reader, "_exported_elsewhere", lambda model, shape: export)
    with pytest.raises(InvalidModel, match=r"backends jax and torch .* different answers"):
        load(model)
    assert read_onnx(load(other).source.model).input_shape == (5,)


def test_the_command_line(tmp_path, classifier, capsys):
    path = tmp_path / "model.keras"
    classifier.save(path)
    capsys.readouterr()
    assert run(["info", str(path), "--check"]) == exit_codes.ANSWERED
    shown = capsys.readouterr().out
    assert "6 × 5 × 1" in shown
    assert "label/softmax" in shown


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 and no more"])
def test_the_command_line_refuses(tmp_path, content, capsys):
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    capsys.readouterr()
    assert run(["info", str(path)]) == exit_codes.BAD_INPUT
    shown = "".join(capsys.readouterr())
    assert "Traceback" not in shown
    assert "Keras" in shown
