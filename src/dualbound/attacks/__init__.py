"""Witnesses by gradient and by linearisation: fast, good, and no proof."""

from dualbound.attacks.gradient import fgsm, pgd
from dualbound.attacks.linearised import Linearised, polish
from dualbound.attacks.problem import NearestProblem

__all__ = ["Linearised", "NearestProblem", "fgsm", "pgd", "polish"]
