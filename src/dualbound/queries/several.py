"""The nearest inputs that reach a criterion in different ways, one after another, each proved."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from dualbound.attacks import neighbour
from dualbound.criterion import Criterion, OneOf, Targeted
from dualbound.errors import InvalidInput
from dualbound.limits import Clock, Limits, check_gap
from dualbound.network import Network
from dualbound.patterns import NearestProblem, cell_at, key_of
from dualbound.queries.answer import Answer, Status
from dualbound.queries.answering import answered
from dualbound.queries.nearest import DEFAULT_GAP, nearest_problem
from dualbound.region import Box, Norm
from dualbound.search import (
    Columns,
    Engine,
    Incumbent,
    Part,
    Progress,
    automatic,
    chosen_engine,
    parts_of,
    search_all,
)

NEIGHBOURS = 16
"""How many patterns next to the last one are tried before the search for another begins."""

DISTINCT = ("label", "pattern")
"""By what answers may differ."""


def nearest_several(
    network: Network,
    x: ArrayLike,
    criterion: Criterion,
    count: int,
    *,
    distinct: str = "label",
    norm: str | Norm = "l1",
    region: Box | None = None,
    cap: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    levels: int | None = None,
    weights: ArrayLike | None = None,
    gap: float = DEFAULT_GAP,
    engine: str | Engine | None = None,
    limits: Limits | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[Answer, ...]:
    """Find the nearest inputs that reach a criterion and differ in kind, in order, each proved.

    *By label*: the nearest input of the label that is nearest, then of the next, and so on.

    *By pattern*: the nearest input at all, then the nearest with another activation pattern, and so
    on. The cells of two patterns share their faces, and the nearest input of a cell often lies on
    one: it is then reported from just inside. A cell counts if some input is inside it, and reaches
    the criterion, by more than 1e-6 of a change of an input; others may be passed over. Patterns
    are those of float64.

    Args:
        network: from `dualbound.load`.
        x: see `dualbound.nearest`, as for all that is not described here.
        criterion: what to reach; by label, one with several labels.
        count: how many inputs.
        distinct: ``"label"`` or ``"pattern"``: what no two of them share.
        norm: by pattern ``"l1"``, ``"linf"`` or ``"l2"``.
        region: the inputs allowed.
        cap: how far each input may move.
        mask: true for the inputs that may change.
        levels: of a grid; not by pattern.
        weights: of the norm.
        gap: relative gap between value and bound that counts as proved.
        engine: how it is solved; by pattern, by `Columns` only.
        limits: of the whole.
        on_progress: told of every better witness, better bound and new phase.

    Returns:
        An answer for each input, the nearest first. The bound of each is proved of all that is not
        listed before it. Where there are less than asked for, the last answer says so: it is
        INFEASIBLE, and proves that there are no more. If the search is cut short, the last answer
        is what is known of the next input, and FEASIBLE or UNKNOWN.

    Raises:
        InvalidInput: a count, or another option, that makes no sense; see `dualbound.nearest`.

    **Trusts** what `dualbound.nearest` does; by pattern, also the solver's verdict that a cell is
    as thin as said above.

    >>> from dualbound import Network, Untargeted
    >>> net = Network.dense([np.eye(3)], [[0.0, 0.0, 0.0]])
    >>> found = nearest_several(net, [0.9, 0.5, 0.1], Untargeted(margin=0.1), 2)
    >>> [(answer.witness.label, round(answer.value, 3)) for answer in found]
    [(1, 0.5), (2, 0.9)]
    """
    check_gap(gap)
    problem = nearest_problem(
        network, x, criterion,
        norm=norm, region=region, cap=cap, mask=mask, levels=levels, weights=weights,
    )  # fmt: skip
    engine = chosen_engine(engine)
    if engine is None:
        by_pattern = distinct == "pattern" and Columns.can(parts_of(problem)[0].problem)
        engine = Columns() if by_pattern else automatic(problem)
    engine.check(problem)
    check(problem, count, distinct, engine)

    def tell(phase: str) -> None:
        if on_progress is not None:
            on_progress(Progress(phase, None, 0.0, None, 0, 0.0))

    engine.prepare(tell)
    with Clock(limits).catching_ctrl_c() as clock:
        kinds = (_Labels if distinct == "label" else _Patterns)(problem)
        listing = _Listing(kinds, engine, clock, gap, on_progress)
        while len(listing.answers) < count and listing.goes_on:
            listing.next()
    return tuple(listing.answers)


def check(problem: NearestProblem, count: int, distinct: str, engine: Engine) -> None:
    """Refuse what cannot be listed.

    Raises:
        InvalidInput: it cannot be.
    """
    if distinct not in DISTINCT:
        raise InvalidInput(f"Answers may differ by label or by pattern, not by {distinct!r}.")
    if isinstance(count, bool) or not float(count).is_integer() or count < 1:
        raise InvalidInput(f"The count of inputs must be a whole number from 1, found {count}.")
    if distinct == "label":
        labels = len(problem.criterion.alternatives(problem.network.output_size))
        if labels == 1 and count > 1:
            raise InvalidInput(
                f"Only {problem.criterion.goal} is asked for, so no two inputs can differ by "
                "label: ask for several labels, or for inputs that differ by pattern."
            )
        if count > labels:
            raise InvalidInput(
                f"{labels} labels are asked for, and {count} inputs that differ by label: at most "
                f"{labels} can."
            )
        return
    if not isinstance(engine, Columns):
        raise InvalidInput(
            "Inputs that differ by pattern are listed by the engine columns only, on plain chains "
            "of affine maps and rectifiers: leave the engine out, or list by label."
        )
    if problem.is_integral:
        what = "on a grid" if problem.grid is not None else "in L0"
        raise InvalidInput(
            f"Inputs that differ by pattern are not listed {what}: use l1, linf or l2 without "
            "levels, or list by label."
        )


@dataclass
class _Labels:
    """Which labels are left, and what is known of each."""

    problem: NearestProblem

    def __post_init__(self) -> None:
        self.parts = parts_of(self.problem)
        self.asked = self.problem

    def exclude(self, x: Float[np.ndarray, " n"]) -> None:
        """Ask no longer for the label of a witness."""
        outputs = self.problem.network(x)
        self.parts = [part for part in self.parts if not part.problem.criterion.reached(outputs)]
        criteria = [part.problem.criterion for part in self.parts]
        targets = [one for one in criteria if isinstance(one, Targeted)]
        if targets:
            first, labels = targets[0], tuple(one.target for one in targets)
            rest = first if len(labels) == 1 else OneOf(
                labels, first.ratio, first.margin, first.floor
            )  # fmt: skip
            self.asked = replace(self.problem, criterion=rest)

    def hint(self, engine: Engine, clock: Clock) -> Engine:
        """What the other labels' searches saw is in the parts: how to search for what is left."""
        return engine


