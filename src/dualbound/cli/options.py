"""Arguments and options that commands share: one spelling, one help text."""

from __future__ import annotations

from typing import Annotated

import typer

from dualbound.data import networks
from dualbound.errors import InvalidInput
from dualbound.solvers import Solver, parsed, solver_named

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="An .onnx, .nnet or .keras file, or an embedded network: dnn1 … dnn5, mlp-50-20, "
        "mlp-64-64.",
        autocompletion=networks.names,
        show_default=False,
    ),
]
ImageName = Annotated[
    str,
    typer.Argument(
        metavar="IMAGE",
        help="sample:17 (embedded), mnist:test:17, a .npy, .csv, .png or .jpg file, or - for "
        "numbers from standard input.",
        show_default=False,
    ),
]
OptionalImageName = Annotated[
    str | None,
    typer.Argument(
        metavar="[IMAGE]",
        help="Centre of a ball, see --radius; without it the whole box is looked at.",
        show_default=False,
    ),
]
NormName = Annotated[
    str,
    typer.Option(
        "--norm",
        metavar="l0|l1|l2|linf",
        help="How many inputs change, the sum of the changes, their Euclidean length, or the "
        "largest.",
    ),
]
BallNormName = Annotated[
    str | None,
    typer.Option(
        "--norm",
        metavar="l0|l1|l2|linf",
        help="Of the ball of --radius.",
        show_default="l1",
    ),
]
Radius = Annotated[
    float | None,
    typer.Option("--radius", metavar="R", help="Of the ball around IMAGE.", show_default=False),
]
InputRange = Annotated[
    tuple[float, float],
    typer.Option("--range", metavar="LOW HIGH", help="What every input lies between."),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        "--time-limit",
        metavar="SECONDS",
        help="Stop then, with the best answer so far.",
        show_default=False,
    ),
]
SolverName = Annotated[
    str | None,
    typer.Option(
        "--solver",
        metavar="NAME",
        help="Of lp and milp: highs, scip (milp only), gurobi or xpress; see dualbound solvers.",
        show_default="highs",
    ),
]
MilpSolver = Annotated[
    str | None,
    typer.Option(
        "--solver",
        metavar="NAME",
        help="Of milp: highs, scip, gurobi or xpress; see dualbound solvers.",
        show_default=False,
    ),
]
MilpFormulation = Annotated[
    str | None,
    typer.Option(
        "--formulation",
        metavar="NAME",
        help="Of milp, of the rectifiers: bigm, fischetti-jo or, with scip, gurobi and xpress, "
        "indicator.",
        show_default=False,
    ),
]
SolverOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--solver-option",
        metavar="NAME=VALUE",
        help="An option of the solver, by its own name; as often as needed.",
        show_default=False,
    ),
]
DataName = Annotated[
    str,
    typer.Option(
        "--data",
        "-d",
        metavar="DATA",
        help="mnist, fashion-mnist, cifar10, a folder or .zip with a folder of images for each "
        "class, a .csv file, or a .npz file.",
        show_default=False,
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        "--label-column",
        metavar="NAME",
        help="Of a .csv file: the column that holds the labels.",
        show_default="label, or the last",
    ),
]
Device = Annotated[str, typer.Option("--device", metavar="cpu|cuda", help="Where torch computes.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def solver_asked(name: str | None, options: list[str] | None, engine: str) -> str | Solver | None:
    """The solver of the engine milp, with the options that are given to it; None if none is asked.

    Args:
        name: of ``--solver``.
        options: of ``--solver-option``.
        engine: of ``--engine``.

    Raises:
        InvalidInput: options for no solver, or such as the solver refuses.
    """
    if not options:
        return name
    if name is None and engine != "milp":
        raise InvalidInput(
            "--solver-option is for a solver: say which by --solver, or --engine milp for highs."
        )
    return solver_named(name or "highs", parsed(options))
