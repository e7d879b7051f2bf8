"""What an answer says of distances, in the words that all its readers see."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import numpy as np
from jaxtyping import Bool, Float

from dualbound.queries import Answer

CHANGED = 1e-6
"""An input that moved by no more than this is not counted as changed, except in L0."""

COUNT_ROUNDING = 1e-6
"""By how much the bound of a count may exceed a whole number through rounding alone."""


def rounded_down(value: float, decimals: int = 6) -> str:
    """Never more than the value: what is printed of a bound is proved too.

    >>> rounded_down(1.9999999)
    '1.999999'
    """
    return _rounded(value, decimals, ROUND_FLOOR)


def rounded_up(value: float, decimals: int = 6) -> str:
    """Never less than the value.

    >>> rounded_up(1.0000001)
    '1.000001'
    """
    return _rounded(value, decimals, ROUND_CEILING)


def directed(value: float, digits: int, *, upper: bool) -> str:
    """So many significant digits, rounded up or down.

    >>> directed(-1.23456e-5, 4, upper=True), directed(9.8765e20, 4, upper=False)
    ('-0.00001234', '9.876e+20')
    """
    if not math.isfinite(value):
        return f"{value}"
    how = ROUND_CEILING if upper else ROUND_FLOOR
    shortened = Context(prec=digits, rounding=how).create_decimal(value)
    return f"{shortened:f}" if 1e-6 < abs(value) < 1e12 else f"{shortened:e}"


def _rounded(value: float, decimals: int, how: str) -> str:
    if not abs(value) < 1e12:
        return directed(value, 15, upper=how == ROUND_CEILING)
    step = Decimal(1).scaleb(-decimals)
    exact = Decimal(value).quantize(step, rounding=how, context=Context(prec=60))
    return f"{exact + 0:.{decimals}f}"  # 0 has no sign


def counted(count: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "node"), counted(1200, "node")
    ('1 node', '1,200 nodes')
    """
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def whole(bound: float) -> int:
    """The least whole number that a count with this lower bound can be.

    >>> whole(4.0), whole(3.99999), whole(3.2)
    (4, 4, 4)
    """
    return math.ceil(bound - COUNT_ROUNDING)


def is_changed(answer: Answer, change: Float[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
    """Which inputs count as changed; in L0 all that are not what they were."""
    return np.asarray(np.abs(change) > (0.0 if answer.norm == "l0" else CHANGED))


def distance_words(answer: Answer, decimals: int = 6) -> str:
    """The witness's distance: a count in L0, else a number."""
    value = answer.value or 0.0
    return f"{value:.0f}" if answer.is_count else f"{value:.{decimals}f}"


def bound_words(answer: Answer, decimals: int = 6) -> str:
    """The proved bound: a count in L0, else a number that is rounded down."""
    if answer.is_count:
        return str(whole(answer.bound))
    return rounded_down(answer.bound, decimals)


def nothing_nearer(answer: Answer, decimals: int = 6, *, restricted: bool = False) -> str:
    """What the bound excludes, as the subject of a sentence.

    Args:
        answer: whose.
        decimals: of its bound.
        restricted: whether not every input of the range was allowed.
    """
    bound = bound_words(answer, decimals)
    if not answer.is_count:
        return f"{'no allowed input' if restricted else 'nothing'} closer than {bound}"
    change = "no allowed change" if restricted else "no change"
    return f"{change} of fewer than {counted(whole(answer.bound), 'input')}"
