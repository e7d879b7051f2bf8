"""Comparisons, joined by ``and`` and ``or``: multiplied out into disjuncts as they are read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from dualbound.criterion.vnnlib.expressions import Tree, shown
from dualbound.criterion.vnnlib.linear import (
    ARITHMETIC,
    NUMBER,
    Linear,
    Variable,
    arithmetic,
    leaf,
    limited,
    number,
    plus,
    rounded,
)
from dualbound.errors import InvalidProperty

MOST_COMPARISONS = 2**21
"""The disjuncts may not have more comparisons than this, all together."""

_COMPARISONS = ("<=", ">=", "<", ">", "=", "==")
_CONNECTIVES = ("and", "or")


class Bound(NamedTuple):
    """``lower <= x[at] <= upper``, or ``<`` on both sides."""

    at: int
    lower: float
    upper: float
    strict: bool = False


class Row(NamedTuple):
    """The sum of ``coefficient·o[at]`` is at least ``least``, or larger."""

    coefficients: tuple[tuple[int, float], ...]
    least: float
    strict: bool = False


Conjunction = tuple[Bound | Row, ...]
"""All of them hold."""

Formula = list[Conjunction]
"""A disjunction: false when there is none, true when one has nothing in it."""


def _not_negative(difference: Linear, *, strict: bool = False) -> Formula:
    """The formula ``difference >= 0``, or ``difference > 0``."""
    terms = difference.coefficients
    if not terms:
        met = difference.constant > 0 if strict else difference.constant >= 0
        return [()] if met else []
    inputs = [variable.name for variable in terms if variable.is_input]
    if inputs and len(terms) > 1:
        other = next(variable.name for variable in terms if variable.name != inputs[0])
        raise InvalidProperty(
            f"relates the input {inputs[0]} to {other}; an input may only be compared with a "
            "constant, for the inputs must be a box."
        )
    if not inputs:
        row = tuple((variable.at, rounded(c)) for variable, c in terms.items())
        return [(Row(row, rounded(-difference.constant, -math.inf), strict),)]
    [(variable, c)] = terms.items()
    at = limited(-difference.constant / c)
    if c > 0:
        return [(Bound(variable.at, rounded(at, -math.inf), math.inf, strict),)]
    return [(Bound(variable.at, -math.inf, rounded(at, math.inf), strict),)]


def _comparison(operator: str, sides: Sequence[Linear]) -> Formula:
    if len(sides) != 2:
        raise InvalidProperty(f"{operator} takes 2 numbers, found {len(sides)}.")
    left, right = sides
    if operator in ("<=", "<"):
        return _not_negative(plus([right, left], -1), strict=operator == "<")
    if operator in (">=", ">"):
        return _not_negative(plus([left, right], -1), strict=operator == ">")
    return _and([_not_negative(plus([left, right], -1)), _not_negative(plus([right, left], -1))])


def conjoined(formulas: Sequence[Formula]) -> tuple[Conjunction, Formula]:
    """What is common to all disjuncts of a conjunction, and the rest of each."""
    common = tuple(itertools.chain.from_iterable(f[0] for f in formulas if len(f) == 1))
    disjuncts: Formula = [()]
    for formula in formulas:
        if len(formula) != 1:
            mine, theirs = sum(map(len, disjuncts)), sum(map(len, formula))
            _few_enough(len(disjuncts) * (theirs + len(formula)) + len(formula) * mine)
            disjuncts = [(*first, *second) for first in disjuncts for second in formula]
    return common, disjuncts


def _and(formulas: Sequence[Formula]) -> Formula:
    common, disjuncts = conjoined(formulas)
    _few_enough((len(common) + 1) * len(disjuncts) + sum(map(len, disjuncts)))
    return [(*common, *disjunct) for disjunct in disjuncts]


def _or(formulas: Sequence[Formula]) -> Formula:
    _few_enough(sum(len(formula) + sum(map(len, formula)) for formula in formulas))
    return list(itertools.chain.from_iterable(formulas))


def _few_enough(comparisons: int) -> None:
    if comparisons > MOST_COMPARISONS:
        raise InvalidProperty(
            f"multiplies out to {comparisons} comparisons in disjuncts, more than "
            f"{MOST_COMPARISONS}. Split the property into several files."
        )


def _applied(operator: object, operands: Sequence[Linear | Formula]) -> Linear | Formula:
    """The value of an operation."""
    if operator not in (*ARITHMETIC, *_COMPARISONS, *_CONNECTIVES):
        raise InvalidProperty(
            f"{shown(operator)} is not an operation that can be verified; expected one of "
            f"{' '.join((*_CONNECTIVES, *_COMPARISONS, *ARITHMETIC))}."
        )
    if not operands:
        raise InvalidProperty(f"{operator} is applied to nothing.")
    numbers = [operand for operand in operands if isinstance(operand, Linear)]
    formulas = [operand for operand in operands if not isinstance(operand, Linear)]
    if (formulas and numbers) or bool(formulas) != (operator in _CONNECTIVES):
        wanted = "comparisons" if operator in _CONNECTIVES else "numbers"
        raise InvalidProperty(f"{operator} is applied to something other than {wanted}.")
    if operator == "and":
        return _and(formulas)
    if operator == "or":
        return _or(formulas)
    if operator in _COMPARISONS:
        return _comparison(str(operator), numbers)
    return arithmetic(str(operator), numbers)


def _simple_bound(node: list[Any], names: dict[str, Variable]) -> Formula | None:
    """Of an input and a literal, as most lines of a file are: as `_comparison` has it, but faster.

    None where it is anything else.
    """
    if len(node) != 3 or node[0] not in ("<=", ">=") or not isinstance(node[2], str):
        return None
    variable = names.get(node[1]) if isinstance(node[1], str) else None
    if variable is None or not variable.is_input or not NUMBER.fullmatch(node[2]):
        return None
    value = number(node[2])
    if node[0] == "<=":
        return [(Bound(variable.at, -math.inf, value),)]
    return [(Bound(variable.at, value, math.inf),)]


def evaluated(tree: Tree, names: dict[str, Variable]) -> Linear | Formula:
    """The value of an expression, found without recursion: a file may nest as deep as it likes."""
    pending: list[tuple[list[Any], list[Any]]] = [([None, tree], [])]
    while True:
        node, operands = pending[-1]
        if len(operands) + 1 < len(node):
            child = node[len(operands) + 1]
            if isinstance(child, str):
                operands.append(leaf(child, names))
            elif simple := _simple_bound(child, names):
                operands.append(simple)
            else:
                pending.append((child or ["()"], []))
        else:
            pending.pop()
            if not pending:
                return operands[0]
            pending[-1][1].append(_applied(node[0], operands))
