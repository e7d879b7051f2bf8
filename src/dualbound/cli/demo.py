"""``dualbound demo``."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

import dualbound
from dualbound.cli import exit_codes
from dualbound.cli.outputs import writable
from dualbound.cli.progress import watching
from dualbound.cli.streams import say
from dualbound.cli.summaries import answer_rows, headline, listing, outputs_table
from dualbound.report import SUFFIXES, save_picture

MODEL, IMAGE, RATIO = "dnn1", "sample:0", 1.2


def demo(
    save_image: Annotated[
        Path, typer.Option(metavar="FILE.png", help="Where the picture goes.")
    ] = Path("demo.png"),
) -> int:
    """Find and prove the nearest adversary of an embedded digit, and draw it.

    It takes seconds; the first search on a machine is compiled, two to three minutes more.
    """
    writable(save_image, "A picture", SUFFIXES)
    network = dualbound.load(MODEL)
    image = dualbound.load_image(IMAGE, network.input_shape)
    before = dualbound.classify(network, image.pixels)
    target = (before.label + 5) % 10
    criterion = dualbound.Targeted(target, ratio=RATIO)
    say(
        Text.assemble(
            f"{MODEL} reads a handwritten digit and answers ",
            (str(before.label), "bold"),
            ". What is the smallest change of its pixels after\nwhich it answers ",
            (str(target), "bold"),
            f", by {RATIO:g} times every other output? And is that really the smallest?\n",
        )
    )
    with watching("attack") as on_progress:
        answer = dualbound.nearest(network, image.pixels, criterion, on_progress=on_progress)
    say(headline(answer), listing(answer_rows(answer, image, MODEL)), "")
    if answer.witness is not None:
        found = answer.witness
        say(outputs_table(before.outputs, found.outputs, before.label, found.label), "")
        save_picture(save_image, image.pixels, answer, model=MODEL)
        say(Text.assemble("The picture is in ", (str(save_image), "bold"), "."))
    next_ones = (
        f"nearest {MODEL} {IMAGE} --target {target} --ratio {RATIO:g} --json",
        f"nearest {MODEL} sample:2 --target 6 --norm linf --save-image 6.png",
        f"nearest {MODEL} {IMAGE} --any",
        f"bounds {MODEL} {IMAGE} --norm linf --radius 0.02 --method lp",
        "info dnn5",
        "nearest --help",
    )
    program = _program()
    say("\nTry next:", *(f"  {program} {words}" for words in next_ones))
    return exit_codes.OF_STATUS[answer.status]


def _program() -> str:
    """How the user would call this program again."""
    if shutil.which("dualbound") or Path(sys.argv[0]).stem != "dualbound":
        return "dualbound"
    return os.path.relpath(sys.argv[0])
