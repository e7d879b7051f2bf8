"""Arguments and options that commands share: one spelling, one help text."""

from __future__ import annotations

from typing import Annotated

import typer

from dualbound.data import networks

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="An .onnx file, or an embedded network: dnn1 … dnn5, mlp-50-20, mlp-64-64.",
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
    str,
    typer.Option(
        "--solver",
        metavar="highs|scip|gurobi|xpress",
        help="Which solver proves (lp, milp); see dualbound solvers.",
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
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
