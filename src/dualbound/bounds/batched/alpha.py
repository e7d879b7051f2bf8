r"""Alpha-CROWN: CROWN whose lower lines have the slopes that make each bound best.

Every bound of every neuron has slopes of its own, ascended together for a whole layer; what is
believed is the best bound that a backward pass has shown on the way. Xu et al., *Fast and complete:
enabling complete neural network verification with rapid and massively parallel incomplete
verifiers*, ICLR 2021.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from dualbound.bounds.batched.lines import Lines
from dualbound.bounds.batched.propagator import Propagator, believed, passed_on
from dualbound.bounds.batched.rooms import Rooms, Span
from dualbound.limits import Clock
from dualbound.network.elementwise import Elementwise
from dualbound.network.nodes import Affine, Input

AT_ONCE = 2**23
"""How many slopes are ascended at a time, at most."""

STRIDE = 0.3
"""How far the first step of an ascent moves a slope, about."""

DECAY = 0.9
"""Each step is this part of the one before it."""


def alpha_crown(
    propagator: Propagator,
    rooms: Rooms,
    *,
    known: Mapping[str, Span] | None = None,
    steps: int = 20,
    fast: Propagator | None = None,
    clock: Clock | None = None,
) -> dict[str, Span]:
    """Bounds of every node, those of open phases by alpha-CROWN, each from those before it.

    Args:
        propagator: the network on a device.
        rooms: one set of inputs.
        known: bounds of every node over the same set, to start from; CROWN's when not given.
        steps: of ascent for each layer.
        fast: ascends the slopes, in another type; what is believed is the propagator's last pass.
        clock: when to stop; layers not reached keep what they had.

    **Trusts** sums in the propagator's type within their worst rounding error.

    >>> from dualbound.bounds.batched import Boxes
    >>> from dualbound.network import Network
    >>> net = Network.dense([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])  # |x|
    >>> p = Propagator(net)
    >>> box = Boxes(p.tensor([[-1.0]]), p.tensor([[1.0]]))
    >>> round(float(alpha_crown(p, box)["affine2"][1]), 3)
    1.0
    """
    spans = dict(known or propagator.crown(rooms))
    lines: dict[str, Lines] = {}
    network = propagator.network
    widest = max(node.size for node in network.nodes)
    for node in network.nodes:
        match node.op:
            case Input():
                continue
            case Elementwise():
                lines[node.name] = Lines.of(spans[node.reads[0]], node.op)
                spans[node.name] = passed_on(node.op, spans[node.reads[0]])
            case Affine():
                under, over = propagator.mapped(node.name, [spans[name] for name in node.reads])
                low = torch.maximum(under, spans[node.name][0])
                high = torch.minimum(over, spans[node.name][1])
                chosen = propagator.open_at(node.name, low, high).nonzero()[:, 0]
                is_open = any(bool(line.unstable.any()) for line in lines.values())
                for some in torch.split(chosen, max(AT_ONCE // (2 * widest), 1)) if is_open else ():
                    if clock is not None and clock.expired:
                        break
                    rows = torch.zeros(len(some), node.size, dtype=low.dtype, device=low.device)
                    rows[torch.arange(len(some)), some] = 1.0
                    both = torch.cat([rows, -rows])[None]
                    found = ascended(
                        propagator, node.name, both, rooms, lines, steps, fast=fast, clock=clock
                    )[0]
                    low[0, some] = torch.maximum(low[0, some], found[: len(some)])
                    high[0, some] = torch.minimum(high[0, some], -found[len(some) :])
                spans[node.name] = torch.minimum(low, high), torch.maximum(low, high)
    return spans


def ascended(
    propagator: Propagator,
    start: str,
    rows: Float[Tensor, "b k m"],
    rooms: Rooms,
    lines: Mapping[str, Lines],
    steps: int,
    *,
    fast: Propagator | None = None,
    clock: Clock | None = None,
) -> Float[Tensor, "b k"]:
    """Lower bounds of ``rows · value of a node``, each with the best slopes found for it.

    The best are those of the largest value where the fast one looks for them, whose worst rounding
    would hide what slopes gain, and a last pass proves; else those of the largest bound.
    """
    p = fast or propagator
    proves = p is propagator
    quick_rows, quick_rooms = rows.to(p.dtype), rooms.to(p.dtype)
    quick_lines = {name: line.to(p.dtype) for name, line in lines.items()}
    if not any(bool(line.free.any()) for line in lines.values()):
        steps = 0
    slopes: dict[str, Tensor] = {}
    best_slopes: dict[str, Tensor] = {}
    ascent: dict[str, Ascent] = {}
    best = torch.full(rows.shape[:2], -torch.inf, dtype=p.dtype, device=rows.device)
    for step in range(steps + 1):
        passed = p.backward(
            start, quick_rows, quick_rooms, quick_lines, slopes=slopes, keep=step < steps
        )
        reached = passed.bound if proves else believed(passed.value)
        better = reached > best
        best = torch.where(better, reached, best)
        for name, slope in slopes.items():
            known = best_slopes.get(name, quick_lines[name].alpha[:, None])
            best_slopes[name] = torch.where(better[..., None], slope, known)
        if step == steps or (clock is not None and clock.expired):
            break
        values, _ = p.gradient(passed, quick_lines, slopes)
        for name, here in passed.through.items():
            open_ = quick_lines[name].free[:, None]
            if not bool(open_.any()):
                continue
            if name not in slopes:
                slopes[name] = quick_lines[name].alpha[:, None].expand(here.shape).clone()
                ascent[name] = Ascent(slopes[name])
            rise = torch.where(open_, here.clamp(min=0) * values[name], 0.0)
            move = STRIDE * DECAY**step * ascent[name].direction(rise)
            slopes[name] = torch.where(open_, (slopes[name] + move).clamp(0, 1), slopes[name])
    if proves:
        return best
    exact = {name: slope.to(propagator.dtype) for name, slope in best_slopes.items()}
    return propagator.backward(start, rows, rooms, lines, slopes=exact).bound


class Ascent:
    """Adam's direction for one tensor. Kingma, Ba, *Adam*, 2015.

    Args:
        like: of the shape and type of what is moved.
    """

    def __init__(self, like: Tensor) -> None:
        self._first, self._second = torch.zeros_like(like), torch.zeros_like(like)
        self._step = 0

    def direction(self, rise: Tensor) -> Tensor:
        """Where to go, of about unit length in each coordinate, given the gradient."""
        self._step += 1
        self._first.mul_(0.9).add_(rise, alpha=0.1)
        self._second.mul_(0.99).addcmul_(rise, rise, value=0.01)
        first = self._first / (1 - 0.9**self._step)
        second = self._second / (1 - 0.99**self._step)
        return first / (second.sqrt() + 1e-12)
