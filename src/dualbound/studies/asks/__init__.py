"""The kinds of question that a study can ask, one a file."""

from dualbound.studies.asks.activate import Activate
from dualbound.studies.asks.ask import Ask, ask_from, checked, meant
from dualbound.studies.asks.bounds import BoundNeurons
from dualbound.studies.asks.forward import Forward
from dualbound.studies.asks.nearest import Nearest
from dualbound.studies.asks.perfect import Perfect

KINDS: dict[str, type[Ask]] = {
    kind.query: kind for kind in (Nearest, Activate, Perfect, BoundNeurons, Forward)
}
"""By the name that ``query = "…"`` has in ``study.toml``."""

__all__ = [
    "KINDS",
    "Activate",
    "Ask",
    "BoundNeurons",
    "Forward",
    "Nearest",
    "Perfect",
    "ask_from",
    "checked",
    "meant",
]
