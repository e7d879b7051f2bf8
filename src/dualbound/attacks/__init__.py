"""Witnesses by gradient and by linearisation: fast, good, and no proof."""

from dualbound.attacks.gradient import fgsm, pgd
from dualbound.attacks.linearised import Linearised, neighbour, polish

__all__ = ["Linearised", "fgsm", "neighbour", "pgd", "polish"]
