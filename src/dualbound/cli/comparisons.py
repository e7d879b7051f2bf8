"""Tables of figures on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from dualbound.cli.streams import say
from dualbound.cli.summaries import table
from dualbound.studies.protocols.protocol import Comparison


def say_tables(comparisons: Sequence[Comparison]) -> None:
    """Print each with its title and its note."""
    for comparison in comparisons:
        drawn = table(*comparison.columns)
        for line in comparison.lines():
            drawn.add_row(*line)
        say("", Text(comparison.title, "bold"), drawn)
        if comparison.note:
            say(Text(comparison.note, "dim"))
