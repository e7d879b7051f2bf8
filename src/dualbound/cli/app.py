"""The program: its commands, and what becomes of everything that can go wrong in them."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from dualbound import starting
from dualbound.cli import exit_codes
from dualbound.cli.activate import activate
from dualbound.cli.attack import attack
from dualbound.cli.bounds import bounds
from dualbound.cli.classify import classify
from dualbound.cli.compare import compare
from dualbound.cli.demo import demo
from dualbound.cli.help_texts import examples
from dualbound.cli.info import info
from dualbound.cli.nearest import nearest
from dualbound.cli.perfect import perfect
from dualbound.cli.prune import prune
from dualbound.cli.report import report
from dualbound.cli.reproduce import reproduce
from dualbound.cli.solvers import solvers
from dualbound.cli.streams import ReaderGone, flush, say_error, silence
from dualbound.cli.study import study
from dualbound.cli.train import train
from dualbound.cli.verify import verify
from dualbound.cli.vnncomp import vnncomp
from dualbound.errors import DualboundError, SolverFailed, SoundnessError

_BROKEN = (SoundnessError, SolverFailed)
"""Raised on purpose, and yet no fault of whoever asked."""

# Newer versions of typer carry their own copy of click: its errors are reached through typer's.
_ClickError: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="dualbound",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _Interrupted(Exception):
    """Ctrl-C before there was an answer to keep. Some versions of typer swallow its own name."""


def _interruptible(command: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(command)
    def run(**options: object) -> object:
        try:
            return command(**options)
        except KeyboardInterrupt as stopped:
            raise _Interrupted from stopped

    return run


def _version(wanted: bool) -> bool:
    if wanted:
        from dualbound import __version__

        typer.echo(f"dualbound {__version__}")
        raise typer.Exit
    return wanted


@app.callback(
    epilog=examples(
        "dualbound demo",
        "dualbound nearest dnn1 sample:0 --target 2 --ratio 1.2",
        "dualbound nearest dnn1 sample:0 --any",
        "dualbound bounds dnn1 --method lp",
    ),
)
def dualbound(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Exact questions about trained neural networks, answered with a witness and a proof."""


