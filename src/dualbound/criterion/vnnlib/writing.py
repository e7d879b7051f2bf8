"""The text of a property, in the words of as many tools as can be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from dualbound.criterion.polyhedron import Polyhedron
from dualbound.criterion.property import Property
from dualbound.errors import InvalidProperty
from dualbound.region import Box, Region


def write_vnnlib(asked: Property) -> str:
    """The text of a file of version 1.0, for other tools; `parse_vnnlib` reads the same property.

    Args:
        asked: the property. Of one case the bounds of the inputs are asserted one by one, as most
            tools expect; of several, the whole is one disjunction of conjunctions.

    Raises:
        InvalidProperty: a case is of a region that is no box.

    >>> from dualbound.criterion import Case, OutputSet
    >>> box = Box([0.0], [0.1])
    >>> print(write_vnnlib(Property((Case(box, OutputSet([Polyhedron([[1, -1]], [0])])),), 1, 2)))
    (declare-const X_0 Real)
    (declare-const Y_0 Real)
    (declare-const Y_1 Real)
    (assert (>= X_0 0.0))
    (assert (<= X_0 0.1))
    (assert (>= Y_0 Y_1))
    """
    lines = [f"(declare-const X_{i} Real)" for i in range(asked.inputs)]
    lines += [f"(declare-const Y_{j} Real)" for j in range(asked.outputs)]
    everything = [
        (_bounds_text(case.region, case.witnesses), _rows_text(one))
        for case in asked.cases
        for one in case.criterion.polyhedra
    ]
    if not everything:  # an empty box
        nowhere = _bounds_text(zero := Box(0.0, 0.0).sized(asked.inputs), zero)
        return _asserted([*lines, *(f"(assert {one})" for one in [*nowhere, "(>= X_0 1.0)"])])
    if len(everything) > 1 and (len(asked.cases) > 1 or not all(rows for _, rows in everything)):
        bounds, parts = [], [[*bounds, *rows] for bounds, rows in everything]
    else:
        bounds, parts = everything[0][0], [rows for _, rows in everything]
    lines += [f"(assert {one})" for one in bounds]
    if len(parts) == 1:
        lines += [f"(assert {one})" for one in parts[0]]
    else:
        lines += ["(assert (or", *(f"  (and {' '.join(part)})" for part in parts), "))"]
    return _asserted(lines)


def _asserted(lines: Sequence[str]) -> str:
    return "\n".join(lines)


def _bounds_text(region: Region, witnesses: Region) -> list[str]:
    if not isinstance(region, Box):
        raise InvalidProperty(
            f"A case is of a region of type {type(region).__name__}; a VNN-LIB file is written of "
            "boxes only, for it bounds each input by constants. Ask about the box around it, "
            "`Box(region.lower, region.upper)`: what holds there, holds in the region."
        )
    lines = []
    for i, (low, high) in enumerate(zip(region.lower, region.upper, strict=True)):
        above = ">" if low < witnesses.lower[i] else ">="
        below = "<" if witnesses.upper[i] < high else "<="
        lines += [f"({above} X_{i} {_decimal(low)})", f"({below} X_{i} {_decimal(high)})"]
    return lines


def _rows_text(one: Polyhedron) -> list[str]:
    rows = zip(one.a, one.b.tolist(), one.strict.tolist(), strict=True)
    return [_row_text(row, least, "" if strict else "=") for row, least, strict in rows]


def _row_text(row: Float[np.ndarray, " m"], least: float, equal: str) -> str:
    """In the words of as many tools as can be: coefficients only where they are needed."""
    at = [int(j) for j in np.flatnonzero(row)]
    if least == 0 and sorted(row[at]) == [-1, 1]:
        return f"(>{equal} Y_{int(np.argmax(row))} Y_{int(np.argmin(row))})"
    if len(at) == 1 and row[at[0]] == -1:
        return f"(<{equal} Y_{at[0]} {_decimal(-least)})"
    terms = [f"Y_{j}" if row[j] == 1 else f"(* {_decimal(row[j])} Y_{j})" for j in at] or ["0.0"]
    total = terms[0] if len(terms) == 1 else f"(+ {' '.join(terms)})"
    return f"(>{equal} {total} {_decimal(least)})"


def _decimal(value: float) -> str:
    """The shortest decimal, without an exponent, that is read as this number."""
    return str(np.format_float_positional(value + 0.0, trim="0"))
