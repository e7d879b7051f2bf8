"""What every solver promises, on tiny programs whose optimum is written beside them."""

import itertools
import math
import os
import re
import signal
import sys
import threading

import highspy
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from dualbound.errors import (
    InvalidInput,
    LicenceLimit,
    SolverFailed,
    SolverNotInstalled,
    UnknownSolver,
)
from dualbound.limits import Clock, Limits
from dualbound.milp.program import Program, ProgramBuilder
from dualbound.solvers import (
    SOLVERS,
    Can,
    Fake,
    Gurobi,
    Highs,
    Scip,
    Solution,
    Solver,
    Stop,
    Xpress,
    solver_named,
)
from dualbound.solvers import installed as is_installed
from examples import examples


def program(
    cost,
    rows=(),
    row_lower=(),
    row_upper=(),
    lower=0.0,
    upper=np.inf,
    integer=False,
    offset=0.0,
    **more,
) -> Program:
    n = len(cost)
    matrix = np.asarray(rows, dtype=float).reshape(len(rows), n)
    return Program(
        cost=np.asarray(cost, dtype=float),
        lower=np.broadcast_to(np.asarray(lower, dtype=float), n).copy(),
        upper=np.broadcast_to(np.asarray(upper, dtype=float), n).copy(),
        integer=np.broadcast_to(np.asarray(integer, dtype=bool), n).copy(),
        matrix=sp.csr_array(matrix),
        row_lower=np.asarray(row_lower, dtype=float),
        row_upper=np.asarray(row_upper, dtype=float),
        column_names=tuple(f"x{j}" for j in range(n)),
        row_names=tuple(f"r{i}" for i in range(len(rows))),
        offset=offset,
        **more,
    )


# max 3x + 2y, x + y <= 4, x + 3y <= 6, x <= 3: optimum 11 at (3, 1)
LP = program([-3, -2], [[1, 1], [1, 3]], [-np.inf] * 2, [4, 6], upper=[3, np.inf])
# max 5x + 4y, 6x + 4y <= 24, x + 2y <= 6: relaxed 21 at (3, 1.5), integral 20 at (4, 0)
MIP = program([-5, -4], [[6, 4], [1, 2]], [-np.inf] * 2, [24, 6], integer=True)
# 2x + 3y = 7 in integers: the least x + y is 3, at (2, 1)
EQUALITY = program([1, 1], [[2, 3]], [7], [7], upper=10, integer=True)


def hard_mip() -> Program:
    """A market split problem: points come fast, the proof does not."""
    rng = np.random.default_rng(0)
    m, n = 5, 40
    weights = rng.integers(0, 100, (m, n))
    half = weights.sum(axis=1) // 2
    return program(
        np.r_[np.zeros(n), np.ones(2 * m)],
        np.hstack([weights, np.eye(m), -np.eye(m)]),
        half,
        half,
        upper=np.r_[np.ones(n), np.full(2 * m, np.inf)],
        integer=np.r_[np.ones(n, bool), np.zeros(2 * m, bool)],
    )


def solver_if_installed(name: str) -> Solver:
    if not is_installed(name):
        pytest.skip(f"the solver {name} is not installed")
    return solver_named(name)


@pytest.fixture(params=list(SOLVERS))
def solver(request) -> Solver:
    return solver_if_installed(request.param)


def assert_consistent(solution: Solution, of: Program, tolerance: float = 1e-5) -> None:
    assert (solution.x is None) == (solution.value is None)
    if solution.x is not None:
        assert of.violation(solution.x) <= tolerance
        assert solution.value == pytest.approx(of.value(solution.x), abs=1e-9)
    if solution.value is not None and solution.bound is not None:
        assert solution.bound <= solution.value + tolerance


