"""``verify``: has an input of a region outputs in a set? A proof that none has, or a witness."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from dualbound.criterion import Case, Criterion, OutputSet, Polyhedron, Property, Targeted
from dualbound.errors import InvalidCriterion, InvalidInput, SoundnessError
from dualbound.limits import Clock, Limits
from dualbound.network.graph import Network
from dualbound.network.replay import replay
from dualbound.queries.answer import Runtime
from dualbound.queries.properties import check_speaks_of_outputs
from dualbound.region import Box, L0Ball, L1Ball, L2Ball, Norm, Region, norm_named
from dualbound.search.bab import Bab, Decision

INWARDS = (1e-7, 1e-6, 1e-5, 1e-4)
"""Parts of the way to the centre of a ball by which a point on its surface is pulled inwards."""


class Outcome(enum.Enum):
    """How a verification ended."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Counterexample:
    """An input that violates a property, replayed outside the search.

    Attributes:
        x: in the network's input shape, float64; each number is one of the file's own precision.
        outputs: of the network in float64.
        answered: what onnxruntime answers, on the file as given (logits).
        label: the argmax of ``outputs``.
        runtimes: what each evaluation said; all of them accepted it, with no tolerance.
    """

    x: Float[np.ndarray, "*shape"]
    outputs: Float[np.ndarray, " m"]
    answered: Float[np.ndarray, " m"]
    label: int
    runtimes: tuple[Runtime, ...]


@dataclass(frozen=True, eq=False)
class Verification:
    """What answers a verification.

    Attributes:
        outcome: HOLDS with proof, VIOLATED with a counterexample, UNKNOWN otherwise.
        bound: proved: no input of any region has outputs further inside the violating sets than
            this, by its worst inequality; below 0 where the property holds.
        witness: replayed, or None.
        note: how the search was ended; empty when there is nothing to say.
        seconds: wall-clock time in all.
        phases: seconds of each phase.
        nodes: of the search.
        unstable: neurons whose phase was open at the root, of the last region looked at; None if it
            was not needed.
        engine: its name, and what it branched on.
    """

    outcome: Outcome
    bound: float
    witness: Counterexample | None
    note: str = field(default="", kw_only=True)
    seconds: float = field(repr=False, kw_only=True)
    phases: Mapping[str, float] = field(repr=False, kw_only=True)
    nodes: int = field(repr=False, kw_only=True)
    unstable: int | None = field(repr=False, kw_only=True)
    engine: str = field(repr=False, kw_only=True)


def verify(
    network: Network,
    asked: Property,
    *,
    hints: Iterable[ArrayLike] = (),
    engine: Bab | None = None,
    limits: Limits | None = None,
    on_progress: Callable[[Decision], None] | None = None,
) -> Verification:
    """Prove that a property holds, or find an input that violates it.

    Args:
        network: any.
        asked: what no input may do; see `robustness` and `read_vnnlib`.
        hints: inputs that are tried before anything is searched, such as the image itself.
        engine: how it is searched.
        limits: when to stop.
        on_progress: told of every phase and every batch of nodes.

    Returns:
        The answer. A limit or Ctrl-C is not an error: the answer is UNKNOWN then, and its bound is
        what was proved so far.

    Raises:
        InvalidInput: the property, or a hint, is not of this network's inputs and outputs; or the
            engine cannot branch so.
        InvalidProperty: the model ends in a softmax, which is left out, and a property from a file
            asks for more than which of two probabilities is larger.

    **Trusts** float64 sums within their worst rounding error; no solver. A counterexample is
    replayed in float64 and by onnxruntime, with no tolerance.

    >>> from dualbound import Network
    >>> net = Network.dense([[[1.0, 0.0], [0.0, 1.0]]], [[0.0, 0.0]])
    >>> verify(net, robustness(net, [0.7, 0.2], 0.2)).outcome.name
    'HOLDS'
    >>> verify(net, robustness(net, [0.7, 0.2], 0.3)).outcome.name
    'VIOLATED'
    """
    if (asked.inputs, asked.outputs) != (network.input_size, network.output_size):
        raise InvalidInput(
            f"The property is of {asked.inputs} inputs and {asked.outputs} outputs; the network "
            f"has {network.input_size} and {network.output_size}."
        )
    check_speaks_of_outputs(network, asked)
    engine = engine or Bab()
    _check_branching(engine.branching, asked)
    points = [network.one_input(hint) for hint in hints]
    run = _Run(network, engine, Clock(limits), on_progress)
    if not run.tried(asked.cases, points):
        import torch  # noqa: F401  # takes seconds to load, which are no part of the limit

        engine.prepare_for(network, run.enter)
        run.clock = Clock(limits)
        with run.clock.catching_ctrl_c():
            run.look_at_all(asked.cases)
    return run.answer()


