"""The input whose outputs are closest to a one-hot vector, with the proof that none is closer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidInput
from dualbound.limits import Limits
from dualbound.network import Network
from dualbound.network.elementwise import Relu
from dualbound.network.nodes import Affine, Node
from dualbound.queries.activate import DEFAULT_GAP, Activation, optimise
from dualbound.region import Box, L0Ball, Region
from dualbound.search import Engine, Milp, Progress, chosen_engine
from dualbound.search.objective import Objective

LOSSES = ("l1", "squared")


def perfect(
    network: Network,
    label: int,
    region: Region | None = None,
    *,
    loss: str = "l1",
    gap: float = DEFAULT_GAP,
    engine: str | Engine | None = None,
    limits: Limits | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Activation:
    r"""Find the input that a network takes for a perfect example of a label (Schoenfeld, 4.4).

    .. math:: \min_x \sum_j |o_j(x) - e_j| \quad\text{or}\quad \min_x \sum_j (o_j(x) - e_j)^2

    where o are the network's outputs as they are (rectified, if it ends in a rectifier) and e is 1
    for the label and 0 elsewhere.

    Args:
        network: from `dualbound.load`.
        label: which output is to be 1.
        region: of inputs; ``Box(0, 1)`` when not given.
        loss: ``"l1"`` or ``"squared"``.
        gap: between value and bound that counts as proved; absolute for losses below 1.
        engine: `Columns`, `Bab` or `Milp`; chosen by the question when not given: of the L1 loss,
            the first over balls, the last over boxes. The squared loss needs a solver for quadratic
            objectives: ``Milp(solver="scip")``, which is the default there.
        limits: when to stop.
        on_progress: told of every better input, better bound and new phase.

    Returns:
        The answer; its value is the loss, its bound proves that no input has a smaller one.

    Raises:
        InvalidInput: no such label or loss, a region that does not fit, a model that ends in a
            softmax, or a solver that cannot do quadratic objectives.
        SolverNotInstalled: the solver's package is missing.

    **Trusts** what `activate` trusts.

    >>> from dualbound import Box, Network, perfect
    >>> net = Network.dense([[[1.0], [-1.0]], [[1.0, 0.0], [0.5, 1.0]]], [[0.0, 0.0], [0.0, 0.0]])
    >>> answer = perfect(net, 0, Box([-1], [1]))  # outputs (x, x / 2) on the right
    >>> answer.status.name, round(answer.value, 3), answer.x.round(3), answer.outputs.round(3)
    ('OPTIMAL', 0.5, array([1.]), array([1. , 0.5]))
    """
    if loss not in LOSSES:
        raise InvalidInput(f"Unknown loss {loss!r}; known are {', '.join(LOSSES)}.")
    if not 0 <= label < network.output_size:
        raise InvalidInput(
            f"Label {label} is out of range; the network answers 0 to {network.output_size - 1}."
        )
    if network.lacks_softmax:
        raise InvalidInput(
            "The model ends in a softmax, which is left out: outputs of 1 and 0 would be asked of "
            "the logits before it, not of its probabilities. Ask for the input whose logit is the "
            "largest: dualbound activate."
        )
    goal = np.eye(network.output_size)[label]
    squared = loss == "squared"
    losses = _absolute(network, goal), _squared(network, goal)
    objective, hints = reversed(losses) if squared else losses
    engine = chosen_engine(engine)
    if engine is None:
        engine = Milp(solver="scip") if squared else _for_l1(region)

    def of_outputs(outputs: Float[np.ndarray, " m"]) -> float:
        away = outputs - goal
        return float(away @ away if squared else np.abs(away).sum())

    return optimise(
        network,
        objective,
        region,
        maximise=False,
        of_outputs=of_outputs,
        gap=gap,
        engine=engine,
        limits=limits,
        on_progress=on_progress,
        at_most=0.0,  # a loss is not negative
        hints=hints,
    )


def _for_l1(region: Region | None) -> Engine | None:
    """The engine for the L1 loss; None leaves the choice to `optimise`."""
    # Measured: over boxes, programs of this form are solved several times as fast as by our own
    # search, which finds good inputs late there; over balls it is the other way round.
    boxed = region is None or isinstance(region, Box | L0Ball)
    return Milp(formulation="fischetti-jo") if boxed else None


def _absolute(network: Network, goal: Float[np.ndarray, " m"]) -> Objective:
    r"""Minus the L1 loss: :math:`|a| = 2 \max(a, 0) - a` takes one more layer of rectifiers.

    A search never has to split them: where |a| is minimised, their relaxation is exact.
    """
    longer, away = _with_difference(network, goal)
    above, m = f"{away}, above", len(goal)
    nodes = (*longer.nodes, Node(above, Relu(), (away,), m))
    longest = Network(nodes, network.input_shape, above)
    weights = {away: np.ones(m), above: np.full(m, -2.0)}
    return Objective(longest, weights, confines={away: 1, above: 1})


def _squared(network: Network, goal: Float[np.ndarray, " m"]) -> Objective:
    """Minus the squared loss."""
    longer, away = _with_difference(network, goal)
    squares = {away: (np.ones(len(goal)), np.zeros(len(goal)))}
    return Objective(longer, {}, squares=squares, confines={away: 2})


def _with_difference(network: Network, goal: Float[np.ndarray, " m"]) -> tuple[Network, str]:
    """The network with one more node, the outputs' difference from the goal, and its name."""
    name, m = f"{network.output} minus goal", len(goal)
    node = Node(name, Affine(np.eye(m), -goal), (network.output,), m)
    return Network((*network.nodes, node), network.input_shape, name), name