@pytest.mark.parametrize(
    ("tiny", "optimum", "point"),
    [(LP, -11, (3, 1)), (MIP, -20, (4, 0)), (EQUALITY, 3, (2, 1))],
    ids=["lp", "mip", "equality"],
)
def test_finds_the_optimum_and_proves_it(solver, tiny, optimum, point):
    solution = solver.solve(tiny)
    assert solution.stop is Stop.OPTIMAL
    assert solution.value == pytest.approx(optimum, abs=1e-6)
    assert solution.bound == pytest.approx(optimum, abs=1e-6)
    assert solution.x == pytest.approx(point, abs=1e-6)
    assert solution.message
    assert_consistent(solution, tiny)


def test_counts_the_offset_in_value_bound_cutoff_and_target(solver):
    shifted = program(MIP.cost, MIP.matrix.toarray(), [-np.inf] * 2, [24, 6], 0, np.inf, True, 100)
    solution = solver.solve(shifted)
    assert (solution.value, solution.bound) == pytest.approx((80, 80), abs=1e-6)
    assert solver.solve(shifted, cutoff=79.5).stop is Stop.CUTOFF
    assert solver.solve(shifted, cutoff=80.5).value == pytest.approx(80)
    assert solver.solve(shifted, target=85.0).value <= 85 + 1e-6


@pytest.mark.parametrize("integer", [False, True])
def test_infeasible_has_no_point_and_an_infinite_bound(solver, integer):
    tiny = program([1, 1], [[1, 1], [1, 1]], [3, -np.inf], [np.inf, 2], upper=9, integer=integer)
    solution = solver.solve(tiny)
    assert solution.stop is Stop.INFEASIBLE
    assert solution.x is None
    assert solution.bound == math.inf


def test_infeasible_only_by_integrality(solver):
    solution = solver.solve(program([1, 1], [[2, 2]], [3], [3], upper=9, integer=True))
    assert solution.stop is Stop.INFEASIBLE
    assert solution.bound == math.inf


@pytest.mark.parametrize("integer", [False, True])
def test_unbounded_has_neither_point_nor_bound(solver, integer):
    solution = solver.solve(program([-1, 0], [[1, -1]], [0], [np.inf], integer=integer))
    assert solution.stop in (Stop.UNBOUNDED, Stop.INFEASIBLE_OR_UNBOUNDED)
    assert (solution.x, solution.value, solution.bound) == (None, None, None)


@pytest.mark.parametrize(("tiny", "optimum"), [(LP, -11), (MIP, -20), (EQUALITY, 3)])
def test_cutoff_below_the_optimum_is_proved(solver, tiny, optimum):
    for cutoff in (optimum - 0.5, optimum - 5.0):
        solution = solver.solve(tiny, cutoff=cutoff)
        assert solution.stop is Stop.CUTOFF
        assert solution.bound == cutoff


@pytest.mark.parametrize(("tiny", "optimum"), [(LP, -11), (MIP, -20), (EQUALITY, 3)])
def test_cutoff_above_the_optimum_does_not_matter(solver, tiny, optimum):
    solution = solver.solve(tiny, cutoff=optimum + 0.5)
    assert solution.stop is Stop.OPTIMAL
    assert solution.value == pytest.approx(optimum, abs=1e-6)


def test_a_cutoff_holds_for_one_call_only(solver):
    session = solver.open(MIP)
    assert session.solve(Clock(), cutoff=-30.0).stop is Stop.CUTOFF
    solution = session.solve(Clock())
    assert (solution.stop, solution.value) == (Stop.OPTIMAL, pytest.approx(-20))


def test_a_target_holds_for_one_call_only(solver):
    session = solver.open(hard_mip())
    assert session.solve(Clock(Limits(30)), target=200.0).stop is Stop.TARGET
    assert session.solve(Clock(Limits(0.3))).stop is Stop.TIME_LIMIT


def test_target_ends_the_search_with_a_point_as_good(solver):
    hard = hard_mip()
    solution = solver.solve(hard, Clock(Limits(30)), target=200.0)
    assert solution.stop is Stop.TARGET
    assert solution.value <= 200
    assert_consistent(solution, hard)