def _check_branching(branching: str, asked: Property) -> None:
    if branching == "inputs" and not all(isinstance(case.region, Box) for case in asked.cases):
        raise InvalidInput(
            "Only boxes are halved, and a ball in another norm than linf is none: leave the "
            "branching on inputs out."
        )


class _Run:
    """The cases of one property, one after another."""

    def __init__(
        self,
        network: Network,
        engine: Bab,
        clock: Clock,
        on_progress: Callable[[Decision], None] | None,
    ) -> None:
        self.network, self.engine, self.clock = network, engine, clock
        self.tell = on_progress or (lambda _: None)
        self.witness: Counterexample | None = None
        self.bound = -np.inf
        self.nodes = 0
        self.unstable: int | None = None
        self.branching: set[str] = set()
        self.phases: dict[str, float] = {}

    def tried(self, cases: Sequence[Case], points: Sequence[Float[np.ndarray, " n"]]) -> bool:
        """Whether one of some points is a counterexample; then nothing is proved."""
        if not any(self._accept(case, x) for case in cases for x in points):
            return False
        self.bound = np.inf
        return True

    def enter(self, phase: str) -> None:
        """Say what is done before the first case is looked at."""
        self.tell(Decision(lambda _: False, self.clock, phase=phase))

    def look_at_all(self, cases: Sequence[Case]) -> None:
        """Decide every case, each in its part of the time that is left."""
        for k, case in enumerate(cases):
            left = len(cases) - k
            clock = self.clock.within(self.clock.remaining / left) if left > 1 else self.clock
            self.look_at(case, clock)
            if self.witness is not None:
                break

    def look_at(self, case: Case, clock: Clock) -> None:
        """Decide one case, or stop trying."""
        region, criterion = case.region, case.criterion
        if any(len(one.b) == 0 for one in criterion.polyhedra):
            inside = case.witnesses
            self._accept(case, inside.project(inside.sample(np.random.default_rng(0), 1))[0])
            self.bound = np.inf
            return
        decision = Decision(lambda x: self._accept(case, x), clock, self.tell)
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number proves nothing
            self.engine.decide(self.network, region, [criterion], decision)
        decision.enter("end")
        if self.witness is not None and decision.bound < 0:
            raise SoundnessError(
                "A counterexample was found where none was proved to be. No figure of this run can "
                "be trusted; please report it."
            )
        self.bound = max(self.bound, decision.bound)
        self.nodes += decision.nodes
        self.unstable = decision.unstable if decision.unstable is not None else self.unstable
        if decision.branching:
            self.branching.add(decision.branching)
        for phase, seconds in decision.seconds.items():
            self.phases[phase] = self.phases.get(phase, 0.0) + seconds

    def _accept(self, case: Case, x: Float[np.ndarray, " n"]) -> bool:
        """Replay a point; the first that every evaluation accepts is the counterexample."""
        found = counterexample(self.network, case, x)
        if found is not None and self.witness is None:
            self.witness = found
        return found is not None

    def answer(self) -> Verification:
        """What is known when no case is left, or one has a counterexample."""
        outcome = Outcome.HOLDS if self.bound < 0 else Outcome.UNKNOWN
        if self.witness is not None:
            outcome = Outcome.VIOLATED
        note = ""
        if outcome is Outcome.UNKNOWN:
            if self.clock.interrupted:
                note = "interrupted"
            elif self.clock.expired:
                note = "the time limit was reached"
            else:
                note = "what is left open lies within rounding, or within solvers' tolerances"
        branching = " and ".join(sorted(self.branching))
        return Verification(
            outcome,
            self.bound,
            self.witness,
            note=note,
            seconds=self.clock.seconds,
            phases=self.phases,
            nodes=self.nodes,
            unstable=self.unstable,
            engine=f"{self.engine} ({branching})" if branching else str(self.engine),
        )


def counterexample(
    network: Network, case: Case, x: Float[np.ndarray, " n"]
) -> Counterexample | None:
    """Replay a point, rounded to what the network's file computes with, and check everything.

    Args:
        network: any.
        case: region and outputs.
        x: ``(n,)``; moved into the region first.

    Returns:
        None where the point leaves the region, or an evaluation does not reach the outputs; there
        is no tolerance in either.
    """
    rounded = _rounded(case.witnesses, x)
    if rounded is None:
        return None
    x, exact = rounded, network(rounded)
    if not case.criterion.reached(exact):
        return None
    answered = replay(network, x).before_softmax
    if not case.criterion.reached(answered):
        return None
    label = int(np.argmax(exact))
    return Counterexample(
        x=x.reshape(network.input_shape),
        outputs=exact,
        answered=answered,
        label=label,
        runtimes=tuple(
            Runtime(name, int(np.argmax(outputs)), float(case.criterion.slack(outputs)))
            for name, outputs in (("dualbound float64", exact), ("onnxruntime", answered))
        ),
    )


