"""What every tool is asked, and what it answers.

The question is the same for all: the point of the unit box with the smallest L1 distance from a
centre where ``o_t >= ratio * o_j`` for every other label j and ``o_t >= floor``. A peer gets the
weights and the box, and finds its bounds itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import numpy as np

from dualbound import Network, Targeted
from dualbound.network import Affine

if TYPE_CHECKING:
    import torch


class Refused(Exception):
    """The tool, or its licence, does not take the question; says why in its own words."""


@dataclass(frozen=True, eq=False)
class Question:
    """A nearest query in L1 over the unit box.

    Attributes:
        network: a plain chain of affine maps and rectifiers.
        center: ``(n,)``, pixels in [0, 1].
        criterion: with a ratio.
        gap: relative gap between value and bound that counts as proved.
    """

    network: Network
    center: np.ndarray
    criterion: Targeted
    gap: float

    @property
    def others(self) -> list[int]:
        """Every label but the target."""
        return [j for j in range(self.network.output_size) if j != self.criterion.target]

    def layers(self) -> list[tuple[np.ndarray, np.ndarray, bool]]:
        """Weight ``(rows, columns)`` and bias of each affine map, and whether it is rectified."""
        read = {relu.reads[0] for relu in self.network.relus}
        return [
            (node.op.weight, node.op.bias, node.name in read)
            for node in self.network.nodes
            if isinstance(node.op, Affine)
        ]

    def sequential(self) -> torch.nn.Sequential:
        """The network as a torch user has it, in float64: linear layers and rectifiers."""
        import torch
        from torch import nn

        parts: list[nn.Module] = []
        for weight, bias, rectified in self.layers():
            linear = nn.Linear(*reversed(weight.shape)).double()
            with torch.no_grad():
                linear.weight.copy_(torch.tensor(weight))
                linear.bias.copy_(torch.tensor(bias))
            parts += [linear, nn.ReLU()] if rectified else [linear]
        return nn.Sequential(*parts).eval()


@dataclass(frozen=True, eq=False)
class Claim:
    """What a tool says.

    Attributes:
        x: its best point, ``(n,)``, if any.
        bound: no point is nearer than this; None if it says nothing.
        proved: it says that the gap is closed.
    """

    x: np.ndarray | None
    bound: float | None
    proved: bool


class Tool(ABC):
    """A way to answer the question.

    Attributes:
        name: short.
        packages: on which it stands, as pip names them.
        may_be_measured: its licence lets results be published.
    """

    name: str
    packages: tuple[str, ...]
    may_be_measured: bool = True

    @property
    def versions(self) -> str:
        """Of its packages; ``-`` where one is missing."""
        return ", ".join(f"{package} {_version(package)}" for package in self.packages)

    @abstractmethod
    def prepare(self) -> None:
        """Import and compile: not measured.

        Raises:
            ImportError: a package is missing.
        """

    @abstractmethod
    def solve(self, question: Question) -> Claim:
        """Answer on one thread.

        Raises:
            Refused: the tool cannot express the question, or may not solve it.
        """


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"
