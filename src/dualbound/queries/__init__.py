"""The verbs: each a question asked of a network."""

from dualbound.queries.activate import Activation, activate
from dualbound.queries.activate_layer import activate_layer
from dualbound.queries.answer import Answer, Runtime, Stats, Status, Witness
from dualbound.queries.attack import attack
from dualbound.queries.attacked import AtRadius, Attacked, Attacking
from dualbound.queries.bounds import bounds
from dualbound.queries.classify import Classification, classify
from dualbound.queries.compare import compare
from dualbound.queries.compared import Compared, Comparing, Distance, Margin, Side
from dualbound.queries.nearest import nearest
from dualbound.queries.neurons import Neuron, layer_node
from dualbound.queries.perfect import perfect
from dualbound.queries.properties import property_for
from dualbound.queries.replay import Refused, replayed
from dualbound.queries.several import nearest_several
from dualbound.queries.verify import (
    Counterexample,
    Outcome,
    Verification,
    counterexample,
    robustness,
    verify,
)

__all__ = [
    "Activation",
    "Answer",
    "AtRadius",
    "Attacked",
    "Attacking",
    "Classification",
    "Compared",
    "Comparing",
    "Counterexample",
    "Distance",
    "Margin",
    "Neuron",
    "Outcome",
    "Refused",
    "Runtime",
    "Side",
    "Stats",
    "Status",
    "Verification",
    "Witness",
    "activate",
    "activate_layer",
    "attack",
    "bounds",
    "classify",
    "compare",
    "counterexample",
    "layer_node",
    "nearest",
    "nearest_several",
    "perfect",
    "property_for",
    "replayed",
    "robustness",
    "verify",
]