def test_time_limit_returns_the_best_point_so_far(solver):
    hard = hard_mip()
    session = solver.open(hard)
    for _ in range(2):  # a session's clock starts afresh for each call
        solution = session.solve(Clock(Limits(0.5)))
        assert solution.stop is Stop.TIME_LIMIT
        assert solution.value > 0
        assert solution.bound <= solution.value
        assert_consistent(solution, hard)


def test_a_clock_that_has_run_out_ends_at_once(solver):
    clock = Clock()
    clock.interrupt()
    solution = solver.solve(MIP, clock)
    assert (solution.stop, solution.x) == (Stop.INTERRUPTED, None)


def test_ctrl_c_returns_the_best_point_so_far(solver, capfd):
    hard = hard_mip()
    clock = Clock(Limits(60))
    timer = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT))
    with clock.catching_ctrl_c():
        timer.start()
        solution = solver.solve(hard, clock)
        timer.join()
    assert solution.stop is Stop.INTERRUPTED
    assert clock.interrupted
    assert clock.seconds < 30  # generous: this is about not hanging
    assert solution.value is not None
    assert_consistent(solution, hard)
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_from_another_thread_ends_the_search(solver):
    clock = Clock(Limits(60))
    timer = threading.Timer(0.5, clock.interrupt)
    timer.start()
    solution = solver.solve(hard_mip(), clock)
    timer.join()
    assert solution.stop is Stop.INTERRUPTED
    assert clock.seconds < 30


def test_effort_is_reported_and_improves(solver):
    seen = []
    solver.solve(hard_mip(), Clock(Limits(0.7)), on_effort=seen.append)
    values = [effort.value for effort in seen if effort.value is not None]
    bounds = [effort.bound for effort in seen if effort.bound is not None]
    assert values
    assert values == sorted(values, reverse=True)
    assert all(bound <= min(values) + 1e-6 for bound in bounds)


def test_an_exception_in_a_report_is_raised_and_the_session_lives_on(solver):
    class ReportError(Exception):
        pass

    def fail(effort):
        raise ReportError

    session = solver.open(hard_mip())
    with pytest.raises(ReportError):
        session.solve(Clock(Limits(30)), on_effort=fail)
    assert session.solve(Clock(Limits(30)), target=500.0).value <= 500


@pytest.mark.parametrize(
    "start",
    [[4.0, 0.0], [0.0, 0.0], [0.5, 0.5], [99.0, -99.0], [np.nan, 0.0], [np.inf, 0.0]],
    ids=["optimal", "feasible", "fractional", "outside", "nan", "infinite"],
)
@pytest.mark.parametrize("tiny", [MIP, LP], ids=["mip", "lp"])
def test_no_start_spoils_the_optimum(solver, tiny, start):
    optimum = -20 if tiny is MIP else -11
    for cutoff in (None, -1.0):
        solution = solver.solve(tiny, start=np.array(start), cutoff=cutoff)
        assert solution.stop is Stop.OPTIMAL
        assert solution.value == pytest.approx(optimum, abs=1e-6)


def test_a_start_is_used(solver):
    hard = hard_mip()
    good = solver.solve(hard, Clock(Limits(30)), target=60.0)
    again = solver.solve(hard, Clock(Limits(30)), start=good.x, target=good.value)
    assert again.stop is Stop.TARGET
    assert again.nodes <= 1


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((2, 1))])
def test_a_start_or_cost_of_another_size_is_misuse(solver, bad):
    session = solver.open(LP)
    with pytest.raises(InvalidInput, match="expected \\(2,\\)"):
        session.solve(Clock(), start=bad.ravel() if bad.size != 2 else np.zeros(1))
    with pytest.raises(InvalidInput, match="expected \\(2,\\)"):
        session.solve(Clock(), cost=np.zeros(3))
    with pytest.raises(InvalidInput, match="finite"):
        session.solve(Clock(), cost=np.array([np.nan, 0.0]))


