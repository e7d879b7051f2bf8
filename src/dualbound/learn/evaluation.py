"""How well a module answers a data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dualbound.data import Dataset
from dualbound.errors import InvalidInput
from dualbound.learn.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class Score:
    """Mean loss and accuracy over a data set; an answer that ties with another is wrong."""

    loss: float
    accuracy: float


def evaluate(
    module: nn.Module, data: Dataset, recipe: Recipe | None = None, *, batch: int = 500
) -> Score:
    """Loss and accuracy in evaluation mode, on the device where the module is.

    Args:
        module: from a batch to outputs.
        data: inputs and labels.
        recipe: for the loss.
        batch: inputs at a time.

    Raises:
        InvalidInput: the data are empty.
    """
    if not len(data):
        raise InvalidInput(f"{data.name} has no inputs to evaluate on.")
    import torch

    recipe = recipe or Recipe()
    losses, right = 0.0, 0
    with torch.no_grad(), evaluating(module):
        for x, y in Batches(data, np.arange(len(data)), batch, device_of(module)):
            outputs = module(x)
            losses += float(recipe.losses(outputs, y).sum())
            right += int(is_right(outputs, y).sum())
    return Score(losses / len(data), right / len(data))


def is_right(outputs: Tensor, y: Tensor) -> Tensor:
    """Whether the label's output is larger than every other.

    >>> import torch
    >>> is_right(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 0])).tolist()
    [True, False]
    """
    import torch

    own = outputs.gather(1, y[:, None])
    others = outputs.scatter(1, y[:, None], -torch.inf).max(dim=1, keepdim=True).values
    return (own > others)[:, 0]


class evaluating:  # noqa: N801  (a context, as torch.no_grad is)
    """A module in evaluation mode inside, every part of it as it was after."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._training = [part for part in module.modules() if part.training]

    def __enter__(self) -> None:
        self._module.eval()

    def __exit__(self, *_: object) -> None:
        for part in self._training:
            part.training = True


class Batches:
    """Batches of a data set in an order.

    Args:
        data: inputs and labels.
        order: positions.
        size: of a batch; the last may be smaller.
        device: where they go.
    """

    def __init__(self, data: Dataset, order: np.ndarray, size: int, device: torch.device) -> None:
        self._data, self._order, self._size, self._device = data, order, size, device

    def __len__(self) -> int:
        return -(-len(self._order) // self._size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, k: int) -> tuple[Tensor, Tensor]:
        import torch

        which = self._order[k * self._size : (k + 1) * self._size]
        x = torch.from_numpy(self._data.values(which)).to(self._device)
        y = self._data.labels[which].copy()  # torch wants to write
        return x, torch.from_numpy(y).to(self._device)


def device_of(module: nn.Module) -> torch.device:
    """Where a module's weights are."""
    import torch

    first = next(iter(module.parameters()), None)
    return torch.device("cpu") if first is None else first.device
