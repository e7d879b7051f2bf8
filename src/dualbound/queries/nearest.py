"""The nearest input that reaches a criterion, with the proof that nothing is nearer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from dualbound.bounds import interval
from dualbound.criterion import Criterion
from dualbound.errors import InvalidCriterion, InvalidInput
from dualbound.limits import Clock, Limits, check_gap
from dualbound.network import Network
from dualbound.patterns import NearestProblem
from dualbound.queries.answer import Answer
from dualbound.queries.answering import answered
from dualbound.queries.then import relayed, second_norm, then_nearest
from dualbound.region import Box, Grid, Norm, norm_named
from dualbound.search import Engine, Incumbent, Progress, automatic, chosen_engine, search_all

DEFAULT_GAP = 1e-4

MOST = 1e12
"""Distances beyond this are refused: their squares, and sums, leave too little of float64."""

LEAST = 1e-100
"""Regions that reach less far are refused: the squares of distances would be 0."""


def nearest(
    network: Network,
    x: ArrayLike,
    criterion: Criterion,
    *,
    norm: str | Norm = "l1",
    region: Box | None = None,
    cap: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    levels: int | None = None,
    weights: ArrayLike | None = None,
    then: str | Norm | None = None,
    gap: float = DEFAULT_GAP,
    engine: str | Engine | None = None,
    limits: Limits | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Answer:
    """Find the input nearest to ``x`` that reaches a criterion, and prove that none is nearer.

    Args:
        network: from `dualbound.load`.
        x: the input to start from, in the network's input shape or flat, in the user's units.
        criterion: what to reach: `Targeted`, `Untargeted`, `OneOf`, `Class` (repair), `RunnerUp`.
        norm: ``"l1"`` (sum of changes), ``"linf"`` (largest change), ``"l2"`` (Euclidean length) or
            ``"l0"`` (how many inputs change).
        region: the inputs allowed; ``Box(0, 1)`` when not given.
        cap: how far each input may move, one number or one for each.
        mask: true for the inputs that may change.
        levels: the witness must be on a grid: every input one of ``levels + 1`` values from end to
            end of the region; 255 for 8-bit images.
        weights: what a unit of change costs at each input; see the norms.
        then: after ``"linf"``, the norm in which the nearest is wanted of all inputs as near as the
            one found: ``"l1"``, ``"l2"`` or ``"l0"``, with the same weights. `Answer.then` has the
            figures, `Answer.witness` is that input.
        gap: relative gap between value and bound that counts as proved.
        engine: how it is solved: `Columns`, `Bab` or `Milp`, or its name; chosen by the network
            when not given.
        limits: when to stop.
        on_progress: told of every better witness, better bound and new phase.

    Returns:
        The answer. A limit or Ctrl-C is not an error: the answer then holds the best witness and
        the best bound so far.

    Raises:
        InvalidInput: ``x`` does not fit the network or the region, or an option makes no sense.
        InvalidCriterion: a label is out of range, or is the present one.
        SolverNotInstalled: the solver's package is missing.
        SoundnessError: a witness contradicts a proof.

    **Trusts** what the engine trusts: `Columns` and `Bab` float64 sums within their worst rounding
    error (but see `Columns.search`), `Milp` the solver's proofs within its tolerances. The witness
    is replayed outside.

    >>> from dualbound import Box, Network, Targeted
    >>> net = Network.dense([[[1.0, 0.0], [0.0, 1.0]]], [[0.0, 0.0]])
    >>> answer = nearest(net, [0.7, 0.2], Targeted(1, margin=0.1), norm="l1")
    >>> answer.status.name, round(answer.value, 4), round(answer.bound, 3)
    ('OPTIMAL', 0.6, 0.6)
    """
    check_gap(gap)
    problem = nearest_problem(
        network, x, criterion,
        norm=norm, region=region, cap=cap, mask=mask, levels=levels, weights=weights,
    )  # fmt: skip
    asked = chosen_engine(engine)
    engine = asked or automatic(problem)
    engine.check(problem)
    second = None if then is None else second_norm(then, problem)
    of_second = engine
    if second is not None:
        of_second = asked or automatic(replace(problem, norm=second))
        of_second.check(replace(problem, norm=second))

    def tell(phase: str) -> None:
        if on_progress is not None:
            on_progress(Progress(phase, None, 0.0, None, 0, 0.0))

    engine.prepare(tell)
    if of_second is not engine:
        of_second.prepare(tell)
    with Clock(limits).catching_ctrl_c() as clock:
        incumbent = Incumbent(clock, on_progress)
        unstable = search_all(engine, problem, incumbent, gap)
        answer = answered(problem, engine, incumbent, gap, unstable)
        if second is not None:
            again = Incumbent(clock.within(math.inf), relayed(on_progress, second))
            answer = then_nearest(problem, answer, second, of_second, again, gap)
    return answer


def nearest_problem(
    network: Network,
    x: ArrayLike,
    criterion: Criterion,
    *,
    norm: str | Norm = "l1",
    region: Box | None = None,
    cap: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    levels: int | None = None,
    weights: ArrayLike | None = None,
) -> NearestProblem:
    """Check the parts of a nearest query and put them together; see `nearest`."""
    if not isinstance(criterion, Criterion):
        raise InvalidCriterion(f"What is asked is such as Targeted(2), found {criterion!r}.")
    _check_ratio(network, criterion)
    center = network.one_input(x)
    box = Box.of_inputs(region, network.input_size)
    outside = np.maximum(box.lower - center, center - box.upper)
    if np.any(outside > 0):
        at = int(np.argmax(outside))
        raise InvalidInput(
            f"Input {at} is {center[at]:g}, outside the allowed [{box.lower[at]:g}, "
            f"{box.upper[at]:g}]. Images are expected in [0, 1]: divide 8-bit pixels by 255, or "
            "say between which values inputs lie: region=, on the command line --range LOW HIGH."
        )
    box = box.within(center, cap=cap, mask=mask)
    grid = None
    if levels is not None:
        grid = Grid(levels, Box.of_inputs(region, network.input_size))
        grid.narrowed(box)  # refuses a box that holds none of its points
    measure = norm_named(norm, weights)
    with np.errstate(over="ignore"):
        furthest = measure.reach(center, box)[1]
    if furthest < LEAST and np.any(box.lower < box.upper):
        raise InvalidInput(
            f"The furthest input of the region is {furthest:g} away: distances are at least "
            f"{LEAST:g}, or 0 where nothing may change. Multiply inputs by their scale."
        )
    if not furthest <= MOST:
        raise InvalidInput(
            f"The furthest input of the region is {furthest:g} away: distances are at most "
            f"{MOST:g}. Say between which values inputs lie, or divide them by their scale."
        )
    asked = criterion.at(network(center))
    interval(network, box)  # refuses a box over which the network's values are no numbers
    return NearestProblem(network, center, asked, measure, box, grid)


def _check_ratio(network: Network, criterion: Criterion) -> None:
    """Refuse a ratio of logits whose model answers with probabilities.

    Raises:
        InvalidCriterion: it is one.
    """
    ratio = getattr(criterion, "ratio", None)
    if ratio is not None and network.lacks_softmax:
        raise InvalidCriterion(
            f"The model ends in a softmax, which is left out: a ratio of {ratio:g} of the logits "
            f"before it says nothing of its probabilities. Ask for a margin of {np.log(ratio):.6g} "
            "between logits: that is this ratio of two probabilities."
        )
