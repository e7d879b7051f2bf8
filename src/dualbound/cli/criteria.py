"""What the network shall answer instead: options that exclude one another."""

from __future__ import annotations

from typing import Annotated

import typer

from dualbound.criterion import Class, Criterion, OneOf, RunnerUp, Targeted, Untargeted
from dualbound.errors import InvalidCriterion

CHOICES = "--target LABEL, --any, --targets LABEL,LABEL,…, --repair LABEL or --confusion"

TargetLabel = Annotated[
    int | None,
    typer.Option(
        "--target", "-t", metavar="LABEL", help="The network shall answer this.", show_default=False
    ),
]
AnyOther = Annotated[bool, typer.Option("--any", help="… any other label than now (untargeted).")]
TargetLabels = Annotated[
    str | None,
    typer.Option(
        "--targets",
        metavar="LABEL,LABEL,…",
        help="… one of these.",
        show_default=False,
    ),
]
RepairLabel = Annotated[
    int | None,
    typer.Option(
        "--repair",
        metavar="LABEL",
        help="… this, where it answers a wrong one now.",
        show_default=False,
    ),
]
Confusion = Annotated[
    bool, typer.Option("--confusion", help="… the label whose output is second now.")
]
Ratio = Annotated[
    float | None,
    typer.Option(
        metavar="R",
        help="By R times every other output, and positive.",
        show_default=False,
    ),
]
Margin = Annotated[
    float | None,
    typer.Option(
        metavar="M",
        help="By M above every other output.",
        show_default="0.0001",
    ),
]


def criterion_asked(
    *,
    target: int | None,
    any_: bool,
    targets: str | None,
    repair: int | None,
    confusion: bool,
    ratio: float | None,
    margin: float | None,
) -> Criterion:
    """The one criterion that was asked for.

    Raises:
        InvalidCriterion: none or two were, or it makes no sense.

    >>> criterion_asked(target=None, any_=False, targets="1,2", repair=None, confusion=False,
    ...                 ratio=1.2, margin=None)
    OneOf(labels=(1, 2), ratio=1.2, margin=None, floor=0.001)
    """
    asked = {
        "--target": target is not None,
        "--any": any_,
        "--targets": targets is not None,
        "--repair": repair is not None,
        "--confusion": confusion,
    }
    given = [option for option, is_given in asked.items() if is_given]
    if not given:
        raise InvalidCriterion(f"Say what the network shall answer: {CHOICES}.")
    if len(given) > 1:
        raise InvalidCriterion(
            f"{given[0]} and {given[1]} ask different questions: give one of {CHOICES}."
        )
    if target is not None:
        return Targeted(target, ratio=ratio, margin=margin)
    if targets is not None:
        return OneOf(_labels(targets), ratio=ratio, margin=margin)
    if repair is not None:
        return Class(repair, ratio=ratio, margin=margin)
    return (Untargeted if any_ else RunnerUp)(ratio=ratio, margin=margin)


def _labels(text: str) -> tuple[int, ...]:
    if not text.strip(", "):
        return ()
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise InvalidCriterion(
            f"--targets takes labels with commas between, such as 1,4,7; found {text!r}."
        ) from None
