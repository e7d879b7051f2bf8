"""Bounds that many questions of a study share."""

from __future__ import annotations

import threading

from dualbound.bounds import Bounds
from dualbound.errors import InvalidInput
from dualbound.limits import Clock, Limits
from dualbound.network import Network
from dualbound.queries.bounds import METHODS, bounds
from dualbound.region import Box

SEARCHED = ("lp", "milp", "exact")
"""Methods of bounds that take long, and are therefore not found anew for each question."""


def check_bounds(method: str | None, seconds_per_neuron: float | None) -> None:
    """Refuse an unknown method of bounds, and a limit for one that needs none.

    Raises:
        InvalidInput: see there.
    """
    if method is not None and method not in METHODS:
        raise InvalidInput(f"Unknown bound method {method!r}; known are {', '.join(METHODS)}.")
    if seconds_per_neuron is not None and method not in SEARCHED:
        raise InvalidInput(
            f"seconds_per_neuron is for bounds by {', '.join(SEARCHED)}: leave it out."
        )
    Limits(seconds_per_neuron)


_known: dict[tuple[object, ...], Bounds] = {}
_finding = threading.Lock()


def known_bounds(
    network: Network, method: str | None, seconds: float | None, range_: tuple[float, float]
) -> Bounds:
    """Bounds over the range, found once in a process for each network."""
    digest = network.source.sha256 if network.source else id(network)
    key = (digest, method, seconds, range_)
    with _finding:
        if key not in _known:
            region = Box(*range_).sized(network.input_size)
            clock = Clock()
            with clock.catching_ctrl_c():
                found = bounds(network, region, method=str(method), seconds_per_neuron=seconds)
            if clock.interrupted:  # what was cut short is not what others shall be asked with
                return found
            _known[key] = found
        return _known[key]
