"""One door for models: a file, a torch module, a Keras model, or a network that is one already."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from dualbound.errors import InvalidInput, InvalidModel
from dualbound.network.graph import Network
from dualbound.network.keras_reader import read_keras, read_keras_file
from dualbound.network.nnet_reader import read_nnet
from dualbound.network.onnx_reader import read_onnx

if TYPE_CHECKING:
    import keras
    import torch

_READERS = {".onnx": read_onnx, ".nnet": read_nnet}
_KERAS = (".keras", ".h5")
_EXPECTED = "an .onnx, .nnet, .keras or .h5 file, or one of these as .gz"
_OTHER_FORMATS = {
    ".pt": "Build the module in Python, load its weights, and pass the module itself.",
    ".pth": "Build the module in Python, load its weights, and pass the module itself.",
    ".pkl": "Convert it with skl2onnx (skl2onnx.to_onnx).",
    ".joblib": "Convert it with skl2onnx (skl2onnx.to_onnx).",
}


def load(
    model: str | os.PathLike[str] | Network | torch.nn.Module | keras.Model,
    *,
    input_shape: tuple[int, ...] | None = None,
) -> Network:
    """Take a trained network from wherever it is.

    Args:
        model: the path of an ``.onnx``, ``.nnet``, ``.keras`` or ``.h5`` file, which may be
            compressed (``.gz``), a ``torch.nn.Module``, a ``keras.Model``, or a network, which is
            returned as it is.
        input_shape: of one input of a torch module or a Keras model, without the batch axis. A
            torch ``Sequential`` that starts with a linear layer needs none, nor does a Keras model
            that leaves no size open.

    Returns:
        The network in evaluation form, ending in logits.

    Raises:
        InvalidModel: no such file, or not one of these formats, or a damaged one.
        InvalidInput: neither a path nor a module nor a network, or an input shape that is
            missing or not wanted.
        UnsupportedOperator: the model uses an operator that cannot be represented.

    >>> net = Network.dense([[[1.0, -1.0]]], [[0.5]])
    >>> load(net) is net
    True
    """
    if isinstance(model, str | os.PathLike):
        return _load_file(Path(model), input_shape)
    if not isinstance(model, Network):
        return _load_object(model, input_shape)
    _check_not_wanted(input_shape)
    return model


def _check_not_wanted(input_shape: tuple[int, ...] | None) -> None:
    if input_shape is not None:
        raise InvalidInput(
            "input_shape is only for torch modules and Keras models; other models know their own."
        )


def _load_object(model: object, input_shape: tuple[int, ...] | None) -> Network:
    """The network of a framework's object; whoever has one has loaded the framework."""
    keras, torch = (sys.modules.get(name) for name in ("keras", "torch"))
    if isinstance(model, getattr(keras, "Model", ())):
        return read_keras(model, input_shape)
    if torch is None or not isinstance(model, torch.nn.Module):
        raise InvalidInput(
            f"A {type(model).__name__} is not a model; expected the path of an .onnx file, "
            "a torch.nn.Module, a keras.Model or a dualbound Network."
        )
    from dualbound.network.torch_reader import read_torch

    return read_torch(model, input_shape)


def _load_file(path: Path, input_shape: tuple[int, ...] | None) -> Network:
    if path.is_dir():
        raise InvalidModel(f"{path} is a folder; expected {_EXPECTED}.")
    if not path.exists():
        raise InvalidModel(f"There is no file {path}; expected {_EXPECTED}.")
    kind = Path(path.name.lower().removesuffix(".gz")).suffix
    if kind in _KERAS:
        return read_keras_file(_contents(path), path, input_shape)
    if kind not in _READERS:
        advice = _OTHER_FORMATS.get(path.suffix.lower(), "Export the model to ONNX.")
        raise InvalidModel(f"{path} does not end in .onnx or .nnet, nor in .keras or .h5. {advice}")
    _check_not_wanted(input_shape)
    return _READERS[kind](_contents(path), path)


def _contents(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix.lower() == ".gz" else data
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InvalidModel(
            f"{path} is not a gzip file, or only part of one ({error}). Fetch it again."
        ) from error
    except OSError as error:
        raise InvalidModel(f"{path} cannot be read: {error.strerror or error}.") from error
