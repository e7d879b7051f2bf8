"""Experiments of the thesis "schoenfeld": programs that are networks, and nearest adversaries."""

from __future__ import annotations

from dualbound.studies.protocols.protocol import (
    Comparison,
    Protocol,
    number,
    outputs_table,
    share,
)
from dualbound.studies.row import SETTLED
from dualbound.studies.study import Study

_HEAD = """\
title = "{title}"
images = ["sample:0-299"]
"""


def _forward(study: Study) -> list[Comparison]:
    frame, rows = study.frame(), []
    for name, part in frame.groupby("network", sort=False):
        right = part["label_before"] == part["label"]
        same = part["label_after"] == part["label"]
        rows += [
            (name, "images", 100, len(part)),
            (name, "accuracy of the network, %", 93.0, number(100 * float(right.mean()))),
            (name, "accuracy of the program, %", 93.0, number(100 * float(same.mean()))),
            (name, "largest difference of an output", 0.0, number(float(part["value"].max()))),
            (name, "outputs equal, %", 100.0, share(part, "optimal")),
            (name, "seconds an image, mean", "3.5 to 5", number(float(part["seconds"].mean()))),
        ]
    return [Comparison("The program at a fixed input", _COLUMNS, rows, _OTHERS)]


_COLUMNS = ("network", "figure", "published", "measured")
_OTHERS = (
    "Published seconds are of another machine, another solver and other weights: context, no "
    "comparison."
)


def _distances(study: Study) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for (name, network), part in study.frame().groupby(["name", "network"], sort=False):
        found, open_ = part[part["value"].notna()], part[part["status"] == "feasible"]
        rows.append(
            (
                name,
                network,
                len(part),
                share(part, *SETTLED),
                number(float(found["value"].mean())) if len(found) else None,
                number(100 * float(open_["gap"].mean())) if len(open_) else None,
                number(float(found["changed"].astype("float64").mean())) if len(found) else None,
                number(float(part["seconds"].median())),
                number(float(part["seconds"].max())),
            )
        )
    return rows


_DISTANCES = (
    "series",
    "network",
    "questions",
    "proved, %",
    "mean distance",
    "mean gap of the open, %",
    "mean inputs changed",
    "median seconds",
    "largest seconds",
)


def _nearest(study: Study) -> list[Comparison]:
    first = int(study.frame().index[0])
    note = "Published: most in 10 s, some in a minute, on 784-64-64-10. " + _OTHERS
    return [
        Comparison("Nearest inputs in L1", _DISTANCES, _distances(study), note),
        outputs_table(study, first, "Outputs before and after, of the first question"),
    ]


def _repair(study: Study) -> list[Comparison]:
    frame = study.frame()
    note = (
        "The paper prints figures of one digit only, and that one was answered with outputs that "
        "are all 0. Here the right label must be positive and 1.2 times every other output."
    )
    tables = [Comparison("Smallest repairs in L1", _DISTANCES, _distances(study), note)]
    if len(frame):
        tables.append(outputs_table(study, int(frame.index[0]), "Outputs before and after"))
    return tables


def _untargeted(study: Study) -> list[Comparison]:
    note = "The paper leaves this question open; there are no published figures."
    tables = [Comparison("Nearest input of any other label", _DISTANCES, _distances(study), note)]
    for network, part in study.frame().groupby("network", sort=False):
        reached = part.dropna(subset=["label_after"])
        counts = reached.groupby(["label_before", "label_after"]).size()
        rows = [
            (int(before), *(int(counts.get((before, after), 0)) for after in range(10)))
            for before in sorted(set(reached["label_before"]))
        ]
        columns = ("from", *(f"to {k}" for k in range(10)))
        tables.append(Comparison(f"From which label to which, {network}", columns, rows))
    return tables


def _perfect(study: Study) -> list[Comparison]:
    import pandas as pd  # here: it takes a while to load

    shown = ("name", "network", "target", "status", "value", "bound", "label_after", "seconds")
    rows = [
        tuple(None if pd.isna(row[column]) else row[column] for column in shown)
        for _, row in study.frame().iterrows()
    ]
    columns = ("loss", "network", "label", "status", "loss reached", "bound", "answer", "seconds")
    note = "The paper shows pictures and no figures. A loss of 0 is a perfect example."
    return [Comparison("Perfect images", columns, rows, note)]


