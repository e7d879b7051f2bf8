"""Which units a network needs, networks without the others, and what that does to them."""

from dualbound.prune.importance import Importance, importance
from dualbound.prune.pruning import Pruned, prune

__all__ = ["Importance", "Pruned", "importance", "prune"]
