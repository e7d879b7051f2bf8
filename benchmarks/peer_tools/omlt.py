"""OMLT's big-M form of a network in a pyomo model, solved by HiGHS.

As in OMLT's notebooks: a ``NetworkDefinition`` of dense layers with the bounds of its inputs, which
``FullSpaceNNFormulation`` writes. (Its ONNX reader knows no ``Flatten``.)
"""

from __future__ import annotations

import numpy as np

from peer_tools.tool import Claim, Question, Tool


class Omlt(Tool):
    """OMLT, pyomo and HiGHS."""

    name = "omlt"
    packages = ("omlt", "pyomo", "highspy")

    def prepare(self) -> None:
        """See `Tool.prepare`."""
        import highspy  # noqa: F401
        import omlt.neuralnet  # noqa: F401
        import pyomo.environ  # noqa: F401

    def solve(self, question: Question) -> Claim:
        """See `Tool.solve`."""
        import pyomo.environ as pyo
        from omlt import OmltBlock
        from omlt.neuralnet import FullSpaceNNFormulation, NetworkDefinition
        from omlt.neuralnet.layer import DenseLayer, InputLayer
        from pyomo.contrib.solver.common.factory import SolverFactory

        center, criterion = question.center, question.criterion
        n = len(center)
        definition = NetworkDefinition(scaled_input_bounds=dict.fromkeys(range(n), (0.0, 1.0)))
        before = InputLayer([n])
        definition.add_layer(before)
        for weight, bias, rectified in question.layers():
            layer = DenseLayer(
                before.output_size,
                [len(bias)],
                weight.T,
                bias,
                activation="relu" if rectified else "linear",
            )
            definition.add_layer(layer)
            definition.add_edge(before, layer)
            before = layer

        model = pyo.ConcreteModel()
        model.net = OmltBlock()
        model.net.build_formulation(FullSpaceNNFormulation(definition))
        inputs, outputs = model.net.inputs, model.net.outputs
        model.change = pyo.Var(range(n), bounds=(0.0, 1.0))
        model.up = pyo.Constraint(
            range(n), rule=lambda m, i: m.change[i] >= inputs[i] - float(center[i])
        )
        model.down = pyo.Constraint(
            range(n), rule=lambda m, i: m.change[i] >= float(center[i]) - inputs[i]
        )
        wins = outputs[criterion.target]
        model.ratio = pyo.Constraint(
            question.others, rule=lambda m, j: wins >= criterion.ratio * outputs[j]
        )
        model.floor = pyo.Constraint(expr=wins >= criterion.floor)
        model.distance = pyo.Objective(expr=sum(model.change[i] for i in range(n)))

        found = SolverFactory("highs").solve(
            model,
            threads=1,
            rel_gap=question.gap,
            solver_options={"parallel": "off"},
            load_solutions=False,
            raise_exception_on_nonoptimal_result=False,
        )
        x = None
        if found.incumbent_objective is not None:
            found.solution_loader.load_vars()
            x = np.array([pyo.value(inputs[i]) for i in range(n)])
        proved = found.termination_condition.name == "convergenceCriteriaSatisfied"
        return Claim(x, found.objective_bound, proved and x is not None)
