"""``dualbound train``."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from dualbound.cli import exit_codes, options
from dualbound.cli.progress import status_line
from dualbound.cli.streams import say, say_json, say_note
from dualbound.cli.study_progress import duration
from dualbound.cli.summaries import listing
from dualbound.errors import DataError, InvalidInput
from dualbound.limits import Limits, core_count

if TYPE_CHECKING:
    from dualbound.data import Dataset
    from dualbound.learn import Moment, Recipe, Trained

CURVES = "curves.png"

_UNSET = {"show_default": False}
_FILES = (".toml", ".csv", ".npz", ".zip")


def train(
    arch: Annotated[
        str,
        typer.Option(
            "--arch",
            "-a",
            metavar="ARCH",
            help="dnn1 … dnn5, mlp-64, mlp-64-64, mlp-50-20, cnn-paper, cnn-cifar, cnn-small, "
            "cnn-cleverhans; layers such as 784-64-64-10 or 32c3-m2-d0.5-128-10; or a .toml file.",
            show_default=False,
        ),
    ],
    data: options.DataName,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder of all that is written.",
            show_default="ARCH-DATA",
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="Keys as the options below.", **_UNSET),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="plain|fgsm|pgd|fast|virtual|interval|exact",
            help="What a step minimises: the loss at the inputs; at adversaries of FGSM, of PGD, "
            "or of one PGD step from a random start; virtual adversarial training; worst outputs "
            "by intervals; or plain, with the nearest adversaries that there are joining the data "
            "after each epoch.",
        ),
    ] = "plain",
    eps: Annotated[
        float | None,
        typer.Option(metavar="E", help="How far adversaries may be, L∞ (virtual: L2).", **_UNSET),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="Of pgd.", show_default="7")
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="Of the loss that is at adversaries or worst outputs.",
            show_default="1; fgsm and interval 0.5",
        ),
    ] = None,
    adversaries: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Of --method exact: of how many inputs the nearest adversaries join.",
            show_default="of all",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="How often all is seen.", show_default="20")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(metavar="N", help="Inputs a step.", show_default="128")
    ] = None,
    optimiser: Annotated[
        str | None, typer.Option(metavar="sgd|adam|rmsprop", show_default="sgd")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(metavar="R", help="Largest learning rate.", show_default="0.05")
    ] = None,
    momentum: Annotated[
        float | None, typer.Option(metavar="M", help="Of sgd and rmsprop.", show_default="0.9")
    ] = None,
    nesterov: Annotated[
        bool | None, typer.Option("--nesterov", help="Nesterov's momentum.", **_UNSET)
    ] = None,
    decay: Annotated[
        float | None, typer.Option(metavar="D", help="Weight decay.", show_default="0")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            metavar="cosine|constant|linear|steps", help="Of the rate.", show_default="cosine"
        ),
    ] = None,
    warmup: Annotated[
        float | None,
        typer.Option(metavar="EPOCHS", help="In which the rate grows.", show_default="0"),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(metavar="cross-entropy|squared", show_default="cross-entropy"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="S", help="Of weights, order and dropout.", show_default="0"),
    ] = None,
    per_class: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Train on so many inputs of each class, drawn by the seed.", **_UNSET
        ),
    ] = None,
    label: options.LabelColumn = None,
    device: options.Device = "cpu",
    time_limit: options.TimeLimit = None,
    json: options.Json = False,
) -> int:
    """Train a network on a data set, and write it as ONNX with a card and its learning curves.

    Ctrl-C, the time limit or a crash lose at most half a minute: the same command goes on, and ends
    in the same weights. Then: dualbound nearest DIR/model.onnx mnist:test:0 --any

    Exit codes: 0 trained; 2 bad usage or bad input; 3 stopped on the way.
    """
    limits = Limits(time_limit)
    from dualbound import learn
    from dualbound.data import load_dataset
    from dualbound.learn import saving
    from dualbound.report import save_learning_curves

    given = {
        "epochs": epochs, "batch": batch, "optimiser": optimiser, "rate": rate,
        "momentum": momentum, "nesterov": nesterov, "decay": decay, "schedule": schedule,
        "warmup": warmup, "loss": loss, "seed": seed,
    }  # fmt: skip
    by = _recipe(recipe, {key: value for key, value in given.items() if value is not None})
    how = learn.method_named(
        method,
        eps=eps,
        steps=steps,
        share=share,
        adversaries=adversaries,
        processes=core_count() if method == "exact" else None,
    )
    architecture = learn.Architecture.of(arch)
    training, test = (
        load_dataset(data, "train", label=label),
        load_dataset(data, "test", label=label),
    )
    if per_class is not None:
        training = training.balanced(per_class, by.seed)
    folder = out or Path(f"{_plain(arch)}-{_plain(data)}")
    text = str(architecture.taking(training.shape))
    with status_line("reading") as show:
        trained = learn.train(
            architecture, training, by, method=how, test=test, folder=folder, device=device,
            limits=limits, on_progress=None if show is None else lambda now: show(line(now)),
        )  # fmt: skip
    if not trained.history and not trained.finished:
        say_note(f"Stopped in the first epoch. The same command goes on; it is kept in {folder}.")
        if json:
            say_json({"query": "train", "folder": str(folder), "finished": False, "history": []})
        return exit_codes.OPEN
    card = saving.save(folder, trained, training, by, method=how, architecture=text, test=test)
    save_learning_curves(folder / CURVES, trained.history, f"{arch} on {training.name}")
    if json:
        say_json({"query": "train", "folder": str(folder), **card})
    else:
        _say(arch, folder, trained, by, training, test, card)
    return exit_codes.ANSWERED if trained.finished else exit_codes.OPEN


def line(now: Moment) -> Text:
    """One line of how it is going.

    >>> from dualbound.learn import Moment
    >>> print(line(Moment(3, 20, 100, 469, 0.0513, 0.9833, (), 60.0)))
    epoch 4 of 20  21 %  loss 0.0513  accuracy 98.33 %
    """
    text = Text.assemble((f"epoch {now.epoch + 1} of {now.epochs}", "bold"))
    text.append(f"  {now.step / now.steps:.0%}".replace("%", " %"))
    text.append("  loss ", "dim").append(f"{now.loss:.4f}")
    text.append("  accuracy ", "dim").append(f"{100 * now.accuracy:.2f} %", "cyan")
    if now.history and now.history[-1].test_accuracy is not None:
        text.append("  test ", "dim").append(
            f"{100 * now.history[-1].test_accuracy:.2f} %", "green"
        )
    if now.history:
        left = now.epochs - now.epoch - now.step / now.steps
        text.append(f"  {duration(left * now.history[-1].seconds)} left", "dim")
    return text


def _say(
    arch: str, folder: Path, trained: Trained, by: Recipe, data: Dataset, test: Dataset,
    card: dict[str, Any],
) -> None:  # fmt: skip
    done = "TRAINED" if trained.finished else "STOPPED"
    style = "bold green" if trained.finished else "bold yellow"
    accuracy = card["accuracy"]
    headline = Text.assemble(
        (done, style), f": {100 * accuracy[test.split]:.2f} % of {len(test):,} test inputs right."
    )
    epochs = f"{len(trained.history)} of {by.epochs} epochs, {duration(card['seconds'])}"
    rows = [
        (
            "network",
            f"{arch}" if arch == card["architecture"] else f"{arch}: {card['architecture']}",
        ),
        ("data", f"{data.name}, {len(data):,} inputs to train on"),
        ("training", f"{epochs}; {card['method']['name']}, {by.optimiser}, seed {by.seed}"),
        ("accuracy", f"{100 * accuracy[data.split]:.2f} % of what it was trained on"),
        ("written", f"{folder}/ (model.onnx, card.json, {CURVES}, checkpoint.pt)"),
    ]
    if not trained.finished:
        rows.append(("go on", "with the same command"))
    say(headline, listing(rows))


def _recipe(path: Path | None, given: dict[str, Any]) -> Recipe:
    """The recipe of a file, with what the options say in its place.

    Raises:
        DataError: the file cannot be read.
        InvalidInput: a key or a value that makes no sense.
    """
    from dualbound.learn import Recipe

    if path is None:
        return Recipe(**given)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as TOML: {error}.") from error
    kinds = {one.name: type(one.default) for one in dataclasses.fields(Recipe)}
    for key, value in content.items():
        if key not in kinds:
            raise InvalidInput(f"{path} has a key {key!r}; expected some of {', '.join(kinds)}.")
        if type(value) is int and kinds[key] is float:
            content[key] = float(value)
        elif type(value) is not kinds[key]:
            raise InvalidInput(f"{path}: {key} is {value!r}; expected {kinds[key].__name__}.")
    return Recipe(**{**content, **given})


def _plain(text: str) -> str:
    """A text, or the name of a file without its suffix, as a part of a folder's name.

    >>> _plain("32c3-m2-d0.25-10"), _plain("data/my pictures.zip"), _plain("cats/")
    ('32c3-m2-d0.25-10', 'my-pictures', 'cats')
    """
    path = Path(text)
    stem = path.stem if path.suffix.lower() in _FILES else path.name
    return re.sub(r"[^A-Za-z0-9.-]+", "-", stem)
