"""``dualbound prune``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from dualbound.cli import exit_codes, options
from dualbound.cli.comparisons import say_tables
from dualbound.cli.inputs import read_model
from dualbound.cli.outputs import usable
from dualbound.cli.progress import status_line
from dualbound.cli.records import about, finite
from dualbound.cli.saving import Saved, save_all
from dualbound.cli.streams import say, say_json
from dualbound.cli.study_progress import duration
from dualbound.cli.summaries import listing
from dualbound.cli.train import line
from dualbound.errors import InvalidInput
from dualbound.files import write_whole
from dualbound.limits import Limits

if TYPE_CHECKING:
    from dualbound.prune import Pruned
    from dualbound.prune.scores import Moment
    from dualbound.studies.protocols.protocol import Comparison

LIMIT = 120.0
"""Seconds of a search for scores, unless told otherwise."""

MODEL, CARD, REPORT = "model.onnx", "card.json", "report.md"
LAYERS, PIXELS = "layers.png", "pixels.png"


def prune(
    model: options.ModelName,
    data: options.DataName,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder of all that is written.",
            show_default="MODEL-pruned",
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="importance|random|magnitude|gradient",
            help="What units are chosen by: scores of a program; or, to compare with, at random, "
            "by the length of their weights, or by the loss's gradient.",
        ),
    ] = "importance",
    threshold: Annotated[
        str | None,
        typer.Option(metavar="S|mean", help="Units with a lower score go.", show_default="0.001"),
    ] = None,
    remove: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="The share of units that go, in place of a threshold.",
            show_default=False,
        ),
    ] = None,
    each: Annotated[
        int | None,
        typer.Option(metavar="N", help="Inputs of each class to choose on.", show_default="20"),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="softmax|hinge", help="Of the scores' program.", show_default="softmax"
        ),
    ] = None,
    weight: Annotated[
        float | None,
        typer.Option(
            metavar="W",
            help="Of the mean loss against the number of units.",
            show_default="5.0",
        ),
    ] = None,
    eps: Annotated[
        float | None,
        typer.Option(
            metavar="E",
            help="Score for the worst inputs so near, L∞ (--loss hinge).",
            show_default="0.0",
        ),
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option(
            metavar="all|layer|class",
            help="One program for all layers; one for each, the last first; one for each class.",
            show_default="all",
        ),
    ] = None,
    relaxed: Annotated[
        bool, typer.Option("--relaxed", help="Linear programs alone: faster, a weaker bound.")
    ] = False,
    solver: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of the programs: highs, scip, gurobi or xpress.",
            show_default="highs",
        ),
    ] = None,
    epochs: Annotated[
        int, typer.Option(metavar="N", help="Of training after the cut; 0 leaves it out.")
    ] = 5,
    rate: Annotated[
        float | None,
        typer.Option(metavar="R", help="Its largest rate.", show_default="0.01"),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="Of all draws.")] = 0,
    label: options.LabelColumn = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            "--time-limit",
            metavar="SECONDS",
            help="Of the search for scores.",
            show_default="120.0",
        ),
    ] = None,
    json: options.Json = False,
) -> int:
    """Remove the neurons or channels that a network does not need, and train what is left.

    They are removed physically: the smaller network is written as ONNX and runs everywhere. With
    each come the tables of a report, a picture of its layers, and one of the pixels that the
    removed neurons looked at. Ctrl-C ends the search for scores with the best so far, and the
    training begins; then it ends the training. Scores and training are kept in the folder: the same
    command goes on, and another threshold needs no new scores.

    Exit codes: 0 done; 2 bad usage or bad input; 3 the training after the cut was stopped.
    """
    limits = Limits(LIMIT if time_limit is None else time_limit)
    _check(
        by, each=each, loss=loss, weight=weight, eps=eps, scores=scores, relaxed=relaxed,
        solver=solver, threshold=threshold, time_limit=time_limit,
    )  # fmt: skip
    from dataclasses import replace

    from dualbound import prune as room
    from dualbound.data import load_dataset
    from dualbound.prune.pruning import FINE_TUNING

    if threshold is not None and remove is not None:
        raise InvalidInput("--threshold and --remove both say how many units go: give one of them.")
    if epochs < 0:
        raise InvalidInput(f"--epochs is {epochs}; expected 0 or more.")
    if not epochs and rate is not None:
        raise InvalidInput("--rate means nothing to --epochs 0, without training: leave one out.")
    asked: dict[str, Any] = {
        "each": each, "loss": loss, "weight": weight, "eps": eps, "by": scores, "solver": solver,
        "threshold": None if threshold is None else _threshold(threshold),
    }  # fmt: skip
    training_by = FINE_TUNING if rate is None else replace(FINE_TUNING, rate=rate)
    network = read_model(model)
    training = load_dataset(data, "train", label=label)
    test = load_dataset(data, "test", label=label)
    folder = out or Path(f"{Path(model).name.partition('.')[0]}-pruned")
    usable(folder, REPORT, (MODEL,), {"MODEL": model, "DATA": data})
    with status_line("reading") as show:
        found = room.prune(
            network, training, ranking=by, remove=remove, relaxed=relaxed, seed=seed, test=test,
            recipe=replace(training_by, epochs=epochs) if epochs else None,
            folder=folder, limits=limits,
            **{name: value for name, value in asked.items() if value is not None},
            on_score=None if show is None else lambda now: show(score_line(now)),
            on_training=None if show is None else lambda now: show(line(now)),
        )  # fmt: skip
    models = found.models()
    accuracies = found.accuracies(test)
    sizes = {name: len(content) for name, content in models.items()}
    record = about("prune", model, network) | _record(found, accuracies, sizes, data, folder)
    from dualbound.report.pruned import tables

    drawn = tables(found, accuracies, sizes)
    saved = _save(folder, found, models["after"], record, drawn, f"{model}, pruned")
    if json:
        say_json(record)
    else:
        _say(found, accuracies, folder, saved)
        say_tables(drawn)
    saved.check()
    return exit_codes.ANSWERED if found.finished else exit_codes.OPEN


def _check(by: str, **given: object) -> None:
    """Refuse options that a way of choosing units has no use for.

    Raises:
        InvalidInput: there is one.
    """
    takes = {"random": (), "magnitude": (), "gradient": ("each",)}
    for name, value in given.items():
        if value is not None and value is not False and name not in takes.get(by, given):
            others = "--by importance or gradient" if name == "each" else "--by importance"
            raise InvalidInput(
                f"--{name.replace('_', '-')} means nothing to --by {by}: leave it out, or say "
                f"{others}."
            )


def _threshold(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def score_line(now: Moment) -> Text:
    """One line of how the search for scores goes.

    >>> from dualbound.prune.scores import Moment
    >>> print(score_line(Moment("", -0.4, -0.5, 7, 1.0)))
    scores  value -0.4000  proved -0.5000  7 units removable
    """
    text = Text.assemble(("scores", "bold"), f" of {now.part}" if now.part else "")
    text.append("  value ", "dim").append(f"{now.value:.4f}", "cyan")
    text.append("  proved ", "dim").append(f"{now.bound:.4f}", "green")
    return text.append(f"  {now.removable} units removable")


def _record(
    found: Pruned, accuracies: dict[str, float], sizes: dict[str, int], data: str, folder: Path
) -> dict[str, Any]:
    before, after = found.units
    scores = found.scores
    return {
        "status": "complete" if found.finished else "stopped",
        "data": data,
        "by": found.ranking,
        "units": {"before": before, "after": after},
        "parameters": dict(zip(("before", "after"), found.parameters, strict=True)),
        "bytes": sizes,
        "accuracy": accuracies,
        "layers": [
            {
                "layer": layer.name,
                "units": layer.units,
                "kept": [int(k) for k in found.keep[layer.name].nonzero()[0]],
                "scores": None
                if scores is None
                else [round(float(one), 6) for one in scores.scores[layer.name]],
            }
            for layer in found.layers
        ],
        "scores": None
        if scores is None
        else {
            "value": finite(scores.value),
            "bound": finite(scores.bound),
            "loss": scores.loss,
            "loss_before": scores.loss_before,
            "finished": scores.finished,
            "seconds": scores.seconds,
            "note": scores.note or None,
        },
        "out": str(folder),
    }


def _save(
    folder: Path,
    found: Pruned,
    model: bytes,
    record: dict[str, Any],
    tables: list[Comparison],
    title: str,
) -> Saved:
    import json

    from dualbound.report.pruned import looks_at_images, save_layers, save_pixels

    first = found.layers[0]
    pictured = [LAYERS]
    jobs: list[tuple[str, Callable[[Path], None]]] = [
        (MODEL, lambda path: write_whole(path, model)),
        (CARD, lambda path: write_whole(path, (json.dumps(record, indent=1) + "\n").encode())),
        (LAYERS, lambda path: save_layers(path, found, title=title)),
    ]
    if not first.is_convolved and looks_at_images(found) and not found.keep[first.name].all():
        pictured.append(PIXELS)
        jobs.append((PIXELS, lambda path: save_pixels(path, found, title=title)))
    text = "\n".join(
        [f"# {title}\n", *(one.markdown() for one in tables), *(f"![{p}]({p})\n" for p in pictured)]
    )
    jobs.append((REPORT, lambda path: write_whole(path, text.encode())))
    return save_all(*((folder / name, write) for name, write in jobs))


def _say(found: Pruned, accuracies: dict[str, float], folder: Path, saved: Saved) -> None:
    before, after = found.units
    style = "bold green" if found.finished else "bold yellow"
    headline = Text.assemble(
        ("PRUNED" if found.finished else "STOPPED", style),
        f": {before - after} of {before} units removed; "
        f"{100 * accuracies['after']:.2f} % of the test inputs right, before "
        f"{100 * accuracies['before']:.2f} %.",
    )
    rows = []
    if found.scores is not None:
        rows.append(("scores", f"found and bounded in {duration(found.scores.seconds)}"))
        if found.scores.note:
            rows.append(("note", found.scores.note))
    if saved.places:
        names = ", ".join(Path(place).name for place in saved.places)
        rows.append(("written", f"{folder}/ ({names})"))
    say(headline, listing(rows), "")
