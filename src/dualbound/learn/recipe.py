"""How a network is trained: everything that decides the weights, as one value."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualbound.errors import InvalidInput

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
    "linear": lambda done: 1 - done,
    "steps": lambda done: 0.1 ** math.floor(3 * done),
}
"""The rate relative to its largest, by the share of the training that is done."""

OPTIMISERS = ("sgd", "adam", "rmsprop")
LOSSES = ("cross-entropy", "squared")

MOST = 1e30
"""No rate, decay or warmup is larger."""


@dataclass(frozen=True)
class Recipe:
    """Optimiser, loss and schedule.

    Attributes:
        epochs: how often every input is seen.
        batch: inputs a step.
        optimiser: ``sgd``, ``adam`` or ``rmsprop``.
        rate: the largest learning rate.
        momentum: of SGD and RMSprop: what remains of the last step.
        dampening: of SGD: the gradient enters the momentum times 1 minus this, from the second
            step on; the first takes the gradient as it is. Schoenfeld's ``v = 0.1 v + 0.9 g`` is
            momentum 0.1 and dampening 0.1.
        nesterov: of SGD: the gradient is taken where the momentum leads.
        decay: weight decay: of the gradient, times the weights (L2).
        schedule: ``constant``, ``cosine`` or ``linear`` to 0, ``steps`` (a tenth after each third).
        warmup: epochs over which the rate grows to its largest.
        loss: ``cross-entropy``, or ``squared``: distance of the outputs to the one-hot vector.
        seed: of weights, order, dropout and attacks.

    >>> recipe = Recipe(epochs=10, rate=0.1, warmup=1)
    >>> [round(recipe.rate_at(epoch), 3) for epoch in (0, 0.5, 1, 5.5, 10)]
    [0.0, 0.05, 0.1, 0.05, 0.0]
    """

    epochs: int = 20
    batch: int = 128
    optimiser: str = "sgd"
    rate: float = 0.05
    momentum: float = 0.9
    dampening: float = 0.0
    nesterov: bool = False
    decay: float = 0.0
    schedule: str = "cosine"
    warmup: float = 0.0
    loss: str = "cross-entropy"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 0), ("batch", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InvalidInput(f"{name} is {getattr(self, name)}; expected {least} or more.")
        if not 0 < self.rate <= MOST:
            raise InvalidInput(
                f"The learning rate is {self.rate}; expected more than 0, and at most {MOST:g}."
            )
        for name in ("momentum", "dampening"):
            if not 0 <= getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; expected 0 to below 1.")
        for name in ("decay", "warmup"):
            if not 0 <= getattr(self, name) <= MOST:
                raise InvalidInput(
                    f"{name} is {getattr(self, name)}; expected 0 or more, and at most {MOST:g}."
                )
        for name, known in (
            ("optimiser", OPTIMISERS),
            ("schedule", tuple(SCHEDULES)),
            ("loss", LOSSES),
        ):
            if getattr(self, name) not in known:
                raise InvalidInput(
                    f"{name} is {getattr(self, name)!r}; expected {', '.join(known)}."
                )
        if self.nesterov and (self.optimiser != "sgd" or not self.momentum or self.dampening):
            raise InvalidInput("Nesterov's method is SGD with momentum and without dampening.")

    def rate_at(self, epoch: float) -> float:
        """The learning rate after so many epochs, of which a part may be done."""
        if epoch < self.warmup:
            return self.rate * epoch / self.warmup
        rest = max(self.epochs - self.warmup, 1e-9)
        return self.rate * SCHEDULES[self.schedule](min((epoch - self.warmup) / rest, 1.0))

    def optimiser_of(self, module: nn.Module) -> torch.optim.Optimizer:
        """Torch's optimiser of all parameters.

        Raises:
            InvalidInput: the module has none to train.
        """
        import torch

        parameters = [p for p in module.parameters() if p.requires_grad]
        if not parameters:
            raise InvalidInput("The network has no weights to train.")
        rate, decay = self.rate, self.decay
        if self.optimiser == "adam":
            return torch.optim.Adam(parameters, rate, weight_decay=decay)
        if self.optimiser == "rmsprop":
            return torch.optim.RMSprop(parameters, rate, weight_decay=decay, momentum=self.momentum)
        return torch.optim.SGD(
            parameters,
            rate,
            momentum=self.momentum,
            dampening=self.dampening,
            weight_decay=decay,
            nesterov=self.nesterov,
        )

    def losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The loss of each output of a batch."""
        import torch

        if self.loss == "cross-entropy":
            return torch.nn.functional.cross_entropy(outputs, labels, reduction="none")
        wanted = torch.nn.functional.one_hot(labels, outputs.shape[1]).to(outputs.dtype)
        return ((outputs - wanted) ** 2).sum(dim=1)
