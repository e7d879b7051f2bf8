"""Sets of outputs, and properties made of them."""

from dualbound.criterion.criterion import Criterion
from dualbound.criterion.one_of import OneOf
from dualbound.criterion.polyhedron import OutputSet, Polyhedron
from dualbound.criterion.property import Case, Property
from dualbound.criterion.repair import Class
from dualbound.criterion.runner_up import RunnerUp
from dualbound.criterion.targeted import DEFAULT_MARGIN, Targeted
from dualbound.criterion.untargeted import Untargeted
from dualbound.criterion.vnnlib import parse_vnnlib, read_vnnlib, write_vnnlib

__all__ = [
    "DEFAULT_MARGIN",
    "Case",
    "Class",
    "Criterion",
    "OneOf",
    "OutputSet",
    "Polyhedron",
    "Property",
    "RunnerUp",
    "Targeted",
    "Untargeted",
    "parse_vnnlib",
    "read_vnnlib",
    "write_vnnlib",
]