@dataclass
class _Patterns:
    """Which patterns do not count any more, and what is known of each alternative."""

    problem: NearestProblem
    last: Float[np.ndarray, " n"] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.asked = replace(self.problem, listed=frozenset())
        self.parts = parts_of(self.asked)

    def exclude(self, x: Float[np.ndarray, " n"]) -> None:
        """Count the pattern of a witness no longer."""
        cell = cell_at(self.problem.network, self.problem.box, x)
        listed = (self.asked.listed or frozenset()) | ({key_of(cell)} if cell else set())
        self.asked, self.last = replace(self.asked, listed=listed), x
        self.parts = [Part(replace(part.problem, listed=listed), part.bound) for part in self.parts]

    def hint(self, engine: Engine, clock: Clock) -> Engine:
        """Look for witnesses in the patterns next to the last one; then no attack is needed."""
        if self.last is None:
            return engine
        wanted = self.asked.narrowed(self.last)
        found = neighbour(wanted, self.last, engine.backend(), clock, NEIGHBOURS)
        if found is None:
            return engine
        for part in self.parts:
            if part.problem.criterion == wanted.criterion:
                part.x, part.value = found.x, found.distance
        return engine.without_attack()


@dataclass
class _Listing:
    """A listing under way."""

    kinds: _Labels | _Patterns
    engine: Engine
    clock: Clock
    gap: float
    on_progress: Callable[[Progress], None] | None
    answers: list[Answer] = field(default_factory=list, init=False)

    @property
    def goes_on(self) -> bool:
        """Whether it makes sense to ask for one more."""
        if not self.answers:
            return True
        last = self.answers[-1]
        return last.witness is not None and (
            last.status is Status.OPTIMAL or not self.clock.expired
        )

    def next(self) -> None:
        """Find one more, or prove that there is none, or say what is known when time is up."""
        kinds = self.kinds
        known = Incumbent(self.clock.within(math.inf), self._relayed())
        known.enter("attack")
        engine = self.engine if self.clock.expired else kinds.hint(self.engine, self.clock)
        for part in kinds.parts:
            part.tried = None
            if part.x is not None and part.value < known.value:
                known.improve(part.x, part.value)
        known.prove(min(part.bound for part in kinds.parts))
        unstable = None
        if not self.clock.expired:
            unstable = search_all(engine, kinds.asked, known, self.gap, kinds.parts)
        answer = answered(kinds.asked, self.engine, known, self.gap, unstable)
        self.answers.append(answer)
        if answer.witness is not None:
            kinds.exclude(answer.witness.x.reshape(-1))

    def _relayed(self) -> Callable[[Progress], None] | None:
        """Tell the same of the next input, saying which it is."""
        if self.on_progress is None:
            return None
        tell, number = self.on_progress, len(self.answers) + 1
        return lambda now: tell(replace(now, phase=f"{number}: {now.phase}"))
