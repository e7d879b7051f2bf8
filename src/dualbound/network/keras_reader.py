"""Keras models, and the files that Keras keeps them in, become networks through their ONNX export.

Torch writes the export (`dualbound.network.keras_export`), so nothing but Keras itself need be
installed. A model of another backend is saved, and exported by a process of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from dualbound.errors import DualboundError, InvalidInput, InvalidModel, UnsupportedOperator
from dualbound.network.graph import Network
from dualbound.network.onnx_file import first_line
from dualbound.network.onnx_reader import read_onnx
from dualbound.network.replay import replay
from dualbound.network.torch_reader import checked_shape, quiet

if TYPE_CHECKING:
    import keras

_BEGINS = {".keras": b"PK\x03\x04", ".h5": b"\x89HDF"}
_BACKENDS_AGREE = 1e-3
_IN_PYTHON = "load it in Python (keras.models.load_model) and pass the model to dualbound.load"


def read_keras(model: keras.Model, input_shape: tuple[int, ...] | None = None) -> Network:
    """Read a Keras model of any backend, as it answers in inference.

    The network's source is the ONNX export of the model on the torch backend, its nodes named after
    the layers. A model of another backend is saved and exported by another process; then the
    export must answer as the model does at some inputs.

    Args:
        model: built, with one input and one output.
        input_shape: of one input, without the batch axis, in the model's own order of axes, such
            as (height, width, channels); needed only where the model leaves sizes open.

    Raises:
        InvalidInput: the model leaves sizes open and none are given, or given ones do not fit.
        InvalidModel: it has not been built, has several inputs or outputs, or cannot be exported.
        UnsupportedOperator: a layer computes what cannot be represented.

    >>> keras = imported_keras()
    >>> inputs = keras.Input((3,))
    >>> hidden = keras.layers.Dense(2, activation="relu")(inputs)
    >>> read_keras(keras.Model(inputs, keras.layers.Dense(4)(hidden)))
    Network(3-2-4, 2 ReLU)
    """
    return read_onnx(_exported(model, input_shape, saved=False))


def read_keras_file(data: bytes, path: Path, input_shape: tuple[int, ...] | None = None) -> Network:
    """Read a model that Keras has saved, as ``.keras`` or ``.h5``.

    If Keras is not loaded yet, it is loaded with the torch backend, unless ``KERAS_BACKEND`` names
    another. ``Lambda`` layers, which are code inside the file, are refused.

    Args:
        data: the contents of the file.
        path: where they came from; the ending tells the format.
        input_shape: as for `read_keras`.

    Raises:
        InvalidInput: as for `read_keras`.
        InvalidModel: Keras is not installed, these are not a whole model, or as for `read_keras`.
        UnsupportedOperator: as for `read_keras`, or Keras's backends do not agree on a layer.

    >>> read_keras_file(b"PK or not", Path("model.keras"))
    Traceback (most recent call last):
    dualbound.errors.InvalidModel: model.keras: these 9 bytes are not a Keras model in ...
    """
    kind = Path(path.name.lower().removesuffix(".gz")).suffix
    try:
        export = _exported(_loaded(data, kind), input_shape, saved=True)
    except DualboundError as error:
        raise type(error)(f"{path}: {error}") from error.__cause__
    return read_onnx(export, path)


def imported_keras() -> ModuleType:
    """Keras, loaded with the torch backend if none has been chosen.

    Raises:
        InvalidModel: it is not installed, or cannot be loaded, or is older than Keras 3.

    >>> imported_keras().config.backend()
    'torch'
    """
    if "keras" not in sys.modules and importlib.util.find_spec("keras") is None:
        raise InvalidModel(
            "Keras models are read by Keras, which is not installed. Install it with: "
            "pip install 'dualbound[keras]'"
        )
    chosen = os.environ.get("KERAS_BACKEND")
    try:
        os.environ.setdefault("KERAS_BACKEND", "torch")
        with quiet():
            keras = importlib.import_module("keras")
    except Exception as error:
        raise InvalidModel(
            f"Keras cannot be loaded with the backend {chosen or 'torch'}: {first_line(error)} "
            "Set KERAS_BACKEND=torch, which is installed."
        ) from error
    finally:
        if chosen is None:
            os.environ.pop("KERAS_BACKEND", None)
    if not hasattr(keras, "config"):
        version = getattr(keras, "__version__", "of an unknown version")
        raise InvalidModel(f"Keras {version} is installed; expected Keras 3 or later.")
    return keras


def _loaded(data: bytes, kind: str) -> keras.Model:
    """The model in a file's contents."""
    if not data.startswith(_BEGINS[kind]):
        raise InvalidModel(
            f"these {len(data)} bytes are not a Keras model in the format {kind}. "
            "Save the model again, or fetch the file again."
        )
    keras = imported_keras()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"model{kind}"
        copy.write_bytes(data)
        try:
            with quiet():
                model = keras.models.load_model(copy, compile=False, safe_mode=True)
        except Exception as error:
            raise InvalidModel(
                f"Keras cannot load it: {_reason(error, copy)} If it is damaged or holds weights "
                f"only, save the whole model again. If it has code of your own, {_IN_PYTHON}."
            ) from error
    if not isinstance(model, keras.Model):
        raise InvalidModel(f"it holds a {type(model).__name__}; expected a whole model.")
    return model


