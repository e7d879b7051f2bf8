"""``dualbound compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dualbound import queries
from dualbound.cli import compared, exit_codes, options
from dualbound.cli.comparisons import say_tables
from dualbound.cli.inputs import read_model
from dualbound.cli.outputs import usable
from dualbound.cli.progress import status_line
from dualbound.cli.streams import say, say_json
from dualbound.cli.summaries import listing
from dualbound.data import load_dataset, networks
from dualbound.errors import InvalidInput, OutputError
from dualbound.limits import Limits, core_count
from dualbound.queries.compare import MARGIN_GAP


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL MODEL…",
            help="Two or more: .onnx, .nnet or .keras files, or embedded networks.",
            autocompletion=networks.names,
            show_default=False,
        ),
    ],
    data: options.DataName,
    eps: Annotated[
        float,
        typer.Option(metavar="E", help="How far an input may be moved, L∞.", show_default=False),
    ],
    count: Annotated[
        int,
        typer.Option(
            metavar="N", help="Ask about the first N inputs that all networks answer right."
        ),
    ] = 20,
    distances: Annotated[
        int,
        typer.Option(metavar="N", help="Of the first N of them, seek the nearest adversary too."),
    ] = 0,
    gap: Annotated[
        float | None,
        typer.Option(
            metavar="G",
            help="Of a margin: relative, absolute below 1.",
            show_default=f"{MARGIN_GAP}",
        ),
    ] = None,
    signs: Annotated[
        bool,
        typer.Option(
            "--signs", help="Prove of a margin only whether it can be negative: much faster."
        ),
    ] = False,
    question_limit: Annotated[
        float, typer.Option(metavar="SECONDS", help="Leave a question open then.")
    ] = 60.0,
    processes: Annotated[
        int | None,
        typer.Option(metavar="N", help="Questions at a time.", show_default="as many as cores"),
    ] = None,
    split: Annotated[str, typer.Option(metavar="train|test", help="Of DATA.")] = "test",
    label: options.LabelColumn = None,
    time_limit: options.TimeLimit = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder of a report, its pictures and all adversaries.",
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
) -> int:
    """Compare networks on a data set: accuracy, proved robustness, and whose adversaries transfer.

    Of every image and every other label the smallest margin within the radius is found and proved,
    or with --signs whether it can be negative: so an adversary is found wherever there is one.
    Ctrl-C and the time limit stop with what is done so far.

    Exit codes: 0 every question is decided; 2 bad usage or bad input; 3 stopped on the way, or a
    question is open.
    """
    limits = Limits(time_limit)
    processes = core_count() if processes is None else processes
    if len(models) < 2:
        raise InvalidInput(f"{models[0]} is alone; name two networks or more.")
    if signs and gap is not None:
        raise InvalidInput("--signs asks for no gap of the margins: leave --gap out.")
    asked_gap = None if signs else MARGIN_GAP if gap is None else gap
    if processes < 1:
        raise InvalidInput(f"--processes is {processes}; expected 1 or more.")
    given = {"the DATA": data} | {f"MODEL {k}": model for k, model in enumerate(models, 1)}
    names = compared.own_names(models)
    read = {name: read_model(model) for name, model in zip(names, models, strict=True)}
    asked = load_dataset(data, split, label=label)
    if out is not None:
        from dualbound.report.compared import ARCHIVE, REPORT

        usable(out, REPORT, (ARCHIVE,), given)
    with status_line("comparing") as show:
        found = queries.compare(
            read, asked, eps=eps, count=count, distances=distances, gap=asked_gap,
            seconds=question_limit, processes=processes, limits=limits,
            on_progress=None if show is None else lambda now: show(compared.progress_text(now)),
        )  # fmt: skip
    from dualbound.studies.protocols.side_by_side import tables

    drawn = tables(found, asked.classes)
    title = " and ".join([", ".join(names[:-1]), names[-1]])
    saved, failed = None, ""
    if out is not None:
        from dualbound.report.compared import write_report

        try:
            saved = f"{out}/ ({', '.join(write_report(out, found, asked, title=title))})"
        except OutputError as error:
            failed = str(error)
    if json:
        question = {
            "data": data,
            "split": split,
            "classes": list(asked.classes),
            "count": count,
            "gap": asked_gap,
            "question_limit": question_limit,
            "processes": processes,
        }
        place = str(out) if saved else None
        say_json(compared.record(found, read, models, drawn, asked=question, out=place))
    else:
        say(compared.headline(found, asked.name), listing(compared.rows(found, saved)))
        say_tables(drawn)
    if failed:
        raise OutputError(failed)
    return exit_codes.ANSWERED if compared.is_decided(found) else exit_codes.OPEN
