"""``dualbound study``: new, run, status, table, export; and report, which stands alone too."""

from __future__ import annotations

import json as jsonlib
import os
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from dualbound.cli import exit_codes, options
from dualbound.cli.help_texts import examples
from dualbound.cli.report import report
from dualbound.cli.saving import save_array
from dualbound.cli.streams import say, say_json, say_note
from dualbound.cli.study_progress import following
from dualbound.cli.summaries import listing
from dualbound.data.images import file_of
from dualbound.data.loading import NAMES
from dualbound.errors import InvalidInput, OutputError
from dualbound.files import write_whole
from dualbound.report.words import counted
from dualbound.studies import Specification, Study
from dualbound.studies.executors import KINDS
from dualbound.studies.row import CERTIFIED, FAILED, REFUTED, SETTLED
from dualbound.studies.specification import FILE
from dualbound.studies.tables import BY, FORMATS, OF, grouped, select, written

study = typer.Typer(
    name="study",
    help="Ask many questions, keep every answer, and look at them.",
    no_args_is_help=True,
)

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="The study's folder.", show_default=False)
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="COLUMN=VALUE",
        help="Only these rows; != for the others. May be given several times.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="Write to this file.", show_default=False),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="|".join(FORMATS),
        help="Of the table; told from the file's name where there is one.",
        show_default="text",
    ),
]


@study.command(
    epilog=examples(
        "dualbound study new demo -n dnn1 -n dnn2 -i sample:0-19 --target +5 --ratio 1.2",
        "dualbound study new linf -n model.onnx -i mnist:test:0-99 --norm linf --seconds 60",
    )
)
def new(
    folder: Folder,
    network: Annotated[
        list[str],
        typer.Option("--network", "-n", metavar="MODEL", help="May be given several times."),
    ],
    image: Annotated[
        list[str],
        typer.Option(
            "--image", "-i", metavar="IMAGE", help="Or a range of them, such as sample:0-99."
        ),
    ],
    target: Annotated[
        str, typer.Option(help='A label; "+5", so many after the true one; any; runner-up; repair.')
    ] = "any",
    ratio: Annotated[float | None, typer.Option(metavar="R", show_default=False)] = None,
    norm: options.NormName = "l1",
    seconds: Annotated[float, typer.Option(metavar="S", help="Limit for each question.")] = 300.0,
    keep: Annotated[
        str, typer.Option(metavar="correct|misread|all", help="Which images.")
    ] = "correct",
) -> int:
    """Write the study.toml of a new study, to be run or edited.

    It asks for the nearest input of every image and network; what else a study can ask is described
    in docs/studies.md.
    """
    path = folder / FILE
    if os.path.exists(path):
        raise OutputError(f"{path} exists already. Edit it, or name another folder.")
    lines = [
        f"title = {_toml(folder.resolve().name)}",
        f"networks = [{', '.join(_toml(_from(folder, name)) for name in network)}]",
        f"images = [{', '.join(_toml(_from(folder, name)) for name in image)}]",
        f"keep = {_toml(keep)}",
        "",
        "[[questions]]",
        'query = "nearest"',
        f"target = {int(target) if re.fullmatch('[0-9]{1,9}', target) else _toml(target)}",
        *([] if ratio is None else [f"ratio = {ratio}"]),
        f"norm = {_toml(norm)}",
        f"seconds = {seconds}",
    ]
    text = "\n".join(lines) + "\n"
    count = sum(1 for _ in Specification.parse(text, folder).questions())
    if not count:
        raise InvalidInput(
            f"That asks nothing: no image is left of those to keep ({keep}). Name others."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror or error}.") from error
    write_whole(path, text.encode())
    say(f"Wrote {path}: {counted(count, 'question')}. Next: dualbound study run {folder}")
    return exit_codes.ANSWERED


@study.command(
    epilog=examples(
        "dualbound study run demo",
        "dualbound study run demo --executor processes:8",
        "dualbound study run demo --executor dask://127.0.0.1:8786",
        "dualbound study run demo --again",
    )
)
def run(
    folder: Folder,
    executor: Annotated[str, typer.Option(metavar="WHO", help=f"{KINDS}.")] = "processes",
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Where study.toml or a file of it has changed: ask what is new, set aside answers "
            "to what is asked no more.",
        ),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Ask questions that were given up once more.")
    ] = False,
) -> int:
    """Ask what has no answer yet; a run that was stopped or killed goes on where it was.

    Ctrl-C stops: answers are kept, questions in hand are asked again by the next run. Exit code 0:
    everything is answered; 3: something is not, or was given up.
    """
    found = Study.open(folder)
    with following() as watch:
        moment = found.run(executor=executor, update=update, again=again, on_progress=watch)
    _say_status(found)
    if found.skipped:
        say_note(f"{counted(len(found.skipped), 'image')} left out, such as {found.skipped[0]}")
    missing = moment.total - moment.done
    if missing:
        command = f"dualbound study run {folder}" + (" --again" if again else "")
        say_note(f"{counted(missing, 'question')} left. Go on with: {command}")
    return exit_codes.OPEN if missing or moment.failed else exit_codes.ANSWERED


@study.command(epilog=examples("dualbound study status demo", "dualbound study status demo --json"))
def status(folder: Folder, json: options.Json = False) -> int:
    """How many questions are answered, proved, open, failed."""
    found = Study.open(folder)
    if json:
        about = {"query": "study", "study": str(folder), "title": found.title}
        say_json({**about, "edited": found.edited, "answers": found.counts()})
    else:
        _say_status(found)
        _say_edited(found)
    return exit_codes.ANSWERED


