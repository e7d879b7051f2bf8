"""Experiments of the thesis "koot": bounds, adversaries by three kinds of bounds, features."""

from __future__ import annotations

from collections.abc import Iterable

from dualbound.studies.protocols.protocol import Comparison, Protocol, number, share
from dualbound.studies.row import SETTLED
from dualbound.studies.study import Study

_CONTEXT = (
    "Published figures are of other weights, another machine and a commercial solver: context, no "
    "comparison."
)

BOUND_SECONDS: dict[str, dict[str, int]] = {
    "exact": {"dnn1": 30, "dnn2": 169, "dnn3": 765, "dnn4": 1845, "dnn5": 10096},
    "weaker": {"dnn1": 30, "dnn2": 106, "dnn3": 91, "dnn4": 92, "dnn5": 154},
}
"""Section 3.2.1: seconds of the step that bounds every neuron."""

SOLVED: dict[str, dict[str, tuple[float | None, ...]]] = {
    "basic": {
        "dnn1": (100, 0, 228, 0.3),
        "dnn2": (100, 0, 30211, 20.8),
        "dnn3": (97, 0.5, 153144, 94.8),
        "dnn4": (69, 11.2, 413533, 182.4),
        "dnn5": (0, 87.2, 405668, 294.1),
    },
    "exact bounds": {
        "dnn1": (100, 0, 6, 0.3),
        "dnn2": (100, 0, 1214, 0.9),
        "dnn3": (100, 0, 16961, 10.2),
        "dnn4": (100, 0, 72046, 39.2),
        "dnn5": (45, 18.5, 567199, 75.0),
    },
    "weaker bounds": {
        "dnn1": (100, 0, 3, 0.3),
        "dnn2": (100, 0, 1274, 0.9),
        "dnn3": (100, 0, 22755, 13.7),
        "dnn4": (100, 0, 85107, 35.8),
        "dnn5": (29, 26.3, 561593, 257.4),
    },
    "basic, 1 % gap": {
        "dnn1": (100, 0.1, 228, 0.3),
        "dnn2": (100, 0.9, 30311, 20.0),
        "dnn3": (100, 1.3, 155108, 55.5),
        "dnn4": (70, 10.7, 426505, 173.2),
        "dnn5": (0, 90.8, 268495, 296.3),
    },
    "weaker bounds, 1 % gap": {  # the exact ones for the first three
        "dnn1": (100, 0.0, 6, 0.3),
        "dnn2": (100, 0.6, 1208, 0.9),
        "dnn3": (100, 0.8, 17326, 10.6),
        "dnn4": (100, 0.9, 83481, 35.2),
        "dnn5": (78, 31.0, 411978, 269.8),
    },
}
"""Tables 2 to 4: per cent solved in 300 s, mean gap in per cent, nodes, mean seconds."""


def _bounds(study: Study) -> list[Comparison]:
    totals, layers = [], []
    for number_, row in study.frame().iterrows():
        with study.store() as store:
            found = store.detail(int(str(number_))).get("layers", [])
        kind = "weaker" if "weaker" in row["name"] else "exact"
        published = BOUND_SECONDS[kind].get(row["network"])
        tight = sum(layer["tight"] for layer in found)
        totals.append(
            (
                row["name"],
                row["network"],
                f"{tight} of {len(found)}",
                row["unstable"],
                published,
                number(row["seconds"]),
            )
        )
        layers += [
            (
                row["name"],
                row["network"],
                k,
                layer["neurons"],
                layer["unstable"],
                number(layer["mean_width"]),
                "yes" if layer["tight"] else "no",
            )
            for k, layer in enumerate(found, 1)
        ]
    return [
        Comparison(
            "Seconds to bound every neuron over [0, 1] for every input",
            ("bounds", "network", "layers exact", "unstable", "published s", "measured s"),
            totals,
            _CONTEXT + " Weaker: 1 s for each extreme. A layer is exact when every extreme of it "
            "was proved exact; all others hold as well.",
        ),
        Comparison(
            "Layer by layer",
            ("bounds", "network", "layer", "neurons", "unstable", "mean width", "exact"),
            layers,
        ),
    ]


