"""Proved bounds on neurons: the value, and the direct methods."""

from dualbound.bounds.crown import crown
from dualbound.bounds.interval import interval
from dualbound.bounds.layer_bounds import BoundMethod, Bounds

METHODS: dict[str, BoundMethod] = {"interval": interval, "crown": crown}

__all__ = ["METHODS", "BoundMethod", "Bounds", "crown", "interval"]