@pytest.mark.parametrize("tiny", [LP, MIP], ids=["lp", "mip"])
def test_a_new_cost_stays(solver, tiny):
    session = solver.open(tiny)
    first = session.solve(Clock())
    least = session.solve(Clock(), cost=np.array([1.0, 1.0]))
    assert (least.value, least.bound) == pytest.approx((0, 0), abs=1e-6)
    most = session.solve(Clock(), cost=np.array([0.0, -1.0]))
    assert most.value == pytest.approx(-2 if tiny is LP else -3, abs=1e-6)
    assert session.solve(Clock()).value == pytest.approx(most.value, abs=1e-6)
    assert session.solve(Clock(), cost=tiny.cost).value == pytest.approx(first.value, abs=1e-6)


def test_a_new_cost_keeps_the_offset(solver):
    session = solver.open(program([1.0], lower=1, upper=2, offset=10.0))
    for _ in range(3):
        assert session.solve(Clock(), cost=np.array([-1.0])).value == pytest.approx(8)
        assert session.solve(Clock(), cost=np.array([2.0])).bound == pytest.approx(12)


def test_a_gap_is_enough(solver):
    solution = solver.solve(MIP, gap=0.5)
    assert solution.stop is Stop.OPTIMAL
    assert solution.value - solution.bound <= 0.5 * abs(solution.value) + 1e-6
    assert solution.bound <= -20 + 1e-6


@pytest.mark.parametrize("integer", [False, True])
def test_fixed_columns(solver, integer):
    tiny = program([1, -1], [[1, 1]], [-np.inf], [5], [2, 0], [2, 9], integer)
    solution = solver.solve(tiny)
    assert solution.x == pytest.approx((2, 3), abs=1e-6)
    assert solver.solve(program([1.0], lower=2, upper=2, integer=integer)).value == 2


@pytest.mark.parametrize("integer", [False, True])
def test_no_rows(solver, integer):
    solution = solver.solve(program([1, -1, 0], upper=3, integer=integer, offset=1))
    assert solution.stop is Stop.OPTIMAL
    assert (solution.value, solution.bound) == pytest.approx((-2, -2))


def test_rows_without_coefficients_or_sides(solver):
    rows = [[0, 0], [1, 1]]
    solution = solver.solve(program([1, 1], rows, [-1, -np.inf], [1, np.inf], lower=1))
    assert solution.value == pytest.approx(2)
    assert solver.solve(program([1, 1], rows, [1, 0], [2, 9], upper=5)).stop is Stop.INFEASIBLE


@pytest.mark.parametrize("integer", [False, True])
def test_an_objective_of_zeros(solver, integer):
    solution = solver.solve(program([0, 0], [[1, 1]], [1], [1], upper=1, integer=integer))
    assert (solution.stop, solution.value, solution.bound) == (Stop.OPTIMAL, 0, 0)


def test_no_columns(solver):
    empty = ProgramBuilder().build(offset=3.0)
    solution = solver.solve(empty)
    assert (solution.stop, solution.value, solution.bound) == (Stop.OPTIMAL, 3, 3)
    impossible = program([], np.zeros((1, 0)), [1], [2])
    assert solver.solve(impossible).stop is Stop.INFEASIBLE


def test_names_its_version(solver):
    assert all(part.isdigit() for part in solver.version().split("."))


def test_unknown_options_are_misuse(solver):
    for name, value in (("no_such_option", 1), ("no*option", 1)):
        with pytest.raises(InvalidInput, match=re.escape(repr(name))):
            type(solver)(options={name: value}).open(LP)


