"""What bounds and forward questions answered."""

from __future__ import annotations

import numpy as np

from dualbound.report.page import numbers
from dualbound.report.page.answers import BOUNDS, FORWARD, Answers, groups
from dualbound.report.page.tables import Line, Table


def bounded(answers: Answers) -> Table | None:
    """A row for each layer of each bounds question; None where none was answered."""
    frame = answers.of(BOUNDS)
    lines = []
    for number, row in frame[~frame["failed"]].iterrows():
        for layer in answers.store.detail(int(str(number))).get("layers", ()):
            seconds = layer.get("seconds")
            lines.append(
                Line(
                    (
                        str(row["name"]),
                        str(row["network"]),
                        str(row["subject"]),
                        str(layer.get("layer", "")),
                        numbers.integer(layer.get("neurons")),
                        numbers.integer(layer.get("unstable")),
                        numbers.number(layer.get("mean_width")),
                        numbers.fixed(row["seconds"] if seconds is None else seconds, 2),
                        "yes" if layer.get("tight") else "no",
                    ),
                    "" if layer.get("tight") else "o",
                )
            )
    if not lines:
        return None
    return Table(
        "by-layer",
        "Proved bounds, layer by layer. Unstable neurons are those whose sign is open; seconds are "
        "those of the layer where they were kept, else of the whole question. Where a limit "
        "left bounds that are not as tight as the method makes them, they hold all the same.",
        (
            "series", "network", "method", "layer", "neurons", "unstable", "mean width", "seconds",
            "tight",
        ),
        (5, 6, 7, 8),
        tuple(lines),
        f"dualbound study table {answers.folder} --rows --where query=bounds",
        filtered=len(lines) > 12,
        state=9,
    )  # fmt: skip


def passed_forward(answers: Answers) -> Table | None:
    """Whether programs compute what their networks do; None where that was not asked."""
    frame = answers.of(FORWARD)
    lines = []
    for (series, network), rows in groups(frame):
        same = rows[~rows["failed"]]
        read = same[same["label"].notna() & same["label_before"].notna()]
        right = int((read["label"] == read["label_before"]).sum())
        after = read[read["label_after"].notna()]
        agreed = int((after["label"] == after["label_after"]).sum())
        off = same["value"].dropna().to_numpy(dtype=float)
        lines.append(
            Line(
                (
                    series,
                    network,
                    numbers.integer(len(rows)),
                    numbers.share(int(rows["settled"].sum()), len(rows), 1),
                    numbers.number(float(np.max(off)) if len(off) else None, 2),
                    numbers.share(right, len(read), 1),
                    numbers.share(agreed, len(after), 1),
                    numbers.fixed(float(same["seconds"].mean()), 3),
                )
            )
        )
    if not lines:
        return None
    return Table(
        "programs",
        "The program at a fixed input beside the network: how often all outputs are equal (to "
        "1e-6, relative), by how much they differ at most, and how often each gives the "
        "true label.",
        (
            "series", "network", "questions", "equal", "largest difference", "network right",
            "program right", "mean seconds",
        ),
        tuple(range(3, 9)),
        tuple(lines),
        f"dualbound study table {answers.folder} --where query=forward --of value,seconds",
    )  # fmt: skip
