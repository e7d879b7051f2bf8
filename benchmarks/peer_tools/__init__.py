"""One peer a file: the nearest query as that tool's documentation writes it."""

from peer_tools.gurobi_ml import GurobiMl
from peer_tools.omlt import Omlt
from peer_tools.ours import Ours
from peer_tools.pyscipopt_ml import PyscipoptMl
from peer_tools.tool import Claim, Question, Refused, Tool

__all__ = ["Claim", "GurobiMl", "Omlt", "Ours", "PyscipoptMl", "Question", "Refused", "Tool"]