for command, lines in (
    (demo, ["dualbound demo"]),
    (
        info,
        [
            "dualbound info dnn2",
            "dualbound info model.onnx --check",
            "dualbound info model.onnx --json",
        ],
    ),
    (
        classify,
        [
            "dualbound classify dnn1 sample:0",
            "dualbound classify model.onnx digit.png --json",
            "dualbound classify dnn1 - < pixels.csv",
        ],
    ),
    (
        nearest,
        [
            "dualbound nearest dnn1 sample:0 --target 2",
            "dualbound nearest dnn1 sample:0 -t 2 --ratio 1.2 --save-image adversary.png",
            "dualbound nearest dnn1 sample:0 -t 2 --norm linf --time-limit 60 --json",
            "dualbound nearest dnn1 sample:0 -t 2 --norm linf --then l1",
            "dualbound nearest dnn1 sample:0 --any --count 3",
            "dualbound nearest dnn1 sample:0 -t 2 --count 5 --distinct pattern",
            "dualbound nearest dnn1 sample:0 --any --ratio 1.2",
            "dualbound nearest dnn1 sample:0 --targets 2,3,9",
            "dualbound nearest dnn1 sample:8 --repair 5",
            "dualbound nearest dnn1 sample:0 --confusion",
            "dualbound nearest dnn1 sample:0 -t 2 --norm l0",
            "dualbound nearest dnn1 sample:0 -t 2 --levels 255 --witness adversary.png",
            "dualbound nearest dnn1 sample:0 -t 2 --mask 4:24,4:24 --cap 0.5",
            "dualbound nearest dnn1 sample:0 -t 2 --norm l2 --weights prices.npy",
            "dualbound nearest model.onnx digit.png -t 3 --freeze logo.png --cap caps.csv",
            "dualbound nearest model.onnx digit.png -t 3 --witness found.npy",
            "dualbound nearest dnn1 sample:0 -t 2 --solver scip --formulation indicator",
            "dualbound nearest dnn1 x.npy -t 2 --solver highs --solver-option presolve=off",
        ],
    ),
    (
        verify,
        [
            "dualbound verify dnn1 sample:0 --eps 0.01",
            "dualbound verify dnn1 sample:0 --eps 0.05 --save-image counterexample.png",
            "dualbound verify dnn1 sample:0 --eps 0.3 --norm l2 --time-limit 60 --json",
            "dualbound verify dnn1 sample:8 --eps 0.01 --label 5",
            "dualbound verify dnn1 sample:0 --eps 0.05 -t 2 --margin 0.1",
            "dualbound verify model.onnx --property prop_1.vnnlib --witness found.npy",
        ],
    ),
    (
        bounds,
        [
            "dualbound bounds dnn1",
            "dualbound bounds dnn1 --method lp",
            "dualbound bounds dnn1 sample:0 --norm linf --radius 0.02 --method milp",
            "dualbound bounds dnn1 sample:0 --norm l2 --radius 0.5 --method exact",
        ],
    ),
    (
        activate,
        [
            "dualbound activate dnn1 --layer 2 --neuron 3 --save-image neuron.png",
            "dualbound activate dnn1 --layer 1 --all --save-image layer1.png",
            "dualbound activate dnn1 --layer logits --neuron 7 --minus 1 --time-limit 60",
            "dualbound activate dnn1 sample:0 --radius 2 --layer 3 --neuron 5 --post --minimise",
            "dualbound activate dnn1 --layer logits --all --json --witness inputs.npy",
        ],
    ),
    (
        perfect,
        [
            "dualbound perfect dnn1 --label 8 --save-image perfect8.png",
            "dualbound perfect dnn1 sample:0 --radius 5 --label 2",
            "dualbound perfect dnn1 --label 8 --loss squared --time-limit 60 --json",
        ],
    ),
    (
        train,
        [
            "dualbound train --arch cnn-paper --data mnist",
            "dualbound train -a 784-64-64-10 -d fashion-mnist --optimiser adam --rate 1e-3",
            "dualbound train -a cnn-small -d mnist --method fast --eps 0.1 --out robust",
            "dualbound train -a cnn-cifar -d cifar10 --nesterov --device cuda",
            "dualbound train -a layers.toml -d pictures.zip --recipe recipe.toml",
        ],
    ),
    (
        attack,
        [
            "dualbound attack dnn1 sample --method fgsm --eps 0.01,0.05,0.1",
            "dualbound attack mlp-64-64 mnist --eps 0.1,0.3 --restarts 5 --save-curve curve.png",
            "dualbound attack model.onnx cifar10 --count 1000 --eps 0.03 --device cuda --json",
            "dualbound attack dnn1 sample -m deepfool --norm l1 --out adversaries.npz",
            "dualbound attack dnn1 sample -m virtual --norm l2 --eps 2 --option iterations=3",
            "dualbound attack dnn1 sample -m foolbox:ddn --norm l2 --eps 0.5 --count 50",
        ],
    ),
    (
        compare,
        [
            "dualbound compare mlp-50-20 pruned/model.onnx --data mnist --eps 0.04 --count 20",
            "dualbound compare dnn1 dnn2 dnn3 -d sample --eps 0.02 --count 5 --out compared",
            "dualbound compare a.onnx b.onnx -d cifar10 --eps 0.01 --distances 5 --json",
        ],
    ),
    (
        prune,
        [
            "dualbound prune mlp-50-20 --data mnist",
            "dualbound prune model.onnx --data mnist --threshold mean --scores class",
            "dualbound prune mlp-50-20 -d mnist --by magnitude --remove 0.3 --out smaller",
            "dualbound prune mlp-50-20 -d mnist --loss hinge --eps 0.02 --each 1",
        ],
    ),
    (
        vnncomp,
        [
            "dualbound vnncomp benchmarks/acasxu",
            "dualbound vnncomp benchmarks/acasxu --only prop_2 --timeout 20 --out quick.csv",
            "dualbound vnncomp --instance net.onnx p.vnnlib --timeout 60 -o answer.txt",
        ],
    ),
    (report, ["dualbound report demo", "dualbound report demo --out demo.html"]),
    (solvers, ["dualbound solvers", "dualbound solvers --json"]),
    (
        reproduce,
        [
            "dualbound reproduce --list",
            "dualbound reproduce koot-adversaries --quick",
            "dualbound reproduce schoenfeld-nearest --out out/nearest --executor processes:2",
        ],
    ),
):
    app.command(epilog=examples(*lines))(_interruptible(command))

for registered in study.registered_commands:
    if registered.callback is not None:
        registered.callback = _interruptible(registered.callback)
app.add_typer(study)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; no exception leaves this function.

    Args:
        arguments: without the program's name; those of the process when not given.

    Returns:
        The exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ∞ gets a question mark
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = app(words or ["--help"], prog_name="dualbound", standalone_mode=False)
        flush()
    except DualboundError as error:
        say_error("Error", str(error))
        if not isinstance(error, _BROKEN):
            return exit_codes.BAD_INPUT
        _trace()
        return exit_codes.INTERNAL
    except (_Interrupted, KeyboardInterrupt, typer.Abort):
        say_error("Interrupted", "before there was anything to show.")
        return exit_codes.INTERRUPTED
    except (ReaderGone, SystemExit):  # the second is how rich and typer take a closed pipe
        silence()
        return exit_codes.READER_GONE
    except Exception as error:  # noqa: BLE001 (the last one to see it: said in one line)
        return _refused(error) if isinstance(error, _ClickError) else _internal(error)
    return code if isinstance(code, int) else exit_codes.ANSWERED


def main() -> None:
    """The entry point of the ``dualbound`` script."""
    starting.over()
    sys.exit(run())


def _refused(error: Exception) -> int:
    """Bad usage, in the words of the parser."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "dualbound"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    say_error("Error", f"{message.rstrip('.?')}. See {command} --help.")
    return exit_codes.BAD_INPUT


def _internal(error: Exception) -> int:
    from dualbound import __version__

    what = " ".join(f"{type(error).__name__}: {error}".split())
    say_error(
        "Internal error",
        f"{what}. This is a fault of dualbound {__version__}: please report it with the command "
        "that you ran. DUALBOUND_TRACEBACK=1 shows where it happened.",
    )
    _trace()
    return exit_codes.INTERNAL


def _trace() -> None:
    if os.environ.get("DUALBOUND_TRACEBACK") == "1":
        with contextlib.suppress(OSError):
            traceback.print_exc()
