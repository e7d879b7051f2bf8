"""One activation pattern: on it the network is affine, and a question is a small program.

What is nearest there is a witness for whoever attacks; that nothing is there is a proof for whoever
searches.
"""

from dualbound.patterns.cells import cell_at, key_of
from dualbound.patterns.closest import PatternOptimum, closest_on_pattern
from dualbound.patterns.exclusion import excluded_on_pattern, is_thin
from dualbound.patterns.problem import NearestProblem

__all__ = [
    "NearestProblem",
    "PatternOptimum",
    "cell_at",
    "closest_on_pattern",
    "excluded_on_pattern",
    "is_thin",
    "key_of",
]
