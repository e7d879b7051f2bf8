"""Sets of outputs."""

from dualbound.criterion.criterion import Criterion
from dualbound.criterion.one_of import OneOf
from dualbound.criterion.repair import Class
from dualbound.criterion.runner_up import RunnerUp
from dualbound.criterion.targeted import DEFAULT_MARGIN, Targeted
from dualbound.criterion.untargeted import Untargeted

__all__ = [
    "DEFAULT_MARGIN",
    "Class",
    "Criterion",
    "OneOf",
    "RunnerUp",
    "Targeted",
    "Untargeted",
]
