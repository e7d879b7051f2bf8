"""Studies: many questions, asked by whoever has time, each answer kept."""

from __future__ import annotations

from dualbound.studies.runner import Moment
from dualbound.studies.specification import Specification
from dualbound.studies.store import Store
from dualbound.studies.study import Study

__all__ = ["Moment", "Specification", "Store", "Study"]
