"""How the page writes numbers: short, of one width, and never more than is known.

What is to be written may come right out of a table: a number, None, NaN or pandas' NA.
"""

from __future__ import annotations

import math

import pandas as pd

from dualbound.report.words import directed, rounded_down, rounded_up, whole

SMALL = 1e-3
"""Of what is below, four decimals would say little or nothing."""

NOTHING = "–"
"""Where there is no number."""


def plain(value: object) -> float | None:
    """A number of a table; None where there is none.

    >>> plain(3), plain(pd.NA), plain(float("nan"))
    (3.0, None, None)
    """
    return float(value) if known(value) else None  # type: ignore[arg-type]


def known(value: object) -> bool:
    """Whether there is a value at all: not None, NaN or pandas' NA.

    >>> known(0.0), known(None), known(float("nan"))
    (True, False, False)
    """
    return value is not None and value is not pd.NA and bool(value == value)


def number(value: object, digits: int = 4) -> str:
    """So many significant digits; whole numbers without decimals.

    >>> number(1234.5678), number(0.000123456), number(None), number(-2.0), number(float("inf"))
    ('1,235', '0.0001235', '–', '−2', '∞')
    >>> number(2.6), number(71_234.5)
    ('2.600', '71,234')
    """
    of = plain(value)
    if of is None:
        return NOTHING
    if math.isinf(of):
        return "∞" if of > 0 else "−∞"
    digits = max(digits, len(str(int(abs(of)))))
    form = f",.{digits}g" if of.is_integer() else f"#,.{digits}g"
    return _signed(format(of, form).removesuffix("."))


def distance(value: object) -> str:
    """Four decimals, or four digits of what is small.

    >>> distance(1.5), distance(-1.23456e-5), distance(0.0)
    ('1.5000', '−1.235e-05', '0.0000')
    """
    of = plain(value)
    return number(of) if of is not None and 0 < abs(of) < SMALL else fixed(of, 4)


def fixed(value: object, decimals: int) -> str:
    """So many decimals.

    >>> fixed(2.0, 2), fixed(-0.5, 1)
    ('2.00', '−0.5')
    """
    of = plain(value)
    return number(of) if of is None or math.isinf(of) else _signed(f"{of:,.{decimals}f}")


def integer(value: object) -> str:
    """A whole number; the nearest, of a mean.

    >>> integer(12345), integer(None)
    ('12,345', '–')
    """
    of = plain(value)
    return number(of) if of is None or math.isinf(of) else _signed(f"{round(of):,}")


def share(part: float, of: float, decimals: int = 0) -> str:
    """A part in percent; only all of it is 100 %, only nothing 0 %.

    >>> share(1, 3), share(999, 1000), share(1, 1000), share(0, 0)
    ('33 %', '>99 %', '<1 %', '–')
    """
    if not of:
        return NOTHING
    written = f"{100 * part / of:.{decimals}f}"
    least = "0." + "0" * (decimals - 1) + "1" if decimals else "1"
    if part < of and float(written) == 100:
        return f">{100 - float(least):.{decimals}f} %"
    if part > 0 and float(written) == 0:
        return f"<{least} %"
    return f"{written} %"


def gap(value: object) -> str:
    """A relative gap in percent.

    >>> gap(0.0312), gap(0.00004), gap(0.0), gap(float("nan"))
    ('3.1 %', '<0.1 %', '0 %', '–')
    """
    of = plain(value)
    if of is None:
        return NOTHING
    return "0 %" if of == 0 else share(of, 1, 1) if of < 0.999 else f"{100 * of:,.0f} %"


def bound(value: object, *, upper: bool = False, count: bool = False) -> str:
    """A bound, rounded so that what is written is proved too; small ones to four digits.

    >>> bound(1.99999), bound(1.00001, upper=True), bound(3.2, count=True)
    ('1.9999', '1.0001', '4')
    >>> bound(-1.23456e-5, upper=True), bound(0.0)
    ('−0.00001234', '0.0000')
    """
    of = plain(value)
    if of is None or math.isinf(of):
        return number(of)
    if count:
        return str(whole(of))
    if 0 < abs(of) < SMALL:
        return _signed(directed(of, 4, upper=upper))
    return _signed((rounded_up if upper else rounded_down)(of, 4))


def _signed(text: str) -> str:
    return "−" + text[1:] if text.startswith("-") else text
