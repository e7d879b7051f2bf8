"""Bounds in batches, in torch, on any device and in any floating-point type."""

from dualbound.bounds.batched.alpha import Ascent, alpha_crown, ascended
from dualbound.bounds.batched.combining import combined
from dualbound.bounds.batched.lines import Lines, lines_of
from dualbound.bounds.batched.propagator import Passed, Propagator, believed, passed_on
from dualbound.bounds.batched.rooms import Boxes, OneRoom, Rooms, Span, Spans, rooms_of
from dualbound.bounds.batched.rounding import Rounding
from dualbound.bounds.batched.steepness import steepness

__all__ = [
    "Ascent",
    "Boxes",
    "Lines",
    "OneRoom",
    "Passed",
    "Propagator",
    "Rooms",
    "Rounding",
    "Span",
    "Spans",
    "alpha_crown",
    "ascended",
    "believed",
    "combined",
    "lines_of",
    "passed_on",
    "rooms_of",
    "steepness",
]
