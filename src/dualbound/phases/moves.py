"""A region as compiled code sees it: the moves that it allows from a reference point."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidInput
from dualbound.region import Box, L0Ball, L1Ball, L2Ball, Region


class Room(NamedTuple):
    r"""The moves of a region, in steps that its budget counts.

    .. math:: d_i = \rho_i p_i - \phi_i n_i,\quad 0 \le p \le u,\ 0 \le n \le v,\quad
              \textstyle\sum_i (p_i + n_i) \le B

    or, in a *round* room, :math:`\|p + n\|_2 \le B`. A box has no budget; in a ball of a weighted
    norm a step is what costs one unit. An L0 ball is this room's convex hull: a step is a whole
    change, from the reference to the bound.

    Attributes:
        up, down: how many steps each input may take, ``(n,)``, not negative.
        rise, fall: what a step upwards or downwards moves the input, ``(n,)``.
        budget: for all steps, or infinity.
        round: whether it bounds their Euclidean length instead of their sum.
    """

    up: np.ndarray
    down: np.ndarray
    rise: np.ndarray
    fall: np.ndarray
    budget: float
    round: bool


def reference_of(region: Region) -> Float[np.ndarray, " n"]:
    """A point of a region from which it is a `Room`: the middle of a box or of a ball.

    Raises:
        InvalidInput: a region that is neither a ball nor a box.
    """
    match region:
        case L0Ball() | L2Ball():
            return region.center
        case L1Ball():
            return region.start
        case Box():
            return (region.lower + region.upper) / 2
    raise InvalidInput(f"A {type(region).__name__} is neither a ball nor a box.")


def room_of(region: Region, reference: Float[np.ndarray, " n"]) -> Room:
    """A region as moves from a reference: any point of a box; of a ball, `reference_of` it.

    Args:
        region: a box, or an L0, L1 or L2 ball; of an L0 ball, the room is the convex hull.
        reference: ``(n,)``.

    Raises:
        InvalidInput: another region, or a reference that does not fit.

    >>> room_of(L1Ball(np.zeros(2), 3.0, Box([-1, 0], [1, 2])), np.zeros(2)).up
    array([1., 2.])
    """
    if not isinstance(region, Box) and not np.array_equal(reference_of(region), reference):
        raise InvalidInput("Moves in a ball are counted from its start.")
    if isinstance(region, (L0Ball, L2Ball)) and region.box.violation(reference[None])[0] > 0:
        raise InvalidInput(
            "The centre of an L0 or L2 ball lies outside its box, and our search over single "
            "neurons counts moves from it: ask for bounds by crown, and otherwise by the engine "
            "bab (L2) or milp (L0)."
        )
    up, down = region.upper - reference, reference - region.lower
    if isinstance(region, Box) and min(up.min(), down.min()) < 0:
        raise InvalidInput("Moves in a box are counted from one of its points.")
    up, down, ones = np.maximum(up, 0.0), np.maximum(down, 0.0), np.ones(len(up))
    match region:
        case L0Ball():
            cost = ones if region.weights is None else region.weights
            can_rise, can_fall = up > 0, down > 0
            budget = np.floor(region.left) if region.weights is None else region.left
            return Room(
                np.where(can_rise, cost, 0.0),
                np.where(can_fall, cost, 0.0),
                np.where(can_rise, up / cost, 1.0),
                np.where(can_fall, down / cost, 1.0),
                float(budget),
                False,
            )
        case L1Ball():
            cost = ones if region.weights is None else region.weights
            return Room(
                up * cost, down * cost, 1 / cost, 1 / cost, region.left + region.doubt, False
            )
        case L2Ball():
            cost = ones if region.weights is None else np.sqrt(region.weights)
            return Room(up * cost, down * cost, 1 / cost, 1 / cost, float(region.radius), True)
    return Room(up, down, ones, ones, np.inf, False)
