"""Properties in VNN-LIB: what is read is what is asserted, and what cannot be read is refused."""

from __future__ import annotations

import gzip
import math
import os
import random
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualbound.criterion import (
    Case,
    OutputSet,
    Polyhedron,
    Property,
    parse_vnnlib,
    read_vnnlib,
    vnnlib,
    write_vnnlib,
)
from dualbound.errors import DualboundError, InvalidInput, InvalidProperty
from dualbound.region import Box, L1Ball, L2Ball, Region

DECLARED = "".join(f"(declare-const {name} Real)\n" for name in ("X_0", "X_1", "Y_0", "Y_1"))
BOUNDED = "".join(f"(assert (>= X_{i} -1.0)) (assert (<= X_{i} 1.0))\n" for i in (0, 1))
NETWORK = """(vnnlib-version <2.0>)
(declare-network net
  (declare-input X Real [1,2])   ; one row of two
  (declare-output Y Real [2])
)
"""
BOUNDED_2 = BOUNDED.replace("X_", "X[0,").replace(" -1", "] -1").replace(" 1", "] 1")


def parsed(*lines: str, declared: str = DECLARED, inputs: int = 2, outputs: int = 2) -> Property:
    return parse_vnnlib(declared + "\n".join(lines), inputs=inputs, outputs=outputs)


def only_case(*lines: str) -> Case:
    [case] = parsed(BOUNDED, *lines).cases
    return case


def same(one: Property, other: Property) -> bool:
    """Whether two properties are equal, number by number."""
    if (one.inputs, one.outputs, len(one.cases)) != (other.inputs, other.outputs, len(other.cases)):
        return False
    return all(
        np.array_equal(a.region.lower, b.region.lower)
        and np.array_equal(a.region.upper, b.region.upper)
        and np.array_equal(a.witnesses.lower, b.witnesses.lower)
        and np.array_equal(a.witnesses.upper, b.witnesses.upper)
        and len(a.criterion.polyhedra) == len(b.criterion.polyhedra)
        and all(
            np.array_equal(p.a, q.a)
            and np.array_equal(p.b, q.b)
            and np.array_equal(p.strict, q.strict)
            for p, q in zip(a.criterion.polyhedra, b.criterion.polyhedra, strict=True)
        )
        for a, b in zip(one.cases, other.cases, strict=True)
    )


# --- A slow twin: the assertions themselves, at one point, in exact numbers ----------------------


def asserted(text: str) -> list[Any]:
    """What a text asserts, as nested lists; an index is part of its name."""
    text = re.sub(r";.*", "", text)
    text = re.sub(r"\s*\[([^\]]*)\]", lambda found: f"[{''.join(found[1].split())}] ", text)
    tokens = iter(text.replace("(", " ( ").replace(")", " ) ").split())

    def expressions(tokens: Iterator[str]) -> Iterator[Any]:
        for token in tokens:
            if token == ")":
                return
            yield list(expressions(tokens)) if token == "(" else token

    return [command[1] for command in expressions(tokens) if command[0] == "assert"]


def value(tree: Any, point: dict[str, Fraction]) -> Any:
    """What an expression is at a point."""
    if isinstance(tree, str):
        above, _, below = tree.partition("/")
        if tree in point:
            return point[tree]
        return Fraction(float(above)) / Fraction(float(below or 1))
    operands = [value(one, point) for one in tree[1:]]
    match tree[0]:
        case "and":
            return all(operands)
        case "or":
            return any(operands)
        case "<=":
            return operands[0] <= operands[1]
        case "<":
            return operands[0] < operands[1]
        case ">=":
            return operands[0] >= operands[1]
        case ">":
            return operands[0] > operands[1]
        case "=" | "==":
            return operands[0] == operands[1]
        case "+":
            return sum(operands)
        case "-":
            return operands[0] - sum(operands[1:]) if len(operands) > 1 else -operands[0]
        case "*":
            return math.prod(operands)
        case "/":
            return operands[0] / operands[1]
    raise AssertionError(tree[0])


def is_met(
    assertions: list[Any], x: np.ndarray, y: np.ndarray, x_names: list[str], y_names: list[str]
) -> bool:
    point = {
        name: Fraction(float(at)) for name, at in zip([*x_names, *y_names], [*x, *y], strict=True)
    }
    return all(value(one, point) for one in assertions)


# --- Texts to read: small numbers, so that what the property computes in float64 is exact too ----

quarters = st.integers(-8, 8).map(lambda k: k / 4)
literals = st.one_of(
    quarters.map(repr),
    quarters.map(lambda q: f"{q:.3e}"),
    quarters.map(lambda q: f"(- {-q})"),
    st.integers(-3, 3).map(str),
    st.sampled_from(["(/ 1 2)", "-3/4", "+.5", "1.", "(* 2 (+ 0.25 0.5 -1))", "(- 1 0.5 0.25)"]),
)
factors = st.sampled_from(["1", "-1", "2", "-4", "0.5", "0"])
comparers = st.sampled_from(["<=", ">=", "<", ">", "=", "=="])


def written(operator: str, *operands: str) -> str:
    return f"({' '.join((operator, *operands))})"