def _adversaries(study: Study) -> list[Comparison]:
    rows = []
    for (name, network), part in study.frame().groupby(["name", "network"], sort=False):
        published = SOLVED.get(str(name), {}).get(str(network), (None,) * 4)
        open_ = part[~part["status"].isin(SETTLED)]
        gaps = part["gap"].fillna(1.0).where(~part["status"].isin(SETTLED), 0.0)
        seconds = part["seconds"]
        rows.append(
            (
                name,
                network,
                len(part),
                published[0],
                share(part, *SETTLED),
                published[1],
                number(100 * float(gaps.mean())) if len(open_) else 0.0,
                published[2],
                number(float(part["nodes"].astype("float64").mean())),
                published[3],
                number(float(seconds.mean())),
                number(float(seconds.median())),
            )
        )
    columns = (
        "how",
        "network",
        "images",
        "published solved, %",
        "solved, %",
        "published gap, %",
        "mean gap, %",
        "published nodes",
        "mean nodes",
        "published mean s",
        "mean s",
        "median s",
    )
    note = (
        _CONTEXT + " Columns is our own search; basic, exact and weaker bounds are the paper's "
        "program, solved by HiGHS on one thread. Bounds are found before, once for each network."
    )
    return [Comparison("Nearest adversaries, target label + 5, ratio 1.2, L1", columns, rows, note)]


def _capped(study: Study) -> list[Comparison]:
    rows = []
    for (name, network), part in study.frame().groupby(["name", "network"], sort=False):
        found = part[part["value"].notna()]
        open_ = part[~part["status"].isin(SETTLED)]
        rows.append(
            (
                name,
                network,
                len(part),
                share(part, *SETTLED),
                share(part, "infeasible"),
                number(100 * float(open_["gap"].fillna(1.0).mean())) if len(open_) else 0.0,
                number(float(found["value"].mean())) if len(found) else None,
                number(float(found["largest"].max())) if len(found) else None,
                number(float(found["changed"].astype("float64").mean())) if len(found) else None,
                number(float(part["seconds"].median())),
            )
        )
    columns = (
        "series",
        "network",
        "images",
        "proved, %",
        "proved impossible, %",
        "mean gap of the open, %",
        "mean distance",
        "largest change of a pixel",
        "mean pixels changed",
        "median s",
    )
    note = "The paper shows pictures (figures 5 and 6); 'dualbound report' draws ours."
    return [Comparison("No pixel moves by more than 0.2", columns, rows, note)]


def _features(study: Study) -> list[Comparison]:
    rows = []
    frame = study.frame()
    details = {}
    with study.store() as store:
        for index in frame.index:
            details[index] = store.detail(int(index))
    layer = [str(details[index].get("layer")) for index in frame.index]
    for (network, name), part in frame.assign(layer=layer).groupby(
        ["network", "layer"], sort=False
    ):
        open_ = part[part["status"] == "feasible"]
        rows.append(
            (
                network,
                name,
                len(part),
                share(part, *SETTLED),
                number(100 * float(open_["gap"].mean())) if len(open_) else 0.0,
                number(float(part["value"].mean())),
                number(float(part["seconds"].median())),
            )
        )
    columns = (
        "network",
        "layer",
        "neurons",
        "proved, %",
        "mean gap of the open, %",
        "mean largest value",
        "median s",
    )
    note = "The paper shows the inputs (figure 3); 'dualbound report' draws ours."
    return [Comparison("The input that activates a neuron most", columns, rows, note)]


_TOP = """\
title = "{title}"
images = ["sample:0-299"]
keep = "correct"
networks = [{networks}]
"""

_ASK = """
[[questions]]
name = "{name}"
query = "nearest"
target = "+5"
ratio = 1.2
seconds = {seconds}
count = {count}
"""

_PLAIN = 'strategy = "direct"\nformulation = "fischetti-jo"\nattack = false\n'

_HOW = {
    "columns": "",
    "basic": _PLAIN + 'bounds = "interval"\n',
    "exact bounds": _PLAIN + 'bounds = "exact"\n',
    "weaker bounds": _PLAIN + 'bounds = "exact"\nseconds_per_neuron = 1\n',
    "columns, 1 % gap": "gap = 0.01\n",
    "basic, 1 % gap": _PLAIN + 'bounds = "interval"\ngap = 0.01\n',
    "weaker bounds, 1 % gap": _PLAIN + 'bounds = "exact"\nseconds_per_neuron = 1\ngap = 0.01\n',
}


