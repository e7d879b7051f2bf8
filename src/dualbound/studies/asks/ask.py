"""What every kind of question in a study can do, and how it is read from a table of TOML."""

from __future__ import annotations

import difflib
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidInput
from dualbound.network import Network
from dualbound.search import Progress
from dualbound.studies.row import Row

Tell = Callable[[Progress], None]


@dataclass(frozen=True)
class Ask(ABC):
    """A question as ``study.toml`` puts it: its fields are the keys that it may have there.

    What depends on the network or the image, such as the target ``"+5"``, is filled in by
    `resolved`; only what comes out of that is asked.

    Attributes:
        query: its kind, the name of the verb.
        of_image: whether it is asked of an image; otherwise of the network alone.
    """

    query: ClassVar[str]
    of_image: ClassVar[bool]

    def resolved(
        self, network: Network, x: Float[np.ndarray, "..."] | None, label: int | None
    ) -> Iterator[Self]:
        """The questions that this one means for a network and an image.

        Args:
            network: to be asked about.
            x: the image, where one is needed.
            label: its true label, if that is known.

        Raises:
            InvalidInput: it cannot be asked here; the message says why.
        """
        yield self

    @abstractmethod
    def answer(
        self, network: Network, x: Float[np.ndarray, "..."] | None, tell: Tell | None
    ) -> Row:
        """Ask it; only of what `resolved` gave."""

    def options(self) -> dict[str, Any]:
        """The fields, as JSON has them."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def needed(x: Float[np.ndarray, "..."] | None) -> Float[np.ndarray, "..."]:
    """The image of a question that is asked of one.

    Raises:
        InvalidInput: there is none.
    """
    if x is None:
        raise InvalidInput("This is asked of an image, and there is none.")
    return x


A = TypeVar("A", bound=Ask)


def ask_from(kind: type[A], table: Mapping[str, Any], where: str) -> A:
    """Read a question from a table.

    Args:
        kind: of question.
        table: keys and values, as TOML or JSON have them.
        where: it stands, for messages.

    Raises:
        InvalidInput: a key that there is not, a value of another type, or one that makes no sense.
    """
    return kind(**checked(kind, table, where))


def checked(kind: type, table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values of a table for the fields of a dataclass, of the types that these have.

    Raises:
        InvalidInput: a key that there is not (with the one that was probably meant), a value of
            another type, or one that is missing.
    """
    known = {item.name: item for item in fields(kind)}
    types_of = typing.get_type_hints(kind)
    found = {}
    for key, value in table.items():
        if key not in known:
            raise InvalidInput(f"{where}: unknown key {key!r}{meant(key, known)}")
        fitted = _fitted(value, types_of[key])
        if fitted is MISSING:
            raise InvalidInput(f"{where}: {key} takes {_words(types_of[key])}, found {value!r}.")
        found[key] = fitted
    missing = [
        name
        for name, item in known.items()
        if name not in found and item.default is MISSING and item.default_factory is MISSING
    ]
    if missing:
        raise InvalidInput(f"{where}: {missing[0]} is missing.")
    return found


def meant(word: str, known: Mapping[str, Any] | list[str]) -> str:
    """What was probably meant by a word that is not known, and what is known.

    >>> meant("normm", ["norm", "gap"])
    "; did you mean 'norm'?"
    >>> meant("x", ["norm", "gap"])
    '; known are gap, norm.'
    """
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(sorted(known))}."


HUGE = 1e300
"""Whole numbers beyond are no numbers of float64."""

_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _words(hint: Any) -> str:
    if isinstance(hint, types.UnionType):
        parts = [_words(part) for part in typing.get_args(hint) if part is not types.NoneType]
        return " or ".join(parts)
    if typing.get_origin(hint) is tuple:
        inner = [part for part in typing.get_args(hint) if part is not Ellipsis]
        return "a list of " + {int: "whole numbers", float: "numbers"}.get(inner[0], "texts")
    return _WORDS.get(hint, str(hint))


def _fitted(value: Any, hint: Any) -> Any:
    """The value as a type has it; MISSING when it is none of that type."""
    if isinstance(hint, types.UnionType):
        for part in typing.get_args(hint):
            fitted = _fitted(value, part)
            if fitted is not MISSING:
                return fitted
        return MISSING
    if hint is types.NoneType:
        return None if value is None else MISSING
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)
        if not isinstance(value, list | tuple) or (
            inner[-1] is not Ellipsis and len(value) != len(inner)
        ):
            return MISSING
        parts = tuple(_fitted(item, inner[0]) for item in value)
        return MISSING if MISSING in parts else parts
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if abs(value) < HUGE or isinstance(value, float) else MISSING
    exact = isinstance(value, hint) and isinstance(value, bool) == (hint is bool)
    return value if exact else MISSING


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
