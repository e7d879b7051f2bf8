"""``dualbound reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from dualbound.cli import exit_codes
from dualbound.cli.streams import say, say_note
from dualbound.cli.study_progress import following
from dualbound.cli.summaries import listing, table
from dualbound.errors import InvalidInput
from dualbound.files import write_whole
from dualbound.report.words import counted
from dualbound.studies import Study
from dualbound.studies.executors import KINDS
from dualbound.studies.protocols import PROTOCOLS, page, protocol_named
from dualbound.studies.protocols import reproduce as run_protocol

TABLES = "tables.md"


def reproduce(
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="KEY",
            help="Of an experiment, see --list.",
            show_default=False,
            autocompletion=lambda: list(PROTOCOLS),
        ),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Name the experiments.")] = False,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A small part: fewer images, never an easier question."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder of its study.",
            show_default="the key, or KEY-quick",
        ),
    ] = None,
    executor: Annotated[str, typer.Option(metavar="WHO", help=f"{KINDS}.")] = "processes",
) -> int:
    """Run an experiment of the papers, and print published figures beside the measured ones.

    What is published comes from other machines, solvers and weights: it is context. The experiment
    is a study (see dualbound study): it goes on where it was stopped, and its report can be drawn.
    """
    if list_:
        say(listing([(one.key, f"{one.title} ({one.source})") for one in PROTOCOLS.values()]))
        return exit_codes.ANSWERED
    if key is None:
        raise InvalidInput("Name an experiment; dualbound reproduce --list names them all.")
    protocol = protocol_named(key)
    folder = out or Path(f"{key}-quick" if quick else key)
    with following() as watch:
        moment = run_protocol(protocol, folder, quick=quick, executor=executor, on_progress=watch)
    if not moment.done:
        say_note(f"Nothing is answered yet. Go on with the same command; it is kept in {folder}.")
        return exit_codes.OPEN
    study = Study.open(folder)
    comparisons = protocol.compare(study)
    for comparison in comparisons:
        drawn = table(*comparison.columns)
        for line in comparison.lines():
            drawn.add_row(*line)
        say("", Text(comparison.title, "bold"), drawn)
        if comparison.note:
            say(Text(comparison.note, "dim"))
    write_whole(folder / TABLES, page(protocol, study, comparisons).encode())
    say("", f"Tables: {folder / TABLES}. Pictures: dualbound report {folder}")
    missing = moment.total - moment.done
    if missing:
        say_note(f"{counted(missing, 'question')} left: the same command goes on.")
    return exit_codes.OPEN if missing or moment.failed else exit_codes.ANSWERED