ACCEPTED = {
    "highs": {"mip_heuristic_effort": 1, "mip_max_nodes": 5.0, "presolve": "off"},
    "scip": {"limits/memory": 100, "limits/nodes": 5.0, "misc/usesmalltables": True},
    "gurobi": {"Heuristics": 1, "MIPFocus": 1.0, "LogFile": ""},
    "xpress": {"optimalitytoltarget": 0, "heuremphasis": 1, "outputlog": 0},
}
REFUSED = {
    "highs": {"mip_max_nodes": 5.5, "mip_detect_symmetry": 7, "presolve": "maybe"},
    "scip": {"limits/nodes": 5.5, "misc/usesmalltables": 7, "branching/scorefunc": "zz"},
    "gurobi": {"MIPFocus": 1.5, "Heuristics": "much", "LogFile": 3, "Threads": math.inf},
    "xpress": {"heuremphasis": 1.5, "matrixtol": "much"},
}


def test_options_are_passed_on(solver):
    assert solver_named(solver.name, ACCEPTED[solver.name]).options == ACCEPTED[solver.name]
    assert solver_named(solver.name, ACCEPTED[solver.name]).solve(MIP).value == pytest.approx(-20)
    for name, value in REFUSED[solver.name].items():
        with pytest.raises(InvalidInput, match=re.escape(f"{name!r} with the value {value!r}")):
            solver_named(solver.name, {name: value})


SET_BY_QUERIES = {
    "highs": ("time_limit", "mip_rel_gap", "objective_bound", "objective_target"),
    "scip": ("limits/time", "limits/gap", "limits/absgap", "limits/primal"),
    "gurobi": ("TimeLimit", "MIPGap", "Cutoff", "BestObjStop"),
    "xpress": ("timelimit", "MAXTIME", "miprelstop", "mipabscutoff"),
}


def test_options_that_every_query_sets_are_refused(solver):
    for name in SET_BY_QUERIES[solver.name]:
        with pytest.raises(InvalidInput, match=f"option '{name}' would be replaced by the"):
            type(solver)(options={name: 5.0}).open(LP)
        with pytest.raises(InvalidInput, match=f"option '{name}' would be replaced by the"):
            solver_named(solver.name, {name: 5.0})


def test_options_beside_a_solver_are_misuse():
    with pytest.raises(InvalidInput, match=r"Highs\(options=\{...\}\)"):
        solver_named(Highs(), {"presolve": "off"})


# Programs are made outside strategies: run-time type checks use `random`, which they must not.
@st.composite
def small_mips(draw) -> dict:
    n, m = draw(st.integers(1, 5)), draw(st.integers(0, 4))
    numbers = st.integers(-9, 9)
    rows = [draw(st.lists(numbers, min_size=n, max_size=n)) for _ in range(m)]
    low = [draw(st.integers(-12, 4)) for _ in range(m)]
    high = [side + draw(st.sampled_from([0, 3, 20])) for side in low]
    return {
        "cost": draw(st.lists(numbers, min_size=n, max_size=n)),
        "rows": rows,
        "row_lower": [draw(st.sampled_from([float(side), -math.inf])) for side in low],
        "row_upper": high,
        "lower": [draw(st.integers(-2, 0)) for _ in range(n)],
        "upper": [draw(st.integers(0, 2)) for _ in range(n)],
        "integer": True,
        "offset": draw(st.sampled_from([0.0, -3.5, 100.0])),
    }


def enumerated(tiny: Program) -> float:
    """The optimum by trying all points, `math.inf` without any."""
    ranges = [range(int(a), int(b) + 1) for a, b in zip(tiny.lower, tiny.upper, strict=True)]
    points = (np.array(point, dtype=float) for point in itertools.product(*ranges))
    return min((tiny.value(p) for p in points if tiny.violation(p) == 0), default=math.inf)


