"""``dualbound activate``."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.text import Text

from dualbound import queries
from dualbound.cli import activations, exit_codes, options
from dualbound.cli.inputs import AskedRegion, read_model, region_asked
from dualbound.cli.outputs import INLINE, check_outputs, keep_apart
from dualbound.cli.progress import status_line, watching
from dualbound.cli.records import about, numbers
from dualbound.cli.saving import Saved, save_all, save_array
from dualbound.cli.streams import say, say_json
from dualbound.cli.summaries import listing, table
from dualbound.errors import InvalidInput
from dualbound.limits import Limits, core_count
from dualbound.queries import Activation, Neuron, Status
from dualbound.queries.activate import DEFAULT_GAP
from dualbound.report import save_sheet, tile_of
from dualbound.report.words import rounded_down, rounded_up
from dualbound.search import AS_OPTIONS, engine_named


def activate(
    model: options.ModelName,
    image: options.OptionalImageName = None,
    layer: Annotated[
        str,
        typer.Option(
            "--layer",
            "-l",
            metavar="N|logits",
            help="Of rectifiers, counted from 1; or the outputs.",
            show_default=False,
        ),
    ] = ...,  # type: ignore[assignment]  # typer's word for required
    neuron: Annotated[
        int | None,
        typer.Option(
            "--neuron", "-n", metavar="J", help="In the layer, from 0.", show_default=False
        ),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every neuron of the layer in turn.")] = False,
    post: Annotated[
        bool,
        typer.Option("--post", help="After the rectifier; otherwise pre-activations are meant."),
    ] = False,
    minimise: Annotated[
        bool, typer.Option("--minimise", help="Make it as small as possible instead.")
    ] = False,
    minus: Annotated[
        int | None,
        typer.Option(metavar="K", help="Less this neuron of the same layer.", show_default=False),
    ] = None,
    norm: options.BallNormName = None,
    radius: options.Radius = None,
    range_: options.InputRange = (0.0, 1.0),
    gap: activations.Gap = DEFAULT_GAP,
    time_limit: Annotated[
        float | None,
        typer.Option(
            "--time-limit",
            metavar="SECONDS",
            help="For each neuron: stop then, with the best answer so far.",
            show_default=False,
        ),
    ] = None,
    engine: activations.EngineName = "auto",
    solver: options.MilpSolver = None,
    solver_option: options.SolverOptions = None,
    formulation: options.MilpFormulation = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Of --all: threads that share the neurons.", show_default="one a core"
        ),
    ] = None,
    json: options.Json = False,
    witness: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.npy|inline",
            help="Where the input found goes (of --all: one a row): a file, or into the JSON "
            "object.",
            show_default=False,
        ),
    ] = None,
    save_image: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw the input; of --all, a contact sheet (.png, .pdf or .svg).",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Find the input that activates a neuron most, and prove that none does more.

    Over all inputs in a range, or in a ball around IMAGE. Ctrl-C and the time limit stop with the
    best answer so far.

    Exit codes: 0 proved; 2 bad usage or bad input; 3 stopped with an answer open.
    """
    if all_ == (neuron is not None):
        raise InvalidInput("Say which neuron: --neuron J for one of them, or --all; not both.")
    if workers is not None and not all_:
        raise InvalidInput("--workers share the neurons of --all: leave it out.")
    if neuron is not None and neuron == minus:
        raise InvalidInput(f"Neuron {neuron} less itself is 0 everywhere: leave --minus out.")
    asked = options.solver_asked(solver, solver_option, engine)
    how = engine_named(engine, spelt=AS_OPTIONS, solver=asked, formulation=formulation)
    limits = Limits(time_limit)
    keep_apart(
        {"--witness": witness, "--save-image": save_image},
        {"the MODEL": model, "the IMAGE": image},
    )
    check_outputs(witness, save_image, json=json)
    network = read_model(model)
    where = region_asked(network, image, norm, radius, range_)
    chosen: int | str = int(layer) if re.fullmatch("-?[0-9]{1,9}", layer) else layer
    if neuron is None:
        size = network[queries.layer_node(network, chosen, post=post)].size
        with status_line(f"layer {layer}: {size} neurons") as show:
            done: list[int] = []

            def tell(number: int, _: Activation) -> None:
                done.append(number)
                if show is not None:
                    show(Text(f"layer {layer}: {len(done)} of {size} neurons"))

            found = queries.activate_layer(
                network,
                chosen,
                where.region,
                post=post,
                minus=minus,
                maximise=not minimise,
                gap=gap,
                engine=how,
                workers=core_count() if workers is None else workers,
                seconds_per_neuron=time_limit,
                on_neuron=tell,
            )
    else:
        wanted = {Neuron(chosen, neuron, post): 1.0}
        if minus is not None:
            wanted[Neuron(chosen, minus, post)] = -1.0
        with watching("ascent") as on_progress:
            answer = queries.activate(
                network,
                wanted,
                where.region,
                maximise=not minimise,
                gap=gap,
                engine=how,
                limits=limits,
                on_progress=on_progress,
            )
        found = {neuron: answer}
        size = 1
    inputs = [answer.x for answer in found.values() if answer.x is not None]
    saved = Saved()
    if inputs:
        saved = save_all(
            (witness, partial(save_array, x=np.stack(inputs) if all_ else inputs[0])),
            (
                save_image,
                lambda path: save_sheet(
                    path,
                    [
                        tile_of(str(Neuron(chosen, j, post)) if size == 1 else _short(j), answer)
                        for j, answer in found.items()
                    ],
                    title=_title(chosen, model, minimise=minimise),
                    subtitle=_subtitle(chosen, post, minus, minimise, where, found),
                    limits=range_,
                ),
            ),
        )
    proved = sum(answer.status is Status.OPTIMAL for answer in found.values())
    expected = size - (all_ and minus is not None)
    if json:
        say_json(
            about("activate", model, network)
            | {
                "layer": chosen,
                "neuron": neuron,
                "post": post,
                "minus": minus,
                "minimise": minimise,
                **where.record,
            }
            | (
                activations.record(found[neuron]) | {"neurons": None}
                if neuron is not None
                else {
                    "status": "optimal" if proved == expected else "feasible",
                    "seconds": sum(answer.stats.seconds for answer in found.values()),
                    "neurons": [{"neuron": j} | activations.record(a) for j, a in found.items()],
                }
            )
            | {
                "witness": [numbers(x) for x in inputs]
                if witness == INLINE and all_
                else saved.witness(witness, inputs[0] if inputs else None)
            }
        )
    elif neuron is not None:
        what = str(Neuron(chosen, neuron, post))
        if minus is not None:
            what += f" less {Neuron(chosen, minus, post)}"
        rows = activations.rows(found[neuron], f"{what} of {model}, over {where}")
        rows += saved.rows
        say(activations.headline(found[neuron], what), listing(rows))
    else:
        _show_all(
            found, expected, proved, f"{_title(chosen, model, minimise=minimise)}, over {where}"
        )
        if saved.places:
            say(f"Saved {', '.join(saved.places)}.")
    saved.check()
    return exit_codes.ANSWERED if proved == expected else exit_codes.OPEN


