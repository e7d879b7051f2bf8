"""Networks as mixed-integer linear programs."""

from dualbound.milp.encoding import FORMULATIONS, Encoding, encode, formulation_named
from dualbound.milp.expression import Expression
from dualbound.milp.lagrangian import lagrangian_bound
from dualbound.milp.program import Program, ProgramBuilder
from dualbound.milp.relu import Formulation
from dualbound.milp.scaling import encode_moderately

__all__ = [
    "FORMULATIONS",
    "Encoding",
    "Expression",
    "Formulation",
    "Program",
    "ProgramBuilder",
    "encode",
    "encode_moderately",
    "formulation_named",
    "lagrangian_bound",
]
