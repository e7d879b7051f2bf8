"""One door for models: a file, a torch module, or a network that is one already."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from dualbound.errors import InvalidInput, InvalidModel
from dualbound.network.graph import Network
from dualbound.network.nnet_reader import read_nnet
from dualbound.network.onnx_reader import read_onnx

if TYPE_CHECKING:
    import torch

_READERS = {".onnx": read_onnx, ".nnet": read_nnet}
_EXPECTED = "an .onnx or .nnet file, or one of these as .gz"
_OTHER_FORMATS = {
    ".pt": "Build the module in Python, load its weights, and pass the module itself.",
    ".pth": "Build the module in Python, load its weights, and pass the module itself.",
    ".h5": "Convert it with tf2onnx (python -m tf2onnx.convert).",
    ".keras": "Convert it with tf2onnx (python -m tf2onnx.convert).",
    ".pkl": "Convert it with skl2onnx (skl2onnx.to_onnx).",
    ".joblib": "Convert it with skl2onnx (skl2onnx.to_onnx).",
}


def load(
    model: str | os.PathLike[str] | Network | torch.nn.Module,
    *,
    input_shape: tuple[int, ...] | None = None,
) -> Network:
    """Take a trained network from wherever it is.

    Args:
        model: the path of an ``.onnx`` or ``.nnet`` file, which may be compressed (``.gz``), a
            ``torch.nn.Module``, or a network, which is returned as it is.
        input_shape: of one input of a torch module, without the batch axis. A plain
            ``Sequential`` that starts with a linear layer needs none.

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
    if not isinstance(model, str | os.PathLike | Network):
        return _load_torch(model, input_shape)
    if input_shape is not None:
        raise InvalidInput("input_shape is only for torch modules; other models know their own.")
    return model if isinstance(model, Network) else _load_file(Path(model))


def _load_torch(model: torch.nn.Module, input_shape: tuple[int, ...] | None) -> Network:
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, torch.nn.Module):
        raise InvalidInput(
            f"A {type(model).__name__} is not a model; expected the path of an .onnx file, "
            "a torch.nn.Module or a dualbound Network."
        )
    from dualbound.network.torch_reader import read_torch

    return read_torch(model, input_shape)


def _load_file(path: Path) -> Network:
    if path.is_dir():
        raise InvalidModel(f"{path} is a folder; expected {_EXPECTED}.")
    if not path.exists():
        raise InvalidModel(f"There is no file {path}; expected {_EXPECTED}.")
    reader = _READERS.get(Path(path.name.lower().removesuffix(".gz")).suffix)
    if reader is None:
        advice = _OTHER_FORMATS.get(path.suffix.lower(), "Export the model to ONNX.")
        raise InvalidModel(f"{path} does not end in .onnx or .nnet. {advice}")
    return reader(_contents(path), path)


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
