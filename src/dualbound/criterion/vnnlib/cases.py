"""From what a file asserts to cases: a box of inputs each, with all that is asserted of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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

_Bounds = tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]


def property_of(formulas: Sequence[Formula], declarations: Declarations) -> Property:
    """What is asked where all formulas hold; disjuncts of equal boxes are one case.

    Args:
        formulas: of the variables declared.
        declarations: complete ones.

    Raises:
        InvalidProperty: too many disjuncts or boxes, or an input without a bound.
    """
    inputs, outputs = declarations.sizes[True], declarations.sizes[False]
    boxes: dict[bytes, tuple[Box, list[Polyhedron]]] = {}
    for (lower, upper), rows in _disjuncts(formulas, inputs):
        key = lower.tobytes() + upper.tobytes()
        if key not in boxes:
            _check_bounded(lower, upper, declarations.declared[True])
            if (len(boxes) + 1) * 2 * lower.size > MOST_BOUNDS:
                raise InvalidProperty(
                    f"the inputs are in more than {len(boxes)} boxes, each with {lower.size} "
                    "inputs. Split the property into several files."
                )
            boxes[key] = Box(lower, upper), []
        boxes[key][1].append(_polyhedron(rows, outputs))
    cases = tuple(Case(box, OutputSet(polyhedra)) for box, polyhedra in boxes.values())
    return Property(cases, inputs, outputs, of_model=True)


def _disjuncts(formulas: Sequence[Formula], inputs: int) -> Iterator[tuple[_Bounds, list[Row]]]:
    """Of each disjunct whose box is not empty, that box and the rows."""
    common, disjuncts = conjoined(formulas)
    unbounded = np.full(inputs, np.inf)
    everywhere = _narrowed((-unbounded, unbounded), common)
    rows = _rows(common)
    for disjunct in disjuncts:
        lower, upper = _narrowed(everywhere, disjunct)
        if not np.any(lower > upper):
            yield (lower, upper), [*rows, *_rows(disjunct)]


def _narrowed(box: _Bounds, conjunction: Conjunction) -> _Bounds:
    """The bounds of a box, perhaps an empty one, once more inequalities are met."""
    bounds = [one for one in conjunction if isinstance(one, Bound)]
    if not bounds:
        return box
    lower, upper = box[0].copy(), box[1].copy()
    for one in bounds:
        lower[one.at] = max(lower[one.at], one.lower)
        upper[one.at] = min(upper[one.at], one.upper)
    return lower + 0.0, upper + 0.0  # no -0.0: equal boxes are equal byte by byte


def _rows(conjunction: Conjunction) -> list[Row]:
    return [one for one in conjunction if isinstance(one, Row)]


def _check_bounded(
    lower: Float[np.ndarray, " n"], upper: Float[np.ndarray, " n"], names: Sequence[str | None]
) -> None:
    for bound, side in ((lower, "lower"), (upper, "upper")):
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
    return Polyhedron(a, [one.least for one in rows])