def _questions(*series: str) -> str:
    return "\n".join(f"[[questions]]\n{one}" for one in series)


def _study(title: str, *series: str) -> str:
    return _HEAD.format(title=title) + "\n" + _questions(*series)


_FORWARD = (
    'query = "forward"\nchoose = "random"\nseed = 1\ncount = {count}\nnetworks = ["mlp-64-64"]\n'
)


def _ask(
    name: str, target: str, *networks: str, count: int, seconds: int, keep: str = "correct"
) -> str:
    """A series of nearest questions, ratio 1.2."""
    listed = ", ".join(f'"{network}"' for network in networks)
    return (
        f'name = "{name}"\nquery = "nearest"\ntarget = "{target}"\nratio = 1.2\nkeep = "{keep}"\n'
        f"networks = [{listed}]\ncount = {count}\nseconds = {seconds}\n"
    )


_PERFECT = """\
name = "{loss}"
query = "perfect"
loss = "{loss}"
networks = [{networks}]
seconds = {seconds}
"""

PROTOCOLS = (
    Protocol(
        key="schoenfeld-forward",
        title="The program at a fixed input is the network",
        source="Schoenfeld, section 3.3",
        quick=_study("Schoenfeld: forward pass", _FORWARD.format(count=20)),
        full=_study("Schoenfeld: forward pass", _FORWARD.format(count=100)),
        compare=_forward,
    ),
    Protocol(
        key="schoenfeld-nearest",
        title="Nearest adversaries in L1, ratio 1.2",
        source="Schoenfeld, section 4.1",
        quick=_study(
            "Schoenfeld: nearest adversaries",
            _ask("nearest to label + 5", "+5", "dnn3", count=4, seconds=60),
            _ask("two layers of 64, to label + 5", "+5", "mlp-64-64", count=2, seconds=30),
        ),
        full=_study(
            "Schoenfeld: nearest adversaries",
            _ask("nearest to label + 5", "+5", "dnn3", count=20, seconds=300),
            _ask("two layers of 64, to label + 5", "+5", "mlp-64-64", count=10, seconds=120),
        ),
        compare=_nearest,
    ),
    Protocol(
        key="schoenfeld-repair",
        title="The smallest change that makes a misread image right",
        source="Schoenfeld, section 4.1",
        quick=_study(
            "Schoenfeld: repair",
            _ask("repair", "repair", "dnn2", "mlp-64-64", count=3, seconds=20, keep="misread"),
        ),
        full=_study(
            "Schoenfeld: repair",
            _ask(
                "repair",
                "repair",
                "dnn1",
                "dnn2",
                "dnn3",
                "mlp-64-64",
                count=20,
                seconds=120,
                keep="misread",
            ),
        ),
        compare=_repair,
    ),
    Protocol(
        key="schoenfeld-untargeted",
        title="The nearest input of any other label",
        source="Schoenfeld, section 4.1, its open question",
        quick=_study(
            "Schoenfeld: any other label",
            _ask("any other label", "any", "dnn2", "mlp-64-64", count=3, seconds=30),
        ),
        full=_study(
            "Schoenfeld: any other label",
            _ask("any other label", "any", "dnn1", "dnn2", "dnn3", count=50, seconds=120),
            _ask("two layers of 64, any other label", "any", "mlp-64-64", count=10, seconds=120),
        ),
        compare=_untargeted,
    ),
    Protocol(
        key="schoenfeld-perfect",
        title="Images that a network takes for perfect",
        source="Schoenfeld, section 4.4",
        quick=_study(
            "Schoenfeld: perfect images",
            _PERFECT.format(loss="l1", networks='"dnn3"', seconds=20),
            _PERFECT.format(loss="squared", networks='"dnn1"', seconds=20) + 'solver = "scip"\n',
        ),
        full=_study(
            "Schoenfeld: perfect images",
            _PERFECT.format(loss="l1", networks='"dnn1", "dnn2", "dnn3"', seconds=120),
            _PERFECT.format(loss="squared", networks='"dnn1", "dnn2"', seconds=120)
            + 'solver = "scip"\n',
        ),
        compare=_perfect,
    ),
)
