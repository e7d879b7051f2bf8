"""``dualbound solvers``."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from dualbound.cli import exit_codes, options
from dualbound.cli.streams import say, say_json
from dualbound.cli.summaries import table
from dualbound.solvers import Can, SolverOverview, overview

COLUMNS: dict[str, tuple[str, Can]] = {
    "lp": ("LP", Can.LP),
    "mip": ("MIP", Can.MIP),
    "duals": ("duals", Can.DUALS),
    "warm_start": ("warm start", Can.WARM_START),
    "quadratic": ("quadratic", Can.QUADRATIC),
    "indicators": ("indicators", Can.INDICATORS),
}


def solvers(json: options.Json = False) -> int:
    """List the solvers: which are installed, and what each can do.

    They are for --solver of nearest, activate and perfect (engine milp), of bounds (methods lp and
    milp) and of prune. Our own branch and bound, the default of nearest, needs HiGHS only.
    """
    from dualbound import __version__

    found = overview()
    if json:
        say_json(
            {"query": "solvers", "version": __version__, "solvers": [_record(s) for s in found]}
        )
    else:
        _show(found)
    return exit_codes.ANSWERED


def _record(solver: SolverOverview) -> dict[str, Any]:
    return {
        "name": solver.name,
        "installed": solver.version is not None,
        "version": solver.version,
        "install": solver.install or None,
        **{key: can in solver.can for key, (_, can) in COLUMNS.items()},
        "free_size": solver.free_size or None,
    }


def _show(found: list[SolverOverview]) -> None:
    drawn = table("solver", "version", *(title for title, _ in COLUMNS.values()))
    for solver in found:
        drawn.add_row(
            Text(solver.name, "bold" if solver.version else "dim"),
            solver.version or "–",
            *("yes" if can in solver.can else "–" for _, can in COLUMNS.values()),
        )
    say(drawn)
    missing = [solver for solver in found if solver.version is None]
    limited = [solver for solver in found if solver.free_size]
    notes = [Text.assemble((s.name, "bold"), f" is not installed: {s.install}") for s in missing]
    notes += [
        Text.assemble((s.name, "bold"), f" without a licence of your own: up to {s.free_size}")
        for s in limited
    ]
    if notes:
        say("", *notes)
