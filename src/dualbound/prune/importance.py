"""Which units a network needs: scores by a program over a batch of inputs, with a proved bound."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from dualbound.bounds import crown
from dualbound.bounds.crown import maximum
from dualbound.errors import InvalidInput, SolverFailed, SoundnessError
from dualbound.limits import Clock, Limits
from dualbound.network import Network
from dualbound.network.torch_chain import Chain, chain
from dualbound.prune.score_program import Hinge, Loss, ScoreProgram, loss_named
from dualbound.prune.scored import Scored, lowered, scored, shifts_to_zero
from dualbound.prune.units import Keep, Layer, layers_of
from dualbound.queries import Neuron, activate
from dualbound.region import Box
from dualbound.solvers import Effort, Solver, solver_named
from dualbound.tighten.ascent import climb

THRESHOLD = 1e-3
"""Units with a score below it are not needed (the papers' choice)."""

CLOSED = 1e-4
"""The relative gap between value and bound that counts as closed."""

QUICK_ROUNDS = 30
"""How often bad inputs join that are found quickly, at most."""

_WRONG = 1e-4
"""A bound this far above a value that was reached is no matter of a solver's tolerance."""


@dataclass(frozen=True)
class Moment:
    """How a search for scores is going.

    Attributes:
        part: which program, where there are several: a class, or a layer.
        value: of the best scores so far.
        bound: that is proved.
        removable: how many units of the best scores are below the threshold.
        seconds: since the beginning.
    """

    part: str
    value: float
    bound: float
    removable: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Importance:
    """Scores of all units, from 0 (not needed) to 1.

    Attributes:
        layers: whose units they are of.
        scores: of each layer's units, by its name.
        value: of the objective at the scores, evaluated outside the solver.
        bound: proved: no scores have a lower value. Where layers were scored one after another it
            is what the objective cannot be below whatever the network: what their programs prove
            holds for the other layers' scores as they are.
        sparsity: the first part of the value.
        loss: the mean loss at the scores.
        loss_before: the mean loss of the network as it is.
        order: the units as they were let go one by one, the one that is missed least first, as
            places among the units of all layers; those that are never active are the first.
        relaxed: whether the bound is that of linear programs alone.
        finished: whether the gap is closed, layer by layer that of every program; else the time
            was over.
        interrupted: whether Ctrl-C ended it.
        note: what there is to say; usually empty.
        seconds: that it took.
        programs: how many programs were solved.
    """

    layers: tuple[Layer, ...]
    scores: Mapping[str, Float[np.ndarray, " units"]]
    value: float
    bound: float
    sparsity: float
    loss: float
    loss_before: float
    order: tuple[int, ...]
    relaxed: bool
    finished: bool
    interrupted: bool = field(default=False, kw_only=True)
    note: str = field(default="", kw_only=True)
    seconds: float = field(repr=False, kw_only=True)
    programs: int = field(repr=False, kw_only=True)

    @property
    def gap(self) -> float:
        """Between value and bound, relative to the value where that is above 1."""
        return max(self.value - self.bound, 0.0) / max(abs(self.value), 1.0)

    def keep(self, threshold: float | str = THRESHOLD) -> Keep:
        """Which units stay.

        Args:
            threshold: a unit with a score below it goes; ``mean`` stands for the mean score of
                its layer.

        Raises:
            InvalidInput: another word, or no number from 0 to 1.
        """
        check_threshold(threshold)
        if threshold == "mean":
            return {name: scores >= scores.mean() for name, scores in self.scores.items()}
        return {name: scores >= threshold for name, scores in self.scores.items()}


def check_threshold(threshold: float | str) -> None:
    """Refuse what no score can be compared with.

    Raises:
        InvalidInput: neither ``mean`` nor a number from 0 to 1.
    """
    if threshold != "mean" and (isinstance(threshold, str) or not 0 <= threshold <= 1):
        raise InvalidInput(
            f"The threshold is {threshold!r}; expected a number from 0 to 1, or 'mean'."
        )


def importance(
    network: Network | Chain,
    x: ArrayLike,
    labels: ArrayLike,
    *,
    loss: str = "softmax",
    weight: float = 5.0,
    eps: float = 0.0,
    relaxed: bool = False,
    whole: bool = False,
    by: str = "all",
    solver: str | Solver = "highs",
    gap: float = CLOSED,
    limits: Limits | None = None,
    on_progress: Callable[[Moment], None] | None = None,
) -> Importance:
    r"""Find the scores that let the most units go at the least loss, and prove how good they are.

    A unit with score s is ``max(Wx + b - (1 - s) u, 0)`` at every input, so one of score 0 is gone.
    See `dualbound.prune.score_program` for the objective (ElAraby, Wolf, Carvalho, 2020). First
    units are let go one by one, each time the one whose going costs least, and the best of these
    scores are improved one at a time; then programs look for better ones, and prove a bound.

    Args:
        network: a chain of layers, see `dualbound.network.torch_chain`.
        x: inputs, ``(k, n)`` or in the network's input shape.
        labels: the right one of each, ``(k,)``.
        loss: of the outputs: ``softmax``, of which tangents are added until the gap is closed, or
            ``hinge``, ``max(0, 1 + largest other output - right output)``.
        weight: of the mean loss against the number of units, the papers' lambda.
        eps: above 0, the loss is the worst over all inputs of [0, 1] so near in L∞, which asks for
            the hinge: the units that robustness needs. The worst inputs are found and proved by
            `dualbound.activate` and join the program until nothing is worse.
        relaxed: rectifiers by their triangles, in linear programs alone: faster, with a weaker
            bound. Values are those of the network itself in either case.
        whole: scores are 0 or 1, and nothing between.
        by: ``all`` layers at once; ``layer``: the last one first, then the one before it with the
            scores found so far; ``class``: one program for the inputs of each class, scores
            averaged.
        solver: that solves the programs.
        gap: between value and bound that counts as closed, relative.
        limits: when to stop; so does Ctrl-C, and the best scores so far are returned.
        on_progress: told after every program.

    Raises:
        InvalidInput: inputs that do not fit, or are outside [0, 1] where there is a radius; a
            weight that is not positive, a network without rectified layers, or an option that is
            not known.
        UnsupportedOperator: the network is no chain of layers.

    **Trusts** the solver's dual bound, within its tolerance; one above a value that was reached
    raises `SoundnessError`.

    >>> from dualbound import Network
    >>> net = Network.dense([[[1.0], [0.0]], [[4.0, 1.0], [-4.0, 1.0]]], [[0.0, 1.0], [0.0, 0.0]])
    >>> found = importance(net, np.array([[1.0]]), np.array([0]), loss="hinge", weight=1.0)
    >>> found.scores["relu1"].round(3), round(found.value, 4), found.finished
    (array([0.125, 0.   ]), -1.9375, True)
    """
    made = network if isinstance(network, Chain) else chain(network)
    if isinstance(network, Chain):
        from dualbound.network import read_torch

        network = read_torch(made.module, made.shape)
        made = chain(network)
    rows = network.flatten(x)
    labels = np.asarray(labels)
    _check(network, rows, labels, weight, eps, loss, gap)
    if by not in ("all", "layer", "class"):
        raise InvalidInput(f"Scores are sought by all, layer or class; found {by!r}.")
    layers = layers_of(made)
    with Clock(limits).catching_ctrl_c() as clock:
        search = _Search(
            network, layers, loss_named(loss), weight, eps, relaxed, whole,
            solver_named(solver), gap, clock, on_progress,
        )  # fmt: skip
        if by == "class":
            found = search.class_by_class(rows, labels)
        elif by == "layer":
            found = search.layer_by_layer(rows, labels)
        else:
            found = search.at_once(rows, labels, np.full(search.units, np.nan), "")
        return search.told(found, rows, labels)


def _check(
    network: Network, x: np.ndarray, labels: np.ndarray, weight: float, eps: float, loss: str,
    gap: float,
) -> None:  # fmt: skip
    if not len(x):
        raise InvalidInput("There are no inputs to score units on.")
    if labels.shape != (len(x),) or not np.issubdtype(labels.dtype, np.integer):
        raise InvalidInput(
            f"Labels of shape {labels.shape} and type {labels.dtype} for {len(x)} inputs; expected "
            "one whole number for each."
        )
    if labels.min() < 0 or labels.max() >= network.output_size:
        raise InvalidInput(
            f"Labels from {labels.min()} to {labels.max()}; the network has "
            f"{network.output_size} outputs."
        )
    if not (weight > 0 and math.isfinite(weight)):
        raise InvalidInput(f"The weight of the loss must be positive, found {weight}.")
    if not 0 <= eps <= 1:
        raise InvalidInput(f"The radius must be from 0 to 1, found {eps}.")
    if eps > 0 and loss != "hinge":
        raise InvalidInput(
            f"The worst {loss} loss within a radius cannot be proved: use the loss 'hinge'."
        )
    if eps > 0 and (x.min() < 0 or x.max() > 1):
        raise InvalidInput(
            f"The inputs are from {x.min():g} to {x.max():g}; within a radius, units are scored on "
            "inputs from 0 to 1."
        )
    if not 0 <= gap < 1:
        raise InvalidInput(f"The gap must be at least 0 and below 1, found {gap}.")


@dataclass(frozen=True, eq=False)
class _Found:
    """Scores, and what is known of them."""

    scores: np.ndarray
    value: float
    bound: float
    finished: bool
    order: tuple[int, ...] = ()


@dataclass
class _Search:
    """The programs of one question."""

    network: Network
    layers: tuple[Layer, ...]
    loss: Loss
    weight: float
    eps: float
    relaxed: bool
    whole: bool
    solver: Solver
    gap: float
    clock: Clock
    tell: Callable[[Moment], None] | None
    programs: int = 0
    refused: str = ""

    @property
    def units(self) -> int:
        """How many units are scored."""
        return sum(layer.units for layer in self.layers)

    def at_once(self, x: np.ndarray, labels: np.ndarray, fixed: np.ndarray, part: str) -> _Found:
        """One program; with a radius, one after another until no input is worse.

        Which inputs are the worst depends on the scores: first those that are found quickly join
        while units are let go, then those that are proved to be the worst, and programs begin.
        """
        boxes = [box_around(row, self.eps) for row in x]
        most = shifts_to_zero(self.network, self.layers, boxes)
        rows, owners = x, np.arange(len(x))

        def run(clock: Clock, start: np.ndarray) -> _Run:
            seen = scored(self.network, self.layers, rows, most)
            return _Run(self, clock, seen, labels[owners], fixed, owners, start)

        ones = np.ones(self.units)
        if self.eps == 0:
            return run(self.clock, ones).to_the_end(part)
        quickly = _part(self.clock)
        found = run(quickly, ones).by_hand()
        for _ in range(QUICK_ROUNDS):
            more = self._bad(x, labels, most, found.scores)
            new = _not_among(rows, more)
            if not len(new) or quickly.expired:
                break
            rows, owners = np.concatenate([rows, more[new]]), np.concatenate([owners, new])
            found = run(quickly, ones).by_hand()
        best, order = _Found(ones, math.inf, -math.inf, False), found.order
        while True:
            worst, losses = self._worst(x, labels, most, found.scores)
            program = run(self.clock, found.scores).program
            value = program.sparsity(found.scores) + self.weight * float(losses.mean())
            bound = max(best.bound, found.bound)
            if value < best.value:
                best = replace(found, value=value)
            best = replace(best, bound=bound, finished=_closed(best.value, bound, self.gap))
            self.say(part, best.scores, best.value, bound)
            new = _not_among(rows, worst)
            if best.finished or self.clock.expired or (bound > -math.inf and not len(new)):
                return best
            rows, owners = np.concatenate([rows, worst[new]]), np.concatenate([owners, new])
            found = run(_part(self.clock), best.scores).to_the_end(part)
            found = replace(found, order=order)  # it began where many units were gone already

    def _bad(
        self, x: np.ndarray, labels: np.ndarray, most: np.ndarray, scores: np.ndarray
    ) -> np.ndarray:
        """For each input a bad one near it, by climbing."""
        net = lowered(self.network, self.layers, (1 - scores) * most)
        return np.array(
            [
                bad_input(net, row, int(label), self.eps)
                for row, label in zip(x, labels, strict=True)
            ]
        )

    def _worst(
        self, x: np.ndarray, labels: np.ndarray, most: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """For each input the worst one near it, and a proved upper bound of the loss there."""
        net = lowered(self.network, self.layers, (1 - scores) * most)
        worst, losses = x.copy(), np.zeros(len(x))
        for k, (row, label) in enumerate(zip(x, labels, strict=True)):
            worst[k], losses[k] = worst_input(net, row, int(label), self.eps, self.clock)
        return worst, losses

    def say(self, part: str, scores: np.ndarray, value: float, bound: float) -> None:
        """Tell whoever watches."""
        if self.tell is not None:
            removable = int((scores < THRESHOLD).sum())
            self.tell(Moment(part, value, bound, removable, self.clock.seconds))

    def class_by_class(self, x: np.ndarray, labels: np.ndarray) -> _Found:
        """The mean of the scores of each class, and what the objective of all inputs is there.

        That objective is the mean of those of the classes, weighted by how many inputs they have:
        so is its bound.
        """
        classes, counts = np.unique(labels, return_counts=True)
        found = [
            self.at_once(
                x[labels == label], labels[labels == label], np.full(self.units, np.nan),
                f"class {label}",
            )
            for label in classes
        ]  # fmt: skip
        scores = np.mean([one.scores for one in found], axis=0)
        value = self.value_at(scores, x, labels)
        bound = float(np.average([one.bound for one in found], weights=counts))
        order = _by_mean_place([one.order for one in found])
        return _Found(scores, value, bound, _closed(value, bound, self.gap), order)

    def value_at(self, scores: np.ndarray, x: np.ndarray, labels: np.ndarray) -> float:
        """Of the objective; with a radius a proved upper bound of it."""
        program, most = self.program_of(x, labels)
        if self.eps == 0:
            return program.value(scores)
        _, losses = self._worst(x, labels, most, scores)
        return program.sparsity(scores) + self.weight * float(losses.mean())

    def program_of(self, x: np.ndarray, labels: np.ndarray) -> tuple[ScoreProgram, np.ndarray]:
        """That of some inputs, and the shifts at which units are 0."""
        most = shifts_to_zero(self.network, self.layers, [box_around(row, self.eps) for row in x])
        seen = scored(self.network, self.layers, x, most)
        every = np.full(self.units, np.nan)
        return ScoreProgram(seen, labels, self.loss, self.weight, self.whole, every), most

    def layer_by_layer(self, x: np.ndarray, labels: np.ndarray) -> _Found:
        """The last layer, then the one before it with those scores, and so on."""
        fixed, ends = np.ones(self.units), np.cumsum([0, *(one.units for one in self.layers)])
        finished = True
        order: tuple[int, ...] = ()
        for k in reversed(range(len(self.layers))):
            fixed[ends[k] : ends[k + 1]] = np.nan
            found = self.at_once(x, labels, fixed.copy(), self.layers[k].name)
            fixed, finished = found.scores, finished and found.finished
            order += tuple(one for one in found.order if one not in order)
        return replace(found, bound=-math.inf, finished=finished, order=order)

    def told(self, found: _Found, x: np.ndarray, labels: np.ndarray) -> Importance:
        """The answer."""
        program, _ = self.program_of(x, labels)
        ends = np.cumsum([0, *(one.units for one in self.layers)])
        scores = {
            layer.name: found.scores[ends[k] : ends[k + 1]] for k, layer in enumerate(self.layers)
        }
        sparsity = program.sparsity(found.scores)
        return Importance(
            layers=self.layers,
            scores=scores,
            value=found.value,
            bound=max(found.bound, program.least),
            sparsity=sparsity,
            loss=program.mean_loss(found.scores),
            loss_before=float(program.loss(self.network(x), labels).mean()),
            order=found.order,
            relaxed=self.relaxed,
            finished=found.finished,
            interrupted=self.clock.interrupted,
            note="; ".join([*_notes(scores, labels, self.clock), *filter(None, [self.refused])]),
            seconds=self.clock.seconds,
            programs=self.programs,
        )


def _notes(scores: Mapping[str, np.ndarray], labels: np.ndarray, clock: Clock) -> list[str]:
    notes = []
    gone = {name: int((one < THRESHOLD).sum()) for name, one in scores.items()}
    if not any(gone.values()):
        notes.append("no unit has a score below 0.001: a smaller weight of the loss removes more")
    emptied = [name for name, count in gone.items() if count == len(scores[name])]
    if emptied:
        notes.append(
            f"all units of {' and '.join(emptied)} have scores below 0.001: the loss weighs too "
            "little against them, give it a larger weight"
        )
    if len(np.unique(labels)) == 1:
        notes.append(
            f"all inputs have the label {labels[0]}: what other labels need was not looked at"
        )
    if clock.interrupted:
        notes.append("interrupted")
    return notes


class _Run:
    """One program, solved again with more tangents until they meet the loss."""

    def __init__(
        self, search: _Search, clock: Clock, seen: Scored, labels: np.ndarray, fixed: np.ndarray,
        owners: np.ndarray, start: np.ndarray,
    ) -> None:  # fmt: skip
        self.search, self.clock = search, clock
        self.program = ScoreProgram(
            seen, labels, search.loss, search.weight, search.whole, fixed, owners=owners
        )
        self.best = np.where(np.isnan(self.program.fixed), start, self.program.fixed)
        self.value, self.bound = self.program.value(self.best), self.program.least
        self.program.meet(self.best)

    def by_hand(self) -> _Found:
        """Scores by letting units go one by one, and nothing proved."""
        order = self.eliminate()
        self.flip()
        return _Found(self.best, self.value, -math.inf, False, order)

    def to_the_end(self, part: str) -> _Found:
        """Scores whose gap is closed, or the best that there was time for."""
        search = self.search
        order = self.by_hand().order
        met = self._until_met(part, relaxed=True)
        if not search.relaxed:
            self._until_met(part, relaxed=False)
        met = met if search.relaxed else _closed(self.value, self.bound, search.gap)
        return _Found(self.best, self.value, self.bound, met, order)

    def eliminate(self) -> tuple[int, ...]:
        """Let the units go one by one, the one that is missed least first; their order.

        What each would cost is looked at again only when it is the least of all: mostly it has not
        changed by much.
        """
        program = self.program
        scores = self.best.copy()
        order = [int(k) for k in np.flatnonzero(program.scored.most == 0)]
        open_ = [int(k) for k in program.live if math.isnan(program.fixed[k])]
        order += [k for k in open_ if not scores[k]]
        free = [k for k in open_ if scores[k]]
        queue = [(-math.inf, -1, k) for k in free]
        round_ = 0
        while queue:
            _cost, seen, k = heapq.heappop(queue)
            if seen == round_:
                scores[k] = 0.0
                order.append(k)
                self.take(scores.copy())
                round_ += 1
                continue
            if self.clock.expired:
                return (*order, k, *(one for *_, one in sorted(queue)))
            without = scores.copy()
            without[k] = 0.0
            heapq.heappush(queue, (program.value(without), round_, k))
        return tuple(order)

    def flip(self) -> None:
        """Let units go or come back one at a time, as long as the value falls."""
        program = self.program
        free = [int(k) for k in program.live if math.isnan(program.fixed[k])]
        better = True
        while better:
            better = False
            for k in free:
                if self.clock.expired:
                    return
                other = self.best.copy()
                other[k] = 0.0 if other[k] else 1.0
                better |= self.take(other)

    def _until_met(self, part: str, *, relaxed: bool) -> bool:
        """Solve and add tangents until there is nothing more to gain; whether it came so far."""
        while not self.clock.expired:
            if self._once(part, relaxed=relaxed):
                return True
        return False

    def take(self, scores: np.ndarray) -> bool:
        """Keep scores if they are better."""
        value = self.program.value(scores)
        if value < self.value - 1e-12:
            self.best, self.value = scores, value
            return True
        return False

    def _once(self, part: str, *, relaxed: bool) -> bool:
        """Solve it once; whether there is nothing more to be gained this way."""
        search, program = self.search, self.program
        program.integer = not relaxed
        built, encoding, losses = program.build()
        start = None if relaxed else program.start(encoding, built, self.best)
        try:
            solution = search.solver.solve(
                built, self.clock, start=start, gap=search.gap / 2,
                on_effort=lambda effort: self._say(part, effort),
            )  # fmt: skip
        except SolverFailed as error:  # the scores that were found are good all the same
            search.refused = str(error).rstrip(".")
            return True
        search.programs += 1
        before = self.bound
        if solution.bound is not None:
            self.bound = max(self.bound, solution.bound)
        scores = self.best
        if solution.x is not None:
            scores = program.scores_at(encoding, solution.x)
            self.take(scores)
        if self.bound > self.value + _WRONG * max(1.0, abs(self.value)):
            raise SoundnessError(
                f"{search.solver.name} claims that no scores have a value below {self.bound!r}, "
                f"but some have {self.value!r}. No figure of this run can be trusted; please "
                "report it."
            )
        if solution.x is None:
            return True
        outputs = encoding.values[program.scored.network.output]
        reached = outputs.coefficients @ solution.x[: outputs.coefficients.shape[1]]
        reached = (reached + outputs.constant).reshape(program.scored.count, -1)
        missed = program.worst(program.loss(reached, program.labels)) - solution.x[losses]
        program.meet_outputs(reached)
        program.meet(scores)
        self._say(part, None)
        if _closed(self.value, self.bound, search.gap):
            return True
        met = float(missed.mean()) * search.weight <= search.gap
        return relaxed and (met or self.bound <= before + search.gap / 10)

    def _say(self, part: str, effort: Effort | None) -> None:
        bound = self.bound
        if effort is not None and effort.bound is not None:
            bound = max(bound, effort.bound)
        self.search.say(part, self.best, self.value, bound)


def _by_mean_place(orders: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """One order of several: by the mean of the places."""
    places = np.mean([np.argsort(order) for order in orders], axis=0)
    return tuple(int(k) for k in np.argsort(places, kind="stable"))


def _part(clock: Clock) -> Clock:
    """Half of the time that is left: the worst inputs take time as well."""
    return clock if clock.remaining == math.inf else clock.within(clock.remaining / 2)


def _not_among(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of the others are none of some rows."""
    return np.flatnonzero([not (rows == other).all(axis=1).any() for other in others])


def _closed(value: float, bound: float, gap: float) -> bool:
    return value - bound <= gap * max(1.0, abs(value)) + 1e-9


def box_around(x: Float[np.ndarray, " n"], eps: float) -> Box:
    """The inputs of [0, 1] within a radius of one, L∞; the input alone for a radius of 0."""
    if eps == 0:
        return Box(x, x)
    return Box(np.maximum(x - eps, 0.0), np.minimum(x + eps, 1.0))


def bad_input(
    network: Network, x: Float[np.ndarray, " n"], label: int, eps: float
) -> Float[np.ndarray, " n"]:
    """An input near another whose hinge is large: no proofs.

    Args:
        network: any.
        x: the input, in [0, 1].
        label: the right one.
        eps: how near, L∞.
    """
    region = box_around(x, eps)
    best, at = -math.inf, x
    for j in range(network.output_size):
        if j != label:
            row = np.eye(network.output_size)[j] - np.eye(network.output_size)[label]
            values, points = climb(network, region, row, x[None])
            if values[0] > best:
                best, at = float(values[0]), points[0]
    return at


def worst_input(
    network: Network, x: Float[np.ndarray, " n"], label: int, eps: float, clock: Clock
) -> tuple[Float[np.ndarray, " n"], float]:
    """The input near another whose hinge is largest, and a proved bound of it.

    Args:
        network: any.
        x: the input, in [0, 1].
        label: the right one.
        eps: how near, L∞.
        clock: when to stop.
    """
    region = box_around(x, eps)
    others = [j for j in range(network.output_size) if j != label]
    rows = np.eye(network.output_size)[others] - np.eye(network.output_size)[label]
    ends = maximum(network, region, crown(network, region), network.output, rows)
    worst, value, bound = x, -math.inf, -math.inf
    for j, end in sorted(zip(others, ends, strict=True), key=lambda pair: -pair[1]):
        if end <= value:
            bound = max(bound, float(end))
            break
        left = clock.remaining
        if left <= 0:
            bound = max(bound, float(end))
            break
        found = activate(
            network, {Neuron("logits", j): 1.0, Neuron("logits", label): -1.0}, region,
            gap=1e-6, limits=Limits(None if left == math.inf else left),
        )  # fmt: skip
        bound = max(bound, min(found.bound, float(end)))
        if found.value is not None and found.x is not None and found.value > value:
            worst, value = found.x.reshape(-1), found.value
    return worst, max(0.0, 1 + bound)


__all__: Sequence[str] = ("CLOSED", "THRESHOLD", "Hinge", "Importance", "Moment", "importance")
