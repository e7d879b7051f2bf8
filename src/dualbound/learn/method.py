"""What a training step minimises: the interface, and plain training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualbound.learn.recipe import Recipe

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from dualbound.data import Dataset
    from dualbound.limits import Clock


@dataclass(frozen=True, eq=False)
class Step:
    """One batch on its way into the loss.

    Attributes:
        module: in training mode.
        x: inputs, ``(batch, *shape)``.
        y: labels.
        recipe: for the loss.
        epoch: how many are done, with the part of the present one.
        seed: for what is random in this step.
    """

    module: nn.Module
    x: Tensor
    y: Tensor
    recipe: Recipe
    epoch: float
    seed: int

    def grown(self, ramp: float) -> float:
        """How much of a radius counts now, that grows over such a share of the training."""
        done = self.epoch / max(self.recipe.epochs, 1)
        return 1.0 if done >= ramp else done / ramp

    def mean_loss(self, outputs: Tensor) -> Tensor:
        """The recipe's loss of outputs against the labels."""
        return self.recipe.losses(outputs, self.y).mean()


class Method(ABC):
    """How a network is trained, beside its recipe."""

    @abstractmethod
    def loss(self, step: Step) -> tuple[Tensor, Tensor]:
        """What to minimise, and the outputs that are compared with the labels for the record."""

    def check(self, data: Dataset) -> None:  # noqa: B027  # most take everything
        """Refuse data that the method is not for, before anything is trained.

        Raises:
            InvalidInput: it is not.
        """

    def added(
        self, module: nn.Module, data: Dataset, epoch: int, clock: Clock
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Inputs and labels that the coming epoch sees besides the data.

        Args:
            module: as it is now.
            data: what it is trained on.
            epoch: how many are done.
            clock: when to stop.
        """
        return None


@dataclass(frozen=True)
class Plain(Method):
    """The loss at the inputs as they are."""

    def loss(self, step: Step) -> tuple[Tensor, Tensor]:
        """See `Method.loss`."""
        outputs = step.module(step.x)
        return step.mean_loss(outputs), outputs
