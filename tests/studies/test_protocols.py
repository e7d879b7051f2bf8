"""The papers' experiments: every study means something, and its tables can be made."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from dualbound.errors import InvalidInput, OutputError
from dualbound.studies import Specification, Store, Study
from dualbound.studies.protocols import PROTOCOLS, Protocol, protocol_named, reproduce
from dualbound.studies.row import Row
from dualbound.studies.task import Outcome

ASKING = {key: one for key, one in PROTOCOLS.items() if isinstance(one, Protocol)}


@pytest.mark.parametrize("key", ASKING)
def test_quick_is_a_part_of_full(key: str) -> None:
    protocol = ASKING[key]
    quick = Specification.parse(protocol.quick, Path("quick"))
    full = Specification.parse(protocol.full, Path("full"))
    assert {s.ask.query for s in quick.series} <= {s.ask.query for s in full.series}
    assert {s.name for s in quick.series} <= {s.name for s in full.series} | {"layer 1", "layer 2"}
    assert sum(1 for _ in quick.questions()) > 0


def fabricated(number: int, query: str) -> Row:
    """Rows of every status, with and without figures."""
    status = ("optimal", "feasible", "infeasible", "failed", "unknown")[number % 5]
    value = 1.0 if status in ("optimal", "feasible") else None
    detail: dict[str, object] = {"outputs_before": [0.0, 1.0], "layer": 1, "layers": []}
    if value is not None:
        detail["outputs_after"] = [1.0, 0.0]
    return Row(
        status=status, value=value, bound=0.5, gap=None if value is None else 0.5,
        label_before=1, label_after=None if value is None else 0, changed=3, largest=0.2,
        seconds=None if status == "failed" else 2.0, nodes=5, detail=detail,
    )  # fmt: skip


@pytest.mark.parametrize("key", ASKING)
@pytest.mark.parametrize("shift", range(5))
def test_tables_are_made_of_whatever_answers_there_are(
    key: str, shift: int, tmp_path: Path
) -> None:
    protocol = ASKING[key]
    (tmp_path / "study.toml").write_text(protocol.quick)
    study = Study.open(tmp_path)
    with Store(tmp_path, writable=True) as store:
        store.take_up(study.specification.questions(), protocol.quick)
        for one in store.unanswered():
            row = fabricated(one.id + shift, key)
            store.write(one.id, Outcome(row, time.time(), "m", {"python": "3"}))
            if shift == 4:
                break
    comparisons = protocol.compare(study)
    assert comparisons
    for comparison in comparisons:
        assert all(len(line) == len(comparison.columns) for line in comparison.lines())
        assert "nan" not in comparison.markdown()
        assert comparison.markdown().startswith(f"### {comparison.title}")


def test_the_forward_pass_is_reproduced_and_goes_on_where_it_was(tmp_path: Path) -> None:
    protocol, folder = protocol_named("schoenfeld-forward"), tmp_path / "forward"
    assert reproduce(protocol, folder, quick=True, executor="serial").counts == {"optimal": 20}
    assert reproduce(protocol, folder, quick=True, executor="serial").before == 20
    (comparison,) = protocol.compare(Study.open(folder))
    measured = {row[1]: row[3] for row in comparison.rows}
    assert measured["accuracy of the network, %"] == measured["accuracy of the program, %"]
    assert measured["largest difference of an output"] < 1e-6
    with pytest.raises(OutputError, match="of another study"):
        reproduce(protocol, folder, executor="serial")


@pytest.mark.slow
def test_given_bounds_lead_to_the_same_optimum(tmp_path: Path) -> None:
    text = "".join(
        f'[[questions]]\nname = "{name}"\nquery = "nearest"\ntarget = "+5"\nratio = 1.2\n{options}'
        for name, options in {
            "columns": "",
            "direct": 'strategy = "direct"\nformulation = "fischetti-jo"\nbounds = "lp"\n',
            "exact": 'strategy = "direct"\nformulation = "fischetti-jo"\nbounds = "exact"\n'
            "seconds_per_neuron = 1\n",
        }.items()
    )
    (tmp_path / "study.toml").write_text(f'networks = ["dnn1"]\nimages = ["sample:0"]\n{text}')
    study = Study.open(tmp_path)
    study.run(executor="serial")
    frame = study.frame()
    assert set(frame["status"]) == {"optimal"}
    np.testing.assert_allclose(frame["value"], frame["value"].iloc[0], rtol=1e-4)


def test_an_unknown_experiment_is_named() -> None:
    with pytest.raises(InvalidInput, match="did you mean 'koot-bounds'"):
        protocol_named("koot-bound")
