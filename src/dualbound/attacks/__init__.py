"""Witnesses by gradient and by linearisation: fast, good, and no proof."""

from dualbound.attacks.gradient import fgsm, pgd
from dualbound.attacks.linearised import Linearised, polish
from dualbound.attacks.pattern import excluded_on_pattern
from dualbound.attacks.problem import NearestProblem

__all__ = ["Linearised", "NearestProblem", "excluded_on_pattern", "fgsm", "pgd", "polish"]
