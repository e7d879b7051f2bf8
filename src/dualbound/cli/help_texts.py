"""How examples stand below the help of a command."""

from __future__ import annotations


def examples(*lines: str) -> str:
    """The last section of a command's help: commands to copy, one a line."""
    return "[bold]Examples[/bold]\n" + "\n".join(f"  {line}" for line in lines)