def check_against_enumeration(solver: Solver, tiny: Program, delta: float) -> None:
    optimum = enumerated(tiny)
    session = solver.open(tiny)
    solution = session.solve(Clock())
    assert solution.stop is (Stop.INFEASIBLE if optimum == math.inf else Stop.OPTIMAL)
    if optimum == math.inf:
        return
    assert solution.value == pytest.approx(optimum, abs=1e-5)
    assert solution.bound <= optimum + 1e-5
    assert_consistent(solution, tiny)
    cut = session.solve(Clock(), cutoff=optimum + delta)
    assert cut.bound <= optimum + 1e-5
    assert cut.stop is (Stop.OPTIMAL if delta > 0 else Stop.CUTOFF)
    near = session.solve(Clock(), target=optimum + abs(delta))
    assert near.stop in (Stop.TARGET, Stop.OPTIMAL)
    assert near.value <= optimum + abs(delta) + 1e-5
    assert near.bound is None or near.bound <= optimum + 1e-5


@pytest.mark.parametrize("name", list(SOLVERS))
@examples(60)
@given(parts=small_mips(), delta=st.sampled_from([-7.0, -1.0, -0.25, 0.25, 1.0, 7.0]))
def test_agrees_with_enumeration(name, parts, delta):
    check_against_enumeration(solver_if_installed(name), program(**parts), delta)


@st.composite
def small_lps(draw) -> dict:
    parts = draw(small_mips())
    return parts | {"integer": False, "lower": draw(st.sampled_from([parts["lower"], -np.inf]))}


@pytest.mark.parametrize("name", [name for name in SOLVERS if Can.DUALS in SOLVERS[name].can])
@examples(50)
@given(parts=small_lps(), delta=st.sampled_from([-3.0, -0.1, 0.1, 3.0]))
def test_linear_programs_have_a_dual_as_good_as_the_optimum(name, parts, delta):
    tiny = program(**parts)
    session = solver_if_installed(name).open(tiny)
    for cost in (None, -tiny.cost, tiny.cost + 1.0, tiny.cost):
        current = tiny.cost if cost is None else cost
        solution = session.solve(Clock(), cost=cost)
        fresh = Highs(options={"presolve": "on"}).open(tiny).solve(Clock(), cost=current)
        if solution.stop is Stop.INFEASIBLE_OR_UNBOUNDED:
            assert fresh.stop in (Stop.INFEASIBLE, Stop.UNBOUNDED)
            continue
        assert solution.stop is fresh.stop
        if solution.stop is not Stop.OPTIMAL:
            continue
        assert solution.value == pytest.approx(fresh.value, abs=1e-5)
        assert solution.bound == pytest.approx(solution.value, abs=1e-5)
        y, reduced = solution.row_duals, current - tiny.matrix.T @ solution.row_duals
        assert np.all(y[np.isinf(tiny.row_lower)] <= 0)
        assert np.all(reduced[solution.x < tiny.upper - 1e-5] >= -1e-5)
        assert np.all(reduced[solution.x > tiny.lower + 1e-5] <= 1e-5)
        cut = session.solve(Clock(), cutoff=solution.value + delta)
        assert cut.stop is (Stop.OPTIMAL if delta > 0 else Stop.CUTOFF)
        assert cut.row_duals is not None


def able(solver: Solver, can: Can) -> None:
    if can not in solver.can:
        pytest.skip(f"the solver {solver.name} cannot do {can.value}")


# x^2 + x + 2y^2 - 2y + 10 over x + y >= 1: the multiplier is 4/3, the optimum 119/12 at (1/6, 5/6)
QUADRATIC = program(
    [1, -2], [[1, 1]], [1], [np.inf], -5, 5, offset=10.0, quadratic=np.array([1.0, 2.0])
)


