"""A trained network as files: the model in ONNX, and a card that says how it came to be."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dualbound.data import Dataset
from dualbound.errors import SoundnessError
from dualbound.files import write_whole
from dualbound.learn.evaluation import device_of, evaluate
from dualbound.learn.method import Method
from dualbound.learn.recipe import Recipe
from dualbound.learn.training import Trained
from dualbound.network.torch_reader import exported, without_traces

if TYPE_CHECKING:
    from torch import nn

MODEL, CARD = "model.onnx", "card.json"
PACKAGES = ("dualbound", "numpy", "onnx", "onnxruntime", "torch")


def to_onnx(module: nn.Module, shape: tuple[int, ...]) -> bytes:
    """A module as ONNX, for batches of any size: as it is in evaluation mode.

    The file is run by onnxruntime and compared with the module before it is returned.

    Args:
        module: from a batch to outputs.
        shape: of one input, without the batch axis.

    Raises:
        InvalidModel: torch cannot export it.
        SoundnessError: onnxruntime computes something else.
    """
    model = without_traces(exported(module, shape, type(module).__name__, batches=True))
    _check(module, shape, model)
    return model


def _check(module: nn.Module, shape: tuple[int, ...], model: bytes) -> None:
    import onnxruntime
    import torch

    x = np.random.default_rng(0).random((3, *shape), dtype=np.float32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    [there] = session.run(None, {session.get_inputs()[0].name: x})
    with torch.no_grad():
        here = module(torch.from_numpy(x).to(device_of(module))).cpu().numpy()
    worst = float(np.abs(here - there).max())
    if worst > 1e-3 * max(1.0, float(np.abs(here).max())):
        raise SoundnessError(
            f"onnxruntime's outputs of the exported network differ from torch's by {worst:.3g}."
        )


def save(
    folder: Path,
    trained: Trained,
    data: Dataset,
    recipe: Recipe,
    *,
    method: Method,
    architecture: str,
    test: Dataset | None = None,
) -> dict[str, Any]:
    """Write `MODEL` and `CARD` into a folder.

    Args:
        folder: where; it must be there.
        trained: the network.
        data: that it was trained on.
        recipe: by which.
        method: by which.
        architecture: its text or name.
        test: data to state the accuracy on.

    Returns:
        The card.

    Raises:
        OutputError: a file cannot be written.
    """
    model = to_onnx(trained.module, data.shape)
    write_whole(folder / MODEL, model)
    card = {
        "architecture": architecture,
        "input": {"shape": list(data.shape), "classes": list(data.classes)},
        "data": _about(data),
        "test": None if test is None else _about(test),
        "recipe": dataclasses.asdict(recipe),
        "method": _described(method),
        "finished": trained.finished,
        "accuracy": {
            split.split: round(evaluate(trained.module, split, recipe).accuracy, 6)
            for split in (data, *([] if test is None else [test]))
        },
        "seconds": round(sum(one.seconds for one in trained.history), 2),
        "history": [dataclasses.asdict(one) for one in trained.history],
        "sha256": hashlib.sha256(model).hexdigest(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name).partition("+")[0] for name in PACKAGES},
        },
    }
    write_whole(folder / CARD, (json.dumps(card, indent=2, ensure_ascii=False) + "\n").encode())
    return card


def _described(method: Method) -> dict[str, object]:
    shown = [one.name for one in dataclasses.fields(method) if one.repr]  # type: ignore[arg-type]
    return {"name": type(method).__name__.lower()} | {key: getattr(method, key) for key in shown}


def _about(data: Dataset) -> dict[str, object]:
    return {"name": data.name, "split": data.split, "count": len(data), "sha256": data.sha256}
