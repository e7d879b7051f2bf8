"""The embedded networks: small trained MNIST classifiers in ONNX, each with a model card."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from dualbound.errors import DataError


def names() -> tuple[str, ...]:
    """The embedded networks, in alphabetical order.

    >>> names()
    ('dnn1', 'dnn2', 'dnn3', 'dnn4', 'dnn5', 'mlp-50-20', 'mlp-64-64')
    """
    return tuple(sorted(file.stem for file in _folder().glob("*.onnx")))


def path(name: str) -> Path:
    """The ONNX file of an embedded network.

    Args:
        name: one of `names`.

    Raises:
        DataError: no embedded network has this name.

    >>> path("dnn2").name
    'dnn2.onnx'
    """
    if name not in names():
        raise DataError(f"No embedded network is called {name!r}; there are {', '.join(names())}.")
    return _folder() / f"{name}.onnx"


def card(name: str) -> dict[str, Any]:
    """What is known about an embedded network: layers, training, accuracy, checksum, licences.

    Args:
        name: one of `names`.

    Raises:
        DataError: no embedded network has this name.

    >>> card("dnn2")["widths"]
    [784, 8, 8, 8, 8, 8, 8, 10]
    """
    text = path(name).with_suffix(".json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _folder() -> Path:
    # An installed package is a folder: installers unpack wheels, so the resource is a real path.
    return Path(str(resources.files("dualbound.data"))) / "networks"
