"""From what a file asserts to cases: a box of inputs each, with all that is asserted of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dualbound.criterion.polyhedron import OutputSet, Polyhedron
from dualbound.criterion.property import Case, Property
from dualbound.criterion.vnnlib.declarations import Declarations
from dualbound.criterion.vnnlib.formulas import Bound, Conjunction, Formula, Row, conjoined
from dualbound.errors import InvalidProperty
from dualbound.region import Box

MOST_BOUNDS = 2**26
"""The boxes may not have more bounds than this, all together (512 MiB)."""


class _Bounds(NamedTuple):
    """Of every input, and of the float64 numbers among them: fewer where a bound is strict."""

    lower: Float[np.ndarray, " n"]
    upper: Float[np.ndarray, " n"]
    least: Float[np.ndarray, " n"]
    most: Float[np.ndarray, " n"]

    @property
    def empty(self) -> bool:
        at_one = self.lower == self.upper
        strict = (self.lower < self.least) | (self.most < self.upper)
        return bool(np.any((self.lower > self.upper) | (at_one & strict)))


def property_of(formulas: Sequence[Formula], declarations: Declarations) -> Property:
    """What is asked where all formulas hold; disjuncts of equal boxes are one case.

    Args:
        formulas: of the variables declared.
        declarations: complete ones.

    Raises:
        InvalidProperty: too many disjuncts or boxes, or an input without a bound.
    """
    inputs, outputs = declarations.sizes[True], declarations.sizes[False]
    boxes: dict[bytes, tuple[Box, Box | None, list[Polyhedron]]] = {}
    for bounds, rows in _disjuncts(formulas, inputs):
        key = b"".join(one.tobytes() for one in bounds)
        if key not in boxes:
            _check_bounded(bounds, declarations.declared[True])
            if (len(boxes) + 1) * 2 * inputs > MOST_BOUNDS:
                raise InvalidProperty(
                    f"the inputs are in more than {len(boxes)} boxes, each with {inputs} "
                    "inputs. Split the property into several files."
                )
            boxes[key] = Box(bounds.lower, bounds.upper), _inner(bounds), []
        boxes[key][2].append(_polyhedron(rows, outputs))
    cases = tuple(
        Case(box, OutputSet(polyhedra), inner) for box, inner, polyhedra in boxes.values()
    )
    return Property(cases, inputs, outputs, of_model=True)


def _disjuncts(formulas: Sequence[Formula], inputs: int) -> Iterator[tuple[_Bounds, list[Row]]]:
    """Of each disjunct whose box is not empty, that box and the rows."""
    common, disjuncts = conjoined(formulas)
    unbounded = np.full(inputs, np.inf)
    everywhere = _narrowed(_Bounds(-unbounded, unbounded, -unbounded, unbounded), common)
    rows = _rows(common)
    for disjunct in disjuncts:
        bounds = _narrowed(everywhere, disjunct)
        if not bounds.empty:
            yield bounds, [*rows, *_rows(disjunct)]


def _narrowed(box: _Bounds, conjunction: Conjunction) -> _Bounds:
    """The bounds of a box, perhaps an empty one, once more inequalities are met."""
    bounds = [one for one in conjunction if isinstance(one, Bound)]
    if not bounds:
        return box
    lower, upper, least, most = (one.copy() for one in box)
    for at, low, high, strict in bounds:
        lower[at] = max(lower[at], low)
        upper[at] = min(upper[at], high)
        least[at] = max(least[at], _next(low, math.inf) if strict else low)
        most[at] = min(most[at], _next(high, -math.inf) if strict else high)
    # No -0.0: equal boxes are equal byte by byte.
    return _Bounds(lower + 0.0, upper + 0.0, least + 0.0, most + 0.0)


def _next(bound: float, towards: float) -> float:
    """The float64 after a bound; of one that says nothing, the same."""
    return math.nextafter(bound, towards) if math.isfinite(bound) else bound


def _inner(bounds: _Bounds) -> Box | None:
    """All float64 numbers inside, where some on the faces are not."""
    if np.array_equal(bounds.lower, bounds.least) and np.array_equal(bounds.upper, bounds.most):
        return None
    if np.any(bounds.least > bounds.most) or not np.isfinite([bounds.least, bounds.most]).all():
        raise InvalidProperty(
            "bounds an input strictly on both sides, with no float64 in between: no "
            "counterexample could be given."
        )
    return Box(bounds.least, bounds.most)


def _rows(conjunction: Conjunction) -> list[Row]:
    return [one for one in conjunction if isinstance(one, Row)]


def _check_bounded(bounds: _Bounds, names: Sequence[str | None]) -> None:
    for bound, side in ((bounds.lower, "lower"), (bounds.upper, "upper")):
        if not np.isfinite(bound).all():
            at = int(np.argmin(np.isfinite(bound)))
            raise InvalidProperty(
                f"the input {names[at]} has no {side} bound; assert one, for nothing can be proved "
                "of an unbounded set."
            )


def _polyhedron(rows: Sequence[Row], outputs: int) -> Polyhedron:
    a = np.zeros((len(rows), outputs))
    for row, one in zip(a, rows, strict=True):
        for at, coefficient in one.coefficients:
            row[at] = coefficient
    return Polyhedron(a, [one.least for one in rows], [one.strict for one in rows])
