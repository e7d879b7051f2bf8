"""The verbs: each a question asked of a network."""

from dualbound.queries.activate import Activation, activate
from dualbound.queries.activate_layer import activate_layer
from dualbound.queries.answer import Answer, Runtime, Stats, Status, Witness
from dualbound.queries.bounds import bounds
from dualbound.queries.classify import Classification, classify
from dualbound.queries.nearest import nearest
from dualbound.queries.neurons import Neuron, layer_node
from dualbound.queries.perfect import perfect
from dualbound.queries.replay import Refused, replayed
from dualbound.queries.several import nearest_several

__all__ = [
    "Activation",
    "Answer",
    "Classification",
    "Neuron",
    "Refused",
    "Runtime",
    "Stats",
    "Status",
    "Witness",
    "activate",
    "activate_layer",
    "bounds",
    "classify",
    "layer_node",
    "nearest",
    "nearest_several",
    "perfect",
    "replayed",
]