def _reason(error: Exception, copy: Path) -> str:
    """The first sentence of what went wrong, which Keras wraps in the configuration of a layer."""
    inner = str(error).rpartition("Exception encountered: ")[2].replace(str(copy), "the file")
    sentence = first_line(ValueError(inner)).split(". ")[0].rstrip(".")
    return f"{sentence}."


def _exported(model: keras.Model, input_shape: tuple[int, ...] | None, *, saved: bool) -> bytes:
    """The ONNX export of a model, or of one that was saved by who knows which backend."""
    keras = imported_keras()
    shape = _input_shape(model, input_shape)
    if keras.config.backend() != "torch":
        export = _exported_elsewhere(model, shape)
        _check_agrees(model, read_onnx(export))
        return export
    from dualbound.network.keras_export import export_keras, uneven_averages

    export = export_keras(model, shape)
    uneven = uneven_averages(export)
    if saved and uneven:
        raise UnsupportedOperator(
            f"the average pool {uneven[0]!r} has the padding 'same', which is not as wide before "
            "as after. There Keras takes copies of the border into the mean with torch, and not "
            "with its other backends. If the model has been trained with torch, "
            f"{_IN_PYTHON}; otherwise use the padding 'valid' there."
        )
    return export


def _input_shape(model: keras.Model, given: tuple[int, ...] | None) -> tuple[int, ...]:
    """The shape of one input, which the model knows but for the sizes that it leaves open."""
    name = f"This {type(model).__name__}"
    if not model.built:
        raise InvalidModel(
            f"{name} has not been built: it has no weights. Give it a keras.Input or call it once, "
            "and train it or load its weights."
        )
    known = _known_shape(model, name)
    if given is None:
        if known is None or None in known:
            raise InvalidInput(
                f"{name} leaves sizes of its input open: {known or 'all'}. Pass them without the "
                "batch axis, such as dualbound.load(model, input_shape=(32, 32, 3))."
            )
        return checked_shape(tuple(size for size in known if size is not None))
    shape = checked_shape(given)
    if known is not None and (
        len(shape) != len(known)
        or any(size not in (None, n) for size, n in zip(known, shape, strict=True))
    ):
        raise InvalidInput(f"{name} reads inputs of shape {known}; input_shape is {given}.")
    return shape


def _known_shape(model: Any, name: str) -> tuple[int | None, ...] | None:
    """The shape of the only input as far as the model says it."""
    tensors = getattr(model, "inputs", None)
    if tensors is None:  # a subclass, which knows of its inputs what the first were like
        shape = (model.get_build_config() or {}).get("input_shape")
        if isinstance(shape, tuple | list) and all(isinstance(n, int | None) for n in shape):
            return tuple(shape[1:])
        return None
    for kind, found in ("input", tensors), ("output", model.outputs):
        if len(found) != 1:
            names = ", ".join(repr(tensor.name) for tensor in found) or "none"
            raise InvalidModel(f"{name} has {len(found)} {kind}s ({names}); expected exactly one.")
    if "float" not in str(tensors[0].dtype):
        raise InvalidModel(f"{name} reads {tensors[0].dtype}; expected floating-point numbers.")
    return tuple(tensors[0].shape[1:])


def _exported_elsewhere(model: keras.Model, shape: tuple[int, ...]) -> bytes:
    """The export of a model of another backend, by a process in which Keras has torch's."""
    from loky import ProcessPoolExecutor

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        try:
            with quiet():
                model.save(path)
        except Exception as error:
            raise InvalidModel(
                f"Keras cannot save this {type(model).__name__}: {_reason(error, path)}"
            ) from error
        data = path.read_bytes()
    try:
        with ProcessPoolExecutor(max_workers=1, env={"KERAS_BACKEND": "torch"}) as pool:
            return pool.submit(_export_of, data, shape).result()
    except DualboundError:
        raise
    except Exception as error:
        raise InvalidModel(
            f"This {type(model).__name__} could not be exported by a process with Keras on torch: "
            f"{first_line(error)}"
        ) from error


def _export_of(data: bytes, shape: tuple[int, ...]) -> bytes:
    return _exported(_loaded(data, ".keras"), shape, saved=True)


def _check_agrees(model: keras.Model, network: Network) -> None:
    """Refuse an export that does not answer as the model does."""
    keras = imported_keras()
    points = np.random.default_rng(0).uniform(size=(3, *network.input_shape)).astype(np.float32)
    with quiet():
        answers = keras.ops.convert_to_numpy(model(points, training=False))
    answers = np.asarray(answers, dtype=float).reshape(len(points), -1)
    found = replay(network, points.astype(float)).outputs
    difference = float(np.max(np.abs(found - answers)))
    if not difference <= _BACKENDS_AGREE * max(1.0, float(np.max(np.abs(answers)))):
        raise InvalidModel(
            f"With the backends {keras.config.backend()} and torch Keras gives this "
            f"{type(model).__name__} different answers, {difference:.2g} apart: no network is both."
        )
