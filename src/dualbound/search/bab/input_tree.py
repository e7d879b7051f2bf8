"""Branch and bound on inputs: boxes of a low-dimensional region are halved, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dualbound.bounds.batched import (
    Boxes,
    Lines,
    Propagator,
    ascended,
    believed,
    combined,
    lines_of,
    steepness,
)
from dualbound.limits import Clock
from dualbound.search.bab.pending import Pending
from dualbound.search.bab.question import Question

ASCENDING = 5
"""Steps in which the slopes of a weighted row are ascended."""

FINEST = 1e-9
"""Boxes narrower than this, relative to the region, are not halved any more."""


@dataclass(eq=False)
class _Open:
    """Boxes that are not closed, ``(b, n)``, what is proved of each, and where to halve it."""

    lower: Tensor
    upper: Tensor
    bound: Tensor
    axis: Tensor

    def __len__(self) -> int:
        return len(self.lower)

    def __getitem__(self, chosen: Tensor | slice) -> _Open:
        return _Open(*(part[chosen] for part in self.parts()))

    @staticmethod
    def joined(several: list[_Open]) -> _Open:
        columns = zip(*(one.parts() for one in several), strict=True)
        return _Open(*(torch.cat(parts) for parts in columns))

    def parts(self) -> tuple[Tensor, ...]:
        return self.lower, self.upper, self.bound, self.axis


class InputTree:
    """Boxes of a region, each to be cleared of all polyhedra.

    Every box is bounded by CROWN from scratch, and halved if that is not enough.

    Args:
        question: over a box.
        propagator: of its network, in the type that is believed.
        offer: takes points that may be witnesses, ``(b, n)``; true once one is.
        batch: boxes that are bounded at once.
    """

    def __init__(
        self,
        question: Question,
        propagator: Propagator,
        offer: Callable[[Tensor], bool],
        *,
        batch: int = 256,
    ) -> None:
        self.question = question
        self.propagator = propagator
        self.offer = offer
        self.batch = batch
        self.count = 0
        self._rows = propagator.tensor(question.rows)
        self._sides = propagator.tensor(question.sides)
        self._owned = [
            torch.as_tensor(np.flatnonzero(question.owner == p)) for p in question.polyhedra
        ]
        lower, upper = (
            propagator.tensor(end)[None] for end in (question.region.lower, question.region.upper)
        )
        propagator.rounding.settle(propagator.interval(Boxes(lower, upper)))
        self._width = upper - lower
        nothing = lower.new_full((1,), -torch.inf)
        axis = self._width.argmax(1)
        self._pending: Pending[_Open] = Pending(_Open.joined)
        self._pending.stack.append(_Open(lower, upper, nothing, axis))
        self._whole = True

    @property
    def open(self) -> int:
        """How many boxes are not closed."""
        return self._pending.count

    @property
    def bound(self) -> float:
        """The worst bound of an open box; infinite when none is open."""
        return self._pending.bound

    def run(self, clock: Clock, tell: Callable[[], None] = lambda: None) -> bool:
        """Search until no box is open, or a witness is found, or the clock says so.

        Returns:
            Whether a witness was found.
        """
        while self._pending.stack and not clock.expired:
            boxes = self._pending.take(self.batch)
            if not self._whole:
                boxes = self._halved(boxes)
            self._whole = False
            self.count += len(boxes)
            if len(boxes) and self._bounded(boxes):
                return True
            tell()
        return False

    def _halved(self, boxes: _Open) -> _Open:
        """Both halves of every box; what is too narrow for that is left open for good."""
        axis = boxes.axis[:, None]
        width = (boxes.upper - boxes.lower).gather(1, axis)
        whole = self._width.expand(len(boxes), -1).gather(1, axis)
        narrow = (width <= FINEST * whole)[:, 0]
        if narrow.any():
            self._pending.stuck.append(boxes[narrow])
            boxes = boxes[~narrow]
            axis = boxes.axis[:, None]
        middle = ((boxes.lower + boxes.upper) / 2).gather(1, axis)
        return _Open(
            torch.cat([boxes.lower, boxes.lower.scatter(1, axis, middle)]),
            torch.cat([boxes.upper.scatter(1, axis, middle), boxes.upper]),
            boxes.bound.repeat(2),
            boxes.axis.repeat(2),
        )

    def _bounded(self, boxes: _Open) -> bool:
        """Bound the boxes and keep those that stay open; true if a point of them is a witness."""
        p, network = self.propagator, self.question.network
        spans = p.crown(Boxes(boxes.lower, boxes.upper), output=False)
        lines = lines_of(network, spans)
        refuted, points = self._refuted(boxes, lines)
        boxes.bound = torch.maximum(boxes.bound, refuted.amin(1))
        open_ = ~(boxes.bound > 0)
        if not open_.any():
            return False
        boxes, refuted = boxes[open_], refuted[open_]
        middle = (boxes.lower + boxes.upper)[:, None] / 2
        points = torch.cat([points[open_], middle], 1)
        if self.offer(points.reshape(-1, points.shape[-1])):
            return True
        lines = {name: line[open_] for name, line in lines.items()}
        boxes.axis = self._axis(boxes, lines, refuted)
        self._pending.stack.append(boxes)
        return False

    def _refuted(self, boxes: _Open, lines: Mapping[str, Lines]) -> tuple[Tensor, Tensor]:
        """What is proved of every polyhedron in every box, and points that may be witnesses.

        The rows of a polyhedron are weighted by what their linear bounds prove together; where that
        is not enough, the slopes of the weighted row are ascended.
        """
        p, output = self.propagator, self.question.network.output
        rooms = Boxes(boxes.lower, boxes.upper)
        rows = self._rows.expand(len(boxes), -1, -1)
        found = p.backward(output, rows, rooms, lines)
        bound = believed(found.bound + self._sides)
        refuted, together, sides = [], [], []
        for own in self._owned:
            if len(own) == 1:
                best, weight = bound[:, own[0]], torch.ones_like(bound[:, own])
            else:
                best, weight = combined(found, bound, own, p.rounding)
            refuted.append(best)
            together.append(weight @ self._rows[own])
            errs = p.rounding.weighing(weight, self._rows[own], self._sides[own])
            sides.append(weight @ self._sides[own] - errs)
        proved = torch.stack(refuted, 1)
        open_ = ~(proved > 0).all(1)
        if open_.any():
            some = {name: line[open_] for name, line in lines.items()}
            rows = torch.stack(together, 1)[open_]
            better = ascended(p, output, rows, rooms[open_], some, ASCENDING)
            better = better + torch.stack(sides, 1)[open_]
            proved[open_] = torch.maximum(proved[open_], believed(better))
        return proved, found.x

    def _axis(self, boxes: _Open, lines: Mapping[str, Lines], refuted: Tensor) -> Tensor:
        """Where to halve each box: the width of an input times how steep what is open is along it.

        Where nothing depends on an input, the widest one is halved.
        """
        rows = self._rows.expand(len(boxes), -1, -1)
        steep = steepness(self.propagator, rows, lines)
        total = torch.zeros_like(boxes.lower)
        for k, own in enumerate(self._owned):
            total = total + steep[:, own].sum(1) * (refuted[:, k, None] <= 0)
        width = boxes.upper - boxes.lower
        spread = total * width
        least = 1e-12 * spread.amax(1, keepdim=True) + 1e-300
        return (spread + least * width / self._width.clamp(min=1e-300)).argmax(1)