def _short(neuron: int) -> str:
    return f"neuron {neuron}"


def _title(layer: int | str, model: str, *, minimise: bool) -> str:
    name = "the logits" if layer == "logits" else f"layer {layer}"
    return f"What activates {name} of {model} {'least' if minimise else 'most'}"


def _subtitle(
    layer: int | str,
    post: bool,
    minus: int | None,
    minimise: bool,
    where: AskedRegion,
    found: dict[int, Activation],
) -> str:
    what = "rectified value" if post else "logit" if layer == "logits" else "pre-activation"
    less = "" if minus is None else f" less that of neuron {minus}"
    proved = sum(answer.status is Status.OPTIMAL for answer in found.values())
    best = "smallest" if minimise else "largest"
    return f"{what}{less}   ·   {where}   ·   {proved} of {len(found)} proved {best}"


def _show_all(found: dict[int, Activation], expected: int, proved: int, title: str) -> None:
    drawn = table("neuron", "value", "bound", "gap", "label", "nodes", "seconds")
    for j, answer in found.items():
        rounded = rounded_up if answer.maximise else rounded_down
        drawn.add_row(
            f"{j}",
            "–" if answer.value is None else f"{answer.value:.4f}",
            rounded(answer.bound, 4),
            "–" if answer.gap is None else f"{answer.gap:.2%}".replace("%", " %"),
            "–" if answer.label is None else f"{answer.label}",
            f"{answer.stats.nodes:,}",
            f"{answer.stats.seconds:.2f}",
        )
    say(Text(title, "bold"), "", drawn, "", f"{proved} of {expected} proved")
    if proved < expected:
        say(Text.assemble(("STOPPED", "bold yellow"), ": every bound holds, but gaps are open."))
