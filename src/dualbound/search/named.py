"""An engine by its name, as command lines and studies say it."""

from __future__ import annotations

from typing import Any

from dualbound.errors import InvalidInput
from dualbound.search.bab import Bab
from dualbound.search.columns import Columns
from dualbound.search.engine import Engine
from dualbound.search.milp import Milp

ENGINES = ("auto", Bab.name, Columns.name, Milp.name)

AS_OPTIONS = ("--{}", "--engine {}")
"""How the command line spells an option, and the choice of an engine."""

AS_KEYS = ("{}", 'engine = "{}"')
"""How a study does."""


def chosen_engine(engine: str | Engine | None) -> Engine | None:
    """An engine that may have been said by its name; None leaves the choice to the query.

    Raises:
        InvalidInput: an unknown name, or something else.
    """
    if isinstance(engine, str):
        return engine_named(engine)
    if not isinstance(engine, Engine | None):
        raise InvalidInput(
            f"An engine is one of {', '.join(ENGINES)}, or one such as Columns(threads=1), found "
            f"{engine!r}."
        )
    return engine


def engine_named(
    name: str,
    *,
    threads: int | None = None,
    spelt: tuple[str, str] = AS_KEYS,
    **of_milp: Any,
) -> Engine | None:
    """The engine of that name; None where the choice is left to the query.

    Args:
        name: one of `ENGINES`.
        threads: of `Columns`.
        spelt: how options and engines are, in what is refused.
        of_milp: fields of `Milp`; None where they were not given. Any of them chooses it.

    Raises:
        InvalidInput: an unknown engine, or an option that is not its own.
        UnknownSolver: no such solver.

    >>> engine_named("auto", solver="highs", formulation=None).formulation
    'bigm'
    """
    given = {option: value for option, value in of_milp.items() if value is not None}
    if name not in ENGINES:
        raise InvalidInput(f"Unknown engine {name!r}; known are {', '.join(ENGINES)}.")
    if given and name in (Bab.name, Columns.name):
        option, engine = spelt
        raise InvalidInput(
            f"{option.format(next(iter(given)))} belongs to the engine milp: leave it out, or say "
            f"{engine.format(Milp.name)}."
        )
    if given or name == Milp.name:
        return Milp(**given)
    if name == Columns.name:
        return Columns(threads=threads)
    return Bab() if name == Bab.name else None
