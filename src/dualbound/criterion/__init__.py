"""Sets of outputs."""

from dualbound.criterion.criterion import Criterion
from dualbound.criterion.targeted import DEFAULT_MARGIN, Targeted

__all__ = ["DEFAULT_MARGIN", "Criterion", "Targeted"]
