"""The learning lab: networks are trained, plainly, against adversaries, or to be certified."""

from dualbound.learn.adversarial import Adversarial, Virtual
from dualbound.learn.architecture import Architecture
from dualbound.learn.checkpoint import Epoch
from dualbound.learn.evaluation import Score, evaluate
from dualbound.learn.interval import Interval
from dualbound.learn.method import Method, Plain, Step
from dualbound.learn.methods import method_named
from dualbound.learn.recipe import Recipe
from dualbound.learn.training import Moment, Trained, fresh, train

__all__ = [
    "Adversarial",
    "Architecture",
    "Epoch",
    "Interval",
    "Method",
    "Moment",
    "Plain",
    "Recipe",
    "Score",
    "Step",
    "Trained",
    "Virtual",
    "evaluate",
    "fresh",
    "method_named",
    "train",
]
