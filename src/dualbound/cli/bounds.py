"""``dualbound bounds``."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.text import Text

from dualbound import queries
from dualbound.bounds import Bounds
from dualbound.cli import exit_codes, options
from dualbound.cli.inputs import read_model, region_asked
from dualbound.cli.progress import status_line
from dualbound.cli.records import about, numbers
from dualbound.cli.streams import say, say_json
from dualbound.cli.summaries import table
from dualbound.errors import InvalidInput
from dualbound.limits import Limits, core_count
from dualbound.network import Affine, Network
from dualbound.solvers import parsed, solver_named


def bounds(
    model: options.ModelName,
    image: options.OptionalImageName = None,
    norm: options.BallNormName = None,
    radius: options.Radius = None,
    range_: options.InputRange = (0.0, 1.0),
    method: Annotated[
        str,
        typer.Option(
            metavar="interval|crown|lp|milp|exact",
            help="Each builds on those before it. milp is exact unless a limit stops it; exact is "
            "too, by our own search instead of a solver's.",
        ),
    ] = "crown",
    time_per_neuron: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="For each maximum and minimum (lp, milp, exact).",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Processes or threads that share a layer (lp, milp, exact).",
            show_default="one a core",
        ),
    ] = None,
    solver: options.SolverName = None,
    solver_option: options.SolverOptions = None,
    time_limit: options.TimeLimit = None,
    json: options.Json = False,
) -> int:
    """Prove bounds on every neuron over a box, or over a ball around an image."""
    limits = Limits(time_limit)
    _check(
        method,
        solver=solver,
        solver_option=solver_option,
        time_per_neuron=time_per_neuron,
        workers=workers,
    )
    chosen = solver_named(solver or "highs", parsed(solver_option or []))
    network = read_model(model)
    where = region_asked(network, image, norm, radius, range_)
    clock = _LayerClock(network, method)
    with status_line(f"{method}: bounding {len(network.relus)} layers") as show:

        def layer_done(name: str, _: Bounds) -> None:
            clock.done(name)
            if show is not None:
                show(Text(f"{method}: finished {name} ({clock.finished} of {clock.expected})"))

        found = queries.bounds(
            network,
            where.region,
            method=method,
            seconds_per_neuron=time_per_neuron,
            workers=core_count() if workers is None else workers,
            solver=chosen,
            limits=limits,
            on_layer=layer_done,
        )
    seconds = clock.total
    stopped = bool(found.loose)
    layers = [_layer(network, found, name, clock.seconds.get(name)) for name in _rows(network)]
    if json:
        say_json(
            about("bounds", model, network)
            | {
                "status": "stopped" if stopped else "complete",
                **where.record,
                "method": method,
                "unstable": found.unstable_count(network),
                "seconds": seconds,
                "layers": layers,
            }
        )
    else:
        _show(f"{method} bounds of {model} over {where}", layers, seconds, stopped=stopped)
    return exit_codes.OPEN if stopped else exit_codes.ANSWERED


def _check(method: str, **given: object) -> None:
    """Refuse options that a method has no use for.

    Raises:
        InvalidInput: there is one.
    """
    takes = {
        "lp": ("solver", "solver_option", "time_per_neuron", "workers"),
        "milp": ("solver", "solver_option", "time_per_neuron", "workers"),
        "exact": ("time_per_neuron", "workers"),
        "interval": (),
        "crown": (),
    }
    for name, value in given.items():
        if value not in (None, []) and name not in takes.get(method, given):
            methods = " or ".join(known for known, names in takes.items() if name in names)
            raise InvalidInput(
                f"--{name.replace('_', '-')} means nothing to the method {method}: leave it out, "
                f"or say --method {methods}."
            )


class _LayerClock:
    """The seconds between finished layers, added up by name; ``milp`` passes each layer twice."""

    def __init__(self, network: Network, method: str) -> None:
        deep = [
            node
            for node in network.nodes
            if isinstance(node.op, Affine) and node.reads != (network.input,)
        ]
        self.expected = len(deep) * {"lp": 1, "milp": 2, "exact": 1}.get(method, 0)
        self.finished = 0
        self.seconds: dict[str, float] = {}
        self._start = self._last = time.perf_counter()

    def done(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now
        self.finished += 1

    @property
    def total(self) -> float:
        return time.perf_counter() - self._start


def _rows(network: Network) -> list[str]:
    """The nodes shown: all that a rectifier reads, and the outputs."""
    return [*(n for n in network.pre_activations if n != network.output), network.output]


def _layer(network: Network, found: Bounds, name: str, seconds: float | None) -> dict[str, Any]:
    low, high = found.lower[name], found.upper[name]
    rectified = any(relu.reads[0] == name for relu in network.relus)
    return {
        "name": name,
        "neurons": len(low),
        "unstable": int(found.unstable(name).sum()) if rectified else None,
        "always_on": int(((low >= 0) & (high > 0)).sum()) if rectified else None,
        "always_off": int((high <= 0).sum()) if rectified else None,
        "mean_width": float((high - low).mean()),
        "seconds": seconds,
        "lower": numbers(low),
        "upper": numbers(high),
    }


def _show(title: str, layers: list[dict[str, Any]], seconds: float, *, stopped: bool) -> None:
    drawn = table(
        "layer",
        "neurons",
        "unstable",
        "always on",
        "always off",
        "mean width",
        "seconds",
        title=title,
    )
    for layer in layers:
        drawn.add_row(
            layer["name"],
            *(
                "–" if layer[key] is None else f"{layer[key]:,}"
                for key in ("neurons", "unstable", "always_on", "always_off")
            ),
            f"{layer['mean_width']:{'.4f' if layer['mean_width'] < 1e8 else '.4g'}}",
            "–" if layer["seconds"] is None else f"{layer['seconds']:.2f}",
        )
    unstable = sum(layer["unstable"] or 0 for layer in layers)
    neurons = sum(layer["neurons"] for layer in layers if layer["unstable"] is not None)
    say(drawn, "", f"{unstable} of {neurons} neurons unstable; {seconds:.2f} s")
    if stopped:
        say(
            Text.assemble(
                ("STOPPED", "bold yellow"),
                ": every bound holds, but not all are as tight as the method makes them.",
            )
        )
