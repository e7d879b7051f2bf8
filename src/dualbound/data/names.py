"""Names of classes and columns: their order, and how some are told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_FEW = 10


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once: by number where all are whole numbers, otherwise by the alphabet.

    >>> in_order(["10", "9", "10"]), in_order(["dog", "10", "cat"])
    (('9', '10'), ('10', 'cat', 'dog'))
    """
    different = set(names)
    try:
        return tuple(sorted(different, key=lambda name: (int(name), name)))
    except ValueError:
        return tuple(sorted(different))


def few(names: Sequence[str]) -> str:
    """The names, or the first ones of many.

    >>> few(["a", "b"]), few([str(k) for k in range(784)])
    ('a, b', '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 774 more')
    """
    told = ", ".join(names[:_FEW])
    return told if len(names) <= _FEW else f"{told} and {len(names) - _FEW} more"
