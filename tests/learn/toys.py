"""Small things to learn: pictures with a bright stripe, and what watches a training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from dualbound.data import Dataset
from dualbound.learn import Method, Step

SHAPE, CLASSES = (1, 6, 6), 3
EVERYTHING = "4c3-bn-m2-d0.5-8-bn-d0.25-3"
"""Of all that remembers or is random: batch norm, dropout."""


def stripes(count: int = 60, *, seed: int = 0, split: str = "train", noise: int = 120) -> Dataset:
    """Pictures of which the two rows are bright that their class says, in bytes."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    inputs = random.integers(0, noise, (count, *SHAPE))
    for k, label in enumerate(labels):
        inputs[k, 0, 2 * label : 2 * label + 2] += 100
    names = tuple("abc")
    return Dataset("stripes", split, inputs.astype(np.uint8), labels, names)


def rows(count: int = 30, *, seed: int = 0, split: str = "train", apart: float = 0.3) -> Dataset:
    """Points of the unit cube in four dimensions, in float32, around three corners of a box."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    centres = np.full((CLASSES, 4), 0.5 - apart / 2)
    centres[np.arange(CLASSES), np.arange(CLASSES)] += apart
    inputs = centres[labels] + random.uniform(-0.1, 0.1, (count, 4))
    return Dataset("rows", split, inputs.astype(np.float32), labels, tuple("abc"))


def as_floats(data: Dataset) -> Dataset:
    return replace(data, inputs=data.values())


@dataclass(frozen=True)
class Watched(Method):
    """Plain training that does something at some of its steps; by its name it is one method."""

    action: Callable[[int, Step], None] = field(default=lambda at, step: None, repr=False)
    steps: list[int] = field(default_factory=lambda: [0], repr=False)

    def loss(self, step: Step) -> tuple[Tensor, Tensor]:
        self.steps[0] += 1
        self.action(self.steps[0], step)
        outputs = step.module(step.x)
        return step.mean_loss(outputs), outputs


def numbers(module: nn.Module) -> list[Tensor]:
    """All that a module holds."""
    return [value.clone() for value in module.state_dict().values()]


def same(one: nn.Module, other: nn.Module) -> bool:
    """To the last bit."""
    pairs = zip(numbers(one), numbers(other), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
