"""Sums of variables, in exact arithmetic; rounded to float64 once they are done."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from dualbound.criterion.vnnlib.expressions import shown
from dualbound.errors import InvalidProperty

MOST_BITS = 2**14
"""No number that is computed from literals may need more bits than this."""

ARITHMETIC = ("+", "-", "*", "/")
"""The operators on numbers."""

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
"""A literal."""


class Variable(NamedTuple):
    """One of the network's inputs or outputs, under its name in the file."""

    is_input: bool
    at: int
    name: str


class Linear(NamedTuple):
    """A sum; no coefficient is 0."""

    coefficients: dict[Variable, Fraction]
    constant: Fraction


def number(token: str) -> float:
    """The float64 that is nearest to a literal."""
    if not NUMBER.fullmatch(token):
        raise InvalidProperty(
            f"{shown(token)} is neither a number nor, with these indices, a declared variable."
        )
    value = float(token)
    if math.isinf(value):
        raise InvalidProperty(f"{shown(token)} is larger than any float64.")
    return value


def leaf(token: str, names: dict[str, Variable]) -> Linear:
    """The value of a name or of a literal, which may be a rational one: ``-1/3``."""
    if token in names:
        return Linear({names[token]: Fraction(1)}, Fraction(0))
    above, slash, below = token.partition("/")
    constant = Linear({}, Fraction(number(above or token)))
    return _over(constant, Linear({}, Fraction(number(below or token)))) if slash else constant


def limited(value: Fraction) -> Fraction:
    """The same number, if it does not need too many bits."""
    if value.numerator.bit_length() + value.denominator.bit_length() > MOST_BITS:
        raise InvalidProperty("computes a number of thousands of digits; write it as one decimal.")
    return value


def plus(terms: Sequence[Linear], sign: int = 1) -> Linear:
    """The first, and ``sign`` times each of the others."""
    total, constant = dict(terms[0].coefficients), terms[0].constant
    for term in terms[1:]:
        for variable, coefficient in term.coefficients.items():
            total[variable] = limited(total.get(variable, Fraction(0)) + sign * coefficient)
        constant = limited(constant + sign * term.constant)
    return Linear({variable: c for variable, c in total.items() if c}, constant)


def _times(factors: Sequence[Linear]) -> Linear:
    scale, sums = Fraction(1), [factor for factor in factors if factor.coefficients]
    if len(sums) > 1:
        raise InvalidProperty("multiplies two variables; only linear arithmetic can be verified.")
    for factor in factors:
        if not factor.coefficients:
            scale = limited(scale * factor.constant)
    if not sums or not scale:
        return Linear({}, scale)
    scaled = {variable: limited(scale * c) for variable, c in sums[0].coefficients.items()}
    return Linear(scaled, limited(scale * sums[0].constant))


def _over(dividend: Linear, divisor: Linear) -> Linear:
    if divisor.coefficients or not divisor.constant:
        raise InvalidProperty("divides by a variable or by 0; only constants may divide.")
    return _times([dividend, Linear({}, 1 / divisor.constant)])


def arithmetic(operator: str, terms: Sequence[Linear]) -> Linear:
    """The value of one of the operators on numbers.

    >>> x = Linear({Variable(True, 0, "X_0"): Fraction(1)}, Fraction(0))
    >>> half = arithmetic("/", [Linear({}, Fraction(1)), Linear({}, Fraction(2))])
    >>> list(arithmetic("*", [x, half]).coefficients.values())
    [Fraction(1, 2)]
    """
    match operator:
        case "+":
            return plus(terms)
        case "-" if len(terms) > 1:
            return plus(terms, -1)
        case "-":
            return _times([Linear({}, Fraction(-1)), *terms])
        case "*":
            return _times(terms)
        case _ if len(terms) == 2:
            return _over(*terms)
    raise InvalidProperty(f"/ takes 2 numbers, found {len(terms)}.")


def rounded(value: Fraction, towards: float | None = None) -> float:
    """The nearest float64, or the nearest that is not short of the value on the way to infinity."""
    try:
        nearest = float(value)
    except OverflowError:
        nearest = math.inf
    if math.isfinite(nearest) and towards is not None and Fraction(nearest) != value:
        short = nearest < value if towards > 0 else nearest > value
        nearest = math.nextafter(nearest, towards) if short else nearest
    if not math.isfinite(nearest) or (not nearest and value and towards is None):
        raise InvalidProperty("computes a number that is too large or too small for a float64.")
    return nearest
