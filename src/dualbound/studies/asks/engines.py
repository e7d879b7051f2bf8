"""The engine that a study's question names: on one thread, because many questions run at once."""

from __future__ import annotations

from typing import Any

from dualbound.errors import InvalidInput
from dualbound.search import Columns, Milp

ENGINES = ("auto", Columns.name, Milp.name)


def check_engine(engine: str, **of_milp: str | None) -> None:
    """Refuse an unknown engine, and options of the other one.

    Raises:
        InvalidInput: see there.
        UnknownSolver: no such solver.
    """
    given = {name: value for name, value in of_milp.items() if value is not None}
    if engine not in ENGINES:
        raise InvalidInput(f"Unknown engine {engine!r}; known are {', '.join(ENGINES)}.")
    if given and engine == Columns.name:
        raise InvalidInput(
            f'{next(iter(given))} belongs to the engine milp: leave it out, or say engine = "milp".'
        )
    if given:
        milp(**of_milp)


def milp(**of_milp: Any) -> Milp:
    """The engine milp with the options that are given."""
    return Milp(**{name: value for name, value in of_milp.items() if value is not None})
