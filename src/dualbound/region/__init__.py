"""Sets of inputs: support function, rows for a program, projection, sampling."""

from dualbound.region.box import Box
from dualbound.region.grid import Grid
from dualbound.region.l0_ball import L0Ball
from dualbound.region.l1_ball import L1Ball
from dualbound.region.l2_ball import L2Ball
from dualbound.region.norms import L0, L1, L2, NORMS, LInf, Norm, norm_named
from dualbound.region.region import LinearForm, Region

__all__ = [
    "L0",
    "L1",
    "L2",
    "NORMS",
    "Box",
    "Grid",
    "L0Ball",
    "L1Ball",
    "L2Ball",
    "LInf",
    "LinearForm",
    "Norm",
    "Region",
    "norm_named",
]
