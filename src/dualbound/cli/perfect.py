"""``dualbound perfect``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dualbound import queries
from dualbound.cli import activations, exit_codes, options
from dualbound.cli.inputs import read_model, region_asked
from dualbound.cli.outputs import check_outputs, keep_apart
from dualbound.cli.progress import watching
from dualbound.cli.records import about
from dualbound.cli.saving import Saved, save_all, save_array
from dualbound.cli.streams import say, say_json
from dualbound.cli.summaries import listing, table
from dualbound.limits import Limits
from dualbound.queries.activate import DEFAULT_GAP
from dualbound.report import save_sheet, tile_of
from dualbound.search import AS_OPTIONS, engine_named

LOSSES = {"l1": "L1 loss", "squared": "squared loss"}


def perfect(
    model: options.ModelName,
    image: options.OptionalImageName = None,
    label: Annotated[
        int,
        typer.Option(
            "--label", metavar="LABEL", help="Whose output is to be 1.", show_default=False
        ),
    ] = ...,  # type: ignore[assignment]  # typer's word for required
    loss: Annotated[
        str,
        typer.Option(
            metavar="l1|squared",
            help="The sum of the outputs' differences from 1 for LABEL and 0 for the others, or of "
            "their squares (with SCIP).",
        ),
    ] = "l1",
    norm: options.BallNormName = None,
    radius: options.Radius = None,
    range_: options.InputRange = (0.0, 1.0),
    gap: activations.Gap = DEFAULT_GAP,
    time_limit: options.TimeLimit = None,
    engine: activations.EngineName = "auto",
    solver: options.MilpSolver = None,
    solver_option: options.SolverOptions = None,
    formulation: options.MilpFormulation = None,
    json: options.Json = False,
    witness: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.npy|inline",
            help="Where the input found goes: a file, or into the JSON object.",
            show_default=False,
        ),
    ] = None,
    save_image: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png", help="Draw the input (.png, .pdf or .svg).", show_default=False
        ),
    ] = None,
) -> int:
    """Find the input that the network takes for a perfect LABEL, and prove that none is better.

    Its outputs are closest to 1 for LABEL and 0 for every other label. Ctrl-C and the time limit
    stop with the best answer so far.

    Exit codes: 0 proved; 2 bad usage or bad input; 3 stopped with the answer open.
    """
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
    with watching("ascent") as on_progress:
        answer = queries.perfect(
            network,
            label,
            where.region,
            loss=loss,
            gap=gap,
            engine=how,
            limits=limits,
            on_progress=on_progress,
        )
    saved = Saved()
    if answer.x is not None:
        saved = save_all(
            (witness, partial(save_array, x=answer.x)),
            (
                save_image,
                lambda path: save_sheet(
                    path,
                    [tile_of(f"perfect {label}", answer)],
                    title=f"A perfect {label} for {model}",
                    subtitle=f"{LOSSES[loss]} of the outputs   ·   {where}",
                    limits=range_,
                ),
            ),
        )
    if json:
        say_json(
            about("perfect", model, network)
            | {
                "target": label,
                "loss": loss,
                **where.record,
            }
            | activations.record(answer)
            | {"witness": saved.witness(witness, answer.x)}
        )
    else:
        rows = activations.rows(answer, f"a perfect {label} for {model}, over {where}")
        rows += saved.rows
        say(activations.headline(answer, f"the {LOSSES[loss]} for label {label}"), listing(rows))
        if answer.outputs is not None:
            drawn = table("label", "output")
            for at, value in enumerate(answer.outputs):
                drawn.add_row(f"{at}" + ("  ← asked for" if at == label else ""), f"{value:.4f}")
            say("", drawn)
    saved.check()
    return exit_codes.OF_STATUS[answer.status]
