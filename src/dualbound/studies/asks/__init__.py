"""The kinds of question that a study can ask, one a file."""

from dualbound.studies.asks.activate import Activate
from dualbound.studies.asks.ask import Ask, ask_from, checked, meant
from dualbound.studies.asks.bounds import BoundNeurons
from dualbound.studies.asks.forward import Forward
from dualbound.studies.asks.nearest import Nearest
from dualbound.studies.asks.perfect import Perfect
from dualbound.studies.asks.verify import Verify

KINDS: dict[str, type[Ask]] = {
    kind.query: kind for kind in (Nearest, Verify, Activate, Perfect, BoundNeurons, Forward)
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
    "Verify",
    "ask_from",
    "checked",
    "meant",
]
