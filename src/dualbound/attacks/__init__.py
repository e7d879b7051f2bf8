"""Witnesses by gradient and by linearisation: fast, good, and no proof.

Attacks on a batch of labelled inputs are functions of torch modules, all called alike:
``attack(net, x, y, *, eps, norm="linf", lower=0.0, upper=1.0, mask=None, ...)``. For searches there
are `ascend`, over any region and towards any criterion, and `Linearised`. Torch is loaded when one
is called.
"""

from dualbound.attacks.ascent import ascend
from dualbound.attacks.classifier import classifier, device_named
from dualbound.attacks.deepfool import deepfool
from dualbound.attacks.fgsm import fgsm
from dualbound.attacks.from_foolbox import Foolbox
from dualbound.attacks.linearised import Linearised, neighbour, polish
from dualbound.attacks.loss import log_odds
from dualbound.attacks.methods import METHODS, Method, method_named
from dualbound.attacks.momentum import momentum_pgd
from dualbound.attacks.pgd import pgd
from dualbound.attacks.threat import Allowed, Threat, distance
from dualbound.attacks.virtual import virtual

__all__ = [
    "METHODS",
    "Allowed",
    "Foolbox",
    "Linearised",
    "Method",
    "Threat",
    "ascend",
    "classifier",
    "deepfool",
    "device_named",
    "distance",
    "fgsm",
    "log_odds",
    "method_named",
    "momentum_pgd",
    "neighbour",
    "pgd",
    "polish",
    "virtual",
]
