"""The verbs: each a question asked of a network."""

from dualbound.queries.answer import Answer, Runtime, Stats, Status, Witness
from dualbound.queries.bounds import bounds
from dualbound.queries.classify import Classification, classify
from dualbound.queries.nearest import nearest
from dualbound.queries.replay import Refused, replayed

__all__ = [
    "Answer",
    "Classification",
    "Refused",
    "Runtime",
    "Stats",
    "Status",
    "Witness",
    "bounds",
    "classify",
    "nearest",
    "replayed",
]
