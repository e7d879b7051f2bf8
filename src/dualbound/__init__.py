"""dualbound: exact questions about trained networks, answered with a witness and a proof.

>>> import dualbound
>>> net = dualbound.load("dnn1")
>>> image = dualbound.load_image("sample:0", net.input_shape)
>>> dualbound.classify(net, image.pixels).label
7
"""

from dualbound import starting

starting.begin()  # what follows takes a while

# ruff: noqa: E402
from dualbound.attacks import Linearised
from dualbound.bounds import Bounds
from dualbound.criterion import (
    Class,
    Criterion,
    OneOf,
    Property,
    RunnerUp,
    Targeted,
    Untargeted,
    read_vnnlib,
)
from dualbound.data import Dataset, load_dataset
from dualbound.data.images import Image, load_image
from dualbound.errors import DualboundError
from dualbound.learn import Recipe, Trained, train
from dualbound.limits import Limits
from dualbound.network import Network
from dualbound.queries import (
    Activation,
    Answer,
    Attacked,
    Classification,
    Compared,
    Neuron,
    Outcome,
    Status,
    Verification,
    Witness,
    activate,
    activate_layer,
    attack,
    bounds,
    classify,
    compare,
    nearest,
    nearest_several,
    perfect,
    robustness,
    verify,
)
from dualbound.queries.models import load
from dualbound.region import L0, L1, L2, Box, Grid, L0Ball, L1Ball, L2Ball, LInf, Region
from dualbound.search import Columns, Milp, Progress
from dualbound.search.bab import Bab
from dualbound.solvers import Gurobi, Highs, Scip, Xpress
from dualbound.studies import Study

__version__ = "0.1.0"

__all__ = [
    "L0",
    "L1",
    "L2",
    "Activation",
    "Answer",
    "Attacked",
    "Bab",
    "Bounds",
    "Box",
    "Class",
    "Classification",
    "Columns",
    "Compared",
    "Criterion",
    "Dataset",
    "DualboundError",
    "Grid",
    "Gurobi",
    "Highs",
    "Image",
    "L0Ball",
    "L1Ball",
    "L2Ball",
    "LInf",
    "Limits",
    "Linearised",
    "Milp",
    "Network",
    "Neuron",
    "OneOf",
    "Outcome",
    "Progress",
    "Property",
    "Recipe",
    "Region",
    "RunnerUp",
    "Scip",
    "Status",
    "Study",
    "Targeted",
    "Trained",
    "Untargeted",
    "Verification",
    "Witness",
    "Xpress",
    "activate",
    "activate_layer",
    "attack",
    "bounds",
    "classify",
    "compare",
    "load",
    "load_dataset",
    "load_image",
    "nearest",
    "nearest_several",
    "perfect",
    "read_vnnlib",
    "robustness",
    "train",
    "verify",
]
