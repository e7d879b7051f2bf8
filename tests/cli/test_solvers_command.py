"""``dualbound solvers``, and what is passed on to a solver."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from cli.conftest import Cli
from dualbound.solvers import SOLVERS, installed

ASK = ("nearest", "dnn1", "sample:4", "--target", 9)


def test_it_lists_every_solver_with_its_version(cli: Cli) -> None:
    outcome = cli("solvers")
    assert outcome.code == 0
    assert outcome.err == ""
    for name in SOLVERS:
        assert re.search(rf"^{name} ", outcome.out, re.MULTILINE)
    assert re.search(r"highs +\d+\.\d+\.\d+ +yes +yes +yes +yes +– +–\n", outcome.out)
    assert "gurobi without a licence of your own: up to 2,000 rows" in outcome.out


def test_its_json_has_every_figure(cli: Cli) -> None:
    record = json.loads(cli("solvers", "--json").out)
    assert record["query"] == "solvers"
    found = {solver["name"]: solver for solver in record["solvers"]}
    assert set(found) == set(SOLVERS)
    assert found["highs"] | {"version": ""} == {
        "name": "highs",
        "installed": True,
        "version": "",
        "install": None,
        "lp": True,
        "mip": True,
        "duals": True,
        "warm_start": True,
        "quadratic": False,
        "indicators": False,
        "free_size": None,
    }
    assert {name: solver["installed"] for name, solver in found.items()} == {
        name: installed(name) for name in SOLVERS
    }


def test_what_is_missing_or_broken_says_how_to_install_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyscipopt", None)
    outcome = cli("solvers")
    assert outcome.code == 0
    assert re.search(r"scip +– +yes", outcome.out)
    assert 'scip is not installed: pip install "dualbound[scip]"' in outcome.out


def test_options_reach_the_solver(cli: Cli, tiny: Path) -> None:
    ask = ("nearest", tiny / "tiny.onnx", tiny / "point.csv", "-t", 1, "--json")
    stopped = ("--engine", "milp", "--solver-option", "mip_max_nodes=0", "--strategy", "direct")
    assert json.loads(cli(*ask, *stopped).out)["note"] == "highs gave up: kSolutionLimit"
    fine = (*stopped[:2], "--solver-option", "presolve=off", "--solver-option", "log_file=")
    assert cli(*ask, *fine[:4]).code == 0
    assert cli("bounds", tiny / "tiny.onnx", "--method", "lp", "--workers", 1, *fine[2:4]).code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--solver", "highs", "--solver-option", "presolve"), "NAME=VALUE, found 'presolve'"),
        (("--solver", "highs", "--solver-option", "=off"), "NAME=VALUE, found '=off'"),
        (("--solver", "highs", "--solver-option", "presolve="), "NAME=VALUE, found 'presolve='"),
        (("--solver", "highs", "--solver-option", "no_such=1"), "HiGHS.*option 'no_such'"),
        (("--solver", "highs", "--solver-option", "presolve=maybe"), "HiGHS.*value 'maybe'"),
        (("--solver", "highs", "--solver-option", "threads=1.5"), "HiGHS.*value 1.5"),
        (("--solver", "highs", "--solver-option", "mip_rel_gap=nan"), "not a number: 'nan'"),
        (("--solver-option", "presolve=off"), "say which by --solver"),
        (("--engine", "columns", "--solver-option", "presolve=off"), "say which by --solver"),
        (
            ("--threads", 2, "--solver", "highs", "--solver-option", "presolve=off"),
            "belongs to the engine",
        ),
        (
            ("--solver", "highs", *("--solver-option", "threads=1") * 2),
            "'threads' of the solver is given twice",
        ),
        (("--formulation", "indicator"), "highs cannot do indicator constraints; use scip or gur"),
    ],
)
def test_nonsense_is_refused(cli: Cli, options: tuple[object, ...], message: str) -> None:
    outcome = cli(*ASK, *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert re.search(message, outcome.err), outcome.err


@pytest.mark.parametrize("command", ["activate", "perfect"])
def test_other_commands_take_options_too(cli: Cli, command: str) -> None:
    what = {"activate": ("--layer", 1, "--neuron", 0), "perfect": ("--label", 1)}[command]
    outcome = cli(command, "dnn1", *what, "--solver", "highs", "--solver-option", "no_such=1")
    assert outcome.code == 2
    assert "HiGHS does not accept the option 'no_such'" in outcome.err
    outcome = cli(command, "dnn1", *what, "--solver-option", "no_such=1")
    assert "say which by --solver" in outcome.err


def test_methods_without_a_solver_take_no_options(cli: Cli) -> None:
    for given in (("--solver-option", "presolve=off"), ("--workers", 2), ("--time-per-neuron", 0)):
        outcome = cli("bounds", "dnn1", "--method", "crown", *given)
        assert outcome.code == 2
        assert f"{given[0]} means nothing to the method crown" in outcome.err