@study.command(
    epilog=examples(
        "dualbound study table demo",
        "dualbound study table demo --by network,norm --of value,seconds --format latex",
        "dualbound study table demo --where status=optimal --out table.csv",
        "dualbound study table demo --rows --out answers.parquet",
    )
)
def table(
    folder: Folder,
    by: Annotated[
        str, typer.Option(metavar="COLUMN,…", help="What tells groups apart.")
    ] = ",".join(BY),
    of: Annotated[str, typer.Option(metavar="COLUMN,…", help="What is summed up.")] = ",".join(OF),
    where: Where = None,
    rows: Annotated[
        bool, typer.Option("--rows", help="Every answer for itself, in place of groups.")
    ] = False,
    format_: Format = None,
    out: Out = None,
) -> int:
    """Count, solved, mean, deviation, least, quartiles and largest of any column, in groups."""
    kind = _format(format_, out)
    found = Study.open(folder)
    _say_edited(found)
    if out is not None and out.resolve() in found.files():
        raise OutputError(f"{out} is a file of the study itself: name another one.")
    frame = select(found.frame(), where or ())
    made = frame if rows else grouped(frame, _split(by), _split(of))
    text = written(made, kind, out)
    if out is None:
        say(Text(text.rstrip("\n")))
    else:
        say(f"Wrote {out}: {counted(len(made), 'row')}.")
    return exit_codes.ANSWERED


@study.command(
    epilog=examples(
        "dualbound study export demo --out demo-answers",
        "dualbound study export demo --where network=dnn1 --out demo-answers-dnn1",
    )
)
def export(
    folder: Folder,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="To write to; made if need be.")
    ],
    where: Where = None,
) -> int:
    """Write answers and witnesses as files: answers.csv, and NUMBER.npy for each witness."""
    found = Study.open(folder)
    _say_edited(found)
    frame = select(found.frame(), where or ())
    try:
        out.mkdir(parents=True, exist_ok=True)
        _cleared(out)
    except OSError as error:
        raise OutputError(f"{out} cannot be used: {error.strerror or error}.") from error
    count = 0
    with found.store() as store:
        for number in frame.index[frame["replayed"].fillna(False)]:
            witness = store.witness(int(number))
            if witness is not None:
                save_array(out / f"{number}.npy", witness)
                count += 1
    written(frame, "csv", out / "answers.csv")
    say(f"Wrote {counted(len(frame), 'answer')} to {out}, {count} with a witness.")
    return exit_codes.ANSWERED


study.command(
    "report",
    epilog=examples("dualbound study report demo", "dualbound study report demo --out demo.html"),
)(report)


def _cleared(folder: Path) -> None:
    """Remove what an earlier export left in a folder; refuse one that holds anything else.

    Raises:
        OutputError: it does.
    """
    there = list(folder.iterdir())
    earlier = folder / "answers.csv" in there
    for path in there:
        if not earlier or not (path.name == "answers.csv" or re.fullmatch(r"\d+\.npy", path.name)):
            raise OutputError(
                f"{folder} holds {path.name}, which no export has written: name a new folder, or "
                "an empty one."
            )
    for path in there:
        path.unlink()


def _say_edited(found: Study) -> None:
    """Say so if the answers are not to what is asked now."""
    if found.edited:
        say_note(
            f"{FILE} has changed since the last run: these are the answers to what it asked then. "
            f"To ask what it asks now: dualbound study run {found.folder} --update"
        )


def _say_status(found: Study) -> None:
    counts = found.counts()
    open_, retired = counts.pop("open", 0), counts.pop("retired", 0)
    done = sum(counts.values())
    settled = sum(counts.get(name, 0) for name in SETTLED)
    head = Text.assemble((found.title, "bold"), f": {done} of {done + open_} answered")
    rows = [("proved", str(settled))]
    for name, word in (
        (CERTIFIED, "certified"),
        (REFUTED, "refuted"),
        ("feasible", "gap open"),
        ("unknown", "no witness"),
        (FAILED, "failed"),
    ):
        if counts.get(name):
            rows.append((word, str(counts[name])))
    if open_:
        rows.append(("unanswered", str(open_)))
    if retired:
        rows.append(("set aside", f"{retired} that study.toml asks no more"))
    failed = _reasons(found) if counts.get(FAILED) else []
    say(head, listing(rows + failed))


def _reasons(found: Study) -> list[tuple[str, str]]:
    with found.store() as store:
        reasons = list(store.reasons().items())
    rest = sum(count for _, count in reasons[3:])
    rows = [("because", f"{count} × {note}") for note, count in reasons[:3]]
    return rows + ([("because", f"{rest} × for other reasons")] if rest else [])


def _format(format_: str | None, out: Path | None) -> str:
    if format_ is not None:
        return format_
    suffixes = {".csv": "csv", ".tex": "latex", ".parquet": "parquet"}
    return "text" if out is None else suffixes.get(out.suffix.lower(), "text")


def _from(folder: Path, name: str) -> str:
    """The name of a file, or of an image in one, as it is from the study's folder; others stay."""
    file = name if os.path.isfile(name) else file_of(name)
    in_a_set = file != name and file not in NAMES and os.path.exists(file)
    if not (os.path.isfile(name) or in_a_set):
        return name
    return Path(os.path.relpath(file, folder)).as_posix() + name[len(file) :]


def _split(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _toml(text: str) -> str:
    r"""A text as TOML quotes it.

    >>> print(_toml(r'C:\nets'))
    "C:\\nets"
    """
    return jsonlib.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
