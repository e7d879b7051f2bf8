"""Every exception that dualbound raises on purpose, in one tree.

::

    DualboundError
    ├── InvalidInput            an array, a label, an option that does not fit the question
    │   ├── InvalidCriterion    a target out of range, or equal to the present label
    │   └── InvalidProperty     a property file that cannot be read, or asks what cannot be asked
    ├── ModelError              a file that cannot become a network
    │   ├── InvalidModel        missing, truncated, not what it says it is
    │   └── UnsupportedOperator an operator outside what the network room can represent
    ├── DataError               an image or a data set that cannot be found or read
    ├── OutputError             a result that cannot be written
    ├── SolverError
    │   ├── UnknownSolver       no such name
    │   ├── SolverNotInstalled  known, but its package is missing
    │   ├── LicenceLimit        the program is larger than the solver's licence allows
    │   └── SolverFailed        the solver gave up in a way that no status describes
    ├── WorkersLost             the processes or machines that answer questions cannot be had
    └── SoundnessError          a proved bound contradicts an evaluated point: trust nothing

Messages say what was found, what was expected, and what to do.
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "DualboundError",
    "InvalidCriterion",
    "InvalidInput",
    "InvalidModel",
    "InvalidProperty",
    "LicenceLimit",
    "ModelError",
    "OutputError",
    "SolverError",
    "SolverFailed",
    "SolverNotInstalled",
    "SoundnessError",
    "UnknownSolver",
    "UnsupportedOperator",
    "WorkersLost",
]


class DualboundError(Exception):
    """The root: ``except DualboundError`` catches everything raised on purpose."""


class InvalidInput(DualboundError, ValueError):
    """An argument that does not fit: wrong shape, range, NaN, nonsensical option."""


class InvalidCriterion(InvalidInput):
    """A criterion that cannot be asked of this network and input."""


class InvalidProperty(InvalidInput):
    """A property that is malformed, does not fit the network, or is not boxes and polyhedra."""


class ModelError(DualboundError):
    """A model that cannot become a network."""


class InvalidModel(ModelError):
    """The file is missing, truncated, or not what its name says."""


class UnsupportedOperator(ModelError):
    """The model uses an operator that the network room cannot represent exactly."""


class DataError(DualboundError):
    """An image or data set that cannot be found or read."""


class OutputError(DualboundError):
    """A result that could not be written where it was asked for."""


class SolverError(DualboundError):
    """Something about the solver rather than the question."""


class UnknownSolver(SolverError, ValueError):
    """No solver has this name."""


class SolverNotInstalled(SolverError):
    """The solver is known, but its Python package is not installed."""


class LicenceLimit(SolverError):
    """The solver's licence does not allow a program of this size."""


class SolverFailed(SolverError):
    """The solver ended in a state that its contract does not describe."""


class WorkersLost(DualboundError):
    """The processes or machines that answer a study's questions cannot be reached, or fail."""


class SoundnessError(DualboundError):
    """A claimed bound is contradicted by an evaluated point: no figure of the run is trusted."""
