"""What a batched tree has left to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Group(Protocol):
    """Nodes that are bounded together, with what is proved of each."""

    @property
    def bound(self) -> Tensor:
        """Of each node, ``(b,)``."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: slice) -> Any: ...


G = TypeVar("G", bound=Group)


class Pending(Generic[G]):
    """Groups of nodes that are not closed: those to go on with, and those that stay open for good.

    Args:
        joined: makes one group of several.

    Attributes:
        stack: to go on with, the last group first, and of it the last nodes.
        stuck: open for good.
    """

    def __init__(self, joined: Callable[[list[G]], G]) -> None:
        self._joined = joined
        self.stack: list[G] = []
        self.stuck: list[G] = []

    @property
    def groups(self) -> list[G]:
        """All that are not closed."""
        return [*self.stack, *self.stuck]

    @property
    def count(self) -> int:
        """How many nodes are not closed."""
        return sum(map(len, self.groups))

    @property
    def bound(self) -> float:
        """The worst bound of an open node; infinite when none is open."""
        return min((float(group.bound.min()) for group in self.groups), default=torch.inf)

    def take(self, count: int) -> G:
        """The next nodes, so many if there are."""
        taken: list[G] = []
        while self.stack and count > 0:
            top = self.stack.pop()
            if len(top) > count:
                self.stack.append(top[:-count])
                top = top[-count:]
            taken.append(top)
            count -= len(top)
        return self._joined(taken)
