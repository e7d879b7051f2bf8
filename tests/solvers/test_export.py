"""A written program is the same program."""

import highspy
import numpy as np
import pytest

from dualbound.errors import InvalidInput, OutputError
from dualbound.milp.program import ProgramBuilder
from dualbound.solvers import Highs, write_program
from dualbound.solvers.export import legal_names


def knapsack(names=("a", "b", "c")):
    """Max 4a + 5b + 3c + 0.5, 2a + 3b + c <= 4, 1 <= b + c <= 2: the best is 7.5 at (1, 0, 2)."""
    builder = ProgramBuilder()
    integers = builder.columns(list(names[:2]), upper=1, cost=[-4.0, -5.0], integer=True)
    c = builder.columns([names[2]], lower=-1, upper=2, cost=-3.0)
    columns = np.r_[integers, c]
    builder.rows(["weight"], [columns], [[2.0, 3.0, 1.0]], upper=4)
    builder.rows(["two sides"], [columns[1:]], [[1.0, 1.0]], lower=1, upper=2)
    return builder.build(offset=-0.5)


def read_back(path):
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    assert highs.readModel(str(path)) == highspy.HighsStatus.kOk
    highs.run()
    return highs


@pytest.mark.parametrize("suffix", [".mps", ".lp"])
@pytest.mark.parametrize(
    "names",
    [("a", "b", "c"), ("x 1", "x_1", "x-1"), ("free", "1e5", "e5"), ("é", "", "st"), ("a",) * 3],
)
def test_a_written_file_has_the_same_optimum(tmp_path, suffix, names):
    program, path = knapsack(names), tmp_path / f"program{suffix}"
    write_program(program, path)
    highs = read_back(path)
    assert highs.getInfo().objective_function_value == pytest.approx(-10.5)
    assert Highs().solve(program).value == pytest.approx(-10.5)
    read = [highs.getColName(index)[1] for index in range(3)]
    assert read == legal_names(names)


@pytest.mark.parametrize("suffix", [".mps", ".lp"])
def test_infinite_and_fixed_bounds_survive(tmp_path, suffix):
    builder = ProgramBuilder()
    low, high = np.array([-np.inf, -np.inf, 2]), np.array([np.inf, 3, 2])
    x = builder.columns(["x", "y", "z"], lower=low, upper=high, cost=1)
    builder.rows(["r"], [x], [[1.0, 2.0, 3.0]], lower=1, upper=1)
    builder.rows(["s"], [x[:2]], [[1.0, -1.0]], lower=-20)
    program, path = builder.build(), tmp_path / f"p{suffix}"
    write_program(program, path)
    value = read_back(path).getInfo().objective_function_value
    assert value == pytest.approx(Highs().solve(program).value)


def test_another_suffix_is_misuse(tmp_path):
    with pytest.raises(InvalidInput, match=r"\.mps or \.lp, found the file name 'p\.txt'"):
        write_program(knapsack(), tmp_path / "p.txt")


def test_no_columns_is_misuse(tmp_path):
    with pytest.raises(InvalidInput, match="without columns"):
        write_program(ProgramBuilder().build(), tmp_path / "p.lp")


def test_an_unwritable_path_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"missing.p\.lp: No such file"):
        write_program(knapsack(), tmp_path / "missing" / "p.lp")
