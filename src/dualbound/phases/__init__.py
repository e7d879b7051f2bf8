"""Branch and bound on activation phases, with our own relaxation, propagation and proofs.

`tree` is not imported here: it brings numba along, which takes a while to load.
"""

from dualbound.phases.chain import Chain, chain_of
from dualbound.phases.moves import Room, reference_of, room_of

__all__ = ["Chain", "Room", "chain_of", "reference_of", "room_of"]
