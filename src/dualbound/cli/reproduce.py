"""``dualbound reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dualbound.cli import exit_codes
from dualbound.cli.comparisons import say_tables
from dualbound.cli.streams import say, say_note
from dualbound.cli.study_progress import following, following_experiment
from dualbound.cli.summaries import listing
from dualbound.errors import InvalidInput
from dualbound.files import write_whole
from dualbound.report.words import counted
from dualbound.studies import Study
from dualbound.studies.executors import KINDS
from dualbound.studies.experiment import measured
from dualbound.studies.protocols import (
    PROTOCOLS,
    Protocol,
    TrainingProtocol,
    page,
    protocol_named,
)
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
    executor: Annotated[
        str | None,
        typer.Option(
            metavar="WHO",
            help=f"{KINDS}.",
            show_default="processes; serial where one training keeps all cores busy",
        ),
    ] = None,
) -> int:
    """Run an experiment of the papers, and print published figures beside the measured ones.

    What is published comes from other machines, solvers and weights: it is context. The experiment
    goes on where it was stopped. One that only asks is a study (see dualbound study), whose report
    can be drawn; one that trains writes its networks, tables and pictures into its folder.
    """
    if list_:
        say(listing([(one.key, f"{one.title} ({one.source})") for one in PROTOCOLS.values()]))
        return exit_codes.ANSWERED
    if key is None:
        raise InvalidInput("Name an experiment; dualbound reproduce --list names them all.")
    protocol = protocol_named(key)
    folder = out or Path(f"{key}-quick" if quick else key)
    if isinstance(protocol, TrainingProtocol):
        return _trained(protocol, folder, quick, executor or protocol.executor)
    return _asked(protocol, folder, quick, executor or "processes")


def _asked(protocol: Protocol, folder: Path, quick: bool, executor: str) -> int:
    with following() as watch:
        moment = run_protocol(protocol, folder, quick=quick, executor=executor, on_progress=watch)
    if not moment.done:
        say_note(f"Nothing is answered yet. Go on with the same command; it is kept in {folder}.")
        return exit_codes.OPEN
    study = Study.open(folder)
    comparisons = protocol.compare(study)
    say_tables(comparisons)
    write_whole(folder / TABLES, page(protocol, study, comparisons).encode())
    say("", f"Tables: {folder / TABLES}. Pictures: dualbound report {folder}")
    missing = moment.total - moment.done
    if missing:
        say_note(f"{counted(missing, 'question')} left: the same command goes on.")
    return exit_codes.OPEN if missing or moment.failed else exit_codes.ANSWERED


def _trained(protocol: TrainingProtocol, folder: Path, quick: bool, executor: str) -> int:
    from dualbound.report import save_lines

    with following_experiment() as watch:
        tally = protocol.run(folder, quick=quick, executor=executor, on_progress=watch)
    kept = measured(protocol.cells(quick), folder)
    for name, why in tally.failed.items():
        say_note(f"{name}: {why}")
    if not kept:
        say_note(f"Nothing is measured yet. Go on with the same command; it is kept in {folder}.")
        return exit_codes.OPEN
    comparisons = protocol.compare(kept)
    say_tables(comparisons)
    pictures = protocol.draw(kept)
    for picture in pictures:
        save_lines(folder / f"{picture.name}.png", picture)
    write_whole(folder / TABLES, protocol.page(kept, tally.total, comparisons).encode())
    drawn = f", {counted(len(pictures), 'picture')}" if pictures else ""
    say("", f"Tables: {folder / TABLES}{drawn} and the networks beside them.")
    missing = tally.total - tally.done
    if missing:
        say_note(f"{missing} of {tally.total} measurements left: the same command goes on.")
    return exit_codes.OPEN if missing else exit_codes.ANSWERED
