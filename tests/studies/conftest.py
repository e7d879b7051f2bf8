"""Small studies on small networks: many questions, little time for each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dualbound.network import Network, write_onnx
from dualbound.studies import Study

QUESTIONS = """
title = "Small"
networks = ["a.onnx", "b.onnx"]
images = [{images}]

[[questions]]
name = "l1"
query = "nearest"
norm = "l1"
attack = false

[[questions]]
name = "linf"
query = "nearest"
norm = "linf"
attack = false
"""

Make = Callable[..., Path]


def random_network(seed: int, widths: tuple[int, ...] = (6, 8, 8, 3)) -> Network:
    rng = np.random.default_rng(seed)
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    weights = [rng.normal(size=shape) / np.sqrt(shape[1]) * 2 for shape in shapes]
    return Network.dense(weights, [rng.normal(size=shape[0]) / 4 for shape in shapes])


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A folder with two networks, some points, and a study.toml of them."""

    def study(points: int = 3, text: str = QUESTIONS, name: str = "study") -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for seed, network in enumerate("ab"):
            (folder / f"{network}.onnx").write_bytes(write_onnx(random_network(seed)))
        rng = np.random.default_rng(7)
        for k in range(points):
            np.save(folder / f"x{k}.npy", rng.random(6))
        images = ", ".join(f'"x{k}.npy"' for k in range(points))
        (folder / "study.toml").write_text(text.replace("{images}", images))
        return folder

    return study


FIGURES = ["name", "network", "image", "norm", "status", "value", "bound", "label_after", "nodes"]
"""What must be the same, whoever asked and however often it was stopped."""


def answers(folder: Path) -> list[list[object]]:
    """Figures and witnesses of a study, in order."""
    study = Study.open(folder)
    frame = study.frame()
    witnesses = [study.witness(int(number)) for number in frame.index]
    return [
        [*row, None if x is None else x.tolist()]
        for row, x in zip(frame[FIGURES].values.tolist(), witnesses, strict=True)
    ]
