"""Tighter bounds of single neurons by small trees, grown for all neurons of a layer at once.

What a search over phases proves of the outputs, it proves of any neuron: a tree of some dozens of
leaves for each end of each open neuron, layer by layer, leaves later layers with fewer open neurons
and narrower ones. It is the tightening of the papers (Schoenfeld section 3.3, Koot section 3.2.1)
without programs and without a solver.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dualbound.bounds.batched import Propagator, Rooms, Span, Spans, alpha_crown
from dualbound.limits import Clock
from dualbound.network.nodes import Affine
from dualbound.region import Region
from dualbound.search.bab.node_bounds import NodeBounds, Nodes
from dualbound.search.bab.question import Question

AT_ONCE = 512
"""Ends of neurons whose trees grow together."""

STEPS = 5
"""Of ascent at every node."""


def refined(
    region: Region,
    rooms: Rooms,
    spans: Spans,
    *,
    exact: Propagator,
    fast: Propagator,
    leaves: int,
    clock: Clock,
    look_ahead: int = 3,
) -> dict[str, Span]:
    """Bounds of every node of the exact propagator's network, those of open neurons by trees.

    Args:
        region: one set of inputs.
        rooms: the same for the propagators.
        spans: bounds of every node over it.
        exact: what it says is believed.
        fast: looks for slopes and multipliers.
        leaves: of each tree, at most.
        clock: when to stop; layers not reached keep what they had.
        look_ahead: see `NodeBounds.chosen`.

    **Trusts** float64 sums within their worst rounding error.
    """
    network, found = exact.network, dict(spans)
    for node in network.nodes[1:]:
        if not isinstance(node.op, Affine) or node.name == network.output or clock.expired:
            continue
        part = network.up_to(node.name)
        low, high = (end.clone() for end in found[node.name])
        chosen = ((low[0] < 0) & (high[0] > 0)).nonzero()[:, 0]
        if not part.activations or not len(chosen):
            continue
        before = low[0, chosen].sum() - high[0, chosen].sum()
        for some in torch.split(chosen, AT_ONCE // 2):
            rows = np.zeros((2 * len(some), node.size))
            each = np.arange(len(some))
            rows[each, some.cpu()], rows[len(some) + each, some.cpu()] = 1.0, -1.0
            asked = Question(part, region, rows, np.zeros(len(rows)), np.arange(len(rows)))
            relaxation = NodeBounds(
                asked, rooms, found, exact=exact.up_to(node.name), fast=fast.up_to(node.name)
            )
            ends = _grown(relaxation, leaves, look_ahead, clock)
            low[0, some] = torch.maximum(low[0, some], ends[: len(some)])
            high[0, some] = torch.minimum(high[0, some], -ends[len(some) :])
        found[node.name] = torch.minimum(low, high), torch.maximum(low, high)
        if low[0, chosen].sum() - high[0, chosen].sum() > before:
            found = alpha_crown(exact, rooms, known=found, steps=10, fast=fast, clock=clock)
    return found


def _grown(relaxation: NodeBounds, leaves: int, look_ahead: int, clock: Clock) -> Tensor:
    """For each goal, the worst bound of the leaves of a tree: its worst leaf is split each time.

    A goal is left alone once its bound is positive: the phase of its neuron is proved.
    """
    nodes = relaxation.root()
    scores = relaxation.ascend(nodes, 3 * STEPS, clock=clock)
    count = len(nodes)
    for _ in range(leaves - 1):
        worst, place = _worst(nodes, count)
        stuck = (scores[place] < 0).all(1) if scores.shape[1] else torch.ones_like(worst).bool()
        place = place[~(worst > 0) & ~stuck]
        if not len(place) or clock.expired:
            break
        taken = nodes[place]
        taken.split = relaxation.chosen(taken, scores[place], look_ahead)
        children = taken.children()
        added = relaxation.ascend(children, STEPS, clock=clock)
        kept = torch.ones(len(nodes), dtype=torch.bool, device=place.device)
        kept[place] = False
        nodes = Nodes.joined([nodes[kept], children])
        scores = torch.cat([scores[kept], added])
    return _worst(nodes, count)[0]


def _worst(nodes: Nodes, goals: int) -> tuple[Tensor, Tensor]:
    """The worst bound of each goal's leaves, and which leaf has it."""
    nothing = torch.full((goals,), torch.inf, dtype=nodes.bound.dtype, device=nodes.bound.device)
    worst = nothing.scatter_reduce(0, nodes.goals, nodes.bound, "amin")
    each = torch.arange(len(nodes), device=nodes.bound.device)
    last = torch.full_like(each, len(nodes))
    first = torch.full((goals,), len(nodes), dtype=torch.int64, device=each.device)
    place = torch.where(nodes.bound == worst[nodes.goals], each, last)
    return worst, first.scatter_reduce(0, nodes.goals, place, "amin")
