"""``dualbound verify``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dualbound import queries
from dualbound.cli import exit_codes, options, properties, verifications
from dualbound.cli.inputs import read_model
from dualbound.cli.outputs import check_outputs, keep_apart
from dualbound.cli.progress import deciding
from dualbound.cli.records import about
from dualbound.cli.saving import Saved, save_all, save_array
from dualbound.cli.streams import say, say_json
from dualbound.cli.summaries import listing
from dualbound.limits import Limits
from dualbound.queries.verify import Counterexample
from dualbound.report import save_counterexample
from dualbound.search.bab import Bab


def verify(
    model: options.ModelName,
    image: Annotated[
        str | None,
        typer.Argument(
            metavar="[IMAGE]",
            help="That shall be answered alike all around, see --eps; as for nearest.",
            show_default=False,
        ),
    ] = None,
    property_: Annotated[
        str | None,
        typer.Option(
            "--property",
            metavar="FILE.vnnlib",
            help="In place of IMAGE: a property in the competition's format (.vnnlib, .vnnlib.gz).",
            show_default=False,
        ),
    ] = None,
    eps: Annotated[
        float | None,
        typer.Option(metavar="E", help="How far around IMAGE.", show_default=False),
    ] = None,
    norm: Annotated[
        str | None,
        typer.Option(
            metavar="linf|l2|l1|l0", help="In which this is measured.", show_default="linf"
        ),
    ] = None,
    label: Annotated[
        int | None,
        typer.Option(
            metavar="LABEL",
            help="That must be answered.",
            show_default="what the network answers for IMAGE",
        ),
    ] = None,
    target: Annotated[
        int | None,
        typer.Option(
            "--target",
            "-t",
            metavar="LABEL",
            help="Only this must not be answered.",
            show_default=False,
        ),
    ] = None,
    targets: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL,LABEL,…", help="Only these must not be answered.", show_default=False
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            metavar="M",
            help="Another label counts where it is M above every other output; without, also where "
            "it is level.",
            show_default=False,
        ),
    ] = None,
    range_: Annotated[
        tuple[float, float] | None,
        typer.Option(
            "--range",
            metavar="LOW HIGH",
            help="What every input lies between.",
            show_default="0 1",
        ),
    ] = None,
    time_limit: options.TimeLimit = None,
    branching: Annotated[
        str,
        typer.Option(
            metavar="auto|phases|inputs",
            help="Decide neurons one by one, or halve the region.",
        ),
    ] = "auto",
    json: options.Json = False,
    witness: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.npy|inline",
            help="Where a counterexample goes: a file, or into the JSON object.",
            show_default=False,
        ),
    ] = None,
    save_image: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw the counterexample beside IMAGE, or the middle of its box (.png, .pdf or "
            ".svg).",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Prove that no input of a region is answered otherwise than it shall be, or find one that is.

    The region is a ball around IMAGE, or what a property file says. Ctrl-C and the time limit stop
    with what is proved so far.

    Exit codes: 0 holds; 1 violated; 2 bad usage or bad input; 3 stopped with the answer open.
    """
    limits = Limits(time_limit)
    wanted = properties.Wanted(image, eps, norm, label, target, targets, margin, range_)
    wanted.check(property_)
    keep_apart(
        {"--witness": witness, "--save-image": save_image},
        {"the MODEL": model, "the IMAGE": image, "--property": property_},
    )
    check_outputs(witness, save_image, json=json, what="A counterexample")
    network = read_model(model)
    asked = (
        properties.of_file(network, property_)
        if property_ is not None
        else properties.of_image(network, wanted)
    )
    with deciding("reading") as on_progress:
        found = queries.verify(
            network,
            asked.claim,
            hints=asked.hints,
            engine=Bab(branching=branching),
            limits=limits,
            on_progress=on_progress,
        )
    point, saved = found.witness, Saved()
    if point is not None:
        saved = save_all(
            (witness, partial(save_array, x=point.x)),
            (save_image, partial(_draw, found=point, asked=asked, model=model)),
        )
    if json:
        place = saved.witness(witness, None if point is None else point.x)
        say_json(
            about("verify", model, network) | verifications.record(found, asked, witness=place)
        )
    else:
        rows = [*verifications.rows(found, asked, model), *saved.rows]
        say(verifications.headline(found, asked), listing(rows))
    saved.check()
    return exit_codes.OF_OUTCOME[found.outcome]


def _draw(path: Path, found: Counterexample, asked: properties.Asked, model: str) -> None:
    start, head = verifications.picture_start(found, asked)
    title, line = verifications.picture_words(found, asked, model)
    save_counterexample(path, start, found, head=head, title=title, line=line)
