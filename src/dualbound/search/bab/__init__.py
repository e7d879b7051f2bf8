"""Branch and bound with batched linear bounds."""

from dualbound.search.bab.bab import BRANCHING, Bab
from dualbound.search.bab.decision import Decision

__all__ = ["BRANCHING", "Bab", "Decision"]
