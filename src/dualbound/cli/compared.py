"""What ``dualbound compare`` says of a comparison: in words, as an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rich.text import Text

from dualbound.cli.records import finite
from dualbound.cli.study_progress import duration
from dualbound.network import Network
from dualbound.queries import Compared, Comparing, Side
from dualbound.report.words import counted
from dualbound.studies.protocols.protocol import Comparison
from dualbound.studies.protocols.side_by_side import mean_distance


def own_names(models: Sequence[str]) -> list[str]:
    """A name of its own for every network.

    >>> own_names(["dnn1", "dnn2", "dnn1"])
    ['dnn1', 'dnn2', 'dnn1 (2)']
    """
    names: list[str] = []
    for model in models:
        name, k = model, 1
        while name in names or (k > 1 and name in models):
            k += 1
            name = f"{model} ({k})"
        names.append(name)
    return names


def progress_text(now: Comparing) -> Text:
    """One line of how far it is.

    >>> print(progress_text(Comparing(25, 1000, {"dnn1": 3, "dnn2": 0})))
    25 of 1,000  adversaries of dnn1 3  of dnn2 0
    """
    text = Text.assemble((f"{now.done:,} of {now.total:,}", "bold"), ("  adversaries", "dim"))
    for k, (name, count) in enumerate(now.found.items()):
        text.append(f"{'  ' if k else ' '}of {name} ", "dim").append(f"{count:,}", "cyan")
    return text


def is_decided(found: Compared) -> bool:
    """Whether every question was asked and has its answer."""
    return not found.note and not _open(found)


def _open(found: Compared) -> int:
    return sum(side.open + sum(not one.decided for one in side.distances) for side in found.sides)


def headline(found: Compared, data: str) -> Text:
    """How it ended, in one sentence."""
    turned = ", ".join(
        f"{len(side.adversaries):,} of {side.name}" + (f" ({side.open:,} open)" * bool(side.open))
        for side in found.sides
    )
    asked = max(len(side.margins) for side in found.sides)
    head = ("STOPPED", "bold yellow") if found.note else ("COMPARED", "bold green")
    return Text.assemble(
        head,
        f": within {found.eps:g} (L∞) of {counted(len(found.images), 'image')} of {data}, "
        f"{counted(asked, 'question')} to each network, the adversaries are {turned}.",
    )


def rows(found: Compared, saved: str | None) -> list[tuple[str, str]]:
    """What else there is to know: a word and a line each."""
    listed = [("time", duration(found.seconds) if found.seconds >= 1 else "below 1 s")]
    if _open(found):
        listed.append(("open", f"{counted(_open(found), 'question')}; see --question-limit"))
    if found.note:
        listed.append(("note", found.note))
    if saved is not None:
        listed.append(("saved", saved))
    return listed


def record(
    found: Compared,
    networks: Mapping[str, Network],
    models: Sequence[str],
    tables: Sequence[Comparison],
    *,
    asked: Mapping[str, object],
    out: str | None,
) -> dict[str, object]:
    """The whole record; null where there is no such figure.

    Args:
        found: the answer.
        networks: by their names.
        models: as they were given.
        tables: of the answer.
        asked: the question.
        out: where the report is.
    """
    from dualbound import __version__

    return {
        "query": "compare",
        "version": __version__,
        "status": "stopped" if found.note else "complete",
        **asked,
        "eps": found.eps,
        "images": list(found.images),
        "networks": [
            _side(side, network, model, found)
            for side, network, model in zip(found.sides, networks.values(), models, strict=True)
        ],
        "transfer": [
            [None if np.isnan(one) else float(one) for one in line] for line in found.transfer
        ],
        "tables": [
            {
                "title": one.title,
                "columns": list(one.columns),
                "rows": [list(row) for row in one.rows],
                "note": one.note or None,
            }
            for one in tables
        ],
        "seconds": found.seconds,
        "note": found.note or None,
        "out": out,
    }


def _side(side: Side, network: Network, model: str, found: Compared) -> dict[str, object]:
    proved, left = side.robust(found.images, found.classes) or (None, None)
    return {
        "name": side.name,
        "model": model,
        "model_sha256": network.source.sha256 if network.source else None,
        "softmax": network.lacks_softmax,
        "accuracy": side.accuracy,
        "parameters": side.parameters,
        "asked": len(side.margins),
        "adversaries": len(side.adversaries),
        "open": side.open,
        "robust": {"proved": proved, "not_refuted": left},
        "matrix": side.matrix(found.classes).tolist(),
        "mean_distance": mean_distance(side)[0],
        "margins": [
            {
                "index": one.index,
                "label": one.label,
                "target": one.target,
                "value": one.value,
                "bound": finite(one.bound),
                "seconds": one.seconds,
            }
            for one in side.margins
        ],
        "distances": [
            {
                "index": one.index,
                "value": one.value,
                "bound": finite(one.bound),
                "decided": one.decided,
            }
            for one in side.distances
        ],
    }
