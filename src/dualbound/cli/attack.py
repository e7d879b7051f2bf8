"""``dualbound attack``."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from dualbound import queries
from dualbound.cli import attacks, exit_codes, options, regions
from dualbound.cli.inputs import input_box, read_model
from dualbound.cli.outputs import keep_apart, writable
from dualbound.cli.progress import status_line
from dualbound.cli.records import about
from dualbound.cli.saving import save_all
from dualbound.cli.streams import say, say_json
from dualbound.cli.summaries import listing
from dualbound.data import load_dataset
from dualbound.errors import InvalidInput
from dualbound.limits import Limits
from dualbound.report import SUFFIXES
from dualbound.report.attacked import save_adversaries, save_attack_curve


def attack(
    model: options.ModelName,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="sample, mnist, fashion-mnist, cifar10, a folder or .zip with a folder of images "
            "for each class, a .csv file, or a .npz file.",
            show_default=False,
        ),
    ],
    method: Annotated[
        str,
        typer.Option(
            "--method",
            "-m",
            metavar="fgsm|pgd|momentum|deepfool|virtual|foolbox:NAME",
            help="deepfool looks for the nearest adversary; of foolbox: ddn, ead, carlini-wagner, "
            "brendel-bethge, fmn, deepfool, fgsm and pgd.",
        ),
    ] = "pgd",
    eps: Annotated[
        str, typer.Option(metavar="E,E,…", help="How far an input may be moved, radius by radius.")
    ] = "0.1,0.2,0.3",
    norm: Annotated[
        str, typer.Option(metavar="linf|l2|l1", help="In which that is measured.")
    ] = "linf",
    count: Annotated[
        int | None,
        typer.Option(metavar="N", help="Only the first N inputs.", show_default="all"),
    ] = None,
    split: Annotated[str, typer.Option(metavar="train|test", help="Of DATA.")] = "test",
    label: options.LabelColumn = None,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="Of the attack.", show_default="the attack's own"),
    ] = None,
    restarts: Annotated[
        int | None, typer.Option(metavar="N", help="Runs of pgd.", show_default="1")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="Another option of the attack, by its own name; as often as needed.",
            show_default=False,
        ),
    ] = None,
    mask: regions.Mask = None,
    freeze: regions.Freeze = None,
    range_: options.InputRange = (0.0, 1.0),
    batch: Annotated[int, typer.Option(metavar="N", help="Inputs at a time.")] = 256,
    seed: Annotated[int, typer.Option(metavar="S", help="Of everything random.")] = 0,
    device: options.Device = "cpu",
    time_limit: options.TimeLimit = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE.npz",
            help="Write all adversaries, as a data set.",
            show_default=False,
        ),
    ] = None,
    save_image: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw the first adversaries (.png, .pdf or .svg).",
            show_default=False,
        ),
    ] = None,
    save_curve: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw accuracy against the radius (.png, .pdf or .svg).",
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
) -> int:
    """Attack a network on a data set: how much accuracy is left within each radius.

    Nothing is proved: another attack may turn more (see nearest and verify for proofs). Ctrl-C and
    the time limit stop with what is done so far.

    Exit codes: 0 done; 2 bad usage or bad input; 3 stopped on the way.
    """
    limits = Limits(time_limit)
    radii = _numbers("--eps", eps)
    given = _options(option, steps=steps, restarts=restarts)
    keep_apart(
        {"--out": out, "--save-image": save_image, "--save-curve": save_curve},
        {"the MODEL": model, "the DATA": data, "--mask": mask, "--freeze": freeze},
    )
    if out is not None:
        writable(out, "A data set of adversaries", (".npz",))
    for picture in (save_image, save_curve):
        if picture is not None:
            writable(picture, "A picture", SUFFIXES)
    network = read_model(model)
    asked = load_dataset(data, split, label=label)
    free = regions.changeable(mask, freeze, network)
    with status_line(f"{method}: attacking") as show:
        found = queries.attack(
            network,
            asked,
            method=method,
            eps=radii,
            norm=norm,
            region=input_box(range_, network),
            mask=free,
            count=count,
            batch=batch,
            seed=seed,
            device=device,
            limits=limits,
            on_progress=None if show is None else lambda now: show(attacks.progress_text(now)),
            **given,
        )
    title = f"{found.method.name} on {model}, {asked.name}"
    saved = save_all(
        (out, lambda path: attacks.save_archive(path, found, asked.classes)),
        (save_image, lambda path: save_adversaries(path, found, title=title, limits=range_)),
        (save_curve, lambda path: save_attack_curve(path, found, title=title)),
    )
    if json:
        question = {
            "data": data,
            "split": split,
            "range": list(range_),
            "mask": mask,
            "freeze": freeze,
            "seed": seed,
            "device": device,
        }
        record = attacks.record(found, asked=question, out=saved.place(out))
        say_json(about("attack", model, network) | record)
    else:
        rows = [*attacks.rows(found, model, asked), *saved.rows]
        say(attacks.headline(found), listing(rows), "", attacks.radii_table(found))
    saved.check()
    return exit_codes.OPEN if found.note else exit_codes.ANSWERED


def _numbers(option: str, text: str) -> tuple[float, ...]:
    """Numbers with commas between.

    Raises:
        InvalidInput: they are none.

    >>> _numbers("--eps", "0.1, 0.3")
    (0.1, 0.3)
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InvalidInput(
            f"{option} is {text!r}; expected a number, or several with commas between, such as "
            "0.1,0.3."
        ) from error


def _options(texts: list[str] | None, **named: int | None) -> dict[str, float]:
    """The options of the attack.

    Raises:
        InvalidInput: one is not written NAME=NUMBER, or is given twice.

    >>> _options(["xi=1e-3", "iterations=3"], steps=None)
    {'xi': 0.001, 'iterations': 3}
    """
    known = inspect.signature(queries.attack).parameters
    found: dict[str, float] = {name: one for name, one in named.items() if one is not None}
    for text in texts or []:
        name, _, value = (part.strip() for part in text.partition("="))
        try:
            number = float(value)
        except ValueError as error:
            raise InvalidInput(
                f"--option is written NAME=NUMBER, found {text!r}; as in xi=0.001."
            ) from error
        if not name or name in found or not np.isfinite(number):
            raise InvalidInput(f"--option {text} has no name, is no number, or is given twice.")
        if name in known:
            raise InvalidInput(
                f"--option {text}: {name} is no option of the attack alone. See the other options "
                "of dualbound attack --help."
            )
        found[name] = int(number) if value.lstrip("+-").isdigit() else number
    return found
