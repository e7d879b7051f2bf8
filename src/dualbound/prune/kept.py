"""Scores in a file: minutes are not spent again for another threshold, or after a kill."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from dualbound.errors import DataError, OutputError
from dualbound.files import refused, write_whole
from dualbound.network import Network, write_onnx
from dualbound.prune.scores import Importance
from dualbound.prune.units import Layer

FILE = "scores.json"


def identity(
    network: Network, x: np.ndarray, labels: np.ndarray, options: Mapping[str, Any]
) -> str:
    """Of a question for scores: its network, inputs and options, but not how long it may take."""
    model = write_onnx(network) if network.source is None else network.source.model
    held = hashlib.sha256(model)
    for array in (x, labels):
        held.update(f"{array.shape} {array.dtype}".encode())
        held.update(np.ascontiguousarray(array).tobytes())
    held.update(json.dumps(dict(options), sort_keys=True).encode())
    return held.hexdigest()


def save(folder: Path, asked: str, limit: float | None, found: Importance) -> None:
    """Write scores into a folder; those of another question are overwritten.

    Args:
        folder: where, as `restore` made it.
        asked: the `identity` of the question.
        limit: the seconds that it had, None for as many as it takes.
        found: the answer.

    Raises:
        OutputError: it cannot be written.
    """
    answer = {one.name: getattr(found, one.name) for one in fields(found) if one.name != "layers"}
    answer["scores"] = {name: one.tolist() for name, one in found.scores.items()}
    had = found.seconds if found.interrupted else limit
    content = {"question": asked, "limit": had, "answer": answer}
    content["sha256"] = _sum(content)
    write_whole(folder / FILE, json.dumps(content, indent=1).encode())


def restore(
    folder: Path, asked: str, limit: float | None, layers: tuple[Layer, ...]
) -> Importance | None:
    """Read the scores of a question; None where there are none, or they had less time.

    The folder is made where it is not there: before minutes go into what it shall hold.

    Raises:
        DataError: the file is damaged.
        OutputError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(refused(folder, error)) from error
    path = folder / FILE
    try:
        content = json.loads(path.read_bytes())
        if content.pop("sha256") != _sum(content):
            raise ValueError("not what was written")
        if content["question"] != asked:
            return None
        answer, had = content["answer"], content["limit"]
        had = math.inf if had is None else had
        if not answer["finished"] and had < (math.inf if limit is None else limit):
            return None
        scores = {layer.name: np.array(answer["scores"][layer.name], float) for layer in layers}
        answer |= {"layers": layers, "scores": scores, "order": tuple(answer["order"])}
        return Importance(**answer)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path} is damaged ({type(error).__name__}): delete it to seek scores anew."
        ) from error


def _sum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(content), sort_keys=True).encode()).hexdigest()
