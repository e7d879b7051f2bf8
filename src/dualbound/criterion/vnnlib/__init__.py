r"""Properties in the format of the verification competition, VNN-LIB.

A file asserts what a counterexample is: the property is *violated* where some input meets all that
is asserted, together with the network's outputs there, and *holds* where none does. Read here are

- version 1.0: ``X_i`` and ``Y_j`` of type Real, declared one by one;
- version 2.0: one network with one input and one output of real numbers, of any shape.

What is asserted may be nested by ``and`` and ``or`` at will. It is taken apart into its disjuncts,
each of which must bound every input from both sides and may relate outputs by linear inequalities:

.. math:: \bigvee_d \; x \in [l_d, u_d] \;\wedge\; A_d\, N(x) \ge b_d

**Numbers.** A literal is the nearest float64. Arithmetic on literals is exact and rounded once, at
the end: a bound and the constant of an inequality so that the set can only grow, a coefficient to
the nearest.

**Strict inequalities**, ``<`` and ``>``: what is proved, is proved as if they were not strict, and
holds all the more. A counterexample has to meet them as they are.
"""

from dualbound.criterion.vnnlib.reading import parse_vnnlib, read_vnnlib
from dualbound.criterion.vnnlib.writing import write_vnnlib

__all__ = ["parse_vnnlib", "read_vnnlib", "write_vnnlib"]
