"""Which units a network needs: scores by a program over a batch of inputs, with a proved bound."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from dualbound.errors import InvalidInput
from dualbound.limits import Clock, Limits, check_gap
from dualbound.network import Network
from dualbound.network.torch_chain import TorchChain, chain
from dualbound.prune.score_program import loss_named
from dualbound.prune.score_run import Asked
from dualbound.prune.score_search import ScoreSearch
from dualbound.prune.scores import CLOSED, Importance, Moment
from dualbound.prune.units import layers_of
from dualbound.solvers import Solver, solver_named


def importance(
    network: Network | TorchChain,
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
    made = network if isinstance(network, TorchChain) else chain(network)
    if isinstance(network, TorchChain):
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
        asked = Asked(
            loss_named(loss), weight, relaxed, whole, solver_named(solver), gap, clock, on_progress
        )
        search = ScoreSearch(network, layers, eps, asked)
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
    check_gap(gap)
