"""Answers as JSON objects; every key is documented in ``docs/cli.md``."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from dualbound.criterion import Class, Targeted
from dualbound.network import Network
from dualbound.queries import Answer


def about(query: str, model: str, network: Network) -> dict[str, object]:
    """What every record says: the query, the model and its hash, the version."""
    from dualbound import __version__

    return {
        "query": query,
        "model": model,
        "model_sha256": network.source.sha256 if network.source else None,
        "softmax": network.lacks_softmax,
        "version": __version__,
    }


def answer_record(
    answer: Answer,
    *,
    image: str,
    witness: str | list[float] | None,
    region: Mapping[str, object],
) -> dict[str, object]:
    """The part of a nearest record that the answer gives; null where there is no such figure.

    Args:
        answer: the answer.
        image: as asked for.
        witness: where it is, or what.
        region: what limits and prices the changes, as asked for.
    """
    found = answer.witness
    return {
        "status": answer.status.value,
        "norm": answer.norm,
        "value": answer.value,
        "bound": finite(answer.bound),
        "gap": answer.gap,
        "label_before": answer.label_before,
        "label_after": None if found is None else found.label,
        "target": _target(answer),
        "criterion": str(answer.criterion),
        "replayed": found is not None,
        "then": None if answer.then is None else _then_record(answer.then),
        "seconds": answer.stats.seconds,
        "engine": answer.stats.engine,
        "solver": answer.stats.solver,
        "nodes": answer.stats.nodes,
        "programs": answer.stats.programs,
        "unstable": answer.stats.unstable,
        "witness": witness,
        "image": image,
        "levels": answer.levels,
        **region,
        "note": answer.note or None,
    }


def _then_record(then: Answer) -> dict[str, object]:
    """The figures of the second question."""
    return {
        "status": then.status.value,
        "norm": then.norm,
        "value": then.value,
        "bound": finite(then.bound),
        "gap": then.gap,
        "note": then.note or None,
    }


def _target(answer: Answer) -> int | None:
    """The label asked for; of several, the one reached."""
    match answer.criterion:
        case Targeted(target=label) | Class(label=label):
            return label
        case _:
            return None if answer.witness is None else answer.witness.label


def finite(value: float | None) -> float | None:
    """The number, or None for what JSON cannot say."""
    return value if value is not None and math.isfinite(value) else None


def numbers(array: np.ndarray) -> list[float]:
    """A flat list of the entries."""
    return [float(value) for value in array.reshape(-1)]
