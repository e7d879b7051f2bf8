"""Sets of inputs: support function, rows for a program, projection, sampling."""

from dualbound.region.box import Box
from dualbound.region.l1_ball import L1Ball
from dualbound.region.norms import L1, NORMS, LInf, Norm, norm_named
from dualbound.region.region import LinearForm, Region

__all__ = ["L1", "NORMS", "Box", "L1Ball", "LInf", "LinearForm", "Norm", "Region", "norm_named"]
