"""Benchmarks of the verification competition VNN-COMP: all instances, results, and the score."""

from dualbound.studies.competition.answering import Given, answered, load_libraries
from dualbound.studies.competition.instances import Instance, existing, matching, read_instances
from dualbound.studies.competition.results import Line, Results, opened
from dualbound.studies.competition.run import Moment, Watch, compete
from dualbound.studies.competition.scoring import CORRECT, WRONG, Score, is_wrong, score_of

__all__ = [
    "CORRECT",
    "WRONG",
    "Given",
    "Instance",
    "Line",
    "Moment",
    "Results",
    "Score",
    "Watch",
    "answered",
    "compete",
    "existing",
    "is_wrong",
    "load_libraries",
    "matching",
    "opened",
    "read_instances",
    "score_of",
]
