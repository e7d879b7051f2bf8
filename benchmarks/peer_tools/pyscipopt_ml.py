"""PySCIPOpt-ML: a torch network in a SCIP model, as its test of adversarial examples writes it."""

from __future__ import annotations

import numpy as np

from peer_tools.tool import Claim, Question, Refused, Tool


class PyscipoptMl(Tool):
    """PySCIPOpt-ML and SCIP.

    Args:
        formulation: of the rectifiers: ``sos``, the package's default, or ``bigm``.
    """

    packages = ("pyscipopt-ml", "pyscipopt")

    def __init__(self, formulation: str) -> None:
        self.formulation = formulation
        self.name = f"pyscipopt-ml {formulation}"

    def prepare(self) -> None:
        """See `Tool.prepare`."""
        import pyscipopt_ml.torch  # noqa: F401

    def solve(self, question: Question) -> Claim:
        """See `Tool.solve`."""
        from pyscipopt import Model, quicksum
        from pyscipopt_ml import add_predictor_constr
        from pyscipopt_ml.exceptions import NoModel, ParameterError

        center, criterion = question.center, question.criterion
        n, m = len(center), question.network.output_size
        scip = Model()
        scip.hideOutput()
        inputs = scip.addMatrixVar((1, n), vtype="C", lb=0.0, ub=1.0, name="x")
        outputs = scip.addMatrixVar((1, m), vtype="C", lb=None, ub=None, name="y")
        change = [scip.addVar(name=f"change_{i}", vtype="C", lb=0.0, ub=1.0) for i in range(n)]
        for i in range(n):
            scip.addCons(change[i] >= inputs[0, i] - float(center[i]))
            scip.addCons(change[i] >= float(center[i]) - inputs[0, i])
        try:
            add_predictor_constr(
                scip,
                question.sequential(),
                inputs,
                outputs,
                unique_naming_prefix="net_",
                formulation=self.formulation,
            )
        except (NoModel, ParameterError) as error:
            raise Refused(str(error)) from error
        wins = outputs[0, criterion.target]
        for j in question.others:
            scip.addCons(wins >= criterion.ratio * outputs[0, j])
        scip.addCons(wins >= criterion.floor)
        scip.setObjective(quicksum(change), sense="minimize")

        scip.setParam("limits/gap", question.gap)
        scip.optimize()
        x = None
        if scip.getNSols() > 0:
            best = scip.getBestSol()
            x = np.array([scip.getSolVal(best, inputs[0, i]) for i in range(n)])
        proved = scip.getStatus() in ("optimal", "gaplimit")
        bound = scip.getDualbound()
        return Claim(x, None if scip.isInfinity(-bound) else bound, proved and x is not None)
