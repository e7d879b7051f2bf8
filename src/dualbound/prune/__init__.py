"""Which units a network needs, networks without the others, and what that does to them."""

from dualbound.prune.importance import importance
from dualbound.prune.pruning import Pruned, prune
from dualbound.prune.scores import Importance

__all__ = ["Importance", "Pruned", "importance", "prune"]
