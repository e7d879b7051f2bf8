"""Ours: the engine ``columns`` on one thread."""

from __future__ import annotations

import numpy as np

import dualbound
from dualbound import Columns, Status
from peer_tools.tool import Claim, Question, Tool


class Ours(Tool):
    """`dualbound.nearest`."""

    name = "ours"
    packages = ("dualbound", "highspy")

    def prepare(self) -> None:
        """See `Tool.prepare`."""
        Columns(threads=1).prepare(lambda phase: None)

    def solve(self, question: Question) -> Claim:
        """See `Tool.solve`."""
        answer = dualbound.nearest(
            question.network,
            question.center,
            question.criterion,
            gap=question.gap,
            engine=Columns(threads=1),
        )
        x = None if answer.witness is None else np.ravel(answer.witness.x)
        return Claim(x, answer.bound, answer.status is Status.OPTIMAL)
