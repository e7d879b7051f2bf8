"""``dualbound nearest``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from dualbound import queries
from dualbound.cli import criteria, exit_codes, options, regions, several
from dualbound.cli.inputs import input_box, read_image, read_model
from dualbound.cli.outputs import PNG, check_outputs, check_png, keep_apart
from dualbound.cli.progress import watching
from dualbound.cli.records import about, answer_record
from dualbound.cli.saving import Saved, save_all, save_witness
from dualbound.cli.streams import say, say_json
from dualbound.cli.summaries import answer_rows, headline, listing
from dualbound.errors import InvalidInput
from dualbound.limits import Limits
from dualbound.queries.nearest import DEFAULT_GAP
from dualbound.region import Grid, norm_named
from dualbound.report import save_picture
from dualbound.search import AS_OPTIONS, Bab, Columns, Engine, Milp, engine_named
from dualbound.solvers import Solver


def nearest(
    model: options.ModelName,
    image: options.ImageName,
    target: criteria.TargetLabel = None,
    any_: criteria.AnyOther = False,
    targets: criteria.TargetLabels = None,
    repair: criteria.RepairLabel = None,
    confusion: criteria.Confusion = False,
    ratio: criteria.Ratio = None,
    margin: criteria.Margin = None,
    norm: options.NormName = "l1",
    then: Annotated[
        str | None,
        typer.Option(
            metavar="l1|l2|l0",
            help="After --norm linf: of all inputs that are as near, the nearest in this norm.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="The K nearest inputs that differ as --distinct says, each proved in its turn.",
            show_default=False,
        ),
    ] = None,
    distinct: Annotated[
        str | None,
        typer.Option(
            metavar="label|pattern",
            help="With --count: no two inputs have the same label, or activation pattern.",
            show_default="label",
        ),
    ] = None,
    weights: regions.Weights = None,
    levels: regions.Levels = None,
    cap: regions.Cap = None,
    mask: regions.Mask = None,
    freeze: regions.Freeze = None,
    range_: options.InputRange = (0.0, 1.0),
    gap: Annotated[
        float, typer.Option(metavar="G", help="Relative gap that counts as proved.")
    ] = DEFAULT_GAP,
    time_limit: options.TimeLimit = None,
    engine: Annotated[
        str,
        typer.Option(
            metavar="auto|bab|columns|milp",
            help="columns and bab are our own branch and bound, of plain chains and of networks of "
            "any form and size; milp gives one program after another to a solver. auto takes "
            "columns where it knows the network, bab for large ones, and else milp.",
        ),
    ] = "auto",
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="margin|direct",
            help="Of milp: prove the margin negative in ever smaller balls (the default), or "
            "minimise the distance in one program (slow, the form of the papers).",
            show_default=False,
        ),
    ] = None,
    solver: options.MilpSolver = None,
    solver_option: options.SolverOptions = None,
    formulation: options.MilpFormulation = None,
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Of columns: how many search; all cores.", show_default=False
        ),
    ] = None,
    json: options.Json = False,
    witness: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.npy|FILE.png|inline",
            help="Where the input found goes: a file, or into the JSON object; .png with --levels "
            "255, or a number that divides it.",
            show_default=False,
        ),
    ] = None,
    save_image: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw original, adversary and change (.png, .pdf or .svg).",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Find the nearest input that the network answers as asked, and prove that none is nearer.

    One of --target, --any, --targets, --repair and --confusion says what is asked.

    Ctrl-C and the time limit stop with the best answer so far.

    Exit codes: 0 proved; 1 proved that there is none; 2 bad usage or bad input;
    3 stopped with the answer open.
    """
    criterion = criteria.criterion_asked(
        target=target,
        any_=any_,
        targets=targets,
        repair=repair,
        confusion=confusion,
        ratio=ratio,
        margin=margin,
    )
    how = _engine(
        engine,
        threads,
        strategy=strategy,
        solver=options.solver_asked(solver, solver_option, engine),
        formulation=formulation,
    )
    limits = Limits(time_limit)
    kind = several.kind_asked(count, distinct, then, witness)
    keep_apart(
        {"--witness": witness, "--save-image": save_image},
        {
            "the MODEL": model,
            "the IMAGE": image,
            "--weights": weights,
            "--cap": cap,
            "--mask": mask,
            "--freeze": freeze,
        },
    )
    check_outputs(witness, save_image, json=json, suffixes=(".npy", PNG))
    if levels is not None:
        Grid(levels)
    network = read_model(model)
    start = read_image(image, network)
    if witness is not None and Path(witness).suffix.lower() == PNG:
        check_png(Path(witness), levels, range_, network.input_shape)
    norm_given = norm_named(norm, regions.read_weights(weights, network))
    caps = regions.read_cap(cap, network)
    may_change = regions.changeable(mask, freeze, network)
    question: dict[str, Any] = {
        "norm": norm_given,
        "region": input_box(range_, network),
        "cap": caps,
        "mask": may_change,
        "levels": levels,
        "gap": gap,
        "engine": how,
        "limits": limits,
    }
    region = {
        "weights": weights,
        "cap": caps if isinstance(caps, float) else cap,
        "mask": mask,
        "freeze": freeze,
        "range": list(range_),
    }
    if count is not None:
        wanted = several.Listing(model, network, image, start, count, kind)
        return wanted.told(
            criterion, question, region, json=json, witness=witness, picture=save_image
        )
    with watching("reading") as on_progress:
        answer = queries.nearest(
            network, start.pixels, criterion, then=then, on_progress=on_progress, **question
        )
    allowed = regions.allowed_words(caps, may_change)
    beside = " by an allowed change" if allowed else ""
    found = None if answer.witness is None else answer.witness.x
    saved = Saved()
    if found is not None:
        saved = save_all(
            (witness, partial(save_witness, x=found)),
            (
                save_image,
                lambda to: save_picture(to, start.pixels, answer, model=model, beside=beside),
            ),
        )
    if json:
        place = saved.witness(witness, found)
        record = answer_record(answer, image=image, witness=place, region=region)
        say_json(about("nearest", model, network) | record)
    else:
        rows = [*answer_rows(answer, start, model, allowed), *saved.rows]
        say(headline(answer, restricted=bool(allowed)), listing(rows))
    saved.check()
    return exit_codes.of(answer)


def _engine(name: str, threads: int | None, **of_milp: str | Solver | None) -> Engine | None:
    """The engine asked for; None leaves the choice to the query."""
    if threads is not None and name in (Bab.name, Milp.name):
        raise InvalidInput("--threads belongs to the engine columns: leave it out.")
    if threads is not None and name == "auto":
        name = Columns.name
    return engine_named(name, threads=threads, spelt=AS_OPTIONS, **of_milp)
