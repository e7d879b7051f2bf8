"""``dualbound verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dualbound import queries
from dualbound.cli import exit_codes, options, properties, verifications
from dualbound.cli.inputs import read_model
from dualbound.cli.outputs import INLINE, keep_apart, save_array, writable
from dualbound.cli.progress import deciding
from dualbound.cli.records import about, numbers
from dualbound.cli.streams import say, say_json
from dualbound.cli.summaries import listing
from dualbound.errors import InvalidInput, OutputError
from dualbound.limits import Limits
from dualbound.queries import Verification
from dualbound.report import SUFFIXES, save_counterexample
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
    _check_outputs(witness, save_image, json=json)
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
    saved, failed = _save(found, asked, model, witness, save_image)
    if json:
        point = found.witness
        inline = numbers(point.x) if point is not None and witness == INLINE else None
        place = witness if witness in saved else None
        record = verifications.record(found, asked, witness=inline or place)
        say_json(about("verify", model, network) | record)
    else:
        rows = verifications.rows(found, asked, model)
        rows += [("saved", ", ".join(saved))] if saved else []
        say(verifications.headline(found, asked), listing(rows))
    if failed:
        raise OutputError(" ".join(failed))
    return exit_codes.OF_OUTCOME[found.outcome]


def _check_outputs(witness: str | None, picture: Path | None, *, json: bool) -> None:
    if witness == INLINE and not json:
        raise InvalidInput(
            "--witness inline puts the input into the JSON object: add --json, or name a .npy file."
        )
    if witness is not None and witness != INLINE:
        writable(Path(witness), "A counterexample", (".npy",))
    if picture is not None:
        writable(picture, "A picture", SUFFIXES)


def _save(
    found: Verification,
    asked: properties.Asked,
    model: str,
    witness: str | None,
    picture: Path | None,
) -> tuple[list[str], list[str]]:
    """What was saved, and why the rest was not: an answer is never lost to a full disk."""
    saved: list[str] = []
    failed: list[str] = []
    point = found.witness
    if point is None:
        return saved, failed
    try:
        if witness is not None and witness != INLINE:
            save_array(Path(witness), point.x)
            saved.append(witness)
    except OutputError as error:
        failed.append(str(error))
    try:
        if picture is not None:
            start, head = verifications.picture_start(point, asked)
            title, line = verifications.picture_words(point, asked, model)
            save_counterexample(picture, start, point, head=head, title=title, line=line)
            saved.append(str(picture))
    except OutputError as error:
        failed.append(str(error))
    return saved, failed
