"""What a page shows of more than it can hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Excerpt(Generic[T]):
    """The first of some things, and how many more there would be: nothing is left out in silence.

    Attributes:
        shown: in order.
        left_out: how many more.

    >>> Excerpt.of([lambda: "a", lambda: "b", lambda: "c"], most=2)
    Excerpt(shown=('a', 'b'), left_out=1)
    """

    shown: tuple[T, ...]
    left_out: int = 0

    @classmethod
    def of(cls, makers: Sequence[Callable[[], T]], most: int) -> Excerpt[T]:
        """Make so many at most."""
        return cls(tuple(make() for make in makers[:most]), max(0, len(makers) - most))