def _rounded(region: Region, x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"] | None:
    """Float32 numbers near a point and inside a region; None if there are none.

    On the surface of a ball, rounding may leave it: the point is pulled inwards as far as needed.
    """
    center = region.center if isinstance(region, L1Ball | L2Ball) else x
    inner = region.project(center[None])[0]
    for pull in (0.0, *INWARDS):
        found = _rounded_into_box(region, x + pull * (inner - x))
        if isinstance(region, L0Ball):  # what does not change is not rounded either
            found = np.where(x == region.center, x, found)
        if region.violation(found[None])[0] == 0.0:
            return found
    return None


def _rounded_into_box(region: Region, x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The nearest float32 numbers, moved inwards where they would leave the box around a region.

    Where no float32 number lies between two bounds, the number stays as it is.
    """
    x = np.clip(x, region.lower, region.upper)
    rounded = x.astype(np.float32)
    low = rounded.astype(float) < region.lower
    rounded[low] = np.nextafter(rounded[low], np.float32(np.inf))
    high = rounded.astype(float) > region.upper
    rounded[high] = np.nextafter(rounded[high], np.float32(-np.inf))
    found = rounded.astype(float)
    inside = (found >= region.lower) & (found <= region.upper)
    return np.where(inside, found, x)


def robustness(
    network: Network,
    x: ArrayLike,
    eps: float,
    *,
    norm: str | Norm = "linf",
    label: int | None = None,
    criterion: Criterion | None = None,
    region: Box | None = None,
) -> Property:
    """That no input near ``x`` is answered otherwise.

    Args:
        network: a classifier.
        x: the input, of any shape that the network accepts.
        eps: how near, in the units of the input.
        norm: ``linf``, ``l2``, ``l1`` or ``l0``, or one of `dualbound.region`.
        label: that the network shall answer; what it answers at ``x`` when not given. The property
            is violated where another output is at least as large.
        criterion: what shall not be reached, instead of any other label. With neither ratio nor
            margin, ties count as reached: where the property holds, its labels are never answered.
        region: of all inputs; [0, 1] for each when not given.

    Raises:
        InvalidInput: ``x`` does not fit, or lies outside the region, or ``eps`` is no radius.
        InvalidCriterion: the label is no output, or the criterion does not fit.

    >>> from dualbound import Network
    >>> net = Network.dense([[[1.0, 0.0], [0.0, 1.0]]], [[0.0, 0.0]])
    >>> asked = robustness(net, [0.7, 0.2], 0.1)
    >>> asked.cases[0].region.upper, str(asked.cases[0].criterion)
    (array([0.8, 0.3]), 'outputs that meet 1 inequality')
    """
    center = network.one_input(x)
    box = Box.of_inputs(region, network.input_size)
    if not 0 <= eps < np.inf:
        raise InvalidInput(f"The radius eps must be at least 0 and finite, found {eps}.")
    if box.violation(center[None])[0] > 0:
        raise InvalidInput(
            f"The input has values from {center.min():g} to {center.max():g}, outside of the "
            "region. Divide 8-bit pixels by 255, or say between which values inputs lie: "
            "region=, on the command line --range LOW HIGH."
        )
    measure = norm_named(norm)
    around: Region = measure.ball(center, eps, box)
    if measure.name == "linf":
        around = Box(around.lower, around.upper)
    outputs = network(center)
    m = network.output_size
    if criterion is not None:
        sets = [_polyhedron(one, m) for one in criterion.at(outputs).alternatives(m)]
        return Property((Case(around, OutputSet(sets)),), network.input_size, m)
    present = int(np.argmax(outputs)) if label is None else label
    if m < 2:
        raise InvalidCriterion(
            "The network has 1 output, and a classifier needs at least two: state what its output "
            "shall not be as a property, in a .vnnlib file."
        )
    if not 0 <= present < m:
        raise InvalidCriterion(
            f"Label {present} is out of range: the network's labels are 0 to {m - 1}."
        )
    rows = np.eye(m) - np.eye(m)[present]
    sets = [Polyhedron(rows[j : j + 1], np.zeros(1)) for j in range(m) if j != present]
    return Property((Case(around, OutputSet(sets)),), network.input_size, m)


def _polyhedron(criterion: Criterion, outputs: int) -> Polyhedron:
    """Of one alternative; without the default margin, which is for searches and not for proofs."""
    a, b = criterion.rows(outputs)
    if isinstance(criterion, Targeted) and criterion.ratio is criterion.margin is None:
        b = np.zeros(len(b))
    return Polyhedron(a, b)
