"""Every word of a native solver has a meaning here, and none that is unclear means optimal."""

import subprocess
import sys

import highspy
import numpy as np
import pytest

from dualbound.limits import Clock, Limits
from dualbound.milp.program import ProgramBuilder
from dualbound.solvers import Stop
from dualbound.solvers.gurobi import STOPS as GUROBI_STOPS
from dualbound.solvers.highs import STOPS as HIGHS_STOPS
from dualbound.solvers.outcome import Raw, conclude
from dualbound.solvers.scip import STOPS as SCIP_STOPS
from dualbound.solvers.xpress import SOLVED as XPRESS_SOLVED
from dualbound.solvers.xpress import STOPPED as XPRESS_STOPPED


def test_an_error_inside_scip_is_no_answer(monkeypatch):
    pytest.importorskip("pyscipopt", reason="the solver scip is not installed")
    from dualbound.solvers import scip

    class Broken:
        def __init__(self, model):
            self._model = model

        def __getattr__(self, name):
            return getattr(self._model, name)

        def optimizeNogil(self):  # noqa: N802  # its name in pyscipopt
            raise Exception("SCIP: error in LP solver!")  # noqa: TRY002  # as it does

    session = scip.Scip().open(one_integer())
    monkeypatch.setattr(session, "_model", Broken(session._model))
    solution = session.solve(Clock())
    assert (solution.stop, solution.x, solution.bound) == (Stop.FAILED, None, None)
    assert solution.message == "SCIP: error in LP solver!"


def one_integer():
    builder = ProgramBuilder()
    builder.columns(["x"], lower=0, upper=9, cost=1, integer=True)
    return builder.build()


def concluded(raw, cutoff=None, clock=None):
    return conclude(raw, one_integer(), np.ones(1), clock or Clock(), cutoff, 0.0)


def test_every_highs_status_is_mapped():
    assert set(highspy.HighsModelStatus.__members__) == set(HIGHS_STOPS)


def test_every_scip_status_is_mapped():
    scip = pytest.importorskip("pyscipopt", reason="the solver scip is not installed")
    members = {name.lower() for name in vars(scip.SCIP_STATUS) if name.isupper()}
    assert members == set(SCIP_STOPS)


def test_every_gurobi_status_is_mapped():
    gurobi = pytest.importorskip("gurobipy", reason="the solver gurobi is not installed")
    members = {name for name in dir(gurobi.GRB.Status) if name.isupper()}
    assert members == set(GUROBI_STOPS)


def test_every_xpress_status_is_mapped():
    xpress = pytest.importorskip("xpress", reason="the solver xpress is not installed")
    assert set(xpress.SolStatus.__members__) == set(XPRESS_SOLVED)
    assert set(xpress.StopType.__members__) == set(XPRESS_STOPPED)


def test_only_a_proof_is_optimal():
    assert [name for name, stop in HIGHS_STOPS.items() if stop is Stop.OPTIMAL] == ["kOptimal"]
    optimal = [name for name, stop in SCIP_STOPS.items() if stop is Stop.OPTIMAL]
    assert optimal == ["optimal", "gaplimit"]
    for stops in (GUROBI_STOPS, XPRESS_SOLVED):
        assert [name for name, stop in stops.items() if stop is Stop.OPTIMAL] == ["OPTIMAL"]
    assert Stop.OPTIMAL not in XPRESS_STOPPED.values()


@pytest.mark.parametrize(
    "stop",
    [Stop.INFEASIBLE, Stop.UNBOUNDED, Stop.INFEASIBLE_OR_UNBOUNDED, Stop.FAILED],
)
def test_a_stop_without_a_point_has_none(stop):
    solution = concluded(Raw(stop, x=np.zeros(1), bound=0.0))
    assert (solution.x, solution.value) == (None, None)
    assert solution.bound == (np.inf if stop is Stop.INFEASIBLE else None)


def test_optimal_without_a_point_has_failed():
    assert concluded(Raw(Stop.OPTIMAL, bound=1.0)).stop is Stop.FAILED


def test_a_point_beyond_the_cutoff_is_no_optimum():
    solution = concluded(Raw(Stop.OPTIMAL, x=np.array([5.0]), bound=5.0), cutoff=3.0)
    assert (solution.stop, solution.bound, solution.value) == (Stop.CUTOFF, 3.0, 5.0)


def test_no_bound_counts_beyond_the_cutoff():
    solution = concluded(Raw(Stop.OTHER_LIMIT, bound=5.0), cutoff=3.0)
    assert (solution.stop, solution.bound) == (Stop.OTHER_LIMIT, 3.0)


def test_the_clock_tells_a_time_limit_from_an_interrupt():
    assert concluded(Raw(Stop.INTERRUPTED), clock=Clock(Limits(1e-9))).stop is Stop.TIME_LIMIT
    clock = Clock()
    clock.interrupt()
    assert concluded(Raw(Stop.TIME_LIMIT), clock=clock).stop is Stop.INTERRUPTED


def test_choosing_a_solver_imports_nothing_native():
    code = (
        "import sys; from dualbound.solvers import SOLVERS, installed, solver_named; "
        "[(solver_named(name), installed(name)) for name in SOLVERS]; "
        "needs = {package for kind in SOLVERS.values() for package in kind.needs}; "
        "sys.exit(bool(needs & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