class TestQuadratic:
    @pytest.fixture(autouse=True)
    def _able(self, solver):
        able(solver, Can.QUADRATIC)

    def test_finds_the_optimum_and_proves_it(self, solver):
        solution = solver.solve(QUADRATIC)
        assert solution.stop is Stop.OPTIMAL
        assert solution.value == pytest.approx(119 / 12, abs=1e-5)
        assert solution.bound == pytest.approx(119 / 12, abs=1e-5)
        assert solution.x == pytest.approx((1 / 6, 5 / 6), abs=1e-2)
        assert_consistent(solution, QUADRATIC)

    def test_cutoff_target_and_start(self, solver):
        session = solver.open(QUADRATIC)
        assert session.solve(Clock(), cutoff=9.9).stop is Stop.CUTOFF
        assert session.solve(Clock(), cutoff=9.93).stop is Stop.OPTIMAL
        assert session.solve(Clock(), target=10.5).value <= 10.5 + 1e-5
        for start in ([1 / 6, 5 / 6], [5.0, 5.0], [-9.0, 0.0]):
            solution = session.solve(Clock(), start=np.array(start))
            assert solution.value == pytest.approx(119 / 12, abs=1e-5)

    def test_a_new_cost_keeps_the_squares(self, solver):
        session = solver.open(QUADRATIC)  # x^2 + 2y^2 over x + y >= 1: 2/3 at (2/3, 1/3)
        for _ in range(2):
            solution = session.solve(Clock(), cost=np.zeros(2))
            assert solution.value == pytest.approx(10 + 2 / 3, abs=1e-5)
            solution = session.solve(Clock(), cost=QUADRATIC.cost)
            assert solution.value == pytest.approx(119 / 12, abs=1e-5)

    def test_unbounded_columns_are_held_by_their_squares(self, solver):
        free = program([-4, 0], lower=-np.inf, quadratic=np.array([1.0, 3.0]))
        solution = solver.solve(free)
        assert solution.value == pytest.approx(-4, abs=1e-5)
        assert solution.bound == pytest.approx(-4, abs=1e-5)

    def test_infeasible(self, solver):
        parts = {"upper": 1, "quadratic": np.ones(2)}
        assert solver.solve(program([0, 0], [[1, 1]], [3], [3], **parts)).stop is Stop.INFEASIBLE


def test_indicators_hold_for_their_value_only(solver):
    able(solver, Can.INDICATORS)
    for value, fixed, both in itertools.product((0, 1), (0, 1), (False, True)):
        tiny = program(
            [1, 0],
            [[1, 0]],
            [2],
            [3 if both else np.inf],
            [-5, fixed],
            [5, fixed],
            [False, True],
            indicators=np.array([[1, value, 0]]),
        )
        for start in (None, np.array([2.0, fixed]), np.array([-5.0, fixed])):
            solution = solver.solve(tiny, start=start)
            assert solution.value == pytest.approx(2 if value == fixed else -5, abs=1e-6)
            assert_consistent(solution, tiny)


@st.composite
def small_extended(draw) -> dict:
    parts = draw(small_mips())
    n, m = len(parts["cost"]), len(parts["rows"])
    squares = [0.0, 0.5, 3.0] if draw(st.booleans()) else [0.0]
    parts["quadratic"] = draw(st.lists(st.sampled_from(squares), min_size=n, max_size=n))
    columns = draw(st.lists(st.integers(0, n - 1), min_size=m, max_size=m))
    parts["indicators"] = [
        (column, draw(st.integers(0, 1)), row)
        for row, column in enumerate(columns)
        if draw(st.booleans())
    ]
    for column, _, _ in parts["indicators"]:
        parts["lower"][column], parts["upper"][column] = 0, max(parts["upper"][column], 0) and 1
    return parts


@pytest.mark.parametrize("name", list(SOLVERS))
@examples(50)
@given(parts=small_extended(), delta=st.sampled_from([-7.0, -0.25, 0.25, 7.0]))
def test_squares_and_indicators_agree_with_enumeration(name, parts, delta):
    solver = solver_if_installed(name)
    indicators = np.array(parts["indicators"], dtype=np.int64).reshape(-1, 3)
    tiny = program(**parts | {"quadratic": np.array(parts["quadratic"]), "indicators": indicators})
    beyond = Can.needed_for(tiny) - solver.can
    if beyond:
        with pytest.raises(InvalidInput, match=f"The solver {name} cannot do"):
            solver.open(tiny)
        return
    check_against_enumeration(solver, tiny, delta)


