"""Bounds in batches, in torch, on any device and in any floating-point type."""

from dualbound.bounds.batched.alpha import Ascent, alpha_crown, ascended
from dualbound.bounds.batched.lines import Lines, lines_of
from dualbound.bounds.batched.propagator import Passed, Propagator, believed, passed_on
from dualbound.bounds.batched.rooms import Boxes, OneRoom, Rooms, Span, Spans, rooms_of

__all__ = [
    "Ascent",
    "Boxes",
    "Lines",
    "OneRoom",
    "Passed",
    "Propagator",
    "Rooms",
    "Span",
    "Spans",
    "alpha_crown",
    "ascended",
    "believed",
    "lines_of",
    "passed_on",
    "rooms_of",
]
