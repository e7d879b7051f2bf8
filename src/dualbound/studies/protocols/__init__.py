"""The papers' experiments, each a study with the published figures beside the measured ones."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

from dualbound.errors import InvalidInput, OutputError
from dualbound.files import write_whole
from dualbound.studies.asks import meant
from dualbound.studies.protocols import (
    cnn,
    cnn_adversarial,
    koot,
    koot_retraining,
    pruning,
    pruning_critical,
    pruning_curves,
    schoenfeld,
    schoenfeld_retraining,
)
from dualbound.studies.protocols.protocol import Comparison, Lines, Protocol, page
from dualbound.studies.protocols.trained import TrainingProtocol
from dualbound.studies.runner import Moment
from dualbound.studies.specification import FILE
from dualbound.studies.study import Study

_ALL: tuple[Protocol | TrainingProtocol, ...] = (
    *schoenfeld.PROTOCOLS,
    schoenfeld_retraining.PROTOCOL,
    *koot.PROTOCOLS,
    koot_retraining.PROTOCOL,
    *cnn.PROTOCOLS,
    *cnn_adversarial.PROTOCOLS,
    pruning.PROTOCOL,
    pruning_critical.PROTOCOL,
    pruning_curves.PROTOCOL,
)
PROTOCOLS = {one.key: one for one in _ALL}
"""By their keys."""


def protocol_named(key: str) -> Protocol | TrainingProtocol:
    """A protocol by its key.

    Raises:
        InvalidInput: there is none.
    """
    if key not in PROTOCOLS:
        raise InvalidInput(f"There is no protocol {key!r}{meant(key, PROTOCOLS)}")
    return PROTOCOLS[key]


def reproduce(
    protocol: Protocol,
    folder: Path,
    *,
    quick: bool = False,
    executor: str | Executor = "processes",
    on_progress: Callable[[Moment], None] | None = None,
) -> Moment:
    """Run a protocol, or go on with it.

    Args:
        protocol: one of `PROTOCOLS`.
        folder: of its study; made if need be.
        quick: a small part of it.
        executor: see `Study.run`.
        on_progress: likewise.

    Raises:
        OutputError: the folder holds another study, or cannot be written.
    """
    text = protocol.quick if quick else protocol.full
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = path.read_text(encoding="utf-8") if path.exists() else None
    except OSError as error:
        raise OutputError(f"{folder} cannot be used: {error.strerror or error}.") from error
    if there is None:
        write_whole(path, text.encode())
    elif there != text:
        raise OutputError(
            f"{path} is of another study, or was edited. Name another folder with --out, or run "
            f"it as it is: dualbound study run {folder}"
        )
    return Study.open(folder).run(executor=executor, on_progress=on_progress)


__all__ = [
    "PROTOCOLS",
    "Comparison",
    "Lines",
    "Protocol",
    "TrainingProtocol",
    "page",
    "protocol_named",
    "reproduce",
]
