"""Witnesses by gradient and by linearisation: fast, good, and no proof."""

from dualbound.attacks.cells import cell_at, key_of
from dualbound.attacks.gradient import fgsm, pgd
from dualbound.attacks.linearised import Linearised, neighbour, polish
from dualbound.attacks.pattern import excluded_on_pattern, is_thin
from dualbound.attacks.problem import NearestProblem

__all__ = [
    "Linearised",
    "NearestProblem",
    "cell_at",
    "excluded_on_pattern",
    "fgsm",
    "is_thin",
    "key_of",
    "neighbour",
    "pgd",
    "polish",
]
