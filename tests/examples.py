"""How many examples of a property are looked at."""

from __future__ import annotations

from hypothesis import settings


def examples(count: int) -> settings:
    """So many, or as many as the profile has for all properties, if those are fewer."""
    return settings(max_examples=min(count, settings.default.max_examples))
