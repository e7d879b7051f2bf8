r"""A second question among the answers to the first: of all nearest inputs, the nearest otherwise.

Many inputs are equally near in L∞: whatever moves by less than the largest change is free. The
inputs within the distance :math:`v` that was found are a box,

.. math:: \{x : w_i |x_i - x^0_i| \le v\},

and so the second question, in another norm, is an ordinary one over a smaller box.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dualbound.attacks import Linearised
from dualbound.errors import InvalidInput
from dualbound.patterns import NearestProblem
from dualbound.queries.answer import Answer, Status
from dualbound.queries.answering import answered, status_of
from dualbound.region import Box, LInf, Norm, norm_named
from dualbound.search import (
    Engine,
    Incumbent,
    Progress,
    check_distance,
    relative_gap,
    search_all,
)
from dualbound.solvers import Highs

LEVEL = 1e-9
"""On a grid, points that are further by this part of the distance are equally far: their distances
are multiples of a step, and what differs is rounding."""


def second_norm(then: str | Norm, problem: NearestProblem) -> Norm:
    """The norm of the second question, with the weights of the first where it is a name.

    Raises:
        InvalidInput: an unknown norm, or one that cannot follow the first.

    >>> from dualbound import Box, Network, Targeted
    >>> net = Network.dense([[[1.0, 0.0], [0.0, 1.0]]], [[0.0, 0.0]])
    >>> asked = NearestProblem(net, np.zeros(2), Targeted(1), LInf(), Box(0, 1).sized(2))
    >>> print(second_norm("l1", asked))
    L1
    """
    first = problem.norm
    second = norm_named(then) if first.weights is None else _weighted(then, first.weights)
    second.check(problem.center.size)
    if not isinstance(first, LInf):
        raise InvalidInput(
            f"A second norm chooses among the inputs that are equally near in L∞, which are a box; "
            f"the first norm here is {first}. Ask for linf first, or leave the second out."
        )
    if isinstance(second, LInf):
        raise InvalidInput(
            "The second norm is L∞, as the first is: name l1, l2 or l0, or leave it out."
        )
    return second


def then_nearest(
    problem: NearestProblem,
    first: Answer,
    norm: Norm,
    engine: Engine,
    incumbent: Incumbent,
    gap: float,
) -> Answer:
    """Ask the second question among all that is as near as the first answer's witness.

    Args:
        problem: the first question, in L∞.
        first: its answer.
        norm: of the second, see `second_norm`.
        engine: what searches.
        incumbent: of the second search, with nothing in it yet.
        gap: relative gap that counts as closed.

    Returns:
        The first answer with the second as its `Answer.then`, and the second's witness. The first
        as it is where it has no witness. A second search that is cut short takes nothing away:
        its answer then starts from the first's witness.

    Raises:
        SoundnessError: a witness contradicts a proof, of either question.

    **Trusts** what the engine trusts.
    """
    if first.witness is None or first.value is None:
        return first
    start = first.witness.x.reshape(-1)
    second = replace(problem, norm=norm, box=as_near(problem, first.value, start))
    incumbent.improve(start, float(second.distance(start)))
    unstable = None
    if not incumbent.clock.expired:
        if problem.network.is_piecewise_linear:
            incumbent.enter("attack")
            narrow = second.narrowed(start)
            near = Linearised().descend(narrow, start, Highs(), incumbent.clock)
            if near is not None and second.reached(near.x):
                incumbent.improve(near.x, near.distance)
        unstable = search_all(engine, second, incumbent, gap)
    then = answered(second, engine, incumbent, gap, unstable)
    if then.witness is None or then.status is Status.UNKNOWN:
        return replace(first, then=then)
    distance = float(problem.distance(then.witness.x.reshape(-1)))
    witness = replace(then.witness, distance=distance)
    check_distance(distance, first.bound)
    stats = replace(
        first.stats,
        seconds=first.stats.seconds + then.stats.seconds,
        phases={**first.stats.phases, f"then {norm.name}": then.stats.seconds},
        nodes=first.stats.nodes + then.stats.nodes,
        programs=first.stats.programs + then.stats.programs,
    )
    return replace(
        first,
        status=status_of(witness, first.bound, gap),
        value=distance,
        bound=min(first.bound, distance),
        gap=relative_gap(distance, first.bound),
        witness=witness,
        stats=stats,
        then=then,
    )


def as_near(problem: NearestProblem, radius: float, x: np.ndarray) -> Box:
    """The inputs of a problem's box that are within an L∞ distance, one of them given.

    Without a grid, none is further by the last digit of float64, and none nearer is left out but
    by that digit.

    >>> from dualbound import Network, Targeted
    >>> net = Network.dense([[[1.0, 0.0], [0.0, 1.0]]], [[0.0, 0.0]])
    >>> asked = NearestProblem(net, np.array([0.3, 0.9]), Targeted(1), LInf(), Box(0, 1).sized(2))
    >>> as_near(asked, 0.25, np.array([0.55, 0.9])).upper
    array([0.55, 1.  ])
    """
    center, box = problem.center, problem.box
    prices = np.ones(center.size) if problem.norm.weights is None else problem.norm.weights
    each = radius * (1.0 if problem.grid is None else 1.0 + LEVEL) / prices
    low, high = np.maximum(box.lower, center - each), np.minimum(box.upper, center + each)
    if problem.grid is None:
        last = np.spacing(np.abs(center) + each)
        low = np.where(prices * np.abs(low - center) > radius, low + last, low)
        high = np.where(prices * np.abs(high - center) > radius, high - last, high)
    return Box(np.minimum(low, x), np.maximum(high, x))


def relayed(
    on_progress: Callable[[Progress], None] | None, norm: Norm
) -> Callable[[Progress], None] | None:
    """Tell the same of a second search, saying that it is one."""
    if on_progress is None:
        return None
    tell = on_progress
    return lambda now: tell(replace(now, phase=f"then {norm.name}: {now.phase}"))


def _weighted(then: str | Norm, weights: np.ndarray) -> Norm:
    return then if isinstance(then, Norm) else norm_named(then, weights)
