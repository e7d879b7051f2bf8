"""Exit codes: how the question ended, as ``grep`` and ``diff`` have it."""

from __future__ import annotations

from dualbound.queries import Answer, Outcome, Status

ANSWERED = 0
INFEASIBLE = 1
VIOLATED = 1
BAD_INPUT = 2
OPEN = 3
INTERNAL = 70
INTERRUPTED = 130
READER_GONE = 141  # what a shell reports for a program that SIGPIPE ended

OF_STATUS = {
    Status.OPTIMAL: ANSWERED,
    Status.INFEASIBLE: INFEASIBLE,
    Status.FEASIBLE: OPEN,
    Status.UNKNOWN: OPEN,
}

OF_OUTCOME = {Outcome.HOLDS: ANSWERED, Outcome.VIOLATED: VIOLATED, Outcome.UNKNOWN: OPEN}


def of(answer: Answer) -> int:
    """Of an answer, a second question included: open where one of the two is."""
    return max(OF_STATUS[part.status] for part in (answer, answer.then) if part is not None)
