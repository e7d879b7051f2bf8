"""Training on adversaries made by gradient: FGSM, PGD, and virtual ones that need no labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dualbound.data import Dataset
from dualbound.errors import InvalidInput
from dualbound.learn.method import Method, Step

if TYPE_CHECKING:
    from torch import Tensor

    from dualbound.attacks import Allowed

ATTACKS = ("fgsm", "pgd")


def checked_eps(eps: float) -> None:
    """Refuse what is no radius.

    Raises:
        InvalidInput: it is negative or not a number.
    """
    if not 0 <= eps < float("inf"):
        raise InvalidInput(f"eps is {eps}; expected a radius of 0 or more.")


def checked_mixture(eps: float, share: float, ramp: float) -> None:
    """Refuse what is no radius, no part of a loss, or no share of a training.

    Raises:
        InvalidInput: one of them.
    """
    checked_eps(eps)
    if not 0 <= share <= 1:
        raise InvalidInput(f"share is {share}; expected a part of the loss, 0 to 1.")
    if not 0 <= ramp <= 1:
        raise InvalidInput(f"ramp is {ramp}; expected a share of the training, 0 to 1.")


def checked_range(data: Dataset, lower: float, upper: float) -> None:
    """Refuse data outside the range in which its adversaries stay.

    Raises:
        InvalidInput: some is.
    """
    least, most = (float(one) for one in (data.inputs.min(), data.inputs.max()))
    if data.inputs.dtype == np.uint8:
        least, most = least / 255, most / 255
    if least < lower or most > upper:
        raise InvalidInput(
            f"{data.name} has values from {least:g} to {most:g}; adversaries of training stay "
            f"between {lower:g} and {upper:g}, and so must the inputs. Scale them (8-bit pixels "
            "divided by 255), or train from Python with the method's lower and upper."
        )


@dataclass(frozen=True)
class Adversarial(Method):
    """The loss at adversaries of each batch, made against the network as it is.

    Goodfellow et al. 2015 (FGSM, half of the loss at the inputs themselves: ``share=0.5``); Madry
    et al. 2018 (PGD from a random start). One PGD step of 1.25 eps from a random start is the fast
    training of Wong, Rice, Kolter, *Fast is better than free*, 2020.

    Attributes:
        attack: ``fgsm`` or ``pgd``.
        eps: radius, in the units of the inputs.
        norm: of the ball.
        steps: of PGD.
        step: its length relative to eps; 2.5 divided by the steps when not given.
        share: of the loss that is at the adversaries.
        ramp: over which share of the training eps grows from 0: from the first step on, a large
            one can keep a network at guessing.
        lower: smallest value of an input.
        upper: largest value of an input.
    """

    attack: str
    eps: float
    norm: str = "linf"
    steps: int = 7
    step: float | None = None
    share: float = 1.0
    ramp: float = 0.25
    lower: float = 0.0
    upper: float = 1.0

    def __post_init__(self) -> None:
        checked_mixture(self.eps, self.share, self.ramp)
        if self.attack not in ATTACKS:
            raise InvalidInput(f"attack is {self.attack!r}; expected {' or '.join(ATTACKS)}.")
        if self.steps < 1:
            raise InvalidInput(f"steps is {self.steps}; expected 1 or more.")

    def check(self, data: Dataset) -> None:
        """See `Method.check`: inputs outside the range."""
        checked_range(data, self.lower, self.upper)

    def loss(self, step: Step) -> tuple[Tensor, Tensor]:
        """See `Method.loss`; the outputs are those at the adversaries."""
        outputs = step.module(self.adversaries(step))
        loss = step.mean_loss(outputs)
        if self.share < 1:
            loss = self.share * loss + (1 - self.share) * step.mean_loss(step.module(step.x))
        return loss, outputs

    def adversaries(self, step: Step) -> Tensor:
        """Of a batch, in the ball and the range of the inputs."""
        from dualbound.attacks import fgsm, pgd

        net, x, y = step.module, step.x, step.y
        eps = step.grown(self.ramp) * self.eps
        around = _around(self, eps)
        if self.attack == "fgsm":
            return fgsm(net, x, y, **around)
        length = (2.5 / self.steps if self.step is None else self.step) * eps
        return pgd(net, x, y, steps=self.steps, step=length, seed=step.seed, early=False, **around)


@dataclass(frozen=True)
class Virtual(Method):
    """The loss at the inputs, and how far the answer turns where it turns fastest.

    Miyato et al., *Virtual adversarial training*, 2018: ``weight`` times the KL divergence of the
    answer at ``x + r`` from that at ``x``, with r of length eps found by power iteration.

    Attributes:
        eps: length of r.
        xi: of the differences in the power iteration.
        iterations: of it.
        weight: of the divergence.
        norm: of r: ``l2``, or ``linf`` for its signs.
        lower: smallest value of an input.
        upper: largest value of an input.
    """

    eps: float
    xi: float = 1e-2
    iterations: int = 1
    weight: float = 1.0
    norm: str = "l2"
    lower: float = 0.0
    upper: float = 1.0

    def __post_init__(self) -> None:
        checked_eps(self.eps)
        if not 0 <= self.weight < float("inf"):
            raise InvalidInput(f"The divergence's weight is {self.weight}; expected 0 or more.")
        if not (0 < self.xi < float("inf") and self.iterations >= 0):
            raise InvalidInput(
                f"xi is {self.xi}, with {self.iterations} iterations; expected a length above 0, "
                "and 0 or more."
            )

    def check(self, data: Dataset) -> None:
        """See `Method.check`: inputs outside the range."""
        checked_range(data, self.lower, self.upper)

    def loss(self, step: Step) -> tuple[Tensor, Tensor]:
        """See `Method.loss`."""
        import torch
        from torch.nn.functional import kl_div, log_softmax

        from dualbound.attacks import virtual

        outputs = step.module(step.x)
        around = _around(self, self.eps)
        turned = virtual(
            step.module, step.x, step.y, xi=self.xi, iterations=self.iterations, seed=step.seed,
            **around,
        )  # fmt: skip
        with torch.no_grad():
            before = log_softmax(outputs, dim=1)
        after = log_softmax(step.module(turned), dim=1)
        distance = kl_div(after, before, reduction="batchmean", log_target=True)
        return step.mean_loss(outputs) + self.weight * distance, outputs


def _around(method: Adversarial | Virtual, eps: float) -> Allowed:
    """The region of its adversaries."""
    return {
        "eps": eps,
        "norm": method.norm,
        "lower": method.lower,
        "upper": method.upper,
    }
