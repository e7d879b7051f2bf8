"""``dualbound report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dualbound.cli import exit_codes
from dualbound.cli.outputs import writable
from dualbound.cli.streams import say
from dualbound.studies import Study

FILE = "report.html"
"""In the study's folder, if no other file is named."""


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The study's folder.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE.html",
            help=f"Write to this file.  [default: DIR/{FILE}]",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Show what a study has answered so far as one HTML file, and print its name.

    Tables, figures and pictures are inside the file: it needs no other one, and no network.
    """
    from dualbound.report.page import save_page  # here: pandas takes a while to load

    path = folder / FILE if out is None else out
    study = Study.open(folder)
    writable(path, "A report", (".html", ".htm"))
    save_page(study, path)
    say(str(path))
    return exit_codes.ANSWERED
