"""The names that ``import dualbound`` gives: a change here is a change for users."""

from __future__ import annotations

import dualbound

NAMES = """
    Activation Answer Attacked Bab Bounds Box Class Classification Columns Compared Criterion
    Dataset DualboundError Grid Gurobi Highs Image L0 L0Ball L1 L1Ball L2 L2Ball LInf Limits
    Linearised Milp Network Neuron OneOf Outcome Progress Property Recipe Region RunnerUp Scip
    Status Study Targeted Trained Untargeted Verification Witness Xpress
    activate activate_layer attack bounds classify compare load load_dataset load_image nearest
    nearest_several perfect read_vnnlib robustness train verify
"""


def test_they_are_these() -> None:
    assert set(dualbound.__all__) == set(NAMES.split())


def test_each_is_there_and_says_what_it_is() -> None:
    for name in dualbound.__all__:
        assert getattr(dualbound, name).__doc__, name
