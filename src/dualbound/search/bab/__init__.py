"""Branch and bound with batched linear bounds, for questions of yes or no."""

from dualbound.search.bab.bab import Bab, Decision

__all__ = ["Bab", "Decision"]
