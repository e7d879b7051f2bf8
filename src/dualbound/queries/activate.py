"""The input that activates neurons most, with the proof that no input does more."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from dualbound.errors import InvalidInput
from dualbound.limits import Clock, Limits, check_gap, core_count
from dualbound.network import Network, replay
from dualbound.queries.answer import Stats, Status
from dualbound.queries.neurons import Neurons, objective_of
from dualbound.region import Box, L0Ball, L2Ball, Region
from dualbound.search import Bab, Columns, Engine, Milp, Progress, chosen_engine
from dualbound.search.by_decisions import by_decisions, decisions_refuse
from dualbound.search.by_program import by_program
from dualbound.search.by_tree import by_tree, tree_refuses
from dualbound.search.objective import Objective
from dualbound.search.optimum import Optimum, open_gap

DEFAULT_GAP = 1e-4

FLOAT32_DOUBT = 1e-3
"""The largest difference between outputs in float64 and by onnxruntime that can be rounding,
relative to the largest output. More, and the input is not reported."""


@dataclass(frozen=True, eq=False)
class Activation:
    """The pair that answers an activate query: a replayed input and a proved bound.

    Attributes:
        status: OPTIMAL when the gap is closed, FEASIBLE when it is open, UNKNOWN without an input.
        maximise: whether the value was to be large; otherwise it was to be small.
        value: of the combination at ``x``, evaluated by the network in float64.
        bound: proved: no input of the region has a larger value (smaller, when minimising).
        gap: ``|bound - value| / max(|value|, 1)``, None without an input.
        x: in the network's input shape, exactly in the region; or None.
        outputs: of the network at ``x``, in float64.
        label: its argmax.
        runtime_value: the value by onnxruntime on the file as given, where only outputs count.
        note: what there is to say of how the search ended; usually empty.
        stats: how it was reached.
    """

    status: Status
    maximise: bool
    value: float | None
    bound: float
    gap: float | None
    x: Float[np.ndarray, "*shape"] | None
    outputs: Float[np.ndarray, " m"] | None
    label: int | None
    runtime_value: float | None
    note: str = ""
    stats: Stats = field(repr=False, kw_only=True)


def activate(
    network: Network,
    neurons: Neurons = (),
    region: Region | None = None,
    *,
    maximise: bool = True,
    inputs: ArrayLike | None = None,
    phases: Neurons = (),
    slacks: Neurons = (),
    gap: float = DEFAULT_GAP,
    engine: str | Engine | None = None,
    limits: Limits | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Activation:
    r"""Find the input that maximises a combination of neurons, and prove that none does more.

    The papers' general objective (Schoenfeld section 3, Koot section 3.2), over a region:

    .. math:: \max\; \sum c\,x + \sum \gamma\,z + \sum \lambda\,s

    with values x of inputs, neurons and outputs, phases z and slacks s.

    Args:
        network: from `dualbound.load`.
        neurons: a `Neuron`, several of them, or a mapping to coefficients; pre-activations,
            rectified values and logits may be mixed.
        region: of inputs; ``Box(0, 1)`` when not given.
        maximise: or minimise.
        inputs: a coefficient for each input.
        phases: neurons with coefficients :math:`\gamma`; z is 1 where a neuron is *inactive*, its
            pre-activation at most 0, as in the papers. Where it is exactly 0 their program allows
            both values of z, and the one that suits the objective counts.
        slacks: neurons with coefficients :math:`\lambda`; s is ``max(-a, 0)`` of a
            pre-activation a.
        gap: between value and bound that counts as proved: relative, absolute for values below 1.
        engine: `Columns`, our own search (of which the threads matter here); `Bab`, decisions
            whether a larger value is possible, on graphs that branch too; or `Milp`, one
            mixed-integer program (of which solver, formulation and bounds matter). Chosen by the
            question when not given. Phases need `Milp`.
        limits: when to stop.
        on_progress: told of every better input, better bound and new phase.

    Returns:
        The answer. A limit or Ctrl-C is not an error: the answer then holds the best input and the
        best bound so far.

    Raises:
        InvalidInput: a neuron or a region that does not fit the network, or an option that makes no
            sense.
        SolverNotInstalled: the solver's package is missing.
        SoundnessError: an input contradicts a proof.

    **Trusts** float64 sums, relaxed by what they may lose; the engine `Milp` also its solver's
    dual bound, within its tolerance.

    >>> from dualbound import Box, Network, Neuron, activate
    >>> net = Network.dense([[[1.0], [-1.0]], [[1.0, 2.0]]], [[0.0, 0.0], [0.5]])
    >>> answer = activate(net, Neuron("logits", 0), Box([-1], [1]))
    >>> answer.status.name, answer.value, answer.x
    ('OPTIMAL', 2.5, array([-1.]))
    >>> activate(net, {Neuron(1, 0, post=True): 1, Neuron(1, 1): -1}, Box([-1], [1])).value
    2.0
    """
    sign = 1.0 if maximise else -1.0
    objective = objective_of(
        network, neurons, inputs=inputs, phases=phases, slacks=slacks, sign=sign
    )
    return optimise(
        network,
        objective,
        region,
        maximise=maximise,
        of_outputs=of_outputs(network, objective, sign),
        gap=gap,
        engine=engine,
        limits=limits,
        on_progress=on_progress,
    )


def of_outputs(
    network: Network, objective: Objective, sign: float
) -> Callable[[np.ndarray], float] | None:
    """The objective's value as a function of the network's outputs alone, if it is one."""
    single = objective.single()
    if single is None or single[0].output != network.output:
        return None
    weights = sign * single[1]
    return lambda outputs: float(weights @ outputs)


def optimise(
    network: Network,
    objective: Objective,
    region: Region | None,
    *,
    maximise: bool,
    of_outputs: Callable[[np.ndarray], float] | None,
    gap: float,
    engine: str | Engine | None,
    limits: Limits | None,
    on_progress: Callable[[Progress], None] | None,
    clock: Clock | None = None,
    at_most: float = np.inf,
    hints: Objective | None = None,
    side: float | None = None,
) -> Activation:
    """Maximise an objective, which is the negated value when minimising; see `activate`.

    Args:
        network: that inputs are replayed on.
        objective: of a network that reads the same inputs.
        region: of inputs.
        maximise: whether values are those of the objective, or their negatives.
        of_outputs: the value as a function of the network's outputs, if it is one.
        gap: that counts as proved.
        engine: None chooses.
        limits: when to stop.
        on_progress: told of every change.
        clock: of a larger question that this one is part of, in place of the limits.
        at_most: known of the objective without a search.
        hints: see `search.by_program`.
        side: see `search.optimum.Optimum`; for the engine `Bab`.
    """
    region = (region or Box(0.0, 1.0)).sized(network.input_size)
    check_gap(gap)
    engine = chosen_engine(engine) or engine_for(objective, region)
    tell = _towards(maximise, on_progress)
    engine.prepare(_preparing(tell))
    if isinstance(engine, Bab):
        engine.prepare_for(network, _preparing(tell))
    with contextlib.ExitStack() as stack:
        if clock is None:
            clock = stack.enter_context(Clock(limits).catching_ctrl_c())
        optimum = Optimum(objective, region, clock, gap, side, tell, bound=at_most)
        match engine:
            case Columns():
                by_tree(optimum, engine.threads or core_count(), hints)
            case Milp():
                by_program(optimum, engine, hints)
            case Bab():
                by_decisions(optimum, engine, hints)
            case _:
                raise InvalidInput(f"The engine {engine} does not know this question.")
        optimum.enter("done")
    return _answer(network, optimum, engine, maximise, of_outputs)


def engine_for(objective: Objective, region: Region, *, threads: int | None = None) -> Engine:
    """Our own search where it can close the gap, else one program; over L2 balls there is none.

    Over an L0 ball, which is not convex, it proves bounds, but need not close the last of the gap.
    """
    if not tree_refuses(objective, region) and not isinstance(region, L0Ball):
        return Columns(threads=threads)
    if isinstance(region, L2Ball) and not decisions_refuse(objective):
        return Bab()
    return Milp()


def _preparing(tell: Callable[[Progress], None] | None) -> Callable[[str], None]:
    def say(phase: str) -> None:
        if tell is not None:
            tell(Progress(phase, None, np.inf, None, 0, 0.0))

    return say


def _towards(
    maximise: bool, on_progress: Callable[[Progress], None] | None
) -> Callable[[Progress], None] | None:
    """Progress in the user's terms: negated when minimising."""
    if on_progress is None or maximise:
        return on_progress
    return lambda now: on_progress(
        replace(now, value=None if now.value is None else -now.value, bound=-now.bound)
    )


