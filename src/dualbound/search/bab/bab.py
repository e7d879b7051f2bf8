"""The engine ``bab``: batched bounds, attacks, and branch and bound on phases or on inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from dualbound.attacks import Linearised
from dualbound.criterion import Criterion
from dualbound.errors import InvalidInput
from dualbound.network.graph import Network
from dualbound.patterns import NearestProblem
from dualbound.region import L1, L2, LInf, Region
from dualbound.search.bab.balls import Balls
from dualbound.search.bab.by_columns import is_for
from dualbound.search.bab.deciding import Deciding
from dualbound.search.bab.decision import Decision
from dualbound.search.bab.question import Question
from dualbound.search.engine import Engine
from dualbound.search.incumbent import Incumbent
from dualbound.solvers import Highs, Solver

BRANCHING = ("auto", "phases", "inputs")
"""On what a tree may branch."""

ATTACKED, POLISHED = 2**18, 2**22
"""Witnesses are looked for by linear programs, and moved to the nearest point of their pattern, in
networks with at most so many derivatives of all values by the inputs."""


@dataclass(frozen=True)
class Bab(Engine):
    """Branch and bound with batched linear bounds: for verification, and for nearest inputs.

    In turn: CROWN over the whole region; a short attack; the better slopes of alpha-CROWN; a longer
    attack; then a tree, over halves of the region where it has few inputs, else over phases.

    Args:
        branching: ``auto``, ``phases`` or ``inputs``.
        batch: nodes that are bounded at once; chosen by the kind of tree when not given.
        steps: of ascent at every node of a tree over phases.
        look_ahead: how many neurons are tried before one is decided.
        device: of torch.
        attack: how the first witness of a nearest query is found, on small networks of rectifiers;
            None starts without one.

    Raises:
        InvalidInput: values that make no sense. A device that is not there is refused by the query.
    """

    branching: str = "auto"
    batch: int | None = None
    steps: int = 10
    look_ahead: int = 3
    device: str = "cpu"
    attack: Linearised | None = field(default_factory=Linearised)

    name: ClassVar[str] = "bab"
    takes_unions: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.branching not in BRANCHING:
            raise InvalidInput(
                f"Unknown branching {self.branching!r}; known are {', '.join(BRANCHING)}."
            )
        for name, value, least in (
            ("batch", self.batch, 1),
            ("steps", self.steps, 0),
            ("look_ahead", self.look_ahead, 1),
        ):
            if value is not None and value < least:
                raise InvalidInput(f"{name} is {value}; expected at least {least}.")

    def without_attack(self) -> Bab:
        """See `Engine.without_attack`."""
        return replace(self, attack=None)

    def backend(self) -> Solver:
        """HiGHS, for the linear programs of leaves and of witnesses."""
        return Highs()

    @staticmethod
    def can(problem: NearestProblem) -> bool:
        """Whether the engine knows this kind of distance."""
        return problem.is_plain and isinstance(problem.norm, L1 | L2 | LInf)

    def check(self, problem: NearestProblem) -> None:
        """See `Engine.check`."""
        if not self.can(problem):
            raise InvalidInput(
                "The engine bab finds nearest inputs in l1, l2 and linf, of any pattern and not on "
                "a grid: use the engine columns or milp."
            )

    def search(self, problem: NearestProblem, incumbent: Incumbent, gap: float) -> int | None:
        """See `Engine.search`: balls around the centre are verified, see `Balls`.

        **Trusts** float64 sums within their worst rounding error; no solver.
        """

        def decide(region: Region, decision: Decision) -> None:
            self.decide(problem.network, region, [problem.criterion], decision)

        network = problem.network
        derivatives = network.input_size * sum(node.size for node in network.nodes)
        polishes = network.is_piecewise_linear and derivatives <= POLISHED
        attack = self.attack if polishes and derivatives <= ATTACKED else None
        run = Balls(problem, incumbent, gap, self.backend(), attack, decide, polishes)
        incumbent.prove(problem.least)
        if attack is not None:
            run.look(attack.lightly())
        run.search()
        incumbent.enter("done")
        return run.unstable

    def prepare(self, tell: Callable[[str], None]) -> None:
        """See `Engine.prepare`: the polishing of witnesses is compiled, some seconds, once."""
        from dualbound.phases.cheapest import prepare  # brings numba along

        prepare(tell)

    def prepare_for(self, network: Network, tell: Callable[[str], None]) -> None:
        """Compile what `verify` needs for a network, once on a machine; see `Columns.prepare`."""
        if is_for(network):
            from dualbound.phases.tree import prepare  # brings numba along

            prepare(tell)

    def decide(
        self, network: Network, region: Region, criteria: Sequence[Criterion], decision: Decision
    ) -> None:
        """Find an input of the region whose outputs are in one of the sets, or prove that none is.

        Args:
            network: any.
            region: of its inputs.
            criteria: polyhedra, or unions of some.
            decision: takes what is found and proved.

        **Trusts** float64 sums within their worst rounding error; no solver.
        """
        question = Question.of(network, region, criteria)
        if not np.bincount(question.owner).all() or not len(question.owner):
            raise AssertionError("a polyhedron without inequalities is not for a search")
        Deciding(self, question, decision).run()