def _names(networks: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in networks)


def _series(how: str, networks: Iterable[str], count: int, seconds: int) -> str:
    asked = _ASK.format(name=how, seconds=seconds, count=count)
    return f"{asked}networks = [{_names(networks)}]\n{_HOW[how]}"


def _head(title: str, networks: Iterable[str]) -> str:
    return _TOP.format(title=title, networks=_names(networks))


def _bound_questions(exact: Iterable[str], weaker: Iterable[str], limit: str) -> str:
    return (
        _head("Koot: bounds of every neuron", exact)
        + f'\n[[questions]]\nname = "exact"\nquery = "bounds"\nmethod = "exact"\n{limit}'
        + '\n[[questions]]\nname = "weaker"\nquery = "bounds"\nmethod = "exact"\n'
        + f"seconds_per_neuron = 1\nnetworks = [{_names(weaker)}]\n"
    )


OURS, THEIRS = 20, 2
"""Of the paper's 100 images: those that our search is asked of, and those that the paper's programs
are, which take 300 s each wherever they are not solved. Another number is a change of one line in
the study's ``study.toml``."""

_ALL = ("dnn1", "dnn2", "dnn3", "dnn4", "dnn5")
_CAP = "cap = 0.2\n"

PROTOCOLS = (
    Protocol(
        key="koot-bounds",
        title="Bounds of every neuron, exact and with a second for each",
        source="Koot, section 3.2.1",
        quick=_bound_questions(["dnn1"], ["dnn1", "dnn2"], ""),
        full=_bound_questions(_ALL, _ALL, "seconds_per_neuron = 10\n"),
        compare=_bounds,
    ),
    Protocol(
        key="koot-adversaries",
        title="Nearest adversaries, with and without bounds",
        source="Koot, section 3.4, tables 2 to 4",
        quick=_head("Koot: nearest adversaries", _ALL)
        + _series("columns", ["dnn1", "dnn2", "dnn3"], 4, 60)
        + _series("basic", ["dnn1"], 4, 30)
        + _series("exact bounds", ["dnn1"], 4, 30)
        + _series("weaker bounds", ["dnn1"], 4, 30)
        + _series("columns, 1 % gap", ["dnn1", "dnn2"], 4, 60),
        full=_head("Koot: nearest adversaries", _ALL)
        + _series("columns", _ALL, OURS, 300)
        + _series("columns, 1 % gap", _ALL, OURS, 300)
        + _series("basic", _ALL, THEIRS, 300)
        + _series("weaker bounds", _ALL, THEIRS, 300)
        + _series("exact bounds", ["dnn1", "dnn2"], THEIRS, 300)
        + _series("basic, 1 % gap", _ALL, THEIRS, 300)
        + _series("weaker bounds, 1 % gap", _ALL, THEIRS, 300),
        compare=_adversaries,
    ),
    Protocol(
        key="koot-capped",
        title="Nearest adversaries whose pixels move by at most 0.2",
        source="Koot, section 3.4, figures 5 and 6",
        quick=_head("Koot: capped adversaries", ["dnn1", "dnn2"])
        + _ASK.format(name="capped", seconds=60, count=4)
        + _CAP,
        full=_head("Koot: capped adversaries", _ALL)
        + _ASK.format(name="capped", seconds=300, count=OURS)
        + _CAP,
        compare=_capped,
    ),
    Protocol(
        key="koot-features",
        title="The input that activates each neuron most",
        source="Koot, section 3.3, figure 3",
        quick=_head("Koot: features", ["dnn3"])
        + '\n[[questions]]\nname = "layer 1"\nquery = "activate"\nlayer = 1\nseconds = 20\n'
        + '\n[[questions]]\nname = "layer 2"\nquery = "activate"\nlayer = 2\nseconds = 20\n',
        full=_head("Koot: features", ["dnn1", "dnn2", "dnn3"])
        + '\n[[questions]]\nname = "features"\nquery = "activate"\nlayer = "all"\nseconds = 60\n',
        compare=_features,
    ),
)
