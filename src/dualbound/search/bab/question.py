"""What a verification asks: is there an input of a region whose outputs are in one of some sets?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualbound.criterion import Criterion
from dualbound.network.graph import Network
from dualbound.region import Region


@dataclass(frozen=True, eq=False)
class Question:
    """A network, a region, and polyhedra ``A o >= b`` of outputs.

    A polyhedron is *refuted* where ``b - A o`` has a positive entry. Each row of each polyhedron is
    a goal: that ``rows·o + sides``, its entry of ``b - A o``, is positive all over the region.

    Attributes:
        network: any.
        region: of its inputs.
        rows, sides: of all goals, polyhedron after polyhedron.
        owner: which polyhedron each goal is of.
    """

    network: Network
    region: Region
    rows: Float[np.ndarray, "g m"]
    sides: Float[np.ndarray, " g"]
    owner: np.ndarray

    @classmethod
    def of(cls, network: Network, region: Region, criteria: Sequence[Criterion]) -> Question:
        """The question whether any of the criteria is reached."""
        polyhedra = [
            one.rows(network.output_size)
            for criterion in criteria
            for one in criterion.alternatives(network.output_size)
        ]
        counts = [len(b) for _, b in polyhedra]
        return cls(
            network,
            region,
            np.concatenate([-a for a, _ in polyhedra]),
            np.concatenate([b for _, b in polyhedra]),
            np.repeat(np.arange(len(polyhedra)), counts),
        )

    @property
    def polyhedra(self) -> np.ndarray:
        """The polyhedra that are asked about, by number."""
        return np.unique(self.owner)

    def only(self, polyhedra: np.ndarray) -> Question:
        """The question about some of the polyhedra."""
        kept = np.isin(self.owner, polyhedra)
        return Question(
            self.network, self.region, self.rows[kept], self.sides[kept], self.owner[kept]
        )

    def refuted(self, bounds: Float[np.ndarray, "*b g"]) -> Float[np.ndarray, "*b p"]:
        """For every polyhedron, the best proved lower bound of one of its goals."""
        return np.stack([bounds[..., self.owner == p].max(axis=-1) for p in self.polyhedra], -1)

    def padded(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows and sides polyhedron by polyhedron, and which of them are there.

        Returns:
            ``(p, k, m)``, ``(p, k)`` and ``(p, k)``, with zeros after a polyhedron's own rows.
        """
        most = int(np.bincount(self.owner).max())
        count, outputs = len(self.polyhedra), self.rows.shape[1]
        rows, sides = np.zeros((count, most, outputs)), np.zeros((count, most))
        given = np.zeros((count, most))
        for k, p in enumerate(self.polyhedra):
            own = np.flatnonzero(self.owner == p)
            rows[k, : len(own)], sides[k, : len(own)] = self.rows[own], self.sides[own]
            given[k, : len(own)] = 1.0
        return rows, sides, given

    def slack(self, outputs: Float[np.ndarray, "*b m"]) -> Float[np.ndarray, "*b"]:
        """How far outputs are inside the polyhedron that they are deepest in; else negative."""
        with np.errstate(over="ignore", invalid="ignore"):
            values = outputs @ self.rows.T + self.sides
        inside = [-values[..., self.owner == p].max(axis=-1) for p in self.polyhedra]
        return np.stack(inside, -1).max(axis=-1)
