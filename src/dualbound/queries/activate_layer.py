"""What each neuron of a layer is activated by most: one question for each of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from dualbound.errors import InvalidInput
from dualbound.limits import Clock, Limits
from dualbound.network import Network
from dualbound.queries.activate import (
    DEFAULT_GAP,
    Activation,
    engine_for,
    of_outputs,
    optimise,
)
from dualbound.queries.neurons import Neuron, layer_node, objective_of
from dualbound.region import Box, Region
from dualbound.search import Engine, chosen_engine


def activate_layer(
    network: Network,
    layer: int | str,
    region: Region | None = None,
    *,
    post: bool = False,
    minus: int | None = None,
    maximise: bool = True,
    gap: float = DEFAULT_GAP,
    engine: str | Engine | None = None,
    workers: int = 1,
    seconds_per_neuron: float | None = None,
    limits: Limits | None = None,
    on_neuron: Callable[[int, Activation], None] | None = None,
) -> dict[int, Activation]:
    """Ask `dualbound.activate` of every neuron of a layer.

    Args:
        network: from `dualbound.load`.
        layer: of rectifiers, counted from 1; or ``"logits"``.
        region: of inputs; ``Box(0, 1)`` when not given.
        post: after the rectifier; otherwise pre-activations are meant.
        minus: a neuron of the layer that is subtracted from each other one.
        maximise: or minimise.
        gap: see `dualbound.activate`.
        engine: likewise; with one thread for each neuron when not given.
        workers: threads that share the neurons.
        seconds_per_neuron: limit for each of them.
        limits: for the whole.
        on_neuron: told of every answer.

    Returns:
        The answers by neuron. Those that a limit or Ctrl-C left no time for are missing.

    Raises:
        InvalidInput: see `dualbound.activate`; or there is no worker.

    >>> from dualbound import Box, Network
    >>> net = Network.dense([[[1.0], [-2.0]], [[1.0, 2.0]]], [[0.0, 0.0], [0.5]])
    >>> [(j, found.value) for j, found in activate_layer(net, 1, Box([-1], [1])).items()]
    [(0, 1.0), (1, 2.0)]
    """
    if workers < 1:
        raise InvalidInput(f"There must be at least 1 worker, found {workers}.")
    Limits(seconds_per_neuron)
    sign = 1.0 if maximise else -1.0
    size = network[layer_node(network, layer, post=post)].size
    asked = {
        j: objective_of(network, _less(layer, j, minus, post), sign=sign)
        for j in range(size)
        if j != minus
    }
    if not asked:
        raise InvalidInput(f"Layer {layer!r} has no other neuron than {minus}.")
    region = (region or Box(0.0, 1.0)).sized(network.input_size)
    engine = chosen_engine(engine) or engine_for(next(iter(asked.values())), region, threads=1)
    engine.prepare(lambda phase: None)
    with Clock(limits).catching_ctrl_c() as clock, ThreadPoolExecutor(workers) as pool:

        def ask(neuron: int) -> Activation | None:
            if clock.expired:
                return None
            objective = asked[neuron]
            answer = optimise(
                network,
                objective,
                region,
                maximise=maximise,
                of_outputs=of_outputs(network, objective, sign),
                gap=gap,
                engine=engine,
                limits=None,
                on_progress=None,
                clock=clock if seconds_per_neuron is None else clock.within(seconds_per_neuron),
            )
            if on_neuron is not None:
                on_neuron(neuron, answer)
            return answer

        found = dict(zip(asked, pool.map(ask, asked), strict=True))
    return {neuron: answer for neuron, answer in found.items() if answer is not None}


def _less(layer: int | str, neuron: int, minus: int | None, post: bool) -> dict[Neuron, float]:
    wanted = {Neuron(layer, neuron, post): 1.0}
    if minus is not None:
        wanted[Neuron(layer, minus, post)] = -1.0
    return wanted
