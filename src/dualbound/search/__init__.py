"""Search: engines that close the gap between a witness and a proof."""

from dualbound.search.automatic import automatic
from dualbound.search.bab import Bab
from dualbound.search.columns import Columns
from dualbound.search.engine import Engine
from dualbound.search.incumbent import Incumbent, Progress, check_distance, relative_gap
from dualbound.search.milp import Milp
from dualbound.search.named import AS_OPTIONS, chosen_engine, engine_named
from dualbound.search.several import Part, parts_of, search_all

__all__ = [
    "AS_OPTIONS",
    "Bab",
    "Columns",
    "Engine",
    "Incumbent",
    "Milp",
    "Part",
    "Progress",
    "automatic",
    "check_distance",
    "chosen_engine",
    "engine_named",
    "parts_of",
    "relative_gap",
    "search_all",
]