def terms(letter: str) -> st.SearchStrategy[str]:
    name = st.sampled_from([f"{letter}_0", f"{letter}_1"])
    return st.one_of(
        name,
        st.builds(written, st.just("-"), name),
        st.builds(written, st.just("*"), factors, name),
        st.builds(written, st.just("*"), name, factors, st.just("2")),
        st.builds(written, st.just("/"), name, st.sampled_from(["2", "-0.5"])),
    )


sums = st.one_of(
    terms("Y"),
    literals,
    st.builds(written, st.sampled_from("+-"), terms("Y"), literals, terms("Y")),
    st.builds(lambda a, b: f"(* -3 (- {a} {b}))", terms("Y"), literals),
)
comparisons = st.one_of(
    st.builds(written, comparers, terms("X"), literals),
    st.builds(written, comparers, literals, terms("X")),
    st.builds(written, comparers, sums, sums),
)
formulas = st.recursive(
    comparisons,
    lambda inner: st.builds(
        lambda operator, some: written(operator, *some),
        st.sampled_from(["and", "or"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=10,
)
corners = st.tuples(*[quarters] * 4)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A file of version 1.0 whose inputs are bounded, in one box or in any of some."""
    boxes = draw(st.lists(corners, min_size=1, max_size=3))
    bounds = [
        f"(and (>= X_0 {a}) (<= X_0 {a + abs(b)}) (<= {c} X_1) (>= {c + abs(d)} X_1))"
        for a, b, c, d in boxes
    ]
    inputs = bounds[0] if len(bounds) == 1 else written("or", *bounds)
    others = draw(st.lists(formulas, max_size=3))
    return DECLARED + "\n".join(
        f"(assert {one})" for one in draw(st.permutations([inputs, *others]))
    )


def in_version_2(text: str) -> str:
    text = text.replace(DECLARED, NETWORK)
    return re.sub(r"Y_(\d)", r"Y[\1]", re.sub(r"X_(\d)", r"X [0, \1]", text))


NAMES = {
    "version 1": (["X_0", "X_1"], ["Y_0", "Y_1"]),
    "version 2": (["X[0,0]", "X[0,1]"], ["Y[0]", "Y[1]"]),
}


@given(text=texts(), seed=st.integers(0, 2**32 - 1))
def test_a_point_meets_the_property_where_it_meets_what_is_asserted(text: str, seed: int) -> None:
    property = parse_vnnlib(text, inputs=2, outputs=2)
    again = parse_vnnlib(in_version_2(text), inputs=2, outputs=2)
    assert same(property, again)
    assertions, assertions_2 = asserted(text), asserted(in_version_2(text))
    rng = np.random.default_rng(seed)
    corners = [bound for case in property.cases for bound in (case.region.lower, case.region.upper)]
    for k in range(12):
        x, y = rng.integers(-16, 17, 2) / 4, rng.integers(-16, 17, 2) / 4
        if corners and k % 2:  # in a box, at least nearly
            x = corners[rng.integers(len(corners))] + (rng.random(2) < 0.2) * rng.choice([-0.25, 1])
        met = is_met(assertions, x, y, *NAMES["version 1"])
        assert property.violated_by(x, y) == met
        assert is_met(assertions_2, x, y, *NAMES["version 2"]) == met


@given(text=texts())
def test_cases_are_of_different_boxes_none_of_which_is_empty(text: str) -> None:
    cases = parse_vnnlib(text, inputs=2, outputs=2).cases
    boxes = {
        tuple(np.concatenate([bound for box in parts for bound in (box.lower, box.upper)]))
        for parts in ((case.region, case.witnesses) for case in cases)
    }
    assert len(boxes) == len(cases)


# --- Round trips ---------------------------------------------------------------------------------

anything = st.floats(allow_nan=False, allow_infinity=False)
moderate = st.floats(-1e300, 1e300)
usual = st.one_of(anything, st.sampled_from([0.0, 1.0, -1.0, 0.1]))


@st.composite
def properties(draw: st.DrawFn) -> tuple[int, int, list[Any]]:
    """The sizes, and for each case its bounds and the rows of its polyhedra."""
    inputs, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    row = st.tuples(
        st.lists(usual, min_size=outputs, max_size=outputs).filter(any), usual, st.booleans()
    )
    bound = st.tuples(st.tuples(moderate, moderate).map(sorted), st.booleans(), st.booleans())
    box = st.lists(bound, min_size=inputs, max_size=inputs)
    polyhedra = st.lists(st.lists(row, max_size=3), min_size=1, max_size=3)
    return inputs, outputs, draw(st.lists(st.tuples(box, polyhedra), max_size=3))


def made(inputs: int, outputs: int, cases: list[Any]) -> Property:
    different = {(closed(box), inside(box)): polyhedra for box, polyhedra in cases}
    return Property(
        tuple(
            Case(
                Box(*outer),
                OutputSet(
                    Polyhedron(
                        np.reshape([a for a, *_ in rows], (-1, outputs)),
                        [b for _, b, _ in rows],
                        [strict for *_, strict in rows],
                    )
                    for rows in polyhedra
                ),
                Box(*inner) if inner != outer else None,
            )
            for (outer, inner), polyhedra in different.items()
        ),
        inputs,
        outputs,
    )


Ends = tuple[tuple[float, ...], tuple[float, ...]]


def closed(box: Sequence[Any]) -> Ends:
    return tuple(low for (low, _), *_ in box), tuple(high for (_, high), *_ in box)


def inside(box: Sequence[Any]) -> Ends:
    """The numbers of a box, where its bounds are strict; all of it, if none lie in between."""
    lower = tuple(math.nextafter(a, math.inf) if strict else a for (a, _), strict, _ in box)
    upper = tuple(math.nextafter(b, -math.inf) if strict else b for (_, b), _, strict in box)
    some = all(low <= high for low, high in zip(lower, upper, strict=True))
    return (lower, upper) if some else closed(box)


@given(parts=properties())
def test_what_is_written_is_read_again(parts: tuple[int, int, list[Any]]) -> None:
    property = made(*parts)
    text = write_vnnlib(property)
    assert same(parse_vnnlib(text, inputs=property.inputs, outputs=property.outputs), property)
    assert not re.search(r"[0-9]e[+-]?[0-9]", text), "no exponents: not every tool reads them"


def test_one_box_is_written_as_most_tools_expect() -> None:
    lines = ["(assert (>= X_0 -0.00001))", "(assert (<= X_0 0.5))"]
    ends = [
        ["(assert (or", "  (and (>= Y_1 Y_0))", "  (and (<= Y_0 -2.0) (>= (* 0.5 Y_1) 0.0))", "))"],
        ["(assert (>= (+ Y_0 (* -1.0 Y_1)) 0.1))", "(assert (>= Y_0 0.0))"],
        [],
    ]
    declared = [f"(declare-const {name} Real)" for name in ("X_0", "Y_0", "Y_1")]
    for end in ends:
        text = "\n".join([*declared, *lines, *end])
        assert write_vnnlib(parse_vnnlib(text, inputs=1, outputs=2)) == text


def test_what_always_holds_is_written_as_an_empty_box() -> None:
    nothing = Property((), 2, 1)
    text = write_vnnlib(nothing)
    assert "(assert (<= X_0 0.0))" in text
    assert "(assert (>= X_0 1.0))" in text
    assert same(parse_vnnlib(text, inputs=2, outputs=1), nothing)


UNIT = Box([0.0, 0.0], [1.0, 1.0])


@pytest.mark.parametrize("region", [L1Ball(np.zeros(2), 0.5, UNIT), L2Ball(np.zeros(2), 0.5, UNIT)])
def test_a_region_that_is_no_box_is_not_written(region: Region) -> None:
    anything = OutputSet([Polyhedron(np.zeros((0, 1)), [])])
    property = Property((Case(UNIT, anything), Case(region, anything)), 2, 1)
    with pytest.raises(InvalidProperty, match=rf"of type {type(region).__name__}; .*boxes only"):
        write_vnnlib(property)


# --- Numbers -------------------------------------------------------------------------------------


@given(number=anything, form=st.sampled_from(["{!r}", "{:.17e}", "{:.30f}", "{:+.1f}"]))
def test_a_literal_is_the_nearest_number(number: float, form: str) -> None:
    literal = form.format(number)
    [case] = parsed(BOUNDED, f"(assert (>= Y_0 {literal}))").cases
    assert case.criterion.polyhedra[0].b[0] == float(literal)
    [case] = parsed(f"(assert (= X_0 {literal}))", "(assert (= X_1 1))").cases
    assert case.region.lower[0] == case.region.upper[0] == float(literal)


@given(
    factor=st.floats(-1e3, 1e3).filter(lambda f: abs(f) > 1e-3),
    limit=st.floats(-1e3, 1e3),
    offset=st.floats(-1e3, 1e3),
)
def test_computed_numbers_are_rounded_away_from_the_set(
    factor: float, limit: float, offset: float
) -> None:
    total = f"(+ (* {factor!r} X_0) {offset!r})"
    [case] = parsed(f"(assert (= {total} {limit!r}))", "(assert (= X_1 0))").cases
    exact = (Fraction(limit) - Fraction(offset)) / Fraction(factor)
    low, high = float(case.region.lower[0]), float(case.region.upper[0])
    assert Fraction(low) <= exact <= Fraction(high)
    assert high <= math.nextafter(low, math.inf)
    [case] = parsed(BOUNDED, f"(assert (>= (+ Y_0 {offset!r}) {limit!r}))").cases
    least = float(case.criterion.polyhedra[0].b[0])
    exact = Fraction(limit) - Fraction(offset)
    assert Fraction(least) <= exact < Fraction(math.nextafter(least, math.inf))


def test_arithmetic_is_rounded_once() -> None:
    thirds = only_case("(assert (>= (* 3 Y_0 (/ 1 3)) (+ 0.1 0.2 -0.3)))").criterion.polyhedra[0]
    assert thirds.a[0, 0] == 1.0
    assert thirds.b[0] == float(Fraction(0.1) + Fraction(0.2) - Fraction(0.3))


def test_a_strict_inequality_is_met_off_its_face_alone() -> None:
    strict = parsed(BOUNDED_2, "(assert (< Y[0] Y[1]))", "(assert (>= Y[0] 2))", declared=NETWORK)
    x, above = np.zeros(2), math.nextafter(2, 3)
    assert not strict.violated_by(x, np.array([2.0, 2.0]))
    assert strict.violated_by(x, np.array([2.0, above]))
    inside = only_case("(assert (< X_0 0.5))")
    assert inside.region.upper[0] == 0.5, "what is proved, is proved of the closed box"
    assert inside.witnesses.upper[0] == math.nextafter(0.5, 0)


@pytest.mark.parametrize("bounds", ["(< X_0 0.5) (>= X_0 0.5)", "(> X_0 1)", "(< X_0 -1.0)"])
def test_an_open_box_may_be_empty_where_the_closed_one_is_not(bounds: str) -> None:
    assert parsed(BOUNDED, f"(assert (and {bounds}))").cases == ()


def test_strict_bounds_with_no_number_in_between() -> None:
    above = math.nextafter(0.5, 1)
    with pytest.raises(InvalidProperty, match="no float64 in between"):
        only_case(f"(assert (> X_0 0.5)) (assert (< X_0 {above!r}))")


def test_no_zero_is_negative() -> None:
    case = only_case("(assert (or (and (<= X_0 -0.0) (<= Y_0 1)) (and (<= X_0 0) (<= Y_0 2))))")
    assert len(case.criterion.polyhedra) == 2
    assert not np.signbit(case.region.upper[0])


# --- Cases ---------------------------------------------------------------------------------------


class TestCases:
    def test_equal_boxes_are_one_case(self) -> None:
        [case] = parsed(
            "(assert (or (and (>= X_0 0) (<= X_0 1) (>= X_1 0) (<= X_1 1) (>= Y_0 1))",
            "            (and (<= X_1 1.0) (<= X_0 1.0) (>= X_1 0.0) (>= X_0 0.0) (>= Y_1 2))))",
        ).cases
        assert [one.b.tolist() for one in case.criterion.polyhedra] == [[1.0], [2.0]]
        assert case.region.upper.tolist() == [1.0, 1.0]

    def test_different_boxes_stay_apart_in_the_order_of_the_file(self) -> None:
        found = parsed(
            BOUNDED,
            "(assert (or (and (<= X_0 -0.5) (>= Y_0 Y_1)) (and (>= X_0 0.5) (<= Y_0 Y_1))",
            "            (and (<= X_0 -0.5) (>= Y_0 3))))",
        ).cases
        assert [case.region.upper[0] for case in found] == [-0.5, 1.0]
        assert [len(case.criterion.polyhedra) for case in found] == [2, 1]

    def test_every_disjunction_must_be_met(self) -> None:
        case = only_case(
            "(assert (or (<= Y_0 0) (<= Y_1 0)))", "(assert (or (>= Y_0 1) (>= Y_1 1)))"
        )
        assert len(case.criterion.polyhedra) == 4
        assert not case.criterion.reached(np.array([2.0, 2.0]))
        assert case.criterion.reached(np.array([-1.0, 2.0]))

    def test_an_empty_box_is_no_case(self) -> None:
        assert parsed(BOUNDED, "(assert (>= X_0 1.5))").cases == ()
        found = parsed(BOUNDED, "(assert (or (>= X_0 1.5) (and (<= X_1 0) (>= Y_0 0))))")
        assert len(found.cases) == 1

    def test_an_empty_box_need_not_be_bounded(self) -> None:
        assert parsed("(assert (>= X_0 1))", "(assert (<= X_0 0))").cases == ()

    def test_what_contradicts_itself_is_no_case(self) -> None:
        assert parsed(BOUNDED, "(assert (>= 0 1))").cases == ()
        assert parsed(BOUNDED, "(assert (= (- Y_0 Y_0) 1))").cases == ()
        assert len(only_case("(assert (or (> -1 0) (>= Y_0 0)))").criterion.polyhedra) == 1

    def test_what_is_true_anyway_is_no_row(self) -> None:
        case = only_case("(assert (>= 1 0))", "(assert (<= (* 0 X_0) 1))", "(assert (= Y_1 Y_1))")
        assert case.criterion.goal == "any outputs"

    def test_without_a_word_on_outputs_any_violate(self) -> None:
        assert parsed(BOUNDED).violated_by(np.zeros(2), np.array([1e9, -1e9]))
        assert not parsed(BOUNDED).violated_by(np.array([0.0, 1.5]), np.zeros(2))

    def test_a_point_on_the_boundary_is_within(self) -> None:
        found = parsed(BOUNDED, "(assert (<= Y_0 0.5))")
        assert found.violated_by(np.array([1.0, -1.0]), np.array([0.5, 0.0]))
        assert not found.violated_by(np.array([1.0, -1.0]), np.array([np.nan, 0.0]))


class TestForms:
    def test_of_version_1(self) -> None:
        plain = parsed(BOUNDED, "(assert (<= Y_0 Y_1))")
        for text in (
            "\ufeff(set-logic QF_LRA)\n" + DECLARED + BOUNDED + "(assert (<= Y_0 Y_1))(check-sat)",
            "(vnnlib-version <1.0>)" + DECLARED + BOUNDED + "(assert(<= Y_0 Y_1))",
            DECLARED.replace("(declare-const", "(declare-fun").replace(" Real", " () Real")
            + BOUNDED.replace("\n", '\r\n ; comment (with) \xe9 [ " \r\n')
            + "(assert\n(and\n(<=\tY_0\nY_1)))",
        ):
            text = text.removeprefix("\ufeff")
            assert same(parse_vnnlib(text, inputs=2, outputs=2), plain)

    @pytest.mark.parametrize("shape", ["[]", "[1]", "[1,1]", "[ 1 , 1 ]"])
    def test_of_one_number(self, shape: str) -> None:
        at = "" if shape == "[]" else "[" + ",".join("0" for _ in shape.split(",")) + "]"
        [case] = parse_vnnlib(
            f'(declare-network n (declare-input in float32 {shape} "a ; b") '
            f'(declare-output out float64 {shape} "c"))'
            f"(assert (>= in{at} 0)) (assert (<= in {at} 1)) (assert (<= out{at} 2))",
            inputs=1,
            outputs=1,
        ).cases
        assert case.region.upper.tolist() == [1.0]
        assert case.criterion.polyhedra[0].a.tolist() == [[-1.0]]

    def test_tensors_are_flat_row_by_row(self) -> None:
        [case] = parse_vnnlib(
            "(declare-network n (declare-input X Real [2,1,3]) (declare-output Y Real [2,2]))"
            + "".join(f"(assert (= X[{i},0,{j}] {3 * i + j}))" for i in (0, 1) for j in (0, 1, 2))
            + "(assert (>= Y[1,0] 7))",
            inputs=6,
            outputs=4,
        ).cases
        assert case.region.lower.tolist() == [0, 1, 2, 3, 4, 5]
        assert case.criterion.polyhedra[0].a.tolist() == [[0, 0, 1, 0]]

    def test_however_deep_it_is_nested(self) -> None:
        deep = 5_000
        case = only_case(
            "(assert " + "(and " * deep + "(<= Y_0 " + "(- " * deep + "1" + ")" * (2 * deep + 2)
        )
        assert case.criterion.polyhedra[0].b.tolist() == [-1.0]


class TestFiles:
    text = DECLARED + BOUNDED + "(assert (<= Y_0 Y_1))"

    def test_plain_and_compressed(self, tmp_path: Path) -> None:
        plain, packed = tmp_path / "a.vnnlib", tmp_path / "a.vnnlib.gz"
        plain.write_text("\ufeff" + self.text, encoding="utf-8")
        packed.write_bytes(gzip.compress(self.text.encode() + b" ; \xff\xfe"))
        for path in (plain, packed, str(packed)):
            assert same(
                read_vnnlib(path, inputs=2, outputs=2), parsed(BOUNDED, "(assert (<= Y_0 Y_1))")
            )

    @pytest.mark.parametrize(
        ("name", "data", "message"),
        [
            ("a.vnnlib.gz", b"(assert)", "a.vnnlib.gz: not a gzip file.*Fetch it again"),
            ("b.vnnlib.gz", gzip.compress(b"(assert)" * 99)[:-12], "only part of one"),
            ("c.vnnlib.gz", gzip.compress(b"(" * 99)[:12] + b"\xff" * 30, "not a gzip file"),
            ("d.vnnlib", gzip.compress(b"(assert)"), "line 1: found"),
            ("e.vnnlib", b"\n\n(assert (<= Y_0 1))", "e.vnnlib: line 3, .*Y_0 is neither a number"),
            ("f.vnnlib", None, "f.vnnlib: cannot be read: No such file.*Name a .vnnlib"),
            (".", None, "cannot be read: Is a directory"),
        ],
        ids=["no gzip", "cut off", "damaged", "unpacked", "no formula", "missing", "folder"],
    )
    def test_that_cannot_be_read(
        self, tmp_path: Path, name: str, data: bytes | None, message: str
    ) -> None:
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(InvalidProperty, match=message):
            read_vnnlib(tmp_path / name, inputs=2, outputs=2)

    def test_that_are_too_large(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "a.vnnlib.gz").write_bytes(gzip.compress(b" " * 2000))
        monkeypatch.setattr(vnnlib.reading, "MOST_BYTES", 1000)
        with pytest.raises(InvalidProperty, match="larger than 1000 bytes"):
            read_vnnlib(tmp_path / "a.vnnlib.gz", inputs=2, outputs=2)


# --- The competition's own files -----------------------------------------------------------------


@pytest.fixture(scope="session")
def competition(data_root: Path) -> Path:
    folder = data_root.parent / "vnncomp"
    if not folder.is_dir():
        pytest.skip(f"needs the competition's benchmarks in {folder}")
    return folder


SIZES = {"acasxu": (5, 5), "mnist_fc": (784, 10), "oval21": (3072, 10), "sri_resnet_a": (3072, 10)}


@pytest.mark.parametrize("benchmark", SIZES)
def test_of_every_benchmark_some_are_read_and_written(competition: Path, benchmark: str) -> None:
    inputs, outputs = SIZES[benchmark]
    paths = sorted((competition / benchmark / "vnnlib").iterdir())
    rng = np.random.default_rng(0)
    for path in paths[: 4 if inputs == 5 else 1]:
        property = read_vnnlib(path, inputs=inputs, outputs=outputs)
        again = parse_vnnlib(write_vnnlib(property), inputs=inputs, outputs=outputs)
        assert same(again, property)
        [case] = property.cases
        assertions = asserted(gzip.decompress(path.read_bytes()).decode())
        names = [f"X_{i}" for i in range(inputs)], [f"Y_{j}" for j in range(outputs)]
        for x in [*case.region.sample(rng, 2), case.region.upper + 1e-9]:
            y = rng.permutation(outputs) * 2.0
            assert property.violated_by(x, y) == is_met(assertions, x, y, *names)


@pytest.mark.parametrize(
    ("name", "at", "low", "high", "polyhedra", "row"),
    [
        ("acasxu/vnnlib/prop_1", 0, 0.6, 0.679857769, 1, ({0: 1.0}, 3.991125645861615)),
        ("acasxu/vnnlib/prop_2", 4, -0.5, -0.45, 1, ({0: 1.0, 1: -1.0}, 0.0)),
        ("acasxu/vnnlib/prop_3", 1, -0.009549297, 0.009549297, 1, ({0: -1.0, 1: 1.0}, 0.0)),
        ("mnist_fc/vnnlib/prop_0_0.03", 783, 0.0, 0.029999999329447746, 9, ({0: 1, 4: -1}, 0.0)),
        (
            "oval21/vnnlib/cifar_base_kw-img2578-eps0.021176470588235297",
            3071,
            0.19294129312038422,
            0.3811764717102051,
            9,
            ({8: -1.0, 0: 1.0}, 0.0),
        ),
        (
            "oval21/vnnlib/cifar_deep_kw-img7878-eps0.009934640522875817",
            2467,
            None,
            5.8147645177086815e-05,
            9,
            None,
        ),
        (
            "sri_resnet_a/vnnlib/cifar10_spec_idx_1551_eps_0.00198",
            3071,
            -1.21671212,
            -1.1970036,
            9,
            ({0: 1.0, 4: -1.0}, 0.0),
        ),
    ],
)
def test_spot_values(
    competition: Path,
    name: str,
    at: int,
    low: float | None,
    high: float,
    polyhedra: int,
    row: tuple[dict[int, float], float] | None,
) -> None:
    inputs, outputs = SIZES[name.split("/")[0]]
    [case] = read_vnnlib(competition / f"{name}.vnnlib.gz", inputs=inputs, outputs=outputs).cases
    assert case.region.upper[at] == high
    assert low is None or case.region.lower[at] == low
    assert len(case.criterion.polyhedra) == polyhedra
    if row is not None:
        a, b = case.criterion.polyhedra[0].rows(outputs)
        assert {j: a[0, j] for j in np.flatnonzero(a[0])} == row[0]
        assert b[0] == row[1]


# --- Refusals ------------------------------------------------------------------------------------

AFTER = DECLARED + BOUNDED
LARGE = "9" * 400
BAD = [
    ("", r"X_0 is not declared; the network has 2 inputs\. Is the property of another network\?"),
    (DECLARED, "the input X_0 has no lower bound; assert one"),
    (DECLARED.replace("(declare-const Y_1 Real)", ""), "Y_1 is not declared; .* 2 outputs"),
    (DECLARED + "(declare-const X_2 Real)", r"line 5, .*: declares X_2; the network has 2 inputs"),
    (DECLARED + "(declare-const Y_9 Real)", "declares Y_9; the network has 2 outputs"),
    (DECLARED + "(declare-const X_0 Real)", "declares X_0 a second time"),
    (DECLARED + "(declare-const X_00 Real)", "declares X_00; expected inputs X_0, X_1"),
    (DECLARED + "(declare-const Z_0 Real)", "declares Z_0; expected inputs X_0, X_1"),
    ("(declare-const X_0 Int)", "declares X_0 as Int; expected Real"),
    ("(declare-const X_0)", "declare-const cannot be used so; expected"),
    ("(declare-const X_0 Real", "line 1: the file ends before the bracket .* is closed"),
    (AFTER + "(assert (<= X_0 0.5)))", r"line 7: found \); expected a command"),
    (AFTER + "assert (<= X_0 0.5)", "line 7: found assert; expected a command"),
    (AFTER + "(assert (<= X_0 0.5)", "line 7: the file ends before"),
    (AFTER + "()", r"line 7, \(\): expected the name of a command"),
    (AFTER + "((assert (<= X_0 0.5)))", "expected the name of a command"),
    (AFTER + "(assert)", "assert cannot be used so"),
    (AFTER + "(assert (<= X_0 1) (<= X_0 2))", "assert cannot be used so"),
    (AFTER + "(push 1)", "push cannot be used so; expected"),
    (AFTER + "(assert true)", "true is neither a number nor.* a declared variable"),
    (AFTER + "(assert Y_0)", "asserts a number; expected a comparison"),
    (AFTER + "(assert (+ Y_0 1))", "asserts a number; expected a comparison"),
    (AFTER + "(assert ())", r"\(\) is not an operation that can be verified"),
    (AFTER + "(assert (and))", "and is applied to nothing"),
    (AFTER + "(assert (and Y_0 Y_1))", "and is applied to something other than comparisons"),
    (AFTER + "(assert (or (<= Y_0 1) 3))", "or is applied to something other than comparisons"),
    (AFTER + "(assert (<= (<= Y_0 1) 3))", "<= is applied to something other than numbers"),
    (AFTER + "(assert (<= Y_0))", "<= takes 2 numbers, found 1"),
    (AFTER + "(assert (<= 0 Y_0 1))", "<= takes 2 numbers, found 3"),
    (AFTER + "(assert (not (<= Y_0 1)))", "not is not an operation.*expected one of and or <="),
    (AFTER + "(assert (=> (<= Y_0 1) (<= Y_1 1)))", "=> is not an operation that can be"),
    (AFTER + "(assert (!= Y_0 1))", "!= is not an operation that can be verified"),
    (AFTER + "(assert ((<= Y_0 1)))", r"\(\.\.\.\) is not an operation"),
    (AFTER + "(assert (<= Y_0 Y_2))", "Y_2 is neither a number nor.* a declared variable"),
    (AFTER + "(assert (<= Y_0 y_1))", "y_1 is neither a number"),
    (AFTER + "(assert (<= Y_0 1,5))", "1,5 is neither a number"),
    (AFTER + "(assert (<= Y_0 1_000))", "1_000 is neither a number"),
    (AFTER + "(assert (<= Y_0 nan))", "nan is neither a number"),
    (AFTER + "(assert (<= Y_0 -inf))", "-inf is neither a number"),
    (AFTER + "(assert (<= Y_0 0x10))", "0x10 is neither a number"),
    (AFTER + "(assert (<= Y_0 \u0663))", "\u0663 is neither a number"),
    (AFTER + "(assert (<= Y_0 --1))", "--1 is neither a number"),
    (AFTER + "(assert (<= Y_0 1/2/3))", "2/3 is neither a number"),
    (AFTER + "(assert (<= Y_0 1/))", "1/ is neither a number"),
    (AFTER + "(assert (<= Y_0 /2))", "/2 is neither a number"),
    (AFTER + "(assert (<= Y_0 [0]))", r"\[0\] is neither a number"),
    (AFTER + "(assert (<= Y_0[0] 1))", r"Y_0\[0\] is neither a number nor, with these indices"),
    (AFTER + '(assert (<= Y_0 "1"))', '"1" is neither a number'),
    (AFTER + '(assert (<= Y_0 "1))', 'line 7: found "; expected a command'),
    (AFTER + "(assert (<= Y_0 1]))", r"line 7: found \]; expected"),
    (AFTER + f"(assert (<= Y_0 {LARGE}))", r"9999\.\.\. is larger than any float64"),
    (AFTER + "(assert (<= X_0 1e999))", "1e999 is larger than any float64"),
    (AFTER + "(assert (<= Y_0 (* 1e308 10)))", "too large or too small for a float64"),
    (AFTER + "(assert (<= (* 1e-300 1e-300 Y_0) 0))", "too large or too small for a float64"),
    (AFTER + "(assert (<= (* 1e-200 X_0) 1e200))", "too large or too small for a float64"),
    (AFTER + f"(assert (<= Y_0 (* {'0.1 ' * 400})))", "thousands of digits"),
    (AFTER + "(assert (<= Y_0 (/ 1 0)))", "divides by a variable or by 0"),
    (AFTER + "(assert (<= Y_0 1/0))", "divides by a variable or by 0"),
    (AFTER + "(assert (<= (/ 1 Y_0) 1))", "divides by a variable or by 0"),
    (AFTER + "(assert (<= (/ Y_0 1 2) 1))", "/ takes 2 numbers, found 3"),
    (AFTER + "(assert (<= (* Y_0 Y_1) 1))", "multiplies two variables; only linear"),
    (AFTER + "(assert (<= (* X_0 X_0) 1))", "multiplies two variables"),
    (AFTER + "(assert (<= X_0 X_1))", "relates the input X_[01] to X_[01]; an input may only be"),
    (AFTER + "(assert (<= Y_1 (* 2 X_1)))", "relates the input X_1 to Y_1; an input may only be"),
    (DECLARED + "(assert (<= X_0 1))", "the input X_0 has no lower bound"),
    (DECLARED + "(assert (= X_0 1)) (assert (>= X_1 1))", "the input X_1 has no upper bound"),
    (
        DECLARED + "(assert (or (and (= X_0 1) (= X_1 1)) (= X_0 2)))",
        "the input X_1 has no lower bound",
    ),
    ("(vnnlib-version <3.0>)", "version <3.0>; expected <1.0> or <2.0>"),
    ("(vnnlib-version 2.0)", "version 2.0; expected <1.0> or <2.0>"),
    (NETWORK + NETWORK, "declares net; only one network can be verified"),
    (AFTER + NETWORK, "declares net; only one network .* none beside variables of version 1.0"),
    (NETWORK + DECLARED, "declares X_0; expected .* or one network"),
    (NETWORK, r"the input X\[0,0\] has no lower bound"),
    (NETWORK + BOUNDED_2 + "(assert (<= Y 1))", "Y is neither a number nor, with these indices"),
    (NETWORK + "(assert (<= X[0] 1))", r"X\[0\] is neither a number nor, with these indices"),
    (NETWORK + "(assert (<= X[0,2] 1))", r"X\[0,2\] is neither a number nor, with these"),
    (NETWORK + "(assert (<= X[0][1] 1))", r"X\[0\] is neither a number"),
    (NETWORK + "(assert (<= X[0,-1] 1))", r"X\[0,-1\] is neither a number"),
    (NETWORK.replace("[1,2]", "[2,2]"), r"the input X of shape \[2, 2\], which is 4 numbers"),
    (NETWORK.replace("[1,2]", "[0]"), r"of shape \[0\], which is 0 numbers; the network has 2"),
    (NETWORK.replace("Y Real [2]", "Y Real []"), r"output Y of shape \[\], which is 1 numbers"),
    (NETWORK.replace("[1,2]", "[1,-2]"), r"declares X as Real\[1,-2\]; expected real numbers"),
    (NETWORK.replace("[1,2]", "[9999999999]"), r"declares X as Real\[9999999999\]; expected"),
    (NETWORK.replace("[1,2]", f"[9{',9' * 9999}]"), r"declares X as Real\[9,9,.*; expected"),
    (NETWORK.replace("[1,2]", ""), "declares X as Real; expected real numbers and a shape"),
    (NETWORK.replace("X Real", "X int64"), r"declares X as int64\[1,2\]; expected real"),
    (NETWORK.replace("output Y", "output X"), "line 2, .*: declares X a second time"),
    (NETWORK.replace("input X", "input 1"), "declare-input within a network cannot be used so"),
    (NETWORK.replace("declare-output", "declare-input"), "declares a second input, Y; only one"),
    (NETWORK.replace("declare-input", "declare-output"), "declares a second output, Y; only one"),
    (NETWORK.replace("(declare-output Y Real [2])", ""), "declares no output of the network"),
    (NETWORK.replace("declare-output", "declare-hidden"), "declare-hidden within a network"),
    (NETWORK.replace("net\n", "net (equal-to other)\n"), "equal-to within a network cannot be"),
    (NETWORK.replace("net\n", "net 5\n"), "found 5 in the declaration of a network"),
    (NETWORK.replace("net\n", "\n"), "declare-network cannot be used so"),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=[message[:50] for _, message in BAD])
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(InvalidProperty, match=f"(?s){message}") as refused:
        parse_vnnlib(text, inputs=2, outputs=2)
    said = str(refused.value)
    assert "\n" not in said
    assert said.endswith((".", "?"))
    assert len(said) < 300


def test_it_is_bad_input() -> None:
    assert issubclass(InvalidProperty, InvalidInput)


@pytest.mark.parametrize(
    "asserted",
    [
        "(and " + "(or (<= Y_0 0) (>= Y_0 1)) " * 18 + ")",
        "(or " + "(and " + "(or (<= Y_0 0) (>= Y_0 1)) " * 18 + ")" + ")",
        "(and (<= Y_0 0) (or " + "(<= Y_1 0) " * 1500 + ") (or " + "(<= Y_1 0) " * 1500 + "))",
    ],
    ids=["and", "within or", "large"],
)
def test_too_many_disjuncts(asserted: str) -> None:
    with pytest.raises(
        InvalidProperty, match=r"comparisons in disjuncts, more than 2097152\. Split"
    ):
        parsed(BOUNDED, f"(assert {asserted})")


def test_too_many_disjuncts_of_several_assertions() -> None:
    with pytest.raises(InvalidProperty, match="comparisons in disjuncts, more than"):
        parsed(BOUNDED, "(assert (or (<= Y_0 0) (>= Y_0 1)))" * 20)


def test_too_many_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vnnlib.cases, "MOST_BOUNDS", 40)
    ten, eleven = ("".join(f"(= X_0 0.{k:02})" for k in range(n)) for n in (10, 11))
    assert len(parsed(BOUNDED, f"(assert (or {ten}))").cases) == 10
    with pytest.raises(InvalidProperty, match=r"in more than 10 boxes, each with 2 inputs\. Split"):
        parsed(BOUNDED, f"(assert (or {eleven}))")


# --- Mutations -----------------------------------------------------------------------------------

MUTATIONS = int(os.environ.get("DUALBOUND_MUTATIONS", "400"))
"""Of each text; more to look for what a usual test run would miss."""

MIXED = """(assert (or
  (and (>= X_0 -0.5) (<= X_0 1.5e-1) (<= Y_0 Y_1))  ; both
  (and (>= (* 2.0 Y_0) (+ Y_1 (- 0.5) (/ 1 3))) (or (= Y_0 .5) (>= Y_1 -1/4)))
))
"""
TEXTS = {
    "version 1": DECLARED + BOUNDED + MIXED,
    "version 2": in_version_2(DECLARED) + BOUNDED_2 + in_version_2(MIXED),
}
PIECES = [
    *"()[]<>=-+*/.0123456789eXY_ ;\"\n\t,\0\\|'\u00e9\u0663",
    "and",
    "assert",
    "1e999",
    "(or ",
]


def mutated(text: str, rng: random.Random) -> str:
    """A few cuts, repetitions, insertions and moves."""
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice([1, 1, 2, 20]))
        source = rng.randrange(len(text) + 1)
        middle = rng.choice(
            [
                "",
                text[start:end] * rng.randint(2, 40),
                rng.choice(PIECES) * rng.choice([1, 1, 2, 30]),
                rng.choice(PIECES) + text[start:end],
                text[source : source + rng.randint(1, 60)],
            ]
        )
        text = text[:start] + middle + text[end:]
    return text


def properties_among(version: str, mutations: int) -> int:
    """How many mutations are read, as what they assert; all others end in an error of ours."""
    found = 0
    for seed in range(mutations):
        text = mutated(TEXTS[version], random.Random(seed))
        try:
            property = parse_vnnlib(text, inputs=2, outputs=2)
        except DualboundError:
            continue
        found += 1
        assert same(parse_vnnlib(write_vnnlib(property), inputs=2, outputs=2), property)
        for point in np.random.default_rng(seed).integers(-5, 6, (6, 4)) / 4:
            x, y = point[:2], point[2:]
            assert property.violated_by(x, y) == is_met(asserted(text), x, y, *NAMES[version])
    return found


@pytest.mark.parametrize("version", TEXTS)
def test_mutations_end_in_a_property_or_in_a_clear_error(version: str) -> None:
    assert 0 < properties_among(version, MUTATIONS) < MUTATIONS
