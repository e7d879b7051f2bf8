"""``dualbound vnncomp``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from dualbound.cli import exit_codes
from dualbound.cli.progress import status_line
from dualbound.cli.streams import say, say_error, say_note
from dualbound.cli.summaries import listing
from dualbound.errors import InvalidInput, SoundnessError
from dualbound.files import write_whole
from dualbound.limits import Limits
from dualbound.report.words import counted
from dualbound.studies.competition import (
    CORRECT,
    WRONG,
    Moment,
    Score,
    Watch,
    answered,
    compete,
    existing,
    load_libraries,
)

_CODES = {"unsat": exit_codes.ANSWERED, "sat": exit_codes.VIOLATED}


def vnncomp(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]", help="Of a benchmark, with an instances.csv.", show_default=False
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="For each instance, in place of those of instances.csv.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN",
            help="Instances with this in the names of their files; * and ? stand for any letters.",
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Ask instances that ended in an error once more.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="RESULTS.csv",
            help="What is answered; what stands there already is not asked again.",
            show_default="DIR-results.csv, here",
        ),
    ] = None,
    instance: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="ONNX VNNLIB",
            help="In place of DIR: answer this instance alone, in the competition's words, into "
            "the file of --out or on standard output.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Answer a benchmark of the verification competition, and count the points.

    Each instance is answered in a process of its own. A run that is stopped goes on where it was
    with the same command; Ctrl-C stops.

    Exit codes: 0 all were asked; 2 bad usage or bad input; 3 some were not, or ended in an error;
    70 an answer is wrong. Of --instance: 0 unsat; 1 sat; 2 error; 3 unknown or timeout.
    """
    Limits(timeout)
    if (folder is None) == (instance is None):
        raise InvalidInput("Name the folder DIR of a benchmark, or --instance ONNX VNNLIB.")
    if instance is not None:
        if only is not None or again:
            raise InvalidInput("--only and --again choose among the instances of a DIR: leave out.")
        return _alone(existing(Path(instance[0])), existing(Path(instance[1])), timeout, out)
    benchmark = Path(str(folder))
    name = benchmark.resolve().name
    place = out or Path(f"{name}-results.csv")
    with _following() as watch:
        score = compete(
            benchmark, place, seconds=timeout, only=only, again=again, on_progress=watch
        )
    say(_headline(name, score), listing(_rows(score, place)))
    for line in score.wrong:
        say_error("WRONG", f"{line.instance} was answered {line.result}; {line.expected} is known.")
    if score.wrong:
        return exit_codes.INTERNAL
    missing = score.total - score.done
    if missing:
        say_note(f"{counted(missing, 'instance')} left: the same command goes on.")
    return exit_codes.OPEN if missing or score.counts.get("error") else exit_codes.ANSWERED


def _alone(onnx: Path, vnnlib: Path, seconds: float | None, out: Path | None) -> int:
    """Answer one instance; the exit code.

    Raises:
        InvalidInput: it cannot be asked.
        SoundnessError: its proof contradicts a point.
        OutputError: the answer cannot be written.
    """
    load_libraries()
    given = answered(onnx, vnnlib, seconds)
    words = given.result + (f"\n{given.counterexample}" if given.counterexample else "")
    if out is None:
        say(words)
    else:
        write_whole(out, f"{words}\n".encode())
    if given.result == "error":
        raise (SoundnessError if given.unsound else InvalidInput)(given.note)
    return _CODES.get(given.result, exit_codes.OPEN)


@contextmanager
def _following() -> Iterator[Watch]:
    """A watcher: one line on a terminal, else a line for each answer."""
    with status_line("reading") as show:
        if show is None:
            yield _say_line
        else:
            yield lambda moment: show(moment_text(moment))


def _say_line(moment: Moment) -> None:
    if moment.line is not None:
        score, line = moment.score, moment.line
        note = f" ({line.note})" if line.note else ""
        say_note(
            f"{score.done} of {score.total}  {line.result:<7}  {line.seconds:.2f} s  "
            f"{line.instance}{note}"
        )


def moment_text(now: Moment) -> Text:
    """One line: how many are done, which is in hand, and how its search is doing."""
    score = now.score
    text = Text().append(f"{score.done} of {score.total}, {score.solved} solved", "bold")
    if score.wrong:
        text.append(f", {len(score.wrong)} WRONG", "bold red")
    if now.instance is not None:
        text.append(f"  {now.instance.name}")
    if now.told:
        text.append(f"  {now.told['phase']}", "bold")
        if now.told["bound"] is not None:
            text.append("  bound ", "dim").append(f"{now.told['bound']:.4f}", "green")
        if now.told["nodes"]:
            text.append(f"  {now.told['open']:,} of {now.told['nodes']:,} nodes open", "dim")
    return text


def _headline(name: str, score: Score) -> Text:
    if score.wrong:
        wrong = counted(len(score.wrong), "answer")
        return Text.assemble((f"{wrong} WRONG", "bold red"), f": {name}, see below.")
    solved = f"{score.solved} of {score.total} solved"
    return Text.assemble((solved, "bold green" if score.solved else "bold yellow"), f": {name}")


def _rows(score: Score, place: Path) -> list[tuple[str, str]]:
    """What there is to know about a run."""
    counts = {name: score.counts.get(name, 0) for name in ("unsat", "sat")}
    rest = [
        f"{score.counts[name]} {name}"
        for name in ("unknown", "timeout", "error")
        if name in score.counts
    ]
    unasked = score.total - score.done
    rest += [f"{unasked} not asked yet"] if unasked else []
    rows = [("solved", f"{counts['unsat']} unsat, {counts['sat']} sat")]
    rows += [("open", ", ".join(rest))] if rest else []
    rows.append(("wrong", f"{len(score.wrong)}"))
    if score.unchecked:
        rows.append(("", f"{score.unchecked} of the unsat have nothing to be compared with"))
    if score.median is not None:
        rows.append(("median", f"{score.median:.2f} s of the solved"))
    most = CORRECT * score.total
    rows.append(
        (
            "score",
            f"{score.points:,} of {most:,}: {CORRECT} for each correct sat or unsat, {WRONG} for "
            "each wrong one, as in VNN-COMP since 2023",
        )
    )
    rows.append(("results", str(place)))
    return rows
