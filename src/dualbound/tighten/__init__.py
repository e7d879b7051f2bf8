"""Bounds by linear and mixed-integer programming, layer by layer."""

from dualbound.tighten.layerwise import Layerwise
from dualbound.tighten.processes import core_count

__all__ = ["Layerwise", "core_count"]
