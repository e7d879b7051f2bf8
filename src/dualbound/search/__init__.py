"""Search: engines that close the gap between a witness and a proof."""

from dualbound.search.incumbent import Incumbent, Progress, relative_gap
from dualbound.search.milp import Milp

__all__ = ["Incumbent", "Milp", "Progress", "relative_gap"]