def test_highs_survives_other_users_with_another_number_of_threads():
    for threads in (1, 2, 1):
        assert Highs(threads=threads).solve(MIP).value == pytest.approx(-20)
        assert Highs(threads=threads).solve(LP).value == pytest.approx(-11)
    highspy._Highs.resetGlobalScheduler(True)


def test_highs_with_two_threads_can_be_interrupted():
    clock = Clock(Limits(60))
    timer = threading.Timer(0.5, clock.interrupt)
    timer.start()
    assert Highs(threads=2).solve(hard_mip(), clock).stop is Stop.INTERRUPTED
    timer.join()
    highspy._Highs.resetGlobalScheduler(True)


def test_highs_refuses_numbers_that_are_too_large():
    with pytest.raises(SolverFailed, match="too large"):
        Highs().open(program([1.0], [[1e16]], [0], [1]))


def test_highs_keeps_tiny_coefficients():
    tiny = program([-1.0, 0.0], [[1.0, -1e-10]], [-np.inf], [0], upper=[1, 1e10])
    assert Highs().solve(tiny).value == pytest.approx(-1)


@pytest.mark.parametrize("kind", [kind for kind in SOLVERS.values() if kind.extra])
def test_a_missing_package_names_the_command(monkeypatch, kind):
    monkeypatch.setitem(sys.modules, kind.needs[0], None)
    with pytest.raises(SolverNotInstalled, match=rf'pip install "dualbound\[{kind.extra}\]"'):
        kind().open(LP)
    with pytest.raises(SolverNotInstalled):
        kind().version()


@pytest.mark.parametrize("squares", [False, True])
def test_a_program_that_the_licence_does_not_allow_is_refused_in_a_sentence(solver, squares, capfd):
    if not solver.free_size:
        pytest.skip(f"the solver {solver.name} needs no licence")
    if squares:
        able(solver, Can.QUADRATIC)
    n = 201 if squares else 5001
    large = program(np.ones(n), [np.ones(n)], [1], [2], quadratic=np.ones(n) if squares else None)
    with pytest.raises(LicenceLimit) as refused:
        solver.solve(large)
    assert f"1 rows and {n:,} columns" in str(refused.value)
    assert solver.free_size in str(refused.value)
    assert re.search("or use the solver (highs or )?scip", str(refused.value))
    assert capfd.readouterr() == ("", "")


def test_a_solver_prints_nothing(solver, capfd):
    solver.solve(MIP)
    solver.solve(hard_mip(), Clock(Limits(0.2)))
    assert capfd.readouterr() == ("", "")


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UnknownSolver, match="known: highs, scip"):
        solver_named("cplex")
    with pytest.raises(UnknownSolver):
        is_installed("cplex")


def test_capabilities_are_declared():
    assert Highs.can == {Can.LP, Can.MIP, Can.WARM_START, Can.DUALS}
    assert Scip.can == frozenset(Can) - {Can.DUALS}
    assert Gurobi.can == frozenset(Can)
    assert Xpress.can == frozenset(Can) - {Can.QUADRATIC}


def test_fake_follows_its_script_and_records_the_calls():
    script = [
        Solution(stop, None, None, None, None, 0, 0, 0.0, "scripted")
        for stop in (Stop.FAILED, Stop.OTHER_LIMIT)
    ]
    fake = Fake(script)
    session = fake.open(LP)
    assert session.solve(Clock(), target=1.0).stop is Stop.FAILED
    assert fake.solve(MIP, gap=0.1).stop is Stop.OTHER_LIMIT
    assert [(call.program, call.target, call.gap) for call in fake.calls] == [
        (LP, 1.0, 0.0),
        (MIP, None, 0.1),
    ]
    with pytest.raises(SolverFailed, match="2 solutions"):
        session.solve(Clock())
