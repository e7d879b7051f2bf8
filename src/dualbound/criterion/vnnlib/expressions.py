"""The brackets of a file: its commands as nested lists of words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dualbound.errors import InvalidProperty

_TOKEN = re.compile(r'[()]|;[^\n]*|\[[^\[\]()]*\]|"[^"\n]*"|[^\s()\[\];"]+|\S')

Tree = str | list[Any]
"""A word, or a list of such."""


def commands(text: str) -> Iterator[tuple[slice, list[Any]]]:
    """Every expression of the outermost level, and where it is.

    An index belongs to the name before it: ``X [0, 1]`` is the one token ``X[0,1]``.

    Raises:
        InvalidProperty: brackets that do not match, or anything outside of them.

    >>> list(commands("(assert (<= X [0, 1] 0.5))  ; above"))
    [(slice(0, 26, None), ['assert', ['<=', 'X[0,1]', '0.5']])]
    """
    start = 0
    open_lists: list[list[Any]] = []
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token == "(":
            if not open_lists:
                start = match.start()
            open_lists.append([])
        elif token == ")" and open_lists:
            done = open_lists.pop()
            if open_lists:
                open_lists[-1].append(done)
            else:
                yield slice(start, match.end()), done
        elif token[0] == ";":
            continue
        elif not open_lists or token in ('"', "[", "]"):
            raise InvalidProperty(
                f"{line_of(text, match.start())}: found {shown(token)}; expected a command such as "
                "(assert (<= X_0 0.5)), with its brackets closed."
            )
        elif token[0] == "[" and _awaits_index(open_lists[-1]):
            open_lists[-1][-1] += "".join(token.split())
        else:
            open_lists[-1].append(token)
    if open_lists:
        raise InvalidProperty(
            f"{line_of(text, start)}: the file ends before the bracket that opens here is closed. "
            "Fetch it again, if it was longer."
        )


def _awaits_index(done: list[Any]) -> bool:
    return bool(done) and isinstance(done[-1], str) and not done[-1].endswith("]")


def line_of(text: str, at: int) -> str:
    """Such as ``line 3``."""
    return f"line {text.count(chr(10), 0, at) + 1}"


def shown(token: object, most: int = 40) -> str:
    """Of an expression as much as fits into a message."""
    words = token if isinstance(token, str) else "(...)"
    return words if len(words) <= most else f"{words[: most - 3]}..."