def _answer(
    network: Network,
    optimum: Optimum,
    engine: Engine,
    maximise: bool,
    of_outputs: Callable[[np.ndarray], float] | None,
) -> Activation:
    sign, x, outputs, runtime_value = 1.0 if maximise else -1.0, optimum.x, None, None
    notes = [optimum.note, "interrupted" if optimum.clock.interrupted else ""]
    if x is not None:
        outputs = network(x)
        runtime = replay(network, x).before_softmax
        off = float(np.abs(runtime - outputs).max())
        if off <= FLOAT32_DOUBT * (1 + float(np.abs(outputs).max())):
            runtime_value = None if of_outputs is None else of_outputs(runtime)
        else:
            notes.append(
                f"the input found failed its replay: an output by onnxruntime is {off:.3g} off the "
                "one in float64"
            )
            x = outputs = None
    value, status = None if x is None else optimum.value, Status.UNKNOWN
    if value is not None:
        closed = open_gap(value, optimum.bound) <= optimum.gap * (1 + 1e-6) + 1e-12
        status = Status.OPTIMAL if closed else Status.FEASIBLE
        if not (closed or optimum.closed or optimum.clock.expired or optimum.note):
            notes.append(left_open(network, optimum.region, engine))
    elif not (any(notes) or optimum.clock.expired):
        notes.append("no input was found that is exactly in the region and passes its replay")
    solver = engine.backend()
    return Activation(
        status=status,
        maximise=maximise,
        value=None if value is None else sign * value + 0.0,
        bound=sign * optimum.bound + 0.0,  # no negative zero
        gap=None if value is None else open_gap(value, optimum.bound),
        x=None if x is None else x.reshape(network.input_shape),
        outputs=outputs,
        label=None if outputs is None else int(np.argmax(outputs)),
        runtime_value=runtime_value,
        note="; ".join(note for note in notes if note),
        stats=Stats(
            seconds=optimum.clock.seconds,
            phases=dict(optimum.seconds),
            nodes=optimum.nodes,
            unstable=optimum.unstable,
            engine=engine.name,
            solver=f"{solver.name} {solver.version()}" if isinstance(engine, Milp) else "",
        ),
    )


def left_open(network: Network, region: Region, engine: Engine) -> str:
    """Why an answer is open though the search has come to its end."""
    if isinstance(region, L0Ball) and not isinstance(engine, Milp):
        return "an L0 ball is not convex: the engine milp closes what is left open"
    if isinstance(engine, Bab):
        return "the engine bab could not decide what is left open"
    if network.is_piecewise_linear:
        return "what is left open is a matter of rounding, or of a solver's tolerance"
    return "what is left open lies within the lines around curves, or a matter of rounding"
