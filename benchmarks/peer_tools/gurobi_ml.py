"""gurobi-machinelearning: a torch network in a Gurobi model, as its adversarial example writes it.

The licence in Gurobi's pip package forbids publishing benchmark results, so nothing of a run is
kept, and it is stopped after a second: only that the question is expressed and the licence takes a
program of its size, or the message with which it is refused.
"""

from __future__ import annotations

from peer_tools.tool import Claim, Question, Refused, Tool


class GurobiMl(Tool):
    """gurobi-machinelearning and gurobipy."""

    name = "gurobi-ml"
    packages = ("gurobi-machinelearning", "gurobipy")
    may_be_measured = False

    def prepare(self) -> None:
        """See `Tool.prepare`."""
        import gurobi_ml.torch  # noqa: F401

    def solve(self, question: Question) -> Claim:
        """See `Tool.solve`."""
        import gurobipy
        from gurobi_ml import add_predictor_constr
        from gurobi_ml.exceptions import ModelConfigurationError

        center, criterion = question.center, question.criterion
        n, m = len(center), question.network.output_size
        try:
            with gurobipy.Env(params={"OutputFlag": 0}) as env, gurobipy.Model(env=env) as model:
                inputs = model.addMVar(n, lb=0.0, ub=1.0, name="x")
                outputs = model.addMVar(m, lb=-gurobipy.GRB.INFINITY, name="y")
                change = model.addMVar(n, lb=0.0, ub=1.0, name="change")
                model.addConstr(change >= inputs - center)
                model.addConstr(change >= center - inputs)
                add_predictor_constr(model, question.sequential(), inputs, outputs)
                wins = outputs[criterion.target]
                for j in question.others:
                    model.addConstr(wins >= criterion.ratio * outputs[j])
                model.addConstr(wins >= criterion.floor)
                model.setObjective(change.sum(), gurobipy.GRB.MINIMIZE)

                model.Params.Threads = 1
                model.Params.MIPGap = question.gap
                model.Params.TimeLimit = 1.0
                model.optimize()
                x = inputs.X.copy() if model.SolCount else None
                return Claim(
                    x, model.ObjBound, model.Status == gurobipy.GRB.OPTIMAL and x is not None
                )
        except (gurobipy.GurobiError, ModelConfigurationError) as error:
            raise Refused(str(error)) from error
