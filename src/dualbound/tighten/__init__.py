"""Bounds by linear and mixed-integer programming, layer by layer."""

from dualbound.tighten.layerwise import Layerwise

__all__ = ["Layerwise"]
