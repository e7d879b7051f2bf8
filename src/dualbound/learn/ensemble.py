"""Networks that answer together: by majority, or by the mean of their outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from dualbound.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator


class Ensemble(nn.Module):
    """Members on the same inputs and labels. As a module it returns the mean of their outputs.

    Args:
        members: modules from a batch to outputs.

    Raises:
        InvalidInput: there are none.

    >>> def always(*outputs):
    ...     layer = nn.Linear(1, 3)
    ...     _ = nn.init.zeros_(layer.weight), layer.bias.data.copy_(torch.tensor(outputs))
    ...     return layer
    >>> three = Ensemble([always(2.0, 1.0, 0.0), always(0.0, 1.0, 0.0), always(2.0, 1.0, 3.0)])
    >>> three.vote(torch.zeros(1, 1)).tolist()  # one vote each: 0 has the largest mean share
    [0]
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        if not members:
            raise InvalidInput("An ensemble needs a member; an odd number of them votes best.")
        self.members = nn.ModuleList(members)

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self.members)

    def forward(self, x: Tensor) -> Tensor:
        """The mean of the members' outputs."""
        return torch.stack([member(x) for member in self.members]).mean(dim=0)

    def vote(self, x: Tensor) -> Tensor:
        """The label that most members answer.

        Of labels with equally many votes the one whose mean share (softmax) is the largest wins,
        and of those that are equal in this as well the smallest.
        """
        outputs = torch.stack([member(x) for member in self.members])
        classes = outputs.shape[2]
        votes = nn.functional.one_hot(outputs.argmax(dim=2), classes).sum(dim=0)
        shares = outputs.softmax(dim=2).mean(dim=0)
        first = votes == votes.max(dim=1, keepdim=True).values
        return torch.where(first, shares, -torch.inf).argmax(dim=1)
