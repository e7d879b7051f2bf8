"""Options of native solvers: as they are written on a command line, and as a solver takes them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from dualbound.errors import InvalidInput

Value = bool | int | float | str
"""What an option of a solver may be."""


def parsed(options: Iterable[str]) -> dict[str, Value]:
    """Options written as ``NAME=VALUE``.

    A value is ``true`` or ``false``, a number, or else a word; a whole number is no fraction.

    Raises:
        InvalidInput: one has no ``=``, no name or no value, is not a number, or is given twice.

    >>> parsed(["presolve=off", "threads=2", "mip_heuristic_effort=0.1", "log_to_console=false"])
    {'presolve': 'off', 'threads': 2, 'mip_heuristic_effort': 0.1, 'log_to_console': False}
    """
    found: dict[str, Value] = {}
    for text in options:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise InvalidInput(
                f"An option of a solver is written NAME=VALUE, found {text!r}; as in presolve=off."
            )
        if name in found:
            raise InvalidInput(f"The option {name!r} of the solver is given twice.")
        found[name] = _value(value)
        if found[name] != found[name]:
            raise InvalidInput(f"The option {name!r} of the solver is not a number: {value!r}.")
    return found


OURS = {
    "limit": frozenset({"timelimit", "limits/time", "maxtime"}),
    "gap": frozenset({"miprelgap", "limits/gap", "limits/absgap", "mipgap", "miprelstop"}),
    "cutoff": frozenset(
        {
            *("objectivebound", "objectivetarget", "limits/primal"),
            *("cutoff", "bestobjstop", "mipabscutoff"),
        }
    ),
}
"""Options that each query sets for its programs, without case and underscores, of all solvers."""

_INSTEAD = {
    "limit": "say --time-limit, or Limits(seconds=...)",
    "gap": "say --gap, or gap=..., where there is one",
    "cutoff": "leave it out",
}


def refuse_ours(options: Iterable[str]) -> None:
    """Refuse the options of a solver that each query sets itself.

    Raises:
        InvalidInput: there is one.

    >>> refuse_ours(["presolve", "limits/memory"])
    >>> refuse_ours(["mip_rel_gap"])
    Traceback (most recent call last):
    dualbound.errors.InvalidInput: The solver's option 'mip_rel_gap' would be replaced by ...
    """
    for name in options:
        for what, names in OURS.items():
            if name.lower().replace("_", "") in names:
                raise InvalidInput(
                    f"The solver's option {name!r} would be replaced by the {what} of the query: "
                    f"{_INSTEAD[what]}."
                )


def _value(text: str) -> Value:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def fitting(value: Value, kind: type) -> Value:
    """A value as the type that a solver has for an option.

    Args:
        value: as given.
        kind: bool, int, float or str.

    Raises:
        ValueError: it is not of that type, and no whole number of it.

    >>> fitting(2, float), fitting(2.0, int)
    (2.0, 2)
    """
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and math.isfinite(value) and value == int(value):
        return int(value)
    if type(value) is not kind:
        raise ValueError(f"{value!r} is no {kind.__name__}")
    return value
