"""What ``dualbound attack`` says of an attack: in words, as an object, as arrays."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.table import Table
from rich.text import Text

from dualbound.cli.records import finite
from dualbound.cli.study_progress import duration
from dualbound.cli.summaries import table
from dualbound.data import Dataset
from dualbound.files import write_whole
from dualbound.queries import AtRadius, Attacked, Attacking
from dualbound.region import norm_named


def progress_text(now: Attacking) -> Text:
    """One line of how far it is.

    >>> print(progress_text(Attacking(256, 1000, 250, {0.1: 100, 0.3: 240})))
    256 of 1,000  right 97.66 %  within 0.1 58.59 %  within 0.3 3.91 %
    """
    text = Text.assemble((f"{now.done:,} of {now.total:,}", "bold"))
    text.append("  right ", "dim").append(percent(now.right / now.done), "green")
    for eps, turned in now.turned.items():
        where = f"  within {eps:g} " if math.isfinite(eps) else "  not turned "
        text.append(where, "dim").append(percent((now.right - turned) / now.done), "cyan")
    return text


def percent(share: float | None) -> str:
    """A share, with two decimals.

    >>> percent(0.5), percent(None)
    ('50.00 %', '–')
    """
    return "–" if share is None else f"{100 * share:.2f} %"


def headline(found: Attacked) -> Text:
    """What the attack does, in one sentence."""
    worst = max(found.at, key=lambda one: one.eps)
    within = f" within {worst.eps:g} ({norm_named(found.norm).title})"
    said = (
        f"of {found.count:,} inputs {percent(found.clean)} are answered right, and "
        f"{percent(worst.accuracy)} under {found.method.name}"
        f"{within if math.isfinite(worst.eps) else ', however far it goes'}."
    )
    head = ("STOPPED", "bold yellow") if found.note else ("ATTACKED", "bold red")
    return Text.assemble(head, ": ", said)


def rows(found: Attacked, model: str, data: Dataset) -> list[tuple[str, str]]:
    """What there is to know: a word and a line each."""
    options = ", ".join(f"{name} {value:g}" for name, value in _numbers(found).items())
    asked = f"{found.method.name} on {model}, {data.name} ({data.split})"
    listed = [("asked", asked + (f": {options}" if options else ""))]
    runs = found.at[:1] if found.method.minimal else found.at
    refused, replayed = sum(one.refused for one in runs), sum(one.replayed for one in runs)
    counted = "every adversary in float64"
    counted += f", {replayed:,} by onnxruntime" if replayed else ""
    counted += f"; {refused:,} refused" if refused else "; none refused"
    listed.append(("replay", counted))
    listed.append(("time", duration(found.seconds) if found.seconds >= 1 else "below 1 s"))
    if found.note:
        listed.append(("note", found.note))
    return listed


def _numbers(found: Attacked) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in found.method.options.items()
        if isinstance(value, int | float)
    }


def radii_table(found: Attacked) -> Table:
    """A line for each radius: what is left, and how far adversaries are in the median."""
    drawn = table("within", "right", "turned", "L1", "L2", "L∞")
    drawn.add_row("0", percent(found.clean), "–", *["–"] * 3)
    for one in found.at:
        name = f"{one.eps:g}" if math.isfinite(one.eps) else "anywhere"
        middle = [_middle(one, norm) for norm in ("l1", "l2", "linf")]
        drawn.add_row(name, percent(one.accuracy), percent(one.success), *middle)
    return drawn


def _middle(one: AtRadius, norm: str) -> str:
    lengths = one.distances[norm]
    return f"{np.median(lengths):.4f}" if len(lengths) else "–"


def record(found: Attacked, *, asked: Mapping[str, object], out: str | None) -> dict[str, object]:
    """The part of an attack record that the answer gives; null where there is no such figure.

    Args:
        found: the answer.
        asked: the question.
        out: where the adversaries are.
    """
    return {
        "status": "stopped" if found.note else "complete",
        **asked,
        "method": found.method.name,
        "options": dict(found.method.options),
        "norm": found.norm,
        "count": found.count,
        "clean": found.clean,
        "radii": [_at(one) for one in found.at],
        "seconds": found.seconds,
        "note": found.note or None,
        "out": out,
    }


def _at(one: AtRadius) -> dict[str, object]:
    some = len(one.turned) > 0
    return {
        "eps": finite(one.eps),
        "accuracy": one.accuracy,
        "success": one.success,
        "turned": len(one.turned),
        "refused": one.refused,
        "replayed": one.replayed,
        "mean": {norm: float(far.mean()) if some else None for norm, far in _lengths(one)},
        "median": {norm: float(np.median(far)) if some else None for norm, far in _lengths(one)},
    }


def _lengths(one: AtRadius) -> list[tuple[str, np.ndarray]]:
    return [(norm, one.distances[norm]) for norm in ("l1", "l2", "linf")]


def save_archive(path: Path, found: Attacked, classes: tuple[str, ...]) -> None:
    """Write all adversaries as ``.npz``: the test set of a data set, and what they are.

    Those of all radii one after another; of an attack that looks for the nearest ones, each once.

    Raises:
        OutputError: it cannot be written.
    """
    parts = found.at[-1:] if found.method.minimal else found.at
    which = np.concatenate([one.turned for one in parts])
    held = io.BytesIO()
    np.savez_compressed(
        held,
        x_test=np.concatenate([one.adversaries for one in parts]),
        y_test=found.labels[which],
        classes=np.array(classes),
        eps=np.concatenate([np.full(len(one.turned), one.eps) for one in parts]),
        index=which,
        answers=np.concatenate([one.answers for one in parts]),
    )
    write_whole(path, held.getvalue())
